"""The door to everything that a desk remembers: one database and the rooms' views of it."""

import time
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Self

from sqlalchemy import Connection, delete, func, literal, select, update

from domain.errors import StoreError
from domain.ports import Clock
from store.alerts import AlertBook
from store.audit import Audit
from store.budget import Budgets
from store.cache import AnswerTable
from store.costs import Costs
from store.engine import Database
from store.experiments import ExperimentBook
from store.feedback import FeedbackBook
from store.figures import FigureBook
from store.keys import Keys
from store.leases import DatabaseLeases, Leases, RedisLeases, connect_redis
from store.ledger import Ledger
from store.migrate import HEAD, bring_up_to_date, revision
from store.outbox import Outbox, give_up
from store.people import People
from store.releases import ReleaseBook
from store.replays import ReplayBook
from store.reviews import ReviewBook
from store.series import Series
from store.tables import (
    budget_accounts,
    cached_answers,
    calls,
    exports,
    feedback,
    holds,
    receipts,
    replays,
    threads,
    tickets,
    vault,
)
from store.threads import Threads
from store.tickets import AgentWords, Tickets
from store.upkeep import Rounds
from store.vault import Vault, bound_key, read_secret

FILE = "desk.sqlite3"

ATTEMPTS = 10
MONTH = timedelta(days=31)
PAUSE = 0.05
"""Seconds between two looks at a file that is empty."""

MIGRATION_SECONDS = 300
"""How long a process that starts waits for another that is migrating the database."""


@dataclass(frozen=True, slots=True)
class Purged:
    """How many of each were removed."""

    receipts: int
    feedback: int
    tickets: int
    vault: int
    threads: int


class Store:
    """All of a desk's memory but its knowledge and its checkpoints. Blocking; may be used from many threads."""

    def __init__(self, database: Database, clock: Clock, secret: bytes, daily_limit: int, *, exports: bool) -> None:
        self._database, self._clock = database, clock
        self.ledger = Ledger(database, exports=exports)
        self.outbox = Outbox(database)
        self.costs = Costs(database, clock)
        self.figures = FigureBook(database)
        self.series = Series(database)
        self.budget = Budgets(database, clock, daily_limit)
        self.vault = Vault(database, clock, secret)
        self.threads = Threads(database, clock)
        self.people = People(database)
        self.tickets = Tickets(database, clock)
        self.agents = AgentWords(database)
        self.feedback = FeedbackBook(database, clock, exports=exports)
        self.reviews = ReviewBook(database, clock)
        self.keys = Keys(database, clock)
        self.audit = Audit(database, clock)
        self.alerts = AlertBook(database, clock)
        self.replays = ReplayBook(database, clock)
        self.releases = ReleaseBook(database, clock)
        self.experiments = ExperimentBook(database, clock)
        self.leases: Leases = DatabaseLeases(database, clock)
        self.rounds = Rounds(database)
        self.shared = database.shared

    @classmethod
    def open(
        cls,
        folder: Path,
        clock: Clock,
        *,
        url: str = "",
        redis_url: str = "",
        vault_key: str = "",
        daily_limit: int = 0,
        exports: bool = False,
    ) -> Self:
        """Open the Postgres database at `url`, or `folder/desk.sqlite3` without one; made and migrated as needed.

        `vault_key` empty: the key is in the file vault.key in the folder, generated at the first time.
        `daily_limit` is the budget in micro-dollars a UTC day; 0 lets nothing go out that costs money.
        `redis_url`: where short locks are kept, else in the database.
        `exports`: whether turns, scores and ratings are put into the outbox, for a Langfuse to be told.
        Raises StoreError, in one line, for whatever stands against it.
        """
        _look_at(folder / FILE, here=not url)
        database = Database(url or folder / FILE)
        try:
            with database.write("migrations", patience=MIGRATION_SECONDS) as connection:
                bring_up_to_date(connection, database.where)
                fresh = bound_key(connection) is None
            store = cls(database, clock, read_secret(folder, vault_key, may_create=fresh), daily_limit, exports=exports)
            store.vault.check_key()
            if redis_url:
                store.leases = RedisLeases(connect_redis(redis_url), store.leases)
        except BaseException:
            database.close()
            raise
        return store

    def together(self) -> AbstractContextManager[None]:
        """What this thread keeps meanwhile is kept whole or not at all, in one transaction. Raises StoreError."""
        return self._database.together()

    def answers(self, ttl: timedelta) -> AnswerTable:
        """Answers that may be given again for that long."""
        return AnswerTable(self._database, self._clock, ttl)

    def check(self) -> None:
        """Raises StoreError when the database does not answer."""
        with self._database.read() as connection:
            connection.execute(select(literal(1)))

    def close(self) -> None:
        """Close the database; the store cannot be used afterwards."""
        self._database.close()

    def purge(self, before: datetime) -> Purged:
        """Remove what is older: receipts and their texts, feedback, tickets, vault and threads not used since.

        Cost rows stay, without user and error text, so that books still add up. What is removed is overwritten
        on the disk too.
        """
        with self._database.write() as connection:
            purged = _purge(connection, before)
        self._database.truncate_log()
        return purged


