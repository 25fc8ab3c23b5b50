"""The state of one turn, field by field in the order in which it becomes known.

`Turn` is what LangGraph carries from node to node, so everything in it is masked text or a plain
value. The only raw text is in `TurnInput` (`question`, `context`, `earlier`, `secrets`). A checkpoint
holds what the next turn of the thread needs: `graph/build.py` keeps all other channels out.
"""

import operator
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal, cast, get_args

# typing.TypedDict on Python 3.11 gives LangGraph Studio null schemas.
from typing_extensions import NotRequired, TypedDict

Language = Literal["en", "vi"]
Outcome = Literal["answer", "dont_know", "refuse", "handoff"]
Reason = Literal[
    "small_talk",
    "clarify",
    "injection",
    "malicious",
    "toxicity",
    "out_of_scope",
    "domain_rule",
    "too_long",
    "budget",
    "guard_failed",
    "low_confidence",
    "ungrounded",
    "model_down",
    "customer_asked",
    "repeated_dont_know",
]
Scope = Literal["in", "out", "small_talk"]
Tier = Literal["simple", "medium", "complex"]
Mode = Literal["quote", "local", "remote", "cache"]
Action = Literal["pass", "mask", "block"]
Reranked = Literal["", "done", "late", "failed"]
"""What a reranker did to the order of the passages; empty where the configuration has none."""
Role = Literal["system", "user", "assistant"]

HISTORY_LIMIT = 40
"""Messages of a thread that a checkpoint keeps; older ones stay in the receipts."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one guard decided. `score` is 0..1, 1 = surely to be acted on."""

    guard: str
    action: Action
    reason: str = ""
    score: float = 0.0


def reason_named(text: str) -> Reason | None:
    """The reason of this name; None where there is none."""
    return cast("Reason", text) if text in get_args(Reason) else None


def reason_of(verdict: Verdict) -> Reason:
    """The reason code of a blocking verdict; one that names none of ours is a guard that failed."""
    return reason_named(verdict.reason) or "guard_failed"


@dataclass(frozen=True, slots=True)
class Passage:
    """A piece of an article that retrieval found. `score` is 0..1 within one search."""

    id: str
    article: str
    title: str
    text: str
    score: float
    section: str = ""
    language: str = ""
    url: str | None = None


@dataclass(frozen=True, slots=True)
class Source:
    """What the customer is shown as evidence: an article and the sentence used. `id` is the article's.

    The quote's place: `section` is the headings above it ("A > B"), `passage` the id of the passage that holds it.
    """

    id: str
    title: str
    quote: str
    url: str | None = None
    section: str = ""
    passage: str = ""


@dataclass(frozen=True, slots=True)
class Call:
    """One attempt at a model, booked whether it worked or not. Money is in micro-dollars."""

    purpose: str
    model: str
    ok: bool
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    cost_microusd: int = 0
    ms: float = 0.0
    error: str = ""
    began: float = 0.0
    """Seconds since 1970, 0 where nobody knows."""
    first_ms: float = 0.0
    """Milliseconds to the first word of a streamed answer, 0 where it was not streamed."""
    max_tokens: int = 0
    temperature: float | None = None
    prompt: str = ""
    """The prompt's label, name@version."""
    step: str = ""
    """The node that made it."""


@dataclass(frozen=True, slots=True)
class TraceParent:
    """The span of a caller's own trace that a turn belongs to (W3C trace context): lower-case hex, 32 and 16 digits."""

    trace_id: str
    span_id: str
    sampled: bool = True


@dataclass(frozen=True, slots=True)
class Payer:
    """On whose account calls are made: a user's keyed hash, the id of an API key (never the key), and the turn."""

    user: str = ""
    key: str = ""
    turn: str = ""


@dataclass(frozen=True, slots=True)
class Score:
    """One dimension of the judge, 0..1. `value` is None when it could not be scored: never 0 instead."""

    name: str
    value: float | None
    comment: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    """A node that ran in a turn, for how long, and how long after the turn's beginning it began."""

    name: str
    ms: float
    offset_ms: float | None = None


