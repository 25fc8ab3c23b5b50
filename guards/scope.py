"""Business scope: is this question any of the desk's concern? Its verdict falls in nodes/route, on the standalone question.

A question is compared with what the desk says it is for (its examples, its sentences, its articles' titles) and with
what no desk is for (`scope_out.yaml` and the desk's own list). `likeness.py` tells which share of the desk's own
questions would be as unlike it; below `scope.turn_away` of desk.yaml it is out. Of several sentences those that ask
for something are judged, each by itself, so that an attack cannot hide behind a question in scope. One that would be out is in after all
where an article answers it, or customers of any business ask it (`vouching.py`). A desk that has fitted a classifier of
its own (`scope_head.py`) is judged by that instead.
"""

import asyncio
import math
import re
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Literal

from domain.ports import Embedder, Vector
from domain.profile import DeskProfile
from guards.likeness import Likeness, Reference, Unlike
from guards.requests import pieces
from guards.scope_head import ScopeHead
from guards.vouching import ANYBODYS, anybodys, found, other_work

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


@dataclass(frozen=True, slots=True)
class _Known:
    """What a desk knows of its business, and what any business is asked; `texts` of the references by place."""

    desk: Likeness
    texts: Sequence[str]
    anybody: Likeness


Vectors = Callable[[Collection[str]], Awaitable[Mapping[str, Vector]]]
"""Gives the vectors of questions, by text. Raises what the embedder raises."""


async def _nothing_found(_question: str) -> float:
    return 0.0


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
        finds: Callable[[str], Awaitable[float]] = _nothing_found,
        vectors: Vectors | None = None,
    ) -> None:
        """`head`: the classifier fitted to this desk; with one, examples, topics and finds are not asked.

        `answered`: whether desk.yaml itself says all that a question asks for; such a one is in scope anywhere.
        `finds`: the confidence, 0..1, that an article of the desk answers a question; asked only of what would be out.
        `vectors`: gives those of the references, by the same embedder; without it, it is asked for each.
        """
        self._answered = answered
        self._finds = finds
        self._profile = profile
        self._head = head
        self._embedder = embedder
        self._vectors = vectors or self._embedded
        self._topics = topics
        self._known: _Known | None = None
        self._told: list[str] = []
        self._measuring = asyncio.Lock()

    async def warm(self) -> None:
        """Embed the references now. Raises what the embedder raises."""
        if self._head is None:
            await self._current()

    async def judge(self, question: str) -> ScopeVerdict:
        """In or out. Raises what the embedder or the search raises."""
        if self._answered(question):
            return ScopeVerdict("in", 0.0, "how to reach the business")
        asking = pieces(question) or [question]
        if self._head is not None:
            return _fitted(self._head, [await self._embedder.query(text) for text in asking])
        known = await self._current()
        parts = [(text, await self._embedder.query(text)) for text in asking]
        seen = await asyncio.to_thread(lambda: [known.desk.unusual(*part) for part in parts])
        return await self._verdict(known, parts, seen)

    async def _verdict(
        self, known: _Known, parts: Sequence[tuple[str, Vector]], seen: Sequence[Unlike]
    ) -> ScopeVerdict:
        """Of several sentences that ask the most foreign one decides that nothing vouches for."""
        allowed = self._profile.scope.turn_away
        ordered = sorted(zip(seen, parts, strict=True), key=lambda pair: pair[0].share)
        vouched = ""
        for unlike, (text, vector) in ordered:
            if unlike.share >= allowed:
                break
            why = await self._vouched(known, text, vector, unlike)
            if not why:
                of = " in one of its sentences" if len(parts) > 1 else ""
                return _told("out", unlike.share, allowed, f"{of}: far from '{known.texts[unlike.nearest][:QUOTED]}'")
            vouched = vouched or why
        least = ordered[0][0]
        reason = f": {vouched}, though unlike" if vouched else ": like"
        quoted = f"{reason} '{known.texts[least.nearest][:QUOTED]}'"
        return _told("in", least.share, allowed, quoted)

    async def _vouched(self, known: _Known, text: str, vector: Vector, unlike: Unlike) -> str:
        """Why a sentence is in scope that is unlike the desk's own; empty where nothing says so."""
        if unlike.named or other_work(text):
            return ""
        if (await asyncio.to_thread(known.anybody.unusual, text, vector)).share >= ANYBODYS:
            return "what any business is asked"
        return (
            "an article answers it"
            if found(unlike.share, await self._finds(text), self._profile.scope.turn_away)
            else ""
        )

    async def _current(self) -> _Known:
        async with self._measuring:
            topics = list(self._topics())
            if self._known is None or topics != self._told:
                self._known = await self._measure(topics)
                self._told = topics
            return self._known

    async def _embedded(self, texts: Collection[str]) -> dict[str, Vector]:
        return {text: await self._embedder.query(text) for text in texts}

    async def _measure(self, topics: Sequence[str]) -> _Known:
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
        brought = anybodys(self._profile.languages)
        vectors = await self._vectors(_distinct([*(part for part, _ in parts), *foreign, *brought]))
        references = [Reference(text, vectors[text], of) for text, of in parts]
        out = {text: Reference(text, vectors[text], language=spoken.get(text, "")) for text in foreign}
        likeness = await asyncio.to_thread(
            Likeness, references, list(out.values()), [out[text] for text in own_out], examples=examples
        )
        asked = [Reference(text, vectors[text.strip()], of) for of, text in enumerate(brought)]
        anybody = await asyncio.to_thread(Likeness, asked, list(out.values()), (), examples=0)
        return _Known(likeness, [each.text for each in references], anybody)


def _told(scope: Literal["in", "out"], share: float, allowed: float, why: str) -> ScopeVerdict:
    reason = f"scope {scope}{why} ({share:.1%} of the desk's own are as unlike it, out below {allowed:.1%})"
    counted = share if scope == "out" else max(share, allowed)
    return ScopeVerdict(scope, round(allowed / (allowed + counted), 3), reason, counted)


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
