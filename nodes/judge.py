"""Score the answer after it has gone out. A dimension that cannot be scored is unscored, never 0."""

from typing_extensions import TypedDict

from domain.turn import Call, Score, Turn, language_of, payer_of
from nodes.deps import Deps


class JudgeUpdate(TypedDict):
    """The scores of this turn, and what it cost to find them."""

    scores: list[Score]
    calls: list[Call]


async def judge(turn: Turn, *, deps: Deps) -> JudgeUpdate:
    """Judge what the customer was told against the passages it came from, without the caveat that stands in none."""
    caveat = deps.replies.text("doubtful", language_of(turn)) if turn.get("doubtful") else ""
    judged = await deps.judge.score(
        question=turn["standalone"] or turn["masked"],
        answer=turn["answer"].removeprefix(caveat).lstrip(),
        passages=turn.get("passages", []),
        language=language_of(turn),
        outcome=turn.get("outcome") or "answer",
        payer=payer_of(turn),
        written_by=turn.get("model", ""),
    )
    return {"scores": judged.scores, "calls": judged.calls}
