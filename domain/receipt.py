"""What is kept of a turn (`Receipt`) and what its caller gets (`Reply`)."""

from dataclasses import dataclass, field

from pydantic import BaseModel, ConfigDict

from domain.turn import (
    Call,
    Handoff,
    Language,
    Mode,
    Outcome,
    Passage,
    Reason,
    Reranked,
    Score,
    Source,
    Step,
    Tier,
    Verdict,
)

MICRO = 1_000_000


@dataclass(frozen=True, slots=True)
class Receipt:
    """The record of one turn in the ledger: masked texts, keyed user hash, every step and every cent.

    Kept for failed and refused turns too; what was not reached keeps its default.
    `at` is aware UTC in ISO 8601, times are milliseconds, money is micro-dollars.
    """

    turn_id: str
    thread_id: str
    trace_id: str
    desk: str
    user: str
    at: str
    language: Language
    outcome: Outcome
    reason: Reason | None
    question: str
    answer: str
    release: str
    rag_config: str
    knowledge: str
    latency_ms: float
    standalone: str = ""
    mode: Mode = "quote"
    tier: Tier = "simple"
    why: list[str] = field(default_factory=list)
    model: str = ""
    prompt: str = ""
    confidence: float = 0.0
    passages: list[Passage] = field(default_factory=list)
    sources: list[Source] = field(default_factory=list)
    verdicts: list[Verdict] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    scores: list[Score] = field(default_factory=list)
    handoff: Handoff | None = None
    error: str = ""
    key: str = ""
    """The id of the API key that the question came with; empty without one."""
    draft: str = ""
    """What was going to be the answer, where a guard held it back."""
    parent_span: str = ""
    """The span of the caller's own trace that the turn belongs to; empty without one."""
    experiment: str = ""
    """The experiment that chose the release; empty where none ran."""
    sampled: bool = True
    """False where a caller's trace says that it is not recorded: then the turn's is not either."""
    reranked: Reranked = ""
    """Whether the passages were put in a reranker's order; `late` and `failed`: they kept the search's own."""
    searched: str = ""
    """What of the question found the passages; empty where nothing was searched for."""

    @property
    def tokens(self) -> int:
        """Input and output tokens of all attempts."""
        return self.input_tokens + self.output_tokens

    @property
    def input_tokens(self) -> int:
        """Tokens that models read, cached ones included."""
        return sum(call.input_tokens for call in self.calls)

    @property
    def output_tokens(self) -> int:
        """Tokens that models wrote."""
        return sum(call.output_tokens for call in self.calls)

    @property
    def cost_microusd(self) -> int:
        """Cost of all attempts, failed ones included."""
        return sum(call.cost_microusd for call in self.calls)


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)


class ReplyTicket(_Frozen):
    """The ticket of a handoff as its customer sees it."""

    ticket: str
    department: str


class PersonOffer(_Frozen):
    """A person is offered: the customer may say yes or no in the next message. `reason` is that of a handoff."""

    reason: Reason


class ReplyReceipt(_Frozen):
    """The part of a receipt that a reply shows."""

    mode: Mode
    tier: Tier
    model: str
    prompt: str
    rag_config: str
    release: str
    experiment: str = ""
    knowledge: str
    verdicts: list[Verdict]
    steps: list[Step]
    tokens: int
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float
    latency_ms: float


class Reply(_Frozen):
    """The answer to one question, as `POST /v1/chat` and `frontdesk ask --json` give it."""

    answer: str
    outcome: Outcome
    reason: Reason | None = None
    sources: list[Source]
    thread_id: str
    turn_id: str
    trace_id: str
    language: Language
    handoff: ReplyTicket | None = None
    offer: PersonOffer | None = None
    receipt: ReplyReceipt

    @classmethod
    def of(cls, receipt: Receipt, answer: str, sources: list[Source], *, offered: Reason | None = None) -> "Reply":
        """Build the reply from a receipt; `answer` and `sources` carry the customer's own data again.

        `offered`: why a person is offered in it.
        """
        ticket = receipt.handoff
        return cls(
            answer=answer,
            outcome=receipt.outcome,
            reason=receipt.reason,
            sources=sources,
            thread_id=receipt.thread_id,
            turn_id=receipt.turn_id,
            trace_id=receipt.trace_id,
            language=receipt.language,
            offer=PersonOffer(reason=offered) if offered else None,
            handoff=ReplyTicket(ticket=ticket.ticket, department=ticket.department) if ticket else None,
            receipt=ReplyReceipt(
                mode=receipt.mode,
                tier=receipt.tier,
                model=receipt.model,
                prompt=receipt.prompt,
                rag_config=receipt.rag_config,
                release=receipt.release,
                experiment=receipt.experiment,
                knowledge=receipt.knowledge,
                verdicts=receipt.verdicts,
                steps=receipt.steps,
                tokens=receipt.tokens,
                input_tokens=receipt.input_tokens,
                output_tokens=receipt.output_tokens,
                cost_usd=receipt.cost_microusd / MICRO,
                latency_ms=receipt.latency_ms,
            ),
        )
