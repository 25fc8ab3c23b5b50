"""Turns that a person should look at, what reviewers decided about them, and how they rate answers."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Literal

from sqlalchemy import ColumnElement, RowMapping, Select, and_, case, func, or_, select

from domain.ports import Clock
from domain.turn import Outcome
from store.engine import Database, upsert
from store.figures import UNSURE
from store.tables import feedback, ratings, receipts, reviews, scores

State = Literal["open", "accepted", "corrected", "rejected"]
Cause = Literal["thumbs_down", "low_score", "dont_know", "handoff", "guard_fault", "below_line", "rate"]
"""Why a turn waits: what its customer, the judge, or its outcome says, or that a weekly report asks for it."""
Aspect = Literal["accuracy", "relevance", "safety"]
BELOW_LINE, RATE = "below_line", "rate"


@dataclass(frozen=True, slots=True)
class Right:
    """What would have been right, in a reviewer's masked words. `facts`: each entry is one fact in alternatives."""

    outcome: Outcome | None = None
    answer: str = ""
    facts: list[list[str]] = field(default_factory=list)
    articles: list[str] = field(default_factory=list)
    must_not: list[str] = field(default_factory=list)
    note: str = ""


@dataclass(frozen=True, slots=True)
class Review:
    """What was decided about a turn, by whom and when; open: asked for, not decided. `why`: of a report's asking."""

    turn_id: str
    state: State
    right: Right = field(default_factory=Right)
    who: str = ""
    why: str = ""
    to_rate: bool = False
    decided_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class LowScore:
    """Judged badly: the weighted mean of these dimensions lies below `below`, or any of `each` at or below its value."""

    weights: Mapping[str, float]
    core: Collection[str]
    below: float
    each: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Rated:
    """One reviewer's rating of one aspect of an answer, 1 worst to 5 best."""

    turn_id: str
    who: str
    aspect: Aspect
    value: int


