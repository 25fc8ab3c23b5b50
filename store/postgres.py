"""What is Postgres' own: the address, its locks by name, and its words for what goes wrong."""

import hashlib

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import ConnectionPoolEntry

from domain.errors import StoreError

SCHEMES = frozenset({"postgresql", "postgres", "postgresql+psycopg"})

CONNECT_SECONDS = 5
"""How long a server may take to answer, where the URL has no connect_timeout of its own."""

LOCK_SECONDS = 10
"""How long a transaction waits for another's lock."""

POOL, OVERFLOW = 5, 15
"""Connections that are kept, and those that a busy moment adds; all replicas together share max_connections."""

FIXES = (
    ("password authentication failed", "the user or the password in FRONTDESK_DATABASE_URL is wrong"),
    ("no password supplied", "FRONTDESK_DATABASE_URL needs a password: postgresql://user:password@host/database"),
    ("could not translate host name", "no such host: check FRONTDESK_DATABASE_URL"),
    ("name or service not known", "no such host: check FRONTDESK_DATABASE_URL"),
    ("failed to resolve host", "no such host: check FRONTDESK_DATABASE_URL"),
    ("refused", "is the server running there, and does it take connections from here?"),
    ("timeout", "is the server reachable from here?"),
    ("no such file or directory", "is the server running there? its socket is missing"),
    ("too many clients", "raise max_connections, or put a connection pooler before it"),
    ("remaining connection slots", "raise max_connections, or put a connection pooler before it"),
    (
        "certificate verify failed",
        "the certificate has expired or is signed by nobody that sslrootcert in FRONTDESK_DATABASE_URL names",
    ),
    ("does not match host name", "ask the server by a name in its certificate, or have one made for this name"),
    ("root certificate file", "sslrootcert in FRONTDESK_DATABASE_URL must name the authority's PEM file"),
    ("ssl", "check sslmode and sslrootcert in FRONTDESK_DATABASE_URL against the server's TLS settings"),
    ("certificate", "check sslmode and sslrootcert in FRONTDESK_DATABASE_URL against the server's TLS settings"),
    ("lock timeout", "another process is writing: try again"),
    ("read-only", "FRONTDESK_DATABASE_URL must name the primary, not a standby"),
    ("permission denied", "grant this user CREATE and USAGE on the schema"),
    ("no space left", "free some space on the server's disk"),
    ("does not exist", "create the database and the user first: createdb, createuser"),
)
"""Parts of libpq's and the server's sentences, and what mends each; the first that fits counts."""


def parse(url: str) -> URL:
    """Read an address for this program's driver. Raises StoreError, never with a password in it."""
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError) as fault:
        raise _no_address(url.partition("://")[0]) from fault
    if parsed.drivername not in SCHEMES:
        raise _no_address(parsed.drivername)
    return parsed.set(drivername="postgresql+psycopg")


def open_engine(url: URL) -> Engine:
    """Give an engine; nothing is connected yet, and a connection that was cut is replaced unseen."""
    engine = create_engine(
        url,
        connect_args={} if "connect_timeout" in url.query else {"connect_timeout": CONNECT_SECONDS},
        pool_size=POOL,
        max_overflow=OVERFLOW,
        pool_pre_ping=True,
        execution_options={"preserve_rowcount": True},  # an INSERT that did nothing says so, as in SQLite
    )
    event.listen(engine, "connect", _on_connect)
    return engine


def lock(connection: Connection, name: str, seconds: int) -> None:
    """Wait until this transaction is the only one that holds `name`; its end gives it back."""
    if seconds != LOCK_SECONDS:
        connection.execute(text(f"SET LOCAL lock_timeout = '{seconds}s'"))
    connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": lock_key(name)})


def lock_key(name: str) -> int:
    """The 64 bits under which Postgres knows a lock of ours."""
    return int.from_bytes(hashlib.sha256(f"frontdesk {name}".encode()).digest()[:8], "big", signed=True)


def fix_of(fault: BaseException | None) -> str:
    """How to mend what the driver says; empty where nothing is known."""
    said = str(fault).lower()
    return next((fix for part, fix in FIXES if part in said), "")


def one_line(fault: BaseException | None) -> str:
    """The first line that says something: what follows it may quote the row."""
    return next((line.strip() for line in str(fault).splitlines() if line.strip()), type(fault).__name__)


def _on_connect(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
    cursor = connection.cursor()
    cursor.execute(f"SET lock_timeout = '{LOCK_SECONDS}s'")
    cursor.close()
    connection.commit()


def _no_address(scheme: str) -> StoreError:
    return StoreError(
        f"{scheme[:20]!r} is no address of a Postgres database",
        where="FRONTDESK_DATABASE_URL",
        fix="postgresql://user:password@host:5432/database",
    )
