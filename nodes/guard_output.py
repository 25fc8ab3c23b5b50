"""Nothing reaches a customer before this step has passed it: the draft, else a quotation."""

from typing_extensions import NotRequired, TypedDict

from domain.turn import Message, Mode, Outcome, Reason, Source, Turn, Verdict, language_of, reason_of
from nodes.aloud import check_answer
from nodes.deps import Deps
from nodes.history import exchange
from nodes.quotation import quotation


class GuardOutputUpdate(TypedDict):
    """A checked answer, or why there is none."""

    verdicts: list[Verdict]
    outcome: Outcome
    reason: NotRequired[Reason]
    answer: NotRequired[str]
    mode: NotRequired[Mode]
    sources: NotRequired[list[Source]]
    doubtful: NotRequired[bool]
    dont_knows: NotRequired[int]
    history: NotRequired[list[Message]]


async def guard_output(turn: Turn, *, deps: Deps) -> GuardOutputUpdate:
    """Check the draft; where a model's does not hold, check what the passages say themselves instead."""
    check = await check_answer(turn["draft"], turn, deps)
    verdicts = list(check.verdicts)
    mode, sources, doubtful = turn["mode"], turn["sources"], turn.get("doubtful", False)
    if check.blocked and mode != "quote":
        # Made only now: few drafts are blocked (docs/decisions/003 says what it cost every turn).
        quoted = await quotation(turn, deps)
        if quoted.knows and quoted.text and quoted.text != turn["draft"]:
            check, mode, sources = await check_answer(quoted.text, turn, deps), "quote", quoted.sources
            verdicts, doubtful = [*verdicts, *check.verdicts], quoted.doubtful
    if check.blocked:
        reason = reason_of(check.blocked)
        return {
            "verdicts": verdicts,
            "outcome": "dont_know" if reason == "ungrounded" else "refuse",
            "reason": reason,
            "mode": mode,
        }
    caveat = deps.replies.text("doubtful", language_of(turn)) if doubtful else ""
    answer = f"{caveat}\n\n{check.text}" if caveat else check.text
    return {
        "verdicts": verdicts,
        "outcome": "answer",
        "answer": answer,
        "mode": mode,
        "sources": sources,
        "doubtful": doubtful,
        "dont_knows": 0,
        "history": exchange(turn, answer, "answer"),
    }
