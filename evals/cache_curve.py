"""What the answer cache's gate would win and lose if it were looser: true hits against wrong ones.

Three families beside the gate that ships: so many words that carry meaning may be left over; likeness of vectors alone;
and a logistic regression over likeness, words left over and what the gate compares, whose threshold is chosen in
hindsight, each text judged by weights that never saw it.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from domain.ports import Embedder, Progress
from domain.turn import Language
from evals.near_misses import near_misses
from evals.routing import held_back
from models.answer_cache import LEAST_LIKENESS, LEAST_LIKENESS_ELSEWHERE
from models.same_question import Compared, compared, same_question

OVER = (1, 2, 3)
LIKE = (0.95, 0.97)
WANTED = 0.40
"""The share of public pairs that the aim asks for."""
EVERY = 6
"""Of the generated near misses every sixth, spread over all kinds."""

Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Pair:
    """`kind`: public, own or generated; `same`: whether one answer serves both."""

    stored: str
    asked: str
    language: Language
    same: bool
    kind: str


def pairs(public: Path, own: Path) -> list[Pair]:
    """Rows `{a, b, same, language?}` of two files, English where none is said, and generated near misses."""
    rows = [(json.loads(line), kind) for path, kind in ((public, "public"), (own, "own")) for line in _lines(path)]
    read = [Pair(row["a"], row["b"], row.get("language", "en"), bool(row["same"]), kind) for row, kind in rows]
    return read + [Pair(one.stored, one.asked, one.language, False, "generated") for one in near_misses()[::EVERY]]


async def curve(found: Sequence[Pair], embedder: Embedder, progress: Progress) -> list[str]:
    """Lines of a table: a gate, its true hits, and how many wrong ones on which pairs."""
    likeness, words = np.zeros(len(found)), list[Compared]()
    for number, one in enumerate(found):
        left, right = await embedder.query(one.stored), await embedder.query(one.asked)
        likeness[number] = sum(a * b for a, b in zip(left, right, strict=True))
        words.append(compared(one.stored, one.asked, one.language))
        progress(number + 1, len(found))
    near = likeness >= LEAST_LIKENESS.get(embedder.name, LEAST_LIKENESS_ELSEWHERE)
    ships = np.array([same_question(one.stored, one.asked, one.language) for one in found]) & near
    over, fits = np.array([each.over for each in words]), np.array([each.fits for each in words])
    same = np.array([one.same for one in found])
    features = np.array([[*each.counts, like] for each, like in zip(words, likeness, strict=True)], dtype=np.float64)
    learned = held_back(features, [int(one) for one in same], [one.stored for one in found], 2)[:, 1]
    public = np.array([one.kind == "public" for one in found])
    strict = float(learned[~same].max())
    wanted = float(np.quantile(learned[same & public], 1 - WANTED))
    gates = [("the gate that ships", ships)]
    gates += [(f"{count} word{'s' * (count > 1)} left over", (over <= count) & fits & near) for count in OVER]
    gates += [(f"vectors alone, {least}", likeness >= least) for least in LIKE]
    gates += [
        ("learned, at no wrong hit", learned > strict),
        (f"learned, at {WANTED:.0%} of the public pairs", learned >= wanted),
    ]
    return [
        "| gate | true, public | true, own | wrong, public | wrong, own | wrong, generated |",
        "|---|---|---|---|---|---|",
        *(_line(name, hits, found) for name, hits in gates),
    ]


def _line(name: str, hits: Flags, found: Sequence[Pair]) -> str:
    def some(kind: str, *, same: bool) -> Flags:
        return hits[[one.kind == kind and one.same == same for one in found]]

    true = [f"{some(kind, same=True).mean():.3f}" for kind in ("public", "own")]
    wrong = [some(kind, same=False) for kind in ("public", "own", "generated")]
    return " | ".join(["", name, *true, *(f"{int(each.sum())} of {len(each)}" for each in wrong), ""]).strip()


def _lines(path: Path) -> list[str]:
    return [line for line in path.read_text(encoding="utf-8").split("\n") if line.strip()]
