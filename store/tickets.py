"""Handoffs to people. A thread has at most one open ticket; whatever follows joins it."""

import hashlib
import itertools
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, Literal

from sqlalchemy import ColumnElement, Connection, RowMapping, bindparam, insert, select, update

from domain.errors import NotFoundError
from domain.ports import Clock
from store.engine import Database
from store.prepared import Prepared
from store.tables import ticket_messages, tickets

Author = Literal["customer", "desk", "agent"]
Closer = Literal["customer", "agent", ""]
"""A customer closes a ticket by withdrawing it. Empty: it is open, or was closed before this was written down."""

ALPHABET = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"
"""32 signs that nobody mixes up at the telephone."""

SIGNS = 5
"""Signs of a ticket's id: 33 million of them, the next candidate is taken where one is in use."""

ALONE = "tickets"
"""Who opens a ticket or speaks in one looks first whether it is there: one at a time, whatever the database."""


@dataclass(frozen=True, slots=True)
class Ticket:
    """A conversation that a person takes over; `summary` is masked, `user` a hash. Open until `closed_at`."""

    id: str
    thread: str
    turn_id: str
    user: str
    department: str
    reason: str
    summary: str
    opened_at: datetime
    closed_at: datetime | None = None
    closed_by: Closer = ""


@dataclass(frozen=True, slots=True)
class TicketMessage:
    """What was said since a ticket was opened. author "desk": a summary made at a handoff."""

    ticket: str
    author: Author
    text: str
    turn_id: str
    at: datetime


class Tickets:
    """The tickets of all threads."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def open(self, thread: str, turn_id: str, user: str, *, department: str, reason: str, summary: str) -> Ticket:
        """Open a ticket, or join the thread's open one. The same turn gives the same ticket, however often."""
        now = self._clock.now()
        with self._database.write(ALONE) as connection:
            row = _of_turn(connection, turn_id) or self._of_thread(connection, thread)
            if row is None:
                row = _create(
                    connection,
                    {
                        "id": _free_id(connection, turn_id),
                        "thread": thread,
                        "turn_id": turn_id,
                        "user_hash": user,
                        "department": department,
                        "reason": reason,
                        "summary": summary,
                        "opened_at": now,
                        "closed_at": None,
                        "closed_by": "",
                        "touched_at": now,
                    },
                )
            _say(connection, row["id"], "desk", summary, turn_id, now=now)
            return _ticket(row)

    def say(self, ticket: str, author: Author, text: str, turn_id: str = "") -> None:
        """Add a message to an open ticket; a turn that has already spoken adds nothing. Raises NotFoundError."""
        with self._database.write(ALONE) as connection:
            row = _get(connection, ticket)
            if row["closed_at"] is not None:
                raise NotFoundError("the ticket is closed", where=row["id"], fix="a new handoff opens a new one")
            _say(connection, row["id"], author, text, turn_id, now=self._clock.now())

    def get(self, ticket: str) -> Ticket:
        """Give a ticket by its id, in capitals or not. Raises NotFoundError."""
        with self._database.read() as connection:
            return _ticket(_get(connection, ticket))

    def of_thread(self, thread: str) -> Ticket | None:
        """Give the thread's open ticket: while there is one, messages of the customer belong to it."""
        with self._database.read() as connection:
            row = self._of_thread(connection, thread)
        return _ticket(row) if row else None

    def messages(self, ticket: str) -> list[TicketMessage]:
        """Give what was said in a ticket, oldest first. Raises NotFoundError."""
        with self._database.read() as connection:
            key = _get(connection, ticket)["id"]
            said = select(ticket_messages).where(ticket_messages.c.ticket == key).order_by(ticket_messages.c.id)
            return [
                TicketMessage(key, row["author"], row["text"], row["turn_id"] or "", row["at"])
                for row in connection.execute(said).mappings()
            ]

    def list_open(self, *, withdrawn_since: datetime | None = None) -> list[Ticket]:
        """Give every open ticket, and those that customers have withdrawn since then, oldest first."""
        listed: ColumnElement[bool] = tickets.c.closed_at.is_(None)
        if withdrawn_since:
            listed |= (tickets.c.closed_by == "customer") & (tickets.c.closed_at >= withdrawn_since)
        waiting = select(tickets).where(listed).order_by(tickets.c.opened_at, tickets.c.id)
        with self._database.read() as connection:
            return [_ticket(row) for row in connection.execute(waiting).mappings()]

    def close(self, ticket: str, by: Closer = "agent") -> Ticket:
        """Close a ticket; a closed one stays as it is. Raises NotFoundError."""
        now = self._clock.now()
        with self._database.write(ALONE) as connection:
            key = _get(connection, ticket)["id"]
            open_one = update(tickets).where(tickets.c.id == key, tickets.c.closed_at.is_(None))
            connection.execute(open_one.values(closed_at=now, closed_by=by, touched_at=now))
            return _ticket(_get(connection, key))

    def _of_thread(self, connection: Connection, thread: str) -> dict[str, Any] | None:
        (waiting,) = self._database.run(connection, (_waiting(), {"of": thread}))
        return waiting[0]._asdict() if waiting else None


