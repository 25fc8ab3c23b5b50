"""Nothing reaches a customer before this step has passed it: the draft, else the quotation behind it."""

from typing_extensions import NotRequired, TypedDict

from domain.turn import Message, Mode, Outcome, Reason, Turn, Verdict, reason_of
from nodes.aloud import check_answer
from nodes.deps import Deps
from nodes.history import exchange


class GuardOutputUpdate(TypedDict):
    """A checked answer, or why there is none."""

    verdicts: list[Verdict]
    outcome: Outcome
    reason: NotRequired[Reason]
    answer: NotRequired[str]
    mode: NotRequired[Mode]
    dont_knows: NotRequired[int]
    history: NotRequired[list[Message]]


async def guard_output(turn: Turn, *, deps: Deps) -> GuardOutputUpdate:
    """Check the draft; where it does not hold and a quotation stands behind it, check that instead."""
    check = await check_answer(turn["draft"], turn, deps)
    verdicts = list(check.verdicts)
    mode = turn["mode"]
    quoted = turn.get("quoted", "")
    if check.blocked and quoted and quoted != turn["draft"]:
        check, mode = await check_answer(quoted, turn, deps), "quote"
        verdicts += check.verdicts
    if check.blocked:
        reason = reason_of(check.blocked)
        return {
            "verdicts": verdicts,
            "outcome": "dont_know" if reason == "ungrounded" else "refuse",
            "reason": reason,
            "mode": mode,
        }
    return {
        "verdicts": verdicts,
        "outcome": "answer",
        "answer": check.text,
        "mode": mode,
        "dont_knows": 0,
        "history": exchange(turn, check.text, "answer"),
    }
