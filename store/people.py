"""Everything that is kept about one user, over all tables: to be shown to them, and to be removed."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Select, delete, select, union, update

from store.engine import Database
from store.tables import (
    alerts,
    budget_accounts,
    budget_limits,
    calls,
    feedback,
    holds,
    receipts,
    replays,
    threads,
    tickets,
    vault,
)

SHOWN_OF_HASH = 12
"""Characters of a user's hash that an alert's text may hold."""


@dataclass(frozen=True, slots=True)
class Erased:
    """How many of each were removed. `calls` are kept, and no longer this user's."""

    receipts: int
    feedback: int
    tickets: int
    calls: int


class People:
    """One user's rows, by the keyed hash."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def turns(self, user: str) -> list[str]:
        """Their turns, the oldest first."""
        return self._column(select(receipts.c.turn_id).where(receipts.c.user_hash == user).order_by(receipts.c.at))

    def threads(self, user: str) -> list[str]:
        """Their conversations that are still there."""
        return self._column(select(threads.c.id).where(threads.c.user_hash == user).order_by(threads.c.claimed_at))

    def tickets(self, user: str) -> list[str]:
        """Their tickets, the oldest first."""
        return self._column(select(tickets.c.id).where(tickets.c.user_hash == user).order_by(tickets.c.opened_at))

    def traces(self, user: str) -> list[str]:
        """The traces of their turns."""
        return self._column(select(receipts.c.trace_id).where(receipts.c.user_hash == user))

    def erase(self, user: str) -> Erased:
        """Remove all that is theirs. Cost rows stay, as nobody's, so that books still add up.

        What is removed is overwritten on the disk too. Checkpoints are not here: their threads go first.
        """
        with self._database.write() as connection:
            erased = _erase(connection, user)
        self._database.truncate_log()
        return erased

    def _column(self, asked: Select[Any]) -> list[str]:
        with self._database.read() as connection:
            return list(connection.execute(asked).scalars())


def _erase(connection: Connection, user: str) -> Erased:
    turns = select(receipts.c.turn_id).where(receipts.c.user_hash == user)
    own = union(
        select(threads.c.id).where(threads.c.user_hash == user),
        select(receipts.c.thread_id).where(receipts.c.user_hash == user),
    )
    rated = connection.execute(delete(feedback).where(feedback.c.turn_id.in_(turns))).rowcount
    connection.execute(delete(vault).where(vault.c.thread.in_(own)))
    connection.execute(delete(replays).where(replays.c.user_hash == user))
    handed = connection.execute(delete(tickets).where(tickets.c.user_hash == user)).rowcount
    kept = connection.execute(delete(receipts).where(receipts.c.user_hash == user)).rowcount
    connection.execute(delete(threads).where(threads.c.user_hash == user))
    nobody = update(calls).where(calls.c.user_hash == user).values(user_hash="", error="")
    spent = connection.execute(nobody).rowcount
    connection.execute(update(holds).where(holds.c.user_hash == user).values(user_hash=""))
    for table in (budget_accounts, budget_limits):
        connection.execute(delete(table).where(table.c.scope == "user", table.c.name == user))
    told = alerts.c.text.contains(user[:SHOWN_OF_HASH], autoescape=True)
    connection.execute(delete(alerts).where(told | alerts.c.id.contains(user, autoescape=True)))
    return Erased(receipts=kept, feedback=rated, tickets=handed, calls=spent)
