"""What customers say about an answer: thumbs, with a masked comment."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy import RowMapping, select

from domain.errors import NotFoundError
from domain.ports import Clock
from store.engine import Database, upsert
from store.outbox import note
from store.tables import feedback, receipts

Rating = Literal["up", "down"]


@dataclass(frozen=True, slots=True)
class Feedback:
    """The current rating of a turn."""

    turn_id: str
    rating: Rating
    comment: str
    at: datetime


class FeedbackBook:
    """One current rating a turn."""

    def __init__(self, database: Database, clock: Clock, *, exports: bool = False) -> None:
        """`exports`: whether what is kept is put down for sending too."""
        self._database = database
        self._clock = clock
        self._exports = exports

    def add(self, turn_id: str, rating: Rating, comment: str = "") -> None:
        """Rate a turn; a later rating takes the place of the earlier. Raises NotFoundError for an unknown turn."""
        row = {"turn_id": turn_id, "rating": rating, "comment": comment, "at": self._clock.now()}
        with self._database.write() as connection:
            known = select(receipts.c.turn_id).where(receipts.c.turn_id == turn_id)
            if connection.execute(known).one_or_none() is None:
                raise NotFoundError("no such turn", where=turn_id)
            put = upsert(connection, feedback).values(row)
            connection.execute(put.on_conflict_do_update(index_elements=["turn_id"], set_=row))
            if self._exports:
                note(connection, turn_id, "feedback")

    def rateable(self, turn_id: str, user: str) -> str | None:
        """The trace of a turn of this user; None for another's, which takes as long as for one that never was."""
        own = select(receipts.c.trace_id).where(receipts.c.turn_id == turn_id, receipts.c.user_hash == user)
        with self._database.read() as connection:
            return connection.execute(own).scalar_one_or_none()

    def get(self, turn_id: str) -> Feedback | None:
        """Give the current rating of a turn."""
        with self._database.read() as connection:
            row = connection.execute(select(feedback).where(feedback.c.turn_id == turn_id)).mappings().one_or_none()
        return _feedback(row) if row else None

    def since(self, moment: datetime) -> list[Feedback]:
        """Give the ratings from `moment` on, newest first."""
        newest = select(feedback).where(feedback.c.at >= moment).order_by(feedback.c.at.desc(), feedback.c.turn_id)
        with self._database.read() as connection:
            return [_feedback(row) for row in connection.execute(newest).mappings()]


def _feedback(row: RowMapping) -> Feedback:
    return Feedback(row["turn_id"], row["rating"], row["comment"], row["at"])
