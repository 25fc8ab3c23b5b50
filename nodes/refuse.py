"""The polite non-answers: what the desk will not do, does not know, or cannot do just now."""

from datetime import datetime
from zoneinfo import ZoneInfo

from typing_extensions import NotRequired, TypedDict

from domain.turn import Language, Message, Outcome, Reason, Source, Turn, language_of
from nodes.deps import Deps
from nodes.history import exchange


class RefuseUpdate(TypedDict):
    """A fixed text in the customer's language; a model has no part in it."""

    answer: str
    outcome: Outcome
    reason: Reason
    sources: list[Source]
    history: list[Message]
    dont_knows: NotRequired[int]


async def refuse(turn: Turn, *, deps: Deps) -> RefuseUpdate:
    """Say no, or "I don't know", by the reason that an earlier step gave."""
    outcome: Outcome = turn.get("outcome") or "refuse"
    reason: Reason = turn.get("reason") or "guard_failed"
    language = language_of(turn)
    answer = _rule_text(turn, deps, language) if reason == "domain_rule" else ""
    answer = answer or deps.replies.text("self_harm" if _self_harm(turn) else reason, language, **_reset(turn, deps))
    return {
        "answer": answer,
        "outcome": outcome,
        "reason": reason,
        "sources": [],
        "history": exchange(turn, answer, outcome),
    }


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


def _self_harm(turn: Turn) -> bool:
    """Whether somebody speaks of harming themselves: they are answered with care, not with a list of topics."""
    return any(one.action == "block" and one.guard == "malicious:selfharm" for one in turn.get("verdicts", []))


def _rule_text(turn: Turn, deps: Deps, language: Language) -> str:
    """The desk's own words for the rule that blocked; a verdict names it as `domain_rules:<id>`."""
    broken = {verdict.guard.partition(":")[2] for verdict in turn["verdicts"] if verdict.action == "block"}
    return next((rule.text.in_language(language) for rule in deps.profile.rules if rule.id in broken), "")
