"""What is SQLite's own: the file, its pragmas, its two kinds of transaction, and its words for what goes wrong."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL
from sqlalchemy.engine.interfaces import DBAPIConnection
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


def open_engine(path: Path) -> Engine:
    """Give an engine over one file, which the first connection makes."""
    engine = create_engine(URL.create("sqlite", database=str(path)), connect_args={"timeout": BUSY_SECONDS})
    event.listen(engine, "connect", _on_connect)
    event.listen(engine, "begin", _on_begin)
    return engine


def save_copy(path: Path, target: Path) -> None:
    """Write one state of a database that may be in use into a new file. Raises StoreError."""
    try:
        with closing(sqlite3.connect(path, timeout=BUSY_SECONDS)) as old, closing(sqlite3.connect(target)) as new:
            old.backup(new)
            # One file, whole: a write-ahead log beside it would have to come along.
            new.execute("PRAGMA journal_mode=DELETE")
    except sqlite3.Error as fault:
        raise StoreError(f"the database cannot be copied: {fault}", where=str(path), fix=fix_of(fault)) from fault


def fix_of(fault: BaseException | None) -> str:
    """How to mend what the driver says; empty where nothing is known."""
    return FIXES.get(getattr(fault, "sqlite_errorcode", 0) & 0xFF, "")


def _on_connect(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
    # The driver must not begin transactions by itself: _on_begin does, and says which kind.
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in PRAGMAS:
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _on_begin(connection: Connection) -> None:
    immediate = connection.get_execution_options().get("immediate")
    driver: Any = connection.connection.driver_connection
    driver.execute("BEGIN IMMEDIATE" if immediate else "BEGIN")
