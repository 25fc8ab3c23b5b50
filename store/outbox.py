"""What Langfuse has still to be told: one row a turn, a judgement or a rating, written with what it is about.

Since a row is written in the transaction of its receipt, a process that is killed loses neither, and
any process of the desk may send what another has left.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, cast

from sqlalchemy import Connection, delete, func, insert, select

from store.engine import Database, upsert
from store.tables import exports, meta

Part = Literal["turn", "judge", "feedback"]

DROPPED = "traces_dropped"
"""The name in `meta` of how many rows were given up since the desk began."""


@dataclass(frozen=True, slots=True)
class Export:
    """A part of a turn that is to be sent."""

    id: int
    turn_id: str
    part: Part


def note(connection: Connection, turn_id: str, part: Part) -> None:
    """Put a part of a turn down for sending, in the transaction that writes it."""
    connection.execute(insert(exports).values(turn_id=turn_id, part=part))


def give_up(connection: Connection, number: int) -> None:
    """Count rows that will never be sent."""
    if not number:
        return
    found = connection.execute(select(meta.c.value).where(meta.c.name == DROPPED)).scalar_one_or_none()
    row = {"name": DROPPED, "value": str(int(found or 0) + number)}
    put = upsert(connection, meta).values(row)
    connection.execute(put.on_conflict_do_update(index_elements=["name"], set_=row))


class Outbox:
    """The rows in order; who sends them holds a lease."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def next(self, count: int) -> list[Export]:
        """The oldest rows."""
        oldest = select(exports).order_by(exports.c.id).limit(count)
        with self._database.read() as connection:
            return [Export(row.id, row.turn_id, cast("Part", row.part)) for row in connection.execute(oldest)]

    def done(self, ids: Sequence[int], *, dropped: int = 0) -> None:
        """Forget rows: they were delivered, but for the number that was given up."""
        with self._database.write() as connection:
            connection.execute(delete(exports).where(exports.c.id.in_(ids)))
            give_up(connection, dropped)

    def trim(self, most: int) -> int:
        """Give the oldest rows up beyond `most`; how many."""
        with self._database.read() as connection:
            over = _depth(connection) - most
        if over <= 0:
            return 0
        with self._database.write() as connection:
            last = select(exports.c.id).order_by(exports.c.id).offset(over - 1).limit(1)
            gone = connection.execute(delete(exports).where(exports.c.id <= last.scalar_subquery())).rowcount
            give_up(connection, gone)
        return gone

    def state(self) -> tuple[int, int]:
        """How many rows wait, and how many were given up since the desk began."""
        with self._database.read() as connection:
            found = connection.execute(select(meta.c.value).where(meta.c.name == DROPPED)).scalar_one_or_none()
            return _depth(connection), int(found or 0)


def _depth(connection: Connection) -> int:
    return int(connection.execute(select(func.count()).select_from(exports)).scalar_one())
