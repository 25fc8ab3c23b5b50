"""One database as two kinds of transaction; whatever its driver says against it becomes a StoreError."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql as postgresql_dialect
from sqlalchemy.dialects import sqlite as sqlite_dialect
from sqlalchemy.exc import StatementError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from domain.errors import StoreError
from store import postgres, prepared, sqlite
from store.prepared import Asked


class Database:
    """A database that may be used from many threads: a file, or a Postgres server.

    Transactions must not be nested, but in `together`.
    """

    def __init__(self, target: Path | str) -> None:
        """Take a path for SQLite, a postgresql:// URL for Postgres. Nothing is connected yet."""
        self._closed = False
        self._under_way = threading.local()
        if isinstance(target, Path):
            self.where, self.shared = str(target), False
            self._engine = sqlite.open_engine(target)
            self._fix_of = sqlite.fix_of
            # Threads queue here rather than in SQLite, whose busy handler sleeps and is unfair.
            self._writing: threading.Lock | nullcontext[None] = threading.Lock()
        else:
            url = postgres.parse(target)
            self.where, self.shared = f"{url.host or url.query.get('host', 'localhost')}/{url.database or ''}", True
            self._engine = postgres.open_engine(url)
            self._fix_of = postgres.fix_of
            self._writing = nullcontext()
        self._driver_error: type[Exception] = self._engine.dialect.loaded_dbapi.Error

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Give a transaction that sees one state of the data. Raises StoreError."""
        if joined := self._joined():
            yield joined
            return
        with self._faults(), self._connected() as connection:
            if self.shared:
                connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
            with connection.begin():
                yield connection

    @contextmanager
    def write(self, alone: str = "", *, patience: int = postgres.LOCK_SECONDS) -> Iterator[Connection]:
        """Give a transaction that writes all or nothing. Raises StoreError.

        In SQLite it is alone in writing. In Postgres it is alone only among those that gave the same `alone`,
        for which it waits `patience` seconds: name what is looked at before it is written.
        """
        if joined := self._joined():
            if self.shared and alone:
                postgres.lock(joined, alone, patience)
            yield joined
            return
        with self._faults(), self._writing, self._connected() as connection:
            if not self.shared:
                connection.execution_options(immediate=True)
            with connection.begin():
                if self.shared and alone:
                    postgres.lock(connection, alone, patience)
                yield connection

    @contextmanager
    def together(self) -> Iterator[None]:
        """Make one transaction of all that this thread writes and reads meanwhile: all of it is kept, or nothing.

        Raises StoreError. Each transaction of its own would wait for the disk's lock, and be committed, by itself.
        """
        with self.write() as connection:
            self._under_way.connection = connection
            try:
                yield
            finally:
                self._under_way.connection = None

    def run(self, connection: Connection, *asked: Asked) -> list[list[Any]]:
        """Run statements in a transaction of `read` or `write`; the rows of each. Raises StoreError."""
        with self._driver_faults():
            return prepared.run(connection, asked)

    def call(self, statement: str, values: Mapping[str, object]) -> Any:
        """Give the one value that a statement of Postgres gives, which is a transaction by itself; None in `together`.

        Values are the driver's, by name. Raises StoreError.
        """
        if self._joined():
            return None
        with self._faults(), self._driver_faults(), self._connected() as connection:
            connection.execution_options(isolation_level="AUTOCOMMIT")
            driver: Any = connection.connection.driver_connection
            return driver.execute(statement, values).fetchone()[0]

    def truncate_log(self) -> None:
        """Empty SQLite's write-ahead log into the database; Postgres looks after its own."""
        if self.shared:
            return
        with self._faults(), self._writing, self._engine.connect() as connection:
            connection.connection.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)").close()

    def close(self) -> None:
        """Close every connection; one that is at work, when it has done."""
        self._closed = True
        self._engine.dispose()

    def _joined(self) -> Connection | None:
        """The transaction of `together` that this thread is in."""
        return getattr(self._under_way, "connection", None)

    @contextmanager
    def _connected(self) -> Iterator[Connection]:
        with self._engine.connect() as connection:
            try:
                yield connection
            finally:
                if self._closed:
                    connection.detach()  # else it would go back to a pool that nobody closes any more

    @contextmanager
    def _faults(self) -> Iterator[None]:
        try:
            yield
        except StatementError as fault:
            if isinstance(fault.orig, StoreError):
                raise fault.orig from fault
            raise self._fault(fault.orig) from fault
        except PoolTimeoutError as fault:
            raise StoreError("every connection is taken", where=self.where, fix="ask less at once") from fault
        except self._driver_error as fault:  # of a transaction's beginning, which the library does not see
            raise self._fault(fault) from fault

    @contextmanager
    def _driver_faults(self) -> Iterator[None]:
        try:
            yield
        except self._driver_error as fault:
            raise self._fault(fault) from fault

    def _fault(self, fault: BaseException | None) -> StoreError:
        return StoreError(postgres.one_line(fault), where=self.where, fix=self._fix_of(fault))


def upsert(connection: Connection, table: Table) -> sqlite_dialect.Insert | postgresql_dialect.Insert:
    """Give an INSERT that knows `on_conflict_do_nothing` and `on_conflict_do_update` in this database."""
    if connection.dialect.name == "postgresql":
        return postgresql_dialect.insert(table)
    return sqlite_dialect.insert(table)