class AgentWords:
    """What agents have said, to be learnt from. Reads; writes nothing."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def said(self, threads: Collection[str]) -> list[tuple[str, datetime, str]]:
        """Thread, time and masked text of every agent's message in the tickets of these threads, oldest first."""
        asked = (
            select(tickets.c.thread, ticket_messages.c.at, ticket_messages.c.text)
            .join(ticket_messages, ticket_messages.c.ticket == tickets.c.id)
            .where(tickets.c.thread.in_(threads), ticket_messages.c.author == "agent")
            .order_by(ticket_messages.c.id)
        )
        with self._database.read() as connection:
            return [(thread, at, text) for thread, at, text in connection.execute(asked)]


def _ticket(row: RowMapping | dict[str, Any]) -> Ticket:
    return Ticket(
        id=row["id"],
        thread=row["thread"],
        turn_id=row["turn_id"],
        user=row["user_hash"],
        department=row["department"],
        reason=row["reason"],
        summary=row["summary"],
        opened_at=row["opened_at"],
        closed_at=row["closed_at"],
        closed_by=row["closed_by"],
    )


def _get(connection: Connection, ticket: str) -> RowMapping:
    row = connection.execute(select(tickets).where(tickets.c.id == ticket.strip().upper())).mappings().one_or_none()
    if row is None:
        raise NotFoundError("no such ticket", where=ticket)
    return row


@cache
def _waiting() -> Prepared:
    """The open ticket of a thread: asked for at every turn."""
    return Prepared(select(tickets).where(tickets.c.thread == bindparam("of"), tickets.c.closed_at.is_(None)))


def _of_turn(connection: Connection, turn_id: str) -> RowMapping | None:
    spoken = select(tickets).join(ticket_messages).where(ticket_messages.c.turn_id == turn_id)
    return connection.execute(spoken).mappings().one_or_none()


def _create(connection: Connection, row: dict[str, object]) -> RowMapping:
    connection.execute(insert(tickets).values(row))
    return _get(connection, str(row["id"]))


def _say(connection: Connection, ticket: str, author: Author, text: str, turn_id: str, *, now: datetime) -> None:
    if turn_id and _of_turn(connection, turn_id):
        return
    row = {"ticket": ticket, "author": author, "text": text, "turn_id": turn_id or None, "at": now}
    connection.execute(insert(ticket_messages).values(row))
    connection.execute(update(tickets).where(tickets.c.id == ticket).values(touched_at=now))


def _free_id(connection: Connection, turn_id: str) -> str:
    for attempt in itertools.count():
        candidate = candidate_id(turn_id, attempt)
        if connection.execute(select(tickets.c.id).where(tickets.c.id == candidate)).one_or_none() is None:
            return candidate
    raise AssertionError  # itertools.count() does not end


def candidate_id(turn_id: str, attempt: int) -> str:
    """Give the id that a ticket of this turn gets when `attempt` ids before it were in use."""
    digest = hashlib.sha256(f"{turn_id}/{attempt}".encode()).digest()
    return "T-" + "".join(ALPHABET[byte % len(ALPHABET)] for byte in digest[:SIGNS])
