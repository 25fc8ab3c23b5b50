"""What a room needs from another: protocols of one or two methods, and the values they exchange."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, Protocol, TypeVar

from domain.turn import Call, Language, Message, Passage, Payer, Reranked, Score, Source, Tier

Vector = list[float]
"""An embedding, L2-normalised: the dot product of two is their cosine."""

Progress = Callable[[int, int], None]
"""Called with (done, total) while long work goes on."""

ItemT = TypeVar("ItemT")
DoneT = TypeVar("DoneT")
TakesT_contra = TypeVar("TakesT_contra", contravariant=True)
GivesT_co = TypeVar("GivesT_co", covariant=True)

SpanKind = Literal["agent", "chain", "guardrail", "retriever", "generation", "evaluator", "span"]


class Clock(Protocol):
    """The only source of time. `now` is aware UTC; `monotonic` is seconds for durations."""

    def now(self) -> datetime: ...
    def monotonic(self) -> float: ...


class Ids(Protocol):
    """The only source of ids: UUIDv7 as 36 characters, sortable by time."""

    def new(self) -> str: ...


class Asked(Protocol):
    """What a thread may ask for the vector of a question; the call blocks."""

    @property
    def name(self) -> str: ...
    def ask(self, text: str) -> Vector: ...


class Embedder(Asked, Protocol):
    """Text to vectors. `query` and `ask` are one, cached by text: every room asks, the turn pays once."""

    async def query(self, text: str) -> Vector: ...
    async def passages(self, texts: Sequence[str], progress: Progress | None = None) -> list[Vector]: ...


class Hand(Protocol[TakesT_contra, GivesT_co]):
    """One of many that do the same work, in a process of its own. Both calls block.

    What it has opened stays open from one `do` to the next.
    """

    def do(self, items: Sequence[TakesT_contra]) -> Sequence[GivesT_co]: ...
    def close(self) -> None: ...


class Hands(Protocol):
    """Processes, on this machine or on others, among which work is spread.

    `hire` makes a hand; it and the items travel there, so all must be picklable. Gives (place, what came of the item
    at that place) as they are done, `batch` items at a time: close it where you may leave before the end. A hand that
    dies is replaced, and its items are done again. Iterating raises what a hand raises.
    """

    def each(
        self, hire: Callable[[], Hand[ItemT, DoneT]], items: Sequence[ItemT], *, batch: int
    ) -> AsyncGenerator[tuple[int, DoneT]]: ...


@dataclass(frozen=True, slots=True)
class Found:
    """What a search found, best first, and how likely (0..1, calibrated) it answers the question.

    `alike`: mean cosine of two of the texts that were searched, in the language of the question and of the best
    passage; None where those differ, or nothing was searched.
    """

    passages: list[Passage]
    confidence: float
    reranked: Reranked = ""
    alike: float | None = None


class Reranker(Protocol):
    """Reads a question beside each text. Higher is better, and only the order means anything. Raises WeightsError."""

    async def scores(self, question: str, texts: Sequence[str]) -> list[float]: ...


class Searcher(Protocol):
    """Public articles only: the searcher a turn is given cannot open another collection."""

    async def search(self, question: str, k: int = 5) -> Found: ...


@dataclass(frozen=True, slots=True)
class ModelCard:
    """A model that can be asked now. `weak`: small enough to need the checks of the hybrid form.

    `max_tokens` is how long an answer of its tier may become.
    """

    name: str
    mode: Literal["local", "remote"]
    tier: Tier
    weak: bool = False
    max_tokens: int = 300


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """One question to a model. `choices`: ask for a single token and return its probabilities.

    `payer`: on whose account; without one it counts against the total and the model only.
    `prompt`: the label of the prompt that the messages were made from. `schema`: a JSON schema (as text) that the
    answer should follow, where the model can; the answer is to be checked all the same. `seconds`: how long it may take
    with all its retries, where that is less than the client's own limit; 0: as long as that. `temperature`: above 0 for
    one who is to have ideas, where the model takes one; of a stream it stays 0.
    """

    purpose: str
    model: str
    messages: list[Message]
    max_tokens: int
    choices: tuple[str, ...] = ()
    payer: Payer = field(default_factory=Payer)
    prompt: str = ""
    schema: str = ""
    seconds: float = 0.0
    temperature: float = 0.0


@dataclass(frozen=True, slots=True)
class ChatReply:
    """A model's words, every attempt that led to them, P(choice) where choices were asked, and who spoke.

    `card` may be another model than the one that was asked for, where that one is down.
    """

    text: str
    calls: list[Call]
    probabilities: dict[str, float] = field(default_factory=dict)
    card: ModelCard | None = None


class ChatStream(Protocol):
    """A model's words as they come; iterate it once, and close it where you may leave before the end.

    `calls` are the attempts booked so far, also after a failure or a closing. `reply` is the whole with its
    exact usage, None until the words have ended. Iterating raises a ModelError, which carries the calls.
    """

    @property
    def calls(self) -> list[Call]: ...
    @property
    def reply(self) -> ChatReply | None: ...
    def __aiter__(self) -> AsyncIterator[str]: ...
    async def aclose(self) -> None: ...


class ChatModel(Protocol):
    """The one path to a model. `choose` gives None when none is up: quote instead.

    `complete` raises a ModelError, which carries the attempts made. `stream` is the same word by word.
    """

    def choose(self, tier: Tier, confidence: float) -> ModelCard | None: ...
    async def complete(self, request: ChatRequest) -> ChatReply: ...
    def stream(self, request: ChatRequest) -> ChatStream: ...


@dataclass(frozen=True, slots=True)
class CacheKey:
    """Within which bounds an answer may be given again: a new knowledge, prompt, release or model starts afresh."""

    desk: str
    release: str
    knowledge: str
    language: Language
    rag_config: str
    prompt: str
    model: str


@dataclass(frozen=True, slots=True)
class CachedAnswer:
    """An answer that had passed guard_output, and the question it was given to. `cost_microusd`: of the calls it took.

    `id` is the cache's own; 0 before it is kept.
    """

    question: str
    text: str
    sources: list[Source]
    model: str
    cost_microusd: int
    id: int = 0


class Cache(Protocol):
    """Answers given once, to be given again to all users. Texts in it are masked and hold no personal data."""

    async def find(self, question: str, key: CacheKey, articles: Collection[str]) -> CachedAnswer | None:
        """An answer that says what one of `articles` says, those that this question finds; None where there is none."""

    async def keep(self, question: str, key: CacheKey, answer: CachedAnswer) -> None: ...


class Budget(Protocol):
    """Settled + reserved never exceeds the limit. Amounts are micro-dollars. Blocking, but where they are 0."""

    def reserve(self, model: str, amount: int, payer: Payer) -> str:
        """Hold `amount` for one attempt on the account of `payer`; the hold's id. Raises BudgetError."""

    def settle(self, hold: str, amount: int) -> None:
        """Book what the attempt really cost (0 releases); a second settle of a hold changes nothing."""


class Span(Protocol):
    """A step being traced. Only masked values may be given."""

    def record(
        self,
        output: Mapping[str, object],
        *,
        calls: Sequence[Call] = (),
        error: str = "",
    ) -> None: ...


@dataclass(frozen=True, slots=True)
class TurnContext:
    """What a trace says about the whole turn; `user` and `thread` are hashes or opaque ids.

    `whole` False: the turn is not run in one stretch. Its steps share the trace, and no observation spans them.
    """

    trace_id: str
    thread: str
    user: str
    desk: str
    release: str
    environment: str
    tags: tuple[str, ...] = ()
    whole: bool = True


class Tracer(Protocol):
    """Where spans go. Never raises into a turn and never makes it wait."""

    def turn(self, about: TurnContext) -> AbstractContextManager[Span]: ...
    def step(self, name: str, kind: SpanKind, given: Mapping[str, object]) -> AbstractContextManager[Span]: ...
    def score(self, trace_id: str, score: Score) -> None: ...
