"""What customers say about answers, as operators read it."""

import asyncio
from typing import Any, Literal

from domain.errors import UsageError
from graph.figures import moment
from graph.service import Service

Json = dict[str, Any]
Wanted = Literal["", "up", "down"]
MOST = 500


async def feedback(service: Service, since: str = "7d", rating: Wanted = "", count: int = 50) -> Json:
    """The newest ratings, of one kind where it is named, with the turns behind them and what reviewers decided.

    {since, until, up, down, feedback:[{turn_id, at, rating, comment, question, answer, outcome, reason, review}]};
    `up` and `down` count all since then. Raises UsageError.
    """
    if rating not in ("", "up", "down"):
        raise UsageError(f"no rating is called {rating!r}", where="rating", fix="up or down")
    if not 1 <= count <= MOST:
        raise UsageError(f"{count} ratings cannot be listed", where="count", fix=f"ask for 1 to {MOST}")
    now = service.clock.now()
    start = moment(since, now)
    given = await asyncio.to_thread(service.store.feedback.since, start)
    listed = [one for one in given if rating in ("", one.rating)][:count]
    ids = [one.turn_id for one in listed]
    turns = await asyncio.to_thread(service.store.ledger.several, ids)
    reviews = await asyncio.to_thread(service.store.reviews.several, ids)
    return {
        "since": start.isoformat(),
        "until": now.isoformat(),
        "up": sum(one.rating == "up" for one in given),
        "down": sum(one.rating == "down" for one in given),
        "feedback": [
            {
                "turn_id": one.turn_id,
                "at": one.at.isoformat(),
                "rating": one.rating,
                "comment": one.comment,
                "question": turn.question,
                "answer": turn.answer,
                "outcome": turn.outcome,
                "reason": turn.reason,
                "review": reviews[one.turn_id].state if one.turn_id in reviews else None,
            }
            for one in listed
            if (turn := turns.get(one.turn_id))
        ],
    }
