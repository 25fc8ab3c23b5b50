"""The polite non-answers: what the desk will not do, does not know, or cannot do just now."""

from datetime import datetime
from zoneinfo import ZoneInfo

from typing_extensions import NotRequired, TypedDict

from domain.turn import Language, Message, Outcome, Reason, Source, Turn, language_of
from nodes.deps import Deps
from nodes.history import exchange
from nodes.person import broken_rules, speaks_of_self_harm, takes_over, words_for


class RefuseUpdate(TypedDict):
    """A fixed text in the customer's language; a model has no part in it."""

    answer: str
    outcome: Outcome
    reason: Reason
    offered: str
    sources: list[Source]
    history: list[Message]
    dont_knows: NotRequired[int]


async def refuse(turn: Turn, *, deps: Deps) -> RefuseUpdate:
    """Say no, or "I don't know", by the reason that an earlier step gave; where it fits, a person is offered.

    Outcome handoff: the desk hands over without asking, which the next step does behind this text.
    """
    outcome: Outcome = turn.get("outcome") or "refuse"
    reason: Reason = turn.get("reason") or "guard_failed"
    answer, person = _text(turn, reason, deps), takes_over(turn, reason, deps.profile)
    if person == "offer":
        answer = f"{answer} {words_for('offer', turn, deps)}"
    return {
        "answer": answer,
        "outcome": "handoff" if person == "open" else outcome,
        "reason": reason,
        "offered": reason if person == "offer" else "",
        "sources": [],
        "history": [] if person == "open" else exchange(turn, answer, outcome),
    }


def _text(turn: Turn, reason: Reason, deps: Deps) -> str:
    language = language_of(turn)
    if reason == "domain_rule" and (own := _rule_text(turn, deps, language)):
        return own
    if reason == "repeated_dont_know":  # whose own reply says that a colleague takes over
        return deps.replies.text("low_confidence", language)
    return deps.replies.text("self_harm" if speaks_of_self_harm(turn) else reason, language, **_reset(turn, deps))


def _reset(turn: Turn, deps: Deps) -> dict[str, str]:
    """When a budget that ran out has room again, as the desk's own clocks show it."""
    if turn.get("reason") != "budget" or not turn.get("resets_at"):
        return {}
    zone = deps.profile.contact.timezone
    local = datetime.fromisoformat(turn["resets_at"]).astimezone(ZoneInfo(zone))
    shown = (
        f"{local:%H:%M} ngày {local:%d/%m/%Y}" if language_of(turn) == "vi" else f"{local:%H:%M} on {local:%Y-%m-%d}"
    )
    return {"reset": f"{shown} ({zone})"}


def _rule_text(turn: Turn, deps: Deps, language: Language) -> str:
    """The desk's own words for the rule that blocked."""
    broken = broken_rules(turn)
    return next((rule.text.in_language(language) for rule in deps.profile.rules if rule.id in broken), "")
