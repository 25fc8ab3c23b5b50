"""Vectors in files, so that a start need not compute them: of a desk's articles, which ship beside them, and of its questions.

One file an embedder: `NAME.npz` with the hash of the embedder's weights, a key (the start of a text's sha256) and a
vector for each text, those that ship in half precision (cosines differ by less than .0005). It is a cache that is
checked: what does not fit is not used, and what is not in it is computed.
"""

import asyncio
import hashlib
import os
import zipfile
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import structlog

from domain.errors import StoreError
from domain.ports import Embedder, Progress, Vector
from retrieval.chunking import chunk_articles
from retrieval.config import EmbedderPin, RagConfig
from retrieval.reading import read_articles

KEY_BYTES = 16
MOST_BYTES = 200_000_000
UNIT = (0.99, 1.01)
"""Lengths that a normalised vector may have in half precision."""


def read_vectors(folder: Path, pin: EmbedderPin) -> dict[bytes, Vector]:
    """The vectors that ship for this embedder, by `key_of` their text; none where the file is absent or wrong."""
    path = _place(folder, pin)
    if not path.is_file():
        return {}
    try:
        return _checked(path, pin)
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as fault:
        # A wrong cache costs seconds, not answers.
        structlog.get_logger().warning("kept vectors are not used", file=str(path), why=str(fault)[:200])
        return {}


def key_of(text: str) -> bytes:
    """What a text's vector is kept under."""
    return hashlib.sha256(text.encode()).digest()[:KEY_BYTES]


async def ship_vectors(
    articles: Path, folder: Path, config: RagConfig, embedder: Embedder, progress: Progress | None = None
) -> Mapping[str, int]:
    """Write the vectors of all these articles into `folder`: {texts, computed, bytes}. Raises KnowledgeError, StoreError.

    What the file there holds already is not computed again.
    """
    texts = await asyncio.to_thread(_texts, articles, config)
    kept = await asyncio.to_thread(read_vectors, folder, config.embedder)
    missing = [text for text in texts if key_of(text) not in kept]
    computed = await embedder.passages(missing, progress)
    kept |= {key_of(text): vector for text, vector in zip(missing, computed, strict=True)}
    vectors = {key: kept[key] for key in map(key_of, texts)}
    size = await asyncio.to_thread(_write, _place(folder, config.embedder), config.embedder, vectors, np.float16)
    return {"texts": len(texts), "computed": len(missing), "bytes": size}


def _texts(articles: Path, config: RagConfig) -> list[str]:
    chunks = chunk_articles(read_articles(articles).articles, config.chunking)
    return sorted({chunk.embedded for rows in chunks.values() for chunk in rows})


class KeptQuestions:
    """The vectors of the questions that a desk holds its customers' against, kept in a folder from start to start."""

    def __init__(self, folder: Path, pin: EmbedderPin, embedder: Embedder, meant: Callable[[str], str] = str) -> None:
        """`meant`: what the embedder makes of a text before its vector; it may read."""
        self._folder, self._pin, self._embedder, self._meant = folder, pin, embedder, meant

    async def vectors(self, texts: Collection[str]) -> dict[str, Vector]:
        """By text; what the file does not hold is computed, and the file then holds these and no others. Raises WeightsError."""
        kept = await asyncio.to_thread(read_vectors, self._folder, self._pin)
        keys = await asyncio.to_thread(lambda: {text: key_of(self._meant(text)) for text in texts})
        found = {text: kept[key] if (key := keys[text]) in kept else await self._embedder.query(text) for text in texts}
        if not kept.keys() >= set(keys.values()):
            new = {key: found[text] for text, key in keys.items()}
            try:
                await asyncio.to_thread(_write, _place(self._folder, self._pin), self._pin, new, np.float32)
            except StoreError as fault:  # the next start computes them again
                structlog.get_logger().warning("vectors are not kept", file=fault.where, why=fault.what)
        return found


def _write(path: Path, pin: EmbedderPin, vectors: Mapping[bytes, Vector], precision: type[np.floating[Any]]) -> int:
    aside = path.with_suffix(f".{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with aside.open("wb") as stream:
            np.savez(
                stream,
                embedder=np.frombuffer(bytes.fromhex(pin.sha256), dtype=np.uint8),
                keys=np.frombuffer(b"".join(vectors), dtype=np.uint8).reshape(-1, KEY_BYTES),
                vectors=np.asarray(list(vectors.values()), dtype=precision),
            )
        aside.replace(path)
        return path.stat().st_size
    except OSError as fault:
        raise StoreError(f"cannot be written: {fault.strerror}", where=str(path), fix="mend its rights") from fault


def _place(folder: Path, pin: EmbedderPin) -> Path:
    return folder / f"{pin.name}.npz"


def _checked(path: Path, pin: EmbedderPin) -> dict[bytes, Vector]:
    if path.stat().st_size > MOST_BYTES:
        message = "it is too large"
        raise ValueError(message)
    # np.load leaves a file open that it cannot read; a stream of our own is closed whatever comes.
    with path.open("rb") as stream, np.load(stream, allow_pickle=False) as held:
        if held["embedder"].tobytes().hex() != pin.sha256:
            message = "another embedder made them"
            raise ValueError(message)
        keys, vectors = held["keys"], held["vectors"].astype(np.float64)
    lengths = np.linalg.norm(vectors, axis=1)
    if keys.shape != (len(vectors), KEY_BYTES) or not ((lengths > UNIT[0]) & (lengths < UNIT[1])).all():
        message = "keys and vectors do not fit"
        raise ValueError(message)
    unit = (vectors / lengths[:, None]).tolist()
    return {key.tobytes(): vector for key, vector in zip(keys, unit, strict=True)}