def migrate(folder: Path, url: str = "") -> tuple[str, str]:
    """Bring the database to the newest tables: the number found (empty: a new one), and that of now.

    One process at a time; what was cut off has left nothing. Raises StoreError.
    """
    _look_at(folder / FILE, here=not url)
    database = Database(url or folder / FILE)
    try:
        with database.write("migrations", patience=MIGRATION_SECONDS) as connection:
            found = revision(connection)
            bring_up_to_date(connection, database.where)
            return found, HEAD
    finally:
        database.close()


def _look_at(path: Path, *, here: bool) -> None:
    """Make the folder; refuse what SQLite, if it is used here, would take for a new database or explains badly."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if here and path.is_dir():
            raise StoreError("is a folder where the database should be", where=str(path), fix="move it away")
        if here and path.exists() and _stays_empty(path):
            raise StoreError(
                "the database is empty: it was cut off", where=str(path), fix="restore a backup, or delete the file"
            )
    except OSError as fault:
        msg = f"the folder cannot be used: {fault.strerror}"
        raise StoreError(msg, where=str(path.parent), fix="set FRONTDESK_HOME") from fault


def _stays_empty(path: Path) -> bool:
    # A file that another process is making at this moment is empty for some milliseconds.
    for _ in range(ATTEMPTS):
        if path.stat().st_size:
            return False
        time.sleep(PAUSE)
    return True


def _purge(connection: Connection, before: datetime) -> Purged:
    connection.execute(delete(cached_answers).where(cached_answers.c.made_at < before))
    connection.execute(delete(replays).where(replays.c.until < before))
    old_turns = select(receipts.c.turn_id).where(receipts.c.at < before)
    last_used = (
        select(func.coalesce(func.max(threads.c.touched_at), vault.c.written_at))
        .where(threads.c.id == vault.c.thread)
        .scalar_subquery()
    )
    late = select(func.count()).select_from(exports).where(exports.c.turn_id.in_(old_turns))
    give_up(connection, int(connection.execute(late).scalar_one()))
    rated = connection.execute(delete(feedback).where(feedback.c.turn_id.in_(old_turns))).rowcount
    kept = connection.execute(delete(receipts).where(receipts.c.at < before)).rowcount
    sealed = connection.execute(delete(vault).where(last_used < before)).rowcount
    known = connection.execute(delete(threads).where(threads.c.touched_at < before)).rowcount
    handed = connection.execute(delete(tickets).where(tickets.c.touched_at < before)).rowcount
    connection.execute(update(calls).where(calls.c.at < before).values(user_hash="", error=""))
    connection.execute(update(holds).where(holds.c.at < before).values(user_hash=""))
    # A user's month may have begun before what is kept begins.
    ended = budget_accounts.c.starts < (before - MONTH).date()
    connection.execute(delete(budget_accounts).where(budget_accounts.c.scope == "user", ended))
    return Purged(receipts=kept, feedback=rated, tickets=handed, vault=sealed, threads=known)
