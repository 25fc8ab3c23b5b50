"""The review queue: turns that a person should look at, grouped by meaning, and what reviewers decide about them.

A turn waits because its customer, the judge or its outcome says so, or because the weekly report asks for it; it leaves
the queue when somebody has decided. All texts are masked, a reviewer's words too.
"""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, get_args

from domain.errors import UsageError
from domain.profile import GuardFamily
from domain.receipt import Receipt
from domain.turn import Outcome
from graph.figures import moment
from graph.gaps import group_by_meaning, subjects
from graph.service import Service
from scoring.judge import CORE, WEIGHTS, overall
from store.reviews import Aspect, Cause, LowScore, Review, Right, State

Json = dict[str, Any]

MOST_WAITING = 500
"""Newest waiting turns that are listed and grouped: at 8 ms each, four seconds."""
LOW = LowScore(WEIGHTS, CORE, below=0.5, each={"grounding": 0.5})
"""Below the middle of the scale people rate on, or with half of what it says in no article."""
ANY_TIME = timedelta(days=3_650)
HEAD = ":head"
"""Ends the name of a verdict that a classifier gave; a rule has no threshold."""
FAMILIES: tuple[GuardFamily, ...] = get_args(GuardFamily)
ASPECTS: tuple[Aspect, ...] = get_args(Aspect)
WORST, BEST = 1, 5


async def review(service: Service, since: str = "7d") -> Json:
    """What waits for a reviewer, groups of one meaning, the largest first; the fields are in docs/cli.md.

    Raises UsageError for a time that cannot be read.
    """
    now = service.clock.now()
    start = moment(since, now)
    found = await asyncio.to_thread(service.store.reviews.waiting, start, LOW, MOST_WAITING)
    causes = dict(found)
    receipts = await asyncio.to_thread(service.store.ledger.several, list(causes))
    turns = [receipts[turn] for turn in causes if turn in receipts]
    groups = await group_by_meaning(turns, subjects(service), service.embedder)
    return {
        "since": start.isoformat(),
        "until": now.isoformat(),
        "waiting": len(turns),
        "more": len(found) == MOST_WAITING,
        "causes": dict(Counter(cause for turn in turns for cause in causes[turn.turn_id])),
        "groups": [_group(group, causes) for group in groups],
    }


async def blocks(service: Service) -> Json:
    """The refused turns that reviewers accepted or corrected: {blocks:[{reason, text, rightly, family, score}]}.

    `rightly`: whether the turn should have been refused. `family` and `score` are of the classifier that blocked it;
    a rule has neither (null, 0).
    """
    return {"blocks": await asyncio.to_thread(_blocks, service)}


async def show(service: Service, *, turn_id: str) -> Json:
    """One turn as a reviewer needs it, with what was decided about it. Raises NotFoundError."""
    return await asyncio.to_thread(_whole, service, turn_id)


async def accept(service: Service, *, turn_id: str, note: str = "", who: str) -> Json:
    """What the desk did is right and shall stay so: it becomes a case. As `show`. Raises NotFoundError, UsageError."""
    return await _decide(service, turn_id, "accepted", Right(note=await service.guards.mask(note)), who)


async def correct(
    service: Service,
    *,
    turn_id: str,
    outcome: Outcome = "answer",
    answer: str = "",
    facts: Sequence[str] = (),
    articles: Sequence[str] = (),
    must_not: Sequence[str] = (),
    note: str = "",
    who: str,
) -> Json:
    """What the desk did is wrong, and this is right: it becomes a case. As `show`.

    `facts`: what the answer must say, alternatives with | between them. `articles`: ids of public ones that hold it.
    Raises NotFoundError, UsageError.
    """
    if outcome == "answer" and not (answer.strip() or facts or articles):
        raise UsageError("nothing is said of what is right", where=turn_id, fix="give an answer, a fact or an article")
    known = {article.id for article in service.knowledge.articles() if article.audience == "public"}
    if unknown := sorted(set(articles) - known):
        raise UsageError("no such public article", where=", ".join(unknown), fix="frontdesk search names their ids")
    mask = service.guards.mask
    alternatives = [[await mask(one.strip()) for one in fact.split("|") if one.strip()] for fact in facts]
    right = Right(
        outcome,
        await mask(answer.strip()),
        [fact for fact in alternatives if fact],
        list(articles),
        [await mask(one.strip()) for one in must_not if one.strip()],
        await mask(note),
    )
    return await _decide(service, turn_id, "corrected", right, who)


async def reject(service: Service, *, turn_id: str, note: str = "", who: str) -> Json:
    """Nothing is to be learnt from it. As `show`. Raises NotFoundError."""
    return await _decide(service, turn_id, "rejected", Right(note=await service.guards.mask(note)), who)


