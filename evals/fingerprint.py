"""What the figures of a run depend on, as hashes: two runs with the same ones measured the same thing."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path

HOUSE = Path(__file__).resolve().parent.parent
ROOMS = ("domain", "store", "guards", "models", "prompts", "retrieval", "scoring", "nodes", "graph", "evals")
KINDS = ("*.py", "*.yaml", "*.npz", "*.lock")
SHOWN = 12
"""Hex digits of a hash that are kept: enough to tell runs apart."""


def hash_of(*parts: str | bytes) -> str:
    """The hash of texts and bytes, in their order."""
    whole = hashlib.sha256()
    for part in parts:
        raw = part.encode("utf-8", "replace") if isinstance(part, str) else part
        whole.update(len(raw).to_bytes(8, "big") + raw)
    return whole.hexdigest()[:SHOWN]


def hash_of_config(config: Mapping[str, object]) -> str:
    """The hash of a configuration, whatever the order of its names."""
    return hash_of(json.dumps(config, sort_keys=True, default=str))


def hash_of_files(paths: Iterable[Path]) -> str:
    """The hash of what files hold; one that cannot be read counts as empty."""
    parts: list[str | bytes] = []
    for path in sorted(paths):
        try:
            parts += [path.name, path.read_bytes()]
        except OSError:
            parts += [path.name, b""]
    return hash_of(*parts)


def code_hash(house: Path = HOUSE) -> str:
    """The hash of the code and its data: a run that was killed does not go on under other code."""
    return hash_of_files(path for room in ROOMS for kind in KINDS for path in (house / room).rglob(kind))
