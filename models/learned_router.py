"""How hard a question is, by what labelled ones taught: the rules' own features, its length and its vector, added up.

`python -m training.router_heads` fits `router_heads.json`, one head an embedder, and prints how well. Where there is no
head for the embedder or the language, or no vector, the rules of models/router.py decide alone.
"""

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Self

from domain.errors import WeightsError
from domain.ports import Embedder, Vector
from domain.turn import Language, Tier
from models.router import FEATURES, ComplexityRouter, RouteVerdict, signals

HEADS = Path(__file__).with_name("router_heads.json")
FARTHEST = 4.0
"""Standard deviations beyond which a mark says nothing more."""
WORTH_SAYING = 0.3
"""Log-odds from which on a part stands among the reasons."""
ROUGH = ("characters", "words", "letters a word", "digits", "signs", "lines")
SIGN = re.compile(r"[^\w\s]")


def marks(text: str, language: Language) -> list[float]:
    """What can be told of a question without reading it: the rules' features in their order, then `ROUGH`."""
    counts = signals(text, language)
    words = text.split()
    size = max(1, len(text))
    rough = [
        math.log1p(len(text)),
        math.log1p(len(words)),
        sum(map(len, words)) / max(1, len(words)),
        10 * sum(letter.isdigit() for letter in text) / size,
        10 * len(SIGN.findall(text)) / size,
        float(text.count("\n")),
    ]
    return [*(float(max(0, counts.get(name, 0))) for name in FEATURES), *rough]


@dataclass(frozen=True, slots=True)
class RouterHead:
    """What was learned over one embedder's vectors: weights of the marks, standardised by mean and scale, and of the vector.

    Their sum is a question's hardness in log-odds; `borders` are those from which on it is medium, and complex.
    `usual` is what the vector of the mean question adds.
    """

    languages: frozenset[str]
    mean: Sequence[float]
    scale: Sequence[float]
    marks: Sequence[float]
    vector: Sequence[float]
    usual: float
    borders: tuple[float, float]

    @classmethod
    def read(cls, kept: Mapping[str, Any]) -> Self:
        """From the file."""
        parts = {name: tuple(kept[name]) for name in ("mean", "scale", "marks", "vector")}
        medium, hard = kept["borders"]
        return cls(frozenset(kept["languages"]), **parts, usual=kept["usual"], borders=(medium, hard))

    def judge(self, found: Sequence[float], vector: Vector) -> RouteVerdict:
        """The tier of a question with these marks and this vector."""
        parts = [
            weight * max(-FARTHEST, min(FARTHEST, (mark - mean) / scale))
            for weight, mark, mean, scale in zip(self.marks, found, self.mean, self.scale, strict=True)
        ]
        wording = sum(weight * number for weight, number in zip(self.vector, vector, strict=True)) - self.usual
        hardness = sum(parts) + wording
        medium, hard = self.borders
        tier: Tier = "complex" if hardness >= hard else "medium" if hardness >= medium else "simple"
        score = (_sigmoid(hardness - medium) + _sigmoid(hardness - hard)) / 2
        return RouteVerdict(tier, round(score, 3), self._why(found, parts, wording))

    def _why(self, found: Sequence[float], parts: Sequence[float], wording: float) -> list[str]:
        """What moved it, largest first: of a feature that is there, what it adds to having none."""
        said = {}
        for place, (name, feature) in enumerate(FEATURES.items()):
            if found[place] > 0 and name != "length":
                none = self.marks[place] * max(-FARTHEST, -self.mean[place] / self.scale[place])
                said[feature.says] = parts[place] - none
        length = sum(parts[len(FEATURES) :]) + parts[list(FEATURES).index("length")]
        said["is long" if length > 0 else "is short"] = length
        said["is worded like harder ones" if wording > 0 else "is worded like easier ones"] = wording
        largest = sorted(said, key=lambda one: -abs(said[one]))
        return [f"{one} ({said[one]:+.2f})" for one in largest if abs(said[one]) >= WORTH_SAYING] or ["plain question"]


class LearnedRouter:
    """Judges a question by its words and its vector, which a turn has computed already; else by rule."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder
        self._rules = ComplexityRouter()
        self._head = read_heads().get(embedder.name)

    async def judge(self, question: str, *, language: Language, history: int = 0) -> RouteVerdict:
        """`history` is the number of earlier messages of the thread, which the rules alone look at."""
        if self._head is not None and language in self._head.languages:
            try:
                vector = await self._embedder.query(question)
            except WeightsError:
                vector = []
            if len(vector) == len(self._head.vector):
                return self._head.judge(marks(question, language), vector)
        return self._rules.judge(question, language=language, history=history)


@cache
def read_heads() -> dict[str, RouterHead]:
    """The heads that ship, by their embedders' names. Read once, at the first router."""
    return {name: RouterHead.read(head) for name, head in _kept().items()}


def read_fit(embedder: str) -> tuple[float, float]:
    """How the head of an embedder was fitted: what its vector weighs, and the penalty."""
    head = _kept()[embedder]
    return head["vector_weight"], head["penalty"]


def _kept() -> dict[str, Any]:
    heads: dict[str, Any] = json.loads(HEADS.read_text("utf-8"))["heads"]
    return heads


def _sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-max(-30.0, min(30.0, value))))
