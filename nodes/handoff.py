"""A person takes over: which department, and a summary for them. The Desk books the ticket."""

import re

from typing_extensions import TypedDict

from domain.profile import Department
from domain.turn import Handoff, Message, Outcome, Turn, language_of
from nodes.deps import Deps
from nodes.history import answered, exchange

SUMMARY_LINES = 6


class HandoffUpdate(TypedDict):
    """The handoff without its ticket number, and what the customer is told."""

    answer: str
    outcome: Outcome
    handoff: Handoff
    history: list[Message]


async def handoff(turn: Turn, *, deps: Deps) -> HandoffUpdate:
    """Lead the conversation to the department whose words the customer used."""
    language = language_of(turn)
    asked = [message.text for message in answered(turn.get("history", [])) if message.role == "user"]
    lines = [*asked, turn["masked"]][-SUMMARY_LINES:]
    department = _department(" ".join(lines), deps.profile.departments)
    name = department.name.in_language(language) if department else deps.profile.name
    answer = deps.replies.text(turn.get("reason") or "customer_asked", language, department=name)
    return {
        "answer": answer,
        "outcome": "handoff",
        "handoff": Handoff(department.id if department else "", "\n".join(lines)),
        "history": exchange(turn, answer, "handoff"),
    }


def _department(text: str, departments: list[Department]) -> Department | None:
    """The one with the most of its words in the text; the first where none is."""
    words = _words(text)
    hits = [sum(_words(handle) in words for handle in department.handles) for department in departments]
    return departments[hits.index(max(hits))] if departments else None


def _words(text: str) -> str:
    """Lower-case words between single spaces, so that containment is containment of whole words."""
    words = re.findall(r"[^\W_]+", text.casefold())
    return f" {' '.join(words)} "
