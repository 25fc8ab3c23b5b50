"""Business scope: is this question any of the desk's concern? Its verdict falls in nodes/route, on the standalone question.

A question is compared with what the desk says it is for (its sentences, its examples, its articles' titles) and with
what no desk is for (`scope_out.yaml` and the desk's own list). What decides is the margin between the two likenesses,
measured against the margins that the references have among themselves: cosines of one embedder lie in .75-.95, of
another in .4-.9, and mean nothing by themselves. When unsure the question is in: retrieval's don't-know comes behind.
"""

import asyncio
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, Literal

from domain.ports import Embedder
from domain.profile import DeskProfile

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vectors = NDArray[np.float64]

NEAREST = 3
"""References whose mean likeness counts."""
ENOUGH_EXAMPLES = 50
"""So many examples of the desk are a picture of its customers: their own spread then sets the threshold."""
SPREADS = 2.0
"""With enough examples: a margin so many standard deviations below the examples' mean is out."""
UNSURE = 0.12
"""With fewer: where between the out-references (0) and the in-references (1) the threshold lies."""
MAX_TOPICS = 150
QUOTED = 60
"""Characters of the nearest reference shown in the reason."""
PART = re.compile(r"(?<=[.:;!?])\s+")


@dataclass(frozen=True, slots=True)
class ScopeVerdict:
    """`score` is 0..1: how surely the question is out; above 0.5 it is. `reason` names the nearest reference."""

    scope: Literal["in", "out"]
    score: float
    reason: str


class ScopeFilter:
    """Judges questions. References are embedded at the first question (or `warm`), and again when `topics` change."""

    def __init__(
        self, profile: DeskProfile, embedder: Embedder, *, topics: Callable[[], Sequence[str]] = tuple
    ) -> None:
        self._profile = profile
        self._embedder = embedder
        self._topics = topics
        self._references: _References | None = None
        self._told: list[str] = []
        self._measuring = asyncio.Lock()

    async def warm(self) -> None:
        """Embed the references now. Raises what the embedder raises."""
        await self._current()

    async def judge(self, question: str) -> ScopeVerdict:
        """In or out. Raises what the embedder raises."""
        references = await self._current()
        vector = await self._embedder.query(question)
        return await asyncio.to_thread(references.judge, vector)

    async def _current(self) -> "_References":
        async with self._measuring:
            topics = list(self._topics())
            if self._references is None or topics != self._told:
                self._references = await self._measure(topics)
                self._told = topics
            return self._references

    async def _measure(self, topics: Sequence[str]) -> "_References":
        scope = self._profile.scope
        step = max(1, math.ceil(len(topics) / MAX_TOPICS))
        inside = _distinct([*scope.in_, *PART.split(scope.describe), *topics[::step]])
        known = set(inside)
        outside = _distinct([text for text in scope.out if text not in known])
        builtin = [text for text in _builtin(self._profile) if text not in known and text not in outside]
        vectors = {text: await self._embedder.query(text) for text in (*inside, *outside, *builtin)}
        return await asyncio.to_thread(
            _References,
            inside,
            [vectors[text] for text in inside],
            [vectors[text] for text in outside],
            [vectors[text] for text in builtin],
            examples=len(set(scope.in_)),
        )


class _References:
    """The references as matrices, and the threshold that they themselves give. Immutable once built."""

    def __init__(
        self,
        texts: Sequence[str],
        inside: Sequence[Sequence[float]],
        outside: Sequence[Sequence[float]],
        builtin: Sequence[Sequence[float]],
        *,
        examples: int,
    ) -> None:
        import numpy as np  # noqa: PLC0415  # a tenth of a second, needed at the first question only

        self._texts = texts
        self._in = np.asarray(inside)
        among = _leave_one_out(self._in)
        usual = among.mean() - among.std() if len(among) > NEAREST else 1.0
        # What no desk is for, unless it is as near to this desk as its own examples are to each other.
        foreign = [vector for vector in builtin if _likeness(np.asarray(vector), self._in) < usual]
        self._out = np.asarray([*outside, *foreign])
        self._threshold, self._spread = self._calibrate(among, examples)

    def judge(self, vector: Sequence[float]) -> ScopeVerdict:
        """Blocking only for the product of two small matrices."""
        import numpy as np  # noqa: PLC0415  # as above

        margin = self._margin(np.asarray(vector))
        score = 1 / (1 + math.exp(max(-50.0, min(50.0, (margin - self._threshold) / self._spread))))
        nearest = self._texts[int((self._in @ np.asarray(vector)).argmax())][:QUOTED]
        scope: Literal["in", "out"] = "out" if margin < self._threshold else "in"
        relation = "far from" if scope == "out" else "like"
        reason = f"scope {scope}: {relation} '{nearest}' (margin {margin:+.3f}, out below {self._threshold:+.3f})"
        return ScopeVerdict(scope, round(score, 3), reason)

    def _margin(self, vector: "Vectors") -> float:
        return _likeness(vector, self._in) - _likeness(vector, self._out)

    def _calibrate(self, among: "Vectors", examples: int) -> tuple[float, float]:
        """The threshold on the margin, and the width over which a verdict goes from sure to sure."""
        import numpy as np  # noqa: PLC0415  # as above

        if not self._out.size:
            return -1.0, 1.0  # nothing is foreign to this desk
        out_margins = np.asarray([_likeness(each, self._in) for each in self._out]) - _leave_one_out(self._out)
        far = float(out_margins.mean())
        near, spread = -far, abs(far)
        if len(among) > NEAREST:
            own = among - np.asarray([_likeness(each, self._out) for each in self._in])
            near, spread = float(own.mean()), float(own.std())
            if examples >= ENOUGH_EXAMPLES:
                of_customers = own[:examples]
                return float(of_customers.mean() - SPREADS * of_customers.std()), max(spread / 2, 1e-6)
        return far + UNSURE * (near - far), max(spread / 2, 1e-6)


def _likeness(vector: "Vectors", references: "Vectors") -> float:
    """Mean cosine to the nearest references."""
    cosines = references @ vector
    cosines.sort()
    return float(cosines[-NEAREST:].mean())


def _leave_one_out(references: "Vectors") -> "Vectors":
    """The likeness of each reference to the others; of a single one to nothing: empty."""
    import numpy as np  # noqa: PLC0415  # as above

    if len(references) < 2:  # noqa: PLR2004  # one has no others
        return np.zeros(len(references)) if len(references) else np.asarray([])
    cosines = references @ references.T
    np.fill_diagonal(cosines, -2.0)
    cosines.sort(axis=1)
    nearest = min(NEAREST, len(references) - 1)
    return np.asarray(cosines[:, -nearest:].mean(axis=1))


def _builtin(profile: DeskProfile) -> list[str]:
    """What no support desk is for, in the desk's languages."""
    import yaml  # noqa: PLC0415  # read once, at the first question

    lists: dict[str, list[str]] = yaml.safe_load(files("guards").joinpath("scope_out.yaml").read_text("utf-8"))
    return [text for language in profile.languages for text in lists[language]]


def _distinct(texts: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(text.strip() for text in texts if text.strip()))