class ReviewBook:
    """Reviews and ratings. A turn has one review; a later decision takes the place of the earlier."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def waiting(self, since: datetime, low: LowScore, most: int) -> list[tuple[str, list[Cause]]]:
        """The newest turns since then that nobody has decided about, and why each waits."""
        bad, causes = _low(low, since), _causes()
        columns = [causes[name].label(name) for name in causes]
        asked = (
            select(receipts.c.turn_id, *columns, receipts.c.turn_id.in_(bad).label("low_score"))
            .outerjoin(feedback, feedback.c.turn_id == receipts.c.turn_id)
            .outerjoin(reviews, reviews.c.turn_id == receipts.c.turn_id)
            .where(receipts.c.at >= since, or_(reviews.c.state.is_(None), reviews.c.state == "open"))
            .where(or_(*causes.values(), receipts.c.turn_id.in_(bad)))
            .order_by(receipts.c.at.desc(), receipts.c.turn_id.desc())
            .limit(most)
        )
        with self._database.read() as connection:
            rows = connection.execute(asked).mappings().all()
        names: Sequence[Cause] = (
            "thumbs_down",
            "guard_fault",
            "below_line",
            "low_score",
            "handoff",
            "dont_know",
            "rate",
        )
        return [(row["turn_id"], [name for name in names if row[name]]) for row in rows]

    def several(self, turn_ids: Collection[str]) -> dict[str, Review]:
        """The reviews that there are of these turns."""
        with self._database.read() as connection:
            rows = connection.execute(select(reviews).where(reviews.c.turn_id.in_(turn_ids))).mappings()
            return {row["turn_id"]: _review(row) for row in rows}

    def decided(self, states: Collection[State]) -> list[Review]:
        """Every review in one of these states, the oldest decision first."""
        asked = select(reviews).where(reviews.c.state.in_(states)).order_by(reviews.c.decided_at, reviews.c.turn_id)
        with self._database.read() as connection:
            return [_review(row) for row in connection.execute(asked).mappings()]

    def decide(self, turn_id: str, state: State, who: str, right: Right) -> None:
        """Book a decision about a turn that has a receipt."""
        now, body = self._clock.now(), json.dumps(asdict(right), ensure_ascii=False)
        made = {"state": state, "who": who, "decided_at": now, "body": body}
        with self._database.write() as connection:
            new = {"turn_id": turn_id, "why": "", "to_rate": False, "asked_at": now, **made}
            put = upsert(connection, reviews).values(new)
            connection.execute(put.on_conflict_do_update(index_elements=["turn_id"], set_=made))

    def ask(self, turn_ids: Sequence[str], why: Literal["below_line", "rate"]) -> None:
        """Ask for a look at these turns, or for a rating. What was decided about them stays."""
        now = self._clock.now()
        empty = {"state": "open", "asked_at": now, "who": "", "body": json.dumps(asdict(Right()))}
        asked = {"why": BELOW_LINE} if why == BELOW_LINE else {"to_rate": True}
        with self._database.write() as connection:
            for turn_id in turn_ids:
                put = upsert(connection, reviews).values(
                    {"turn_id": turn_id, "why": "", "to_rate": False, **empty, **asked}
                )
                connection.execute(put.on_conflict_do_update(index_elements=["turn_id"], set_=asked))

    def rate(self, turn_id: str, who: str, given: Mapping[Aspect, int]) -> None:
        """Book a reviewer's rating, 1 to 5 an aspect; a later one of the same reviewer takes the earlier's place."""
        now = self._clock.now()
        with self._database.write() as connection:
            for aspect, value in given.items():
                made = {"value": value, "at": now}
                put = upsert(connection, ratings).values({"turn_id": turn_id, "who": who, "aspect": aspect, **made})
                connection.execute(put.on_conflict_do_update(index_elements=["turn_id", "who", "aspect"], set_=made))

    def rated(self, since: datetime, until: datetime, *, turn_id: str | None = None) -> list[Rated]:
        """The ratings of turns of a span, or of one turn in it."""
        asked = (
            select(ratings)
            .join(receipts, receipts.c.turn_id == ratings.c.turn_id)
            .where(receipts.c.at >= since, receipts.c.at < until)
            .order_by(ratings.c.turn_id, ratings.c.who, ratings.c.aspect)
        )
        if turn_id is not None:
            asked = asked.where(ratings.c.turn_id == turn_id)
        with self._database.read() as connection:
            rows = connection.execute(asked).mappings()
            return [Rated(row["turn_id"], row["who"], row["aspect"], row["value"]) for row in rows]


def _causes() -> dict[Cause, ColumnElement[bool]]:
    """What makes a turn wait, but for the judge's scores."""
    waits = reviews.c.state == "open"
    # coalesce: without a row of the other table the whole is NULL, and NULL is no answer to "does it wait?".
    unrated = ~select(ratings.c.turn_id).where(ratings.c.turn_id == receipts.c.turn_id).exists()
    unsure = and_(receipts.c.reason.in_(UNSURE), receipts.c.outcome == "dont_know")
    every: dict[Cause, ColumnElement[bool]] = {
        "thumbs_down": feedback.c.rating == "down",
        "guard_fault": receipts.c.reason == "guard_failed",
        "below_line": and_(waits, reviews.c.why == BELOW_LINE),
        "handoff": receipts.c.outcome == "handoff",
        "dont_know": unsure,
        "rate": and_(waits, reviews.c.to_rate, unrated),
    }
    return {name: func.coalesce(one, False) for name, one in every.items()}  # SQL's function


def _low(low: LowScore, since: datetime) -> Select[tuple[str]]:
    """The turns since then that were judged badly."""
    weight = case(dict(low.weights), value=scores.c.name, else_=0.0)
    core = func.sum(case((scores.c.name.in_(low.core), 1), else_=0))
    mean = func.sum(weight * scores.c.value) / func.nullif(func.sum(weight), 0)
    each = [func.min(case((scores.c.name == name, scores.c.value))) <= value for name, value in low.each.items()]
    known = select(scores.c.turn_id).join(receipts, receipts.c.turn_id == scores.c.turn_id)
    known = known.where(receipts.c.at >= since, scores.c.value.is_not(None)).group_by(scores.c.turn_id)
    return known.having(or_(and_(core > 0, mean < low.below), *each))


def _review(row: RowMapping) -> Review:
    return Review(
        row["turn_id"],
        row["state"],
        Right(**json.loads(row["body"])),
        row["who"],
        row["why"],
        row["to_rate"],
        row["decided_at"],
    )
