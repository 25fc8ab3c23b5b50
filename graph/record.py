"""A turn being written down while its graph runs, and the receipt that comes of it."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, cast

from langgraph.types import Overwrite

from domain.receipt import Receipt
from domain.turn import (
    Call,
    Fact,
    Handoff,
    Line,
    Message,
    Passage,
    Score,
    Source,
    Step,
    TraceParent,
    Turn,
    TurnInput,
    Verdict,
    language_of,
)
from store import Ticket

ANONYMOUS = "anonymous"
"""Whoever does not say who they are; such users are told apart by their threads."""

RAW = frozenset({"question", "context", "earlier", "secrets"})
"""Fields of a turn that never reach a span, a checkpoint, a receipt."""

VALUES = {
    "history": Message,
    "verdicts": Verdict,
    "passages": Passage,
    "sources": Source,
    "calls": Call,
    "scores": Score,
}
"""Fields of a turn that hold lists of our own values."""

APPENDED = frozenset({"verdicts", "calls"})


@dataclass(frozen=True, slots=True)
class Labels:
    """What a receipt says about the desk itself. `experiment`: the one that chose the release."""

    desk: str
    release: str
    rag_config: str
    environment: str
    experiment: str = ""


@dataclass(frozen=True, slots=True)
class Question:
    """What a customer asks, as it comes through a door: raw, and never stored.

    `earlier` is what its caller says was said before; a thread that the desk itself remembers wins over it.
    `live`: its reader is told sentences as they pass, and can take a retraction.
    """

    message: str
    user_id: str = ANONYMOUS
    thread_id: str = ""
    language: str = ""
    context: list[Fact] = field(default_factory=list)
    key: str = ""
    earlier: list[Line] = field(default_factory=list)
    live: bool = False
    parent: TraceParent | None = None
    """The caller's own span, where it is one that is believed."""
    turn_id: str = ""
    """The id that the turn shall have, where its door must know it before it begins."""


@dataclass(slots=True)
class TurnRecord:
    """Updates of one turn, in the order in which its nodes finished. `user` is a hash.

    `shown` is what of the answer was told before the turn was over, masked. `opened` is the ticket that it opened.
    """

    turn_id: str
    thread_id: str
    user: str
    at: datetime
    known: dict[str, str]
    values: dict[str, Any] = field(default_factory=dict)
    steps: list[Step] = field(default_factory=list)
    error: str = ""
    key: str = ""
    shown: str = ""
    parent: TraceParent | None = None
    opened: Ticket | None = None

    @property
    def trace_id(self) -> str:
        """A W3C trace id, 32 hex digits: the caller's own, else the turn's id."""
        return self.parent.trace_id if self.parent else self.turn_id.replace("-", "")

    @property
    def turn(self) -> Turn:
        """The state as far as it is known."""
        return cast("Turn", self.values)

    @property
    def secrets(self) -> dict[str, str]:
        """Placeholders of this thread and what they stand for."""
        return self.values.get("secrets") or self.known

    def given(self, question: Question) -> TurnInput:
        """The graph's input."""
        return {
            "question": question.message,
            "user_id": self.user,
            "key": self.key,
            "language": question.language,
            "turn_id": self.turn_id,
            "context": question.context,
            "earlier": question.earlier,
            "secrets": self.known,
            "live": question.live,
        }

    def add(self, node: str, update: Mapping[str, object] | None, ms: float, offset_ms: float) -> Step:
        """Take over what a node wrote, and when it ran."""
        self.take(update, node)
        step = Step(node, round(ms, 2), round(offset_ms, 2))
        self.steps.append(step)
        return step

    def take(self, update: Mapping[str, object] | None, node: str = "") -> None:
        """Take over what was written; what is appended is appended, and calls say which node made them."""
        for name, value in (update or {}).items():
            anew = isinstance(value, Overwrite)
            written = value.value if isinstance(value, Overwrite) else value
            before = [] if anew else self.values.get(name, [])
            if name == "calls":
                self.values[name] = [*before, *(replace(call, step=node) for call in cast("list[Call]", written))]
            elif name in APPENDED:
                self.values[name] = [*before, *cast("list[Verdict]", written)]
            else:
                self.values[name] = written

    def settle(self, **values: object) -> None:
        """Set what no node could: the outcome of a turn that was cut off."""
        self.values |= values

    def booked(self, ticket: Ticket) -> None:
        """Note the ticket that the handoff was given, its own or the thread's open one."""
        handoff: Handoff | None = self.turn.get("handoff")
        if handoff:
            self.values["handoff"] = replace(handoff, ticket=ticket.id)
        if ticket.turn_id == self.turn_id:
            self.opened = ticket

    def receipt(self, labels: Labels, knowledge: str, latency_ms: float) -> Receipt:
        """The record as the ledger keeps it; what was not reached keeps its default."""
        turn = self.turn
        return Receipt(
            turn_id=self.turn_id,
            thread_id=self.thread_id,
            trace_id=self.trace_id,
            desk=labels.desk,
            user=self.user,
            at=self.at.isoformat(),
            language=language_of(turn),
            outcome=turn.get("outcome") or "refuse",
            reason=turn.get("reason"),
            question=turn.get("masked", ""),
            answer=turn.get("answer", ""),
            release=labels.release,
            experiment=labels.experiment,
            rag_config=labels.rag_config,
            knowledge=knowledge,
            latency_ms=round(latency_ms, 2),
            standalone=turn.get("standalone", ""),
            mode=turn.get("mode", "quote"),
            tier=turn.get("tier", "simple"),
            why=turn.get("why", []),
            model=turn.get("model", ""),
            prompt=turn.get("prompt", ""),
            confidence=turn.get("confidence", 0.0),
            reranked=turn.get("reranked", ""),
            searched=turn.get("searched", ""),
            passages=turn.get("passages", []),
            sources=turn.get("sources", []),
            verdicts=turn.get("verdicts", []),
            steps=self.steps,
            calls=turn.get("calls", []),
            scores=turn.get("scores", []),
            handoff=turn.get("handoff"),
            error=self.error or turn.get("error", ""),
            key=self.key,
            draft=_held_back(turn),
            parent_span=self.parent.span_id if self.parent else "",
            sampled=self.parent is None or self.parent.sampled,
        )


def _held_back(turn: Turn) -> str:
    """The draft of a turn whose answer is another text because a guard said so."""
    draft = turn.get("draft") or ""
    return "" if turn.get("outcome") == "answer" or draft == turn.get("answer") else draft


def revived(turn: Turn) -> Turn:
    """The turn with our values where Studio has sent JSON: an edited passage comes back as a dict."""
    values = cast("dict[str, Any]", turn)
    edited = {
        name: [kind(**item) if isinstance(item, dict) else item for item in values[name]]
        for name, kind in VALUES.items()
        if any(isinstance(item, dict) for item in values.get(name) or [])
    }
    return cast("Turn", values | edited) if edited else turn


def spoken(answer: str) -> Iterator[str]:
    """A checked answer in pieces of a sentence, which together are the answer to the letter."""
    yield from re.findall(r".+?(?:[.!?…:;](?=\s)\s+|\n+|$)", answer, flags=re.DOTALL)