async def rate(
    service: Service,
    *,
    turn_id: str,
    accuracy: int | None = None,
    relevance: int | None = None,
    safety: int | None = None,
    who: str,
) -> Json:
    """A person's rating of an answer, 1 worst to 5 best, in one aspect or more. As `show`.

    Raises NotFoundError, UsageError.
    """
    said: Mapping[Aspect, int | None] = {"accuracy": accuracy, "relevance": relevance, "safety": safety}
    given: dict[Aspect, int] = {aspect: value for aspect, value in said.items() if value is not None}
    if not given:
        raise UsageError("nothing is rated", where=turn_id, fix=f"give one of {', '.join(ASPECTS)}")
    if wrong := [aspect for aspect, value in given.items() if not WORST <= value <= BEST]:
        raise UsageError("is not from 1 (worst) to 5 (best)", where=", ".join(wrong))
    receipt = await asyncio.to_thread(service.store.ledger.get, turn_id)
    if receipt.outcome != "answer":
        raise UsageError(f"the turn ended in {receipt.outcome}: there is no answer to rate", where=receipt.turn_id)
    await asyncio.to_thread(service.store.reviews.rate, receipt.turn_id, who, given)
    after: Json = {"turn": receipt.turn_id, **{str(aspect): value for aspect, value in given.items()}}
    await asyncio.to_thread(service.store.audit.record, who, "review.rate", None, after)
    return await show(service, turn_id=receipt.turn_id)


async def _decide(service: Service, turn_id: str, state: State, right: Right, who: str) -> Json:
    return await asyncio.to_thread(_decided, service, turn_id, state, right, who)


def _decided(service: Service, turn_id: str, state: State, right: Right, who: str) -> Json:
    receipt = service.store.ledger.get(turn_id)
    if state != "rejected" and not receipt.question.strip():
        raise UsageError("no text of this question is kept", where=receipt.turn_id, fix="reject it")
    before = service.store.reviews.several([receipt.turn_id]).get(receipt.turn_id)
    service.store.reviews.decide(receipt.turn_id, state, who, right)
    # The log is for ever, texts are not: it holds no word of what was said.
    was = {"state": before.state, "who": before.who} if before else None
    service.store.audit.record(who, f"review.{state}", was, {"turn": receipt.turn_id, "state": state})
    return _whole(service, receipt.turn_id)


def _whole(service: Service, turn_id: str) -> Json:
    receipt = service.store.ledger.get(turn_id)
    kept = service.store.reviews.several([receipt.turn_id]).get(receipt.turn_id)
    said = service.store.feedback.get(receipt.turn_id)
    at = datetime.fromisoformat(receipt.at)
    rated = service.store.reviews.rated(at, at + timedelta(seconds=1), turn_id=receipt.turn_id)
    return {
        **_turn(receipt),
        "language": receipt.language,
        "mode": receipt.mode,
        "prompt": receipt.prompt,
        "release": receipt.release,
        "confidence": receipt.confidence,
        "sources": [{"id": one.id, "title": one.title, "quote": one.quote} for one in receipt.sources],
        "passages": [{"article": one.article, "title": one.title, "text": one.text} for one in receipt.passages],
        "verdicts": [f"{one.guard}: {one.action}" for one in receipt.verdicts if one.action != "pass"],
        "rating": said.rating if said else None,
        "comment": said.comment if said else "",
        "scores": {one.name: one.value for one in receipt.scores},
        "ticket": receipt.handoff.ticket if receipt.handoff else None,
        "ratings": [{"who": one.who, "aspect": one.aspect, "value": one.value} for one in rated],
        "review": _review(kept),
    }


def _review(kept: Review | None) -> Json | None:
    if kept is None:
        return None
    right = kept.right
    return {
        "state": kept.state,
        "who": kept.who,
        "decided_at": kept.decided_at.isoformat() if kept.decided_at else None,
        "to_rate": kept.to_rate,
        "outcome": right.outcome,
        "answer": right.answer,
        "facts": right.facts,
        "articles": right.articles,
        "must_not": right.must_not,
        "note": right.note,
    }


def _group(turns: Sequence[Receipt], causes: Mapping[str, Sequence[Cause]]) -> Json:
    return {
        "count": len(turns),
        "example": turns[0].standalone or turns[0].question,
        "causes": dict(Counter(cause for turn in turns for cause in causes[turn.turn_id])),
        "turns": [_turn(turn) | {"causes": causes[turn.turn_id]} for turn in turns],
    }


def _turn(receipt: Receipt) -> Json:
    judged = overall(receipt.scores)
    return {
        "turn_id": receipt.turn_id,
        "at": receipt.at,
        "question": receipt.question,
        "standalone": receipt.standalone,
        "answer": receipt.answer,
        "outcome": receipt.outcome,
        "reason": receipt.reason,
        "judged": None if judged is None else round(judged, 4),
    }


def _blocks(service: Service) -> list[Json]:
    decided = service.store.reviews.decided(["accepted", "corrected"])
    receipts = service.store.ledger.several([one.turn_id for one in decided])
    refused = [
        (receipts[one.turn_id], one)
        for one in decided
        if one.turn_id in receipts and receipts[one.turn_id].outcome == "refuse"
    ]
    return [block_of(receipt, one) for receipt, one in refused if receipt.question.strip()]


def block_of(receipt: Receipt, review: Review) -> Json:
    """A refused turn as its reviewer sees it: a row of `blocks`."""
    rightly = review.state == "accepted" or review.right.outcome == "refuse"
    row = {"reason": receipt.reason or "", "text": receipt.standalone or receipt.question, "rightly": rightly}
    for verdict in receipt.verdicts:
        name = verdict.guard.removesuffix(HEAD)
        if verdict.action == "block" and verdict.guard.endswith(HEAD):
            return row | {"family": name if name in FAMILIES else None, "score": verdict.score}
    return row | {"family": None, "score": 0.0}