@dataclass(frozen=True, slots=True)
class Message:
    """One line of a conversation, masked. `turn_id` and `outcome` are set on what the thread keeps.

    `about`: the earlier question that a customer's line was understood behind; empty: it stood alone.
    """

    role: Role
    text: str
    turn_id: str = ""
    outcome: str = ""
    about: str = ""


@dataclass(frozen=True, slots=True)
class Handoff:
    """A conversation that a person takes over. `ticket` is given when the ticket was booked."""

    department: str
    summary: str
    ticket: str = ""


class Fact(TypedDict):
    """A fact about this customer that the caller brings along (their order, say)."""

    title: str
    text: str


class Line(TypedDict):
    """A line of an earlier conversation as its caller tells it: raw, and believed by nobody."""

    role: Literal["user", "assistant"]
    text: str


class TurnInput(TypedDict):
    """What a turn starts from: raw text, seen by guard_input only, and the ids the Desk gives it.

    Studio needs `question` alone; everything else has a sensible default. `live`: somebody reads along, so
    that what a model writes is to be told sentence by sentence.
    """

    question: str
    user_id: NotRequired[str]
    key: NotRequired[str]
    language: NotRequired[str]
    turn_id: NotRequired[str]
    context: NotRequired[list[Fact]]
    earlier: NotRequired[list[Line]]
    secrets: NotRequired[dict[str, str]]
    live: NotRequired[bool]


def extend_history(kept: Sequence[Message], new: Sequence[Message]) -> list[Message]:
    """Reducer of `history`: append, keep the last `HISTORY_LIMIT`."""
    return [*kept, *new][-HISTORY_LIMIT:]


class Turn(TypedDict, total=False):
    """A turn as its nodes see it. Lists, not tuples: a checkpoint gives tuples back as lists."""

    # the caller
    question: str
    user_id: str
    key: str
    language: str
    turn_id: str
    context: list[Fact]
    earlier: list[Line]
    secrets: dict[str, str]
    live: bool
    # the thread, over all its turns
    history: Annotated[list[Message], extend_history]
    dont_knows: int
    # why a person was offered in the turn before; empty where none was
    offered: str
    # guard_input
    masked: str
    facts: list[Fact]
    verdicts: Annotated[list[Verdict], operator.add]
    # route; `topic`: the earlier question behind which this one may have to be read, and from retrieve on, has been
    standalone: str
    topic: str
    scope: Scope
    tier: Tier
    why: list[str]
    # retrieve; what of the question the passages were found by
    searched: str
    passages: list[Passage]
    confidence: float
    reranked: Reranked
    # mean cosine of two of the desk's texts in the language of question and best passage; None where those differ
    alike: float | None
    # generate
    draft: str
    sources: list[Source]
    # whether what is quoted may not answer the question; then guard_output puts a caveat before it
    doubtful: bool
    mode: Mode
    model: str
    prompt: str
    calls: Annotated[list[Call], operator.add]
    # the bounds within which this answer may be given again to anybody; empty: it may not
    cache_key: dict[str, str]
    # guard_output, refuse, handoff
    answer: str
    outcome: Outcome | None
    reason: Reason | None
    handoff: Handoff | None
    # when the budget that refused a call has room again: aware UTC in ISO 8601
    resets_at: str
    # a step that failed: the kind of its error, never its text
    error: str
    # judge
    scores: list[Score]


def language_of(turn: Turn) -> Language:
    """The language of this turn; English until guard_input has found it."""
    return "vi" if turn.get("language") == "vi" else "en"


def payer_of(turn: Turn) -> Payer:
    """Who pays for the calls of this turn."""
    return Payer(turn.get("user_id", ""), turn.get("key", ""), turn.get("turn_id", ""))


@dataclass(frozen=True, slots=True)
class Pins:
    """The graph's context schema: variant choices of a run, plain data, empty = the desk's own choice."""

    prompt: Annotated[str, "Name or name@version of the answer prompt"] = ""
    rag_config: Annotated[str, "RAG configuration; must be the one that filled the knowledge"] = ""
    tier: Annotated[Literal["", "simple", "medium", "complex"], "Complexity tier instead of the router's"] = ""
    model: Annotated[Literal["", "quote"], "quote: answer by quotation, ask no model"] = ""
    judge: Annotated[bool, "Whether the answer is judged"] = True
