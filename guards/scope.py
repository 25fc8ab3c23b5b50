"""Business scope: is this question any of the desk's concern? Its verdict falls in nodes/route, on the standalone question.

A question is compared with what the desk says it is for (its examples, its sentences, its articles' titles) and with
what no desk is for (`scope_out.yaml` and the desk's own list). `likeness.py` tells which share of the desk's own
questions would be as unlike it; below `scope.turn_away` of desk.yaml it is out. Of several sentences those that ask
for something are judged, each by itself, so that an attack cannot hide behind a question in scope. A desk that has fitted a classifier of
its own (`scope_head.py`) is judged by that instead.
"""

import asyncio
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Literal

from domain.ports import Embedder, Vector
from domain.profile import DeskProfile
from guards.likeness import Likeness, Reference
from guards.requests import pieces
from guards.scope_head import ScopeHead

MAX_TOPICS = 150
QUOTED = 60
"""Characters of the nearest reference shown in the reason."""
EVEN = 0.5
PART = re.compile(r"(?<=[.:;!?])\s+")


@dataclass(frozen=True, slots=True)
class ScopeVerdict:
    """`score` is 0..1: how surely the question is out; above 0.5 it is. `reason` names the nearest reference.

    `unusual` is the share of the desk's own questions that would be as unlike it, 0..1.
    """

    scope: Literal["in", "out"]
    score: float
    reason: str
    unusual: float = 1.0


class ScopeFilter:
    """Judges questions. References are embedded at the first question (or `warm`), and again when `topics` change."""

    def __init__(
        self,
        profile: DeskProfile,
        embedder: Embedder,
        *,
        topics: Callable[[], Sequence[str]] = tuple,
        head: ScopeHead | None = None,
        answered: Callable[[str], bool] = lambda _question: False,
    ) -> None:
        """`head`: the classifier fitted to this desk; with one, examples and topics are not asked.

        `answered`: whether desk.yaml itself says all that a question asks for; such a one is in scope anywhere.
        """
        self._answered = answered
        self._profile = profile
        self._head = head
        self._embedder = embedder
        self._topics = topics
        self._likeness: tuple[Likeness, list[str]] | None = None
        self._told: list[str] = []
        self._measuring = asyncio.Lock()

    async def warm(self) -> None:
        """Embed the references now. Raises what the embedder raises."""
        if self._head is None:
            await self._current()

    async def judge(self, question: str) -> ScopeVerdict:
        """In or out. Raises what the embedder raises."""
        if self._answered(question):
            return ScopeVerdict("in", 0.0, "how to reach the business")
        asking = pieces(question) or [question]
        if self._head is not None:
            vectors = [await self._embedder.query(text) for text in asking]
            return _fitted(self._head, vectors)
        likeness, texts = await self._current()
        parts = [(text, await self._embedder.query(text)) for text in asking]
        return await asyncio.to_thread(self._verdict, likeness, texts, parts)

    def _verdict(
        self, likeness: Likeness, texts: Sequence[str], parts: Sequence[tuple[str, Sequence[float]]]
    ) -> ScopeVerdict:
        """Of several sentences that ask the most foreign one decides."""
        allowed = self._profile.scope.turn_away
        share, nearest = likeness.unusual(parts)
        scope: Literal["in", "out"] = "out" if share < allowed else "in"
        relation = "far from" if scope == "out" else "like"
        of = " in one of its sentences" if len(parts) > 1 and scope == "out" else ""
        reason = (
            f"scope {scope}{of}: {relation} '{texts[nearest][:QUOTED]}' "
            f"({share:.1%} of the desk's own are as unlike it, out below {allowed:.1%})"
        )
        return ScopeVerdict(scope, round(allowed / (allowed + share), 3), reason, share)

    async def _current(self) -> tuple[Likeness, list[str]]:
        async with self._measuring:
            topics = list(self._topics())
            if self._likeness is None or topics != self._told:
                self._likeness = await self._measure(topics)
                self._told = topics
            return self._likeness

    async def _measure(self, topics: Sequence[str]) -> tuple[Likeness, list[str]]:
        scope = self._profile.scope
        step = max(1, math.ceil(len(topics) / MAX_TOPICS))
        inside = _distinct([*scope.in_, *PART.split(scope.describe), *topics[::step]])
        known = set(inside)
        own_out = _distinct([text for text in scope.out if text not in known])
        spoken = {text: name for text, name in _builtin(self._profile).items() if text not in known}
        foreign = _distinct([*own_out, *spoken])
        examples = len(_distinct(scope.in_))
        parts = [
            (part, place)
            for place, text in enumerate(inside)
            for part in ((pieces(text) or [text]) if place < examples else [text])
        ]
        vectors = {text: await self._embedder.query(text) for text in _distinct([*(p for p, _ in parts), *foreign])}
        references = [Reference(text, vectors[text], of) for text, of in parts]
        out = {text: Reference(text, vectors[text], language=spoken.get(text, "")) for text in foreign}
        likeness = await asyncio.to_thread(
            Likeness, references, list(out.values()), [out[text] for text in own_out], examples=examples
        )
        return likeness, [each.text for each in references]


def _fitted(head: ScopeHead, vectors: Sequence[Vector]) -> ScopeVerdict:
    """What the desk's own classifier says; of several sentences that ask the most foreign one decides."""
    score = max(head.out(vector) for vector in vectors)
    scope: Literal["in", "out"] = "out" if score > EVEN else "in"
    of = " in one of its sentences" if len(vectors) > 1 and scope == "out" else ""
    reason = f"scope {scope}{of}: {score:.0%} out, by a classifier fitted to {head.rows} of the desk's questions"
    return ScopeVerdict(scope, round(score, 3), reason, 1 - score)


def _builtin(profile: DeskProfile) -> dict[str, str]:
    """What no support desk is for, each with its language, in the desk's languages."""
    import yaml  # noqa: PLC0415  # read once, at the first question

    lists: dict[str, list[str]] = yaml.safe_load(files("guards").joinpath("scope_out.yaml").read_text("utf-8"))
    return {text.strip(): language for language in profile.languages for text in lists[language]}


def _distinct(texts: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(text.strip() for text in texts if text.strip()))
