"""A person takes over: which department, and a summary for them. The Desk books the ticket."""

from typing_extensions import TypedDict

from domain.turn import Handoff, Message, Outcome, Turn
from nodes.deps import Deps
from nodes.history import exchange
from nodes.person import department_of, lines_of, words_for

SUMMARY_LINES = 6
OWN_WORDS = ("customer_asked", "repeated_dont_know")
"""Reasons whose reply says that a colleague takes over; behind any other the customer's own wish is answered."""


class HandoffUpdate(TypedDict):
    """The handoff without its ticket number, and what the customer is told."""

    answer: str
    outcome: Outcome
    handoff: Handoff
    history: list[Message]


async def handoff(turn: Turn, *, deps: Deps) -> HandoffUpdate:
    """Lead the conversation to the department whose words the customer used, behind what `refuse` may have said."""
    reason = turn.get("reason") or ""
    told = words_for(reason if reason in OWN_WORDS else "customer_asked", turn, deps)
    answer = " ".join(part for part in (turn.get("answer", ""), told) if part)
    department = department_of(turn, deps.profile)
    return {
        "answer": answer,
        "outcome": "handoff",
        "handoff": Handoff(department.id if department else "", "\n".join(lines_of(turn)[-SUMMARY_LINES:])),
        "history": exchange(turn, answer, "handoff"),
    }
