"""One SQLite file as two kinds of transaction; whatever its driver says against it becomes a StoreError."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection, Engine, Table, create_engine, event
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import StatementError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.pool import ConnectionPoolEntry

from domain.errors import StoreError

BUSY_SECONDS = 10
"""How long a transaction waits for another process's."""

PRAGMAS = (
    "journal_mode=WAL",
    "synchronous=NORMAL",
    "foreign_keys=ON",
    "secure_delete=ON",  # what retention removes must not lie on in free pages
    "recursive_triggers=ON",  # else INSERT OR REPLACE passes by the audit log's trigger
)

FIXES = {
    sqlite3.SQLITE_NOTADB: "restore a backup, or move the file away to start afresh",
    sqlite3.SQLITE_CORRUPT: "restore a backup, or move the file away to start afresh",
    sqlite3.SQLITE_READONLY: "make the folder and its files writable for this user",
    sqlite3.SQLITE_CANTOPEN: "make the folder writable for this user",
    sqlite3.SQLITE_BUSY: "another process is writing: try again",
    sqlite3.SQLITE_FULL: "free some space on the disk",
    sqlite3.SQLITE_IOERR: "look after the disk",
}


class Database:
    """A database that may be used from many threads. Transactions must not be nested."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._engine = _engine(path)
        # Threads queue here rather than in SQLite, whose busy handler sleeps and is unfair.
        self._writing = threading.Lock()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Give a transaction that sees one state of the data. Raises StoreError."""
        with self._faults(), self._engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Give a transaction that is alone in writing, all or nothing. Raises StoreError."""
        with self._faults(), self._writing, self._engine.connect() as connection:
            connection.execution_options(immediate=True)
            with connection.begin():
                yield connection

    def truncate_log(self) -> None:
        """Bring the write-ahead log's content into the database and empty the log."""
        with self._faults(), self._writing, self._engine.connect() as connection:
            connection.connection.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)").close()

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()

    @contextmanager
    def _faults(self) -> Iterator[None]:
        try:
            yield
        except StatementError as fault:
            if isinstance(fault.orig, StoreError):
                raise fault.orig from fault
            code = getattr(fault.orig, "sqlite_errorcode", 0) & 0xFF
            raise StoreError(str(fault.orig), where=str(self.path), fix=FIXES.get(code, "")) from fault
        except PoolTimeoutError as fault:
            raise StoreError("every connection is taken", where=str(self.path), fix="ask less at once") from fault


def upsert(connection: Connection, table: Table) -> sqlite.Insert | postgresql.Insert:
    """Give an INSERT that knows `on_conflict_do_nothing` and `on_conflict_do_update` in this database."""
    if connection.dialect.name == "postgresql":
        return postgresql.insert(table)
    return sqlite.insert(table)


def _engine(path: Path) -> Engine:
    url = URL.create("sqlite", database=str(path))
    engine = create_engine(url, connect_args={"timeout": BUSY_SECONDS})
    event.listen(engine, "connect", _on_connect)
    event.listen(engine, "begin", _on_begin)
    return engine


def _on_connect(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
    # The driver must not begin transactions by itself: _on_begin does, and says which kind.
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in PRAGMAS:
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _on_begin(connection: Connection) -> None:
    immediate = connection.get_execution_options().get("immediate")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")
