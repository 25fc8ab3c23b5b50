"""Small real objects that stand in for the large ones: deterministic, inspectable, never patched in."""

import hashlib
import math
import re
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from domain.errors import BudgetError
from domain.ports import ChatReply, ChatRequest, Found, ModelCard, Progress, SpanKind, TurnContext, Vector
from domain.turn import Call, Passage, Payer, Reranked, Score, Tier

DIMENSIONS = 64


@dataclass
class FrozenClock:
    """Time that passes only when a test says so."""

    moment: datetime = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
    seconds: float = 0.0

    def now(self) -> datetime:
        return self.moment

    def monotonic(self) -> float:
        return self.seconds

    def advance(self, seconds: float) -> None:
        self.moment += timedelta(seconds=seconds)
        self.seconds += seconds


@dataclass
class CountingIds:
    """UUIDv7-shaped ids that count up."""

    made: int = 0

    def new(self) -> str:
        self.made += 1
        return f"01900000-0000-7000-8000-{self.made:012x}"


class WordEmbedder:
    """A bag of hashed words: texts that share words are near each other. L2-normalised."""

    name = "words"

    async def query(self, text: str) -> Vector:
        return self._vector(text)

    async def passages(self, texts: Sequence[str], progress: Progress | None = None) -> list[Vector]:
        vectors = []
        for done, text in enumerate(texts, start=1):
            vectors.append(self._vector(text))
            if progress:
                progress(done, len(texts))
        return vectors

    def _vector(self, text: str) -> Vector:
        vector = [0.0] * DIMENSIONS
        for word in re.findall(r"\w+", text.lower()):
            vector[int(hashlib.sha256(word.encode()).hexdigest(), 16) % DIMENSIONS] += 1.0
        norm = math.sqrt(sum(value * value for value in vector)) or 1.0
        return [value / norm for value in vector]


@dataclass
class ShelfSearch:
    """Finds what was put on the shelf, whatever is asked, as surely as told, or as `sure` says of a question; keeps these."""

    passages: list[Passage] = field(default_factory=list)
    confidence: float = 0.9
    sure: dict[str, float] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    reranked: Reranked = ""
    alike: float | None = None

    async def search(self, question: str, k: int = 5) -> Found:
        self.asked.append(question)
        return Found(self.passages[:k], self.sure.get(question, self.confidence), self.reranked, self.alike)


@dataclass
class ScriptedChat:
    """A model that says its lines in order (an exception among them is raised); keeps the requests."""

    lines: list[str | Exception] = field(default_factory=list)
    card: ModelCard | None = field(default_factory=lambda: ModelCard("scripted", "remote", "medium"))
    yes: float = 1.0
    requests: list[ChatRequest] = field(default_factory=list)

    def choose(self, tier: Tier, confidence: float) -> ModelCard | None:
        del tier, confidence
        return self.card

    async def complete(self, request: ChatRequest) -> ChatReply:
        self.requests.append(request)
        call = Call(
            request.purpose, request.model, ok=True, input_tokens=10, output_tokens=5, cost_microusd=7,
            prompt=request.prompt,
        )  # fmt: skip
        if request.choices:
            return ChatReply(request.choices[0], [call], {"yes": self.yes, "no": 1 - self.yes})
        line = self.lines.pop(0)
        if isinstance(line, Exception):
            raise line
        return ChatReply(line, [call])

    def stream(self, request: ChatRequest) -> "ScriptedStream":
        async def words() -> AsyncGenerator[str]:
            said = await self.complete(request)
            for word in re.findall(r"\S+\s*", said.text):
                yield word
            stream.calls.extend(said.calls)
            stream.reply = said

        stream = ScriptedStream(words())
        return stream


@dataclass
class ScriptedStream:
    """A line word by word."""

    words: AsyncGenerator[str]
    calls: list[Call] = field(default_factory=list)
    reply: ChatReply | None = None

    def __aiter__(self) -> AsyncIterator[str]:
        return self.words

    async def aclose(self) -> None:
        await self.words.aclose()


@dataclass
class ListSpan:
    """A span as a test reads it."""

    name: str
    kind: str
    given: dict[str, object]
    output: dict[str, object] = field(default_factory=dict)
    calls: list[Call] = field(default_factory=list)
    error: str = ""

    def record(self, output: Mapping[str, object], *, calls: Sequence[Call] = (), error: str = "") -> None:
        self.output |= output
        self.calls += calls
        self.error = error or self.error


@dataclass
class ListTracer:
    """Keeps every span and score."""

    spans: list[ListSpan] = field(default_factory=list)
    scores: list[tuple[str, Score]] = field(default_factory=list)

    @contextmanager
    def turn(self, about: TurnContext) -> Iterator[ListSpan]:
        with self.step("turn", "agent", {"trace_id": about.trace_id, "user": about.user}) as span:
            yield span

    @contextmanager
    def step(self, name: str, kind: SpanKind, given: Mapping[str, object]) -> Iterator[ListSpan]:
        span = ListSpan(name, kind, dict(given))
        self.spans.append(span)
        try:
            yield span
        except Exception as fault:
            span.error = type(fault).__name__
            raise

    def score(self, trace_id: str, score: Score) -> None:
        self.scores.append((trace_id, score))


@dataclass
class PurseBudget:
    """A budget in a variable, for one thread at a time."""

    limit: int = 1_000_000
    settled: int = 0
    made: int = 0
    holds: dict[str, int] = field(default_factory=dict)
    payers: list[Payer] = field(default_factory=list)

    def reserve(self, model: str, amount: int, payer: Payer | None = None) -> str:
        self.payers.append(payer or Payer())
        if self.settled + sum(self.holds.values()) + amount > self.limit:
            raise BudgetError(f"no room for {amount}", where=model)
        self.made += 1
        hold = f"hold-{self.made}"
        self.holds[hold] = amount
        return hold

    def settle(self, hold: str, amount: int) -> None:
        if self.holds.pop(hold, None) is not None:
            self.settled += amount
