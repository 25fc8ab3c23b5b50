"""Fits what models/learned_router.py ships: `python -m training.router_heads`, a minute.

An ordinal logistic regression, one line of hardness with two borders, over the marks and the vector of the shop's labelled
questions (desks/shop/cases/router.jsonl, this project's own text). How much the vector weighs and the penalty come
from ten folds of them, a question and its translation in one fold; nothing else is looked at.
"""

import asyncio
import itertools
import json
import sys
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from domain.turn import Language
from evals.ordinal import fit_head, held_back_tiers
from models import load_embedder
from models.catalog import TIERS
from models.learned_router import HEADS, marks

CASES = Path(__file__).resolve().parent.parent / "desks" / "shop" / "cases" / "router.jsonl"
LANGUAGES: dict[str, tuple[Language, ...]] = {
    "multilingual-e5-small": ("en", "vi"),
}
VECTOR_WEIGHTS = (0.0, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0)
PENALTIES = (0.3, 1.0, 3.0, 10.0, 30.0)
DIGITS = 6
"""Significant ones that are kept."""


def main() -> None:
    """Fit every head and write the file."""
    heads = {name: asyncio.run(_fitted(name, languages)) for name, languages in LANGUAGES.items()}
    card = {
        "what": "how hard a support question is, for models/learned_router.py",
        "fitted_on": "desks/shop/cases/router.jsonl, written and labelled for this project",
        "by": "python -m training.router_heads",
        "figures": "docs/routing.md",
    }
    HEADS.write_text(json.dumps({"card": card, "heads": heads}) + "\n", "utf-8")


async def _fitted(name: str, languages: tuple[Language, ...]) -> dict[str, Any]:
    rows = [row for row in map(json.loads, CASES.read_text("utf-8").splitlines()) if row["language"] in languages]
    embedder = load_embedder(name)
    vectors = np.asarray([await embedder.query(row["text"]) for row in rows], dtype=np.float64)
    found = np.asarray([marks(row["text"], row["language"]) for row in rows], dtype=np.float64)
    labels, pairs = [TIERS.index(row["tier"]) for row in rows], [row["pair"] for row in rows]
    tried = []
    for weight, penalty in itertools.product(VECTOR_WEIGHTS, PENALTIES):
        said = held_back_tiers(found, vectors, labels, languages, pairs, weight=weight, penalty=penalty)
        tried.append((*_judged(said, labels, pairs), weight, penalty))
    right, alike, weight, penalty = max(tried)
    sys.stdout.write(
        f"{name}: {len(rows)} rows, vector x {weight}, penalty {penalty}: held back {right:.3f} right,"
        f" {alike:.3f} of the pairs alike\n"
    )
    head = asdict(fit_head(found, vectors, labels, languages, weight=weight, penalty=penalty))
    numbers = {part: [_short(one) for one in head[part]] for part in ("mean", "scale", "marks", "vector", "borders")}
    about = {"sha256": embedder.sha256, "rows": len(rows), "vector_weight": weight, "penalty": penalty}
    return about | {"languages": languages, "usual": _short(head["usual"])} | numbers


def _short(number: float) -> float:
    return float(f"{number:.{DIGITS}g}")


def _judged(said: Sequence[int], labels: Sequence[int], pairs: Sequence[str]) -> tuple[float, float]:
    """The share that is right, and of the pairs those that have one tier."""
    together = defaultdict(set)
    for tier, pair in zip(said, pairs, strict=True):
        together[pair].add(tier)
    right = sum(one == label for one, label in zip(said, labels, strict=True)) / len(labels)
    return right, sum(len(tiers) == 1 for tiers in together.values()) / len(together)


if __name__ == "__main__":
    main()
