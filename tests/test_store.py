"""Opening, migrating, losing power, running into broken files, and forgetting in time."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from fakes import FrozenClock
from places import KINDS, Kind, Place, PostgresServer

from domain.errors import NotFoundError, SettingsError, StoreError
from domain.receipt import Receipt
from domain.turn import Call
from store import Store
from store.migrate import HEAD, MIGRATIONS
from store.tables import metadata

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
NOBODY = 65534


def receipt(turn_id: str, at: datetime = START, question: str = "Where is <ORDER_1>?", cost: int = 7) -> Receipt:
    call = Call("generate", "some-model", ok=True, input_tokens=10, output_tokens=5, cost_microusd=cost, error="late")
    return Receipt(
        turn_id=turn_id,
        thread_id=f"thread-of-{turn_id}",
        trace_id="trace",
        desk="shop",
        user="ab" * 16,
        at=at.isoformat(),
        language="en",
        outcome="answer",
        reason=None,
        question=question,
        answer="It is on its way.",
        release="r1",
        rag_config="c1",
        knowledge="k1",
        latency_ms=12.5,
        calls=[call],
    )


def fails_in_one_line(folder: Path, *words: str, url: str = "") -> None:
    with pytest.raises(StoreError) as caught:
        Store.open(folder, FrozenClock(START), url=url).ledger.recent(1000)
    line = str(caught.value)
    assert "\n" not in line
    for word in words if url else (str(folder), *words):
        assert word in line


@pytest.fixture
def used(tmp_path: Path) -> Path:
    """A folder whose store has been used and closed."""
    store = Store.open(tmp_path, FrozenClock(START))
    for number in range(200):
        store.ledger.save(receipt(f"turn-{number:04}", question="word " * 100))
    store.close()
    return tmp_path


def test_opens_in_a_folder_that_does_not_exist_and_finds_everything_again(place: Place) -> None:
    place.folder = folder = place.folder / "home" / "shop"
    store = place.open()
    store.ledger.save(receipt("turn-1"))
    hashed = store.vault.user_hash("mai")
    store.close()
    again = place.open()
    assert again.ledger.get("turn-1") == receipt("turn-1")
    assert again.vault.user_hash("mai") == hashed
    assert folder.stat().st_mode & 0o777 == 0o700


def test_migrations_end_in_the_declared_tables(place: Place) -> None:
    store = place.open()
    with store._database.read() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []
        assert context.get_current_heads() == (HEAD,)
    assert ScriptDirectory(MIGRATIONS, version_locations=[MIGRATIONS]).get_current_head() == HEAD


def test_a_store_that_is_up_to_date_opens_without_alembic(used: Path) -> None:
    program = f"""
import sys
from datetime import datetime, UTC
from pathlib import Path
from store import Store
class Clock:
    def now(self): return datetime(2026, 3, 1, tzinfo=UTC)
    def monotonic(self): return 0.0
store = Store.open(Path({str(used)!r}), Clock())
print(len(store.ledger.recent(1000)), "alembic" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["200", "False"]


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_processes_that_open_a_new_store_at_once_all_get_the_same(
    kind: Kind, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    url = request.getfixturevalue("postgres").empty() if kind == "postgres" else ""
    program = f"""
from datetime import datetime, UTC
from pathlib import Path
from store import Store
class Clock:
    def now(self): return datetime(2026, 3, 1, tzinfo=UTC)
    def monotonic(self): return 0.0
print(Store.open(Path({str(tmp_path)!r}), Clock(), url={url!r}).vault.user_hash("mai"))
"""
    running = [
        subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    said = [process.communicate() for process in running]
    assert [errors for _, errors in said] == [""] * 3
    assert len({out for out, _ in said}) == 1


def test_a_newer_database_is_left_alone(place: Place) -> None:
    place.open().close()
    place.sql("UPDATE alembic_version SET version_num = '9999'")
    fails_in_one_line(place.folder, "9999", HEAD, url=place.url)


@pytest.mark.parametrize("kind", KINDS)
def test_a_migration_that_was_cut_off_leaves_nothing_and_runs_again(
    kind: Kind, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    place = Place(tmp_path, request.getfixturevalue("postgres").empty() if kind == "postgres" else "")
    # What a later migration wants to make is in the way: the first has run by then, in the same transaction.
    place.sql("CREATE TABLE budget_limits (x INTEGER)")
    fails_in_one_line(tmp_path, "budget_limits", url=place.url)
    place.sql("DROP TABLE budget_limits")
    place.open().ledger.save(receipt("turn-1"))
    assert place.sql("SELECT version_num FROM alembic_version") == [(HEAD,)]
    place.close()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("user=postgres", "user=nobody_here"), ("nobody_here", "create")),
        (("/desk", "/no_such_desk"), ("no_such_desk", "does not exist")),
        (("?host=", "?host=/no/such/place&x="), ("invalid",)),
    ],
    ids=["user", "database", "option"],
)
def test_an_address_that_leads_nowhere(
    postgres: PostgresServer, tmp_path: Path, change: tuple[str, str], words: tuple[str, ...]
) -> None:
    url = postgres.url("desk").replace("postgresql://postgres:@/", "postgresql:///") + "&user=postgres"
    fails_in_one_line(tmp_path, *words, url=url.replace(*change))


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("postgresql://u:hidden@127.0.0.1:1/desk", ("127.0.0.1", "refused", "running")),
        ("postgresql://u:hidden@127.0.0.1:1/desk?sslmode=nonsense", ("sslmode",)),
        ("mysql://u:hidden@127.0.0.1/desk", ("mysql", "FRONTDESK_DATABASE_URL", "postgresql://")),
        ("nonsense", ("nonsense", "FRONTDESK_DATABASE_URL")),
        ("postgresql://u:hidden@127.0.0.1:port/desk", ("FRONTDESK_DATABASE_URL",)),
    ],
    ids=["nobody", "tls-mode", "mysql", "nonsense", "port"],
)
def test_a_wrong_address_is_refused_without_its_password(tmp_path: Path, url: str, words: tuple[str, ...]) -> None:
    with pytest.raises(StoreError) as caught:
        Store.open(tmp_path, FrozenClock(START), url=url)
    line = str(caught.value)
    assert "\n" not in line
    assert "hidden" not in line
    for word in words:
        assert word in line


def test_a_server_that_speaks_no_tls(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, ThreadPoolExecutor(1) as pool:

        def refuse() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(8)
                connection.sendall(b"N")

        pool.submit(refuse)
        url = f"postgresql://u:hidden@127.0.0.1:{server.getsockname()[1]}/desk?sslmode=require"
        fails_in_one_line(tmp_path, "SSL", "sslmode", url=url)


@pytest.mark.parametrize("share", [0, 0.1, 0.5, 0.9])
def test_a_database_that_was_cut_off(used: Path, share: float) -> None:
    path = used / "desk.sqlite3"
    os.truncate(path, int(path.stat().st_size * share))
    fails_in_one_line(used, "restore a backup")


def test_a_database_of_garbage(tmp_path: Path) -> None:
    (tmp_path / "desk.sqlite3").write_bytes(b"no database at all, " * 1000)
    fails_in_one_line(tmp_path, "restore a backup")


def test_damage_behind_a_whole_header(used: Path) -> None:
    path = used / "desk.sqlite3"
    content = path.read_bytes()
    path.write_bytes(content[:4096] + b"\xff" * (len(content) - 4096))
    fails_in_one_line(used)


def test_a_folder_in_the_database_s_place(tmp_path: Path) -> None:
    (tmp_path / "desk.sqlite3").mkdir()
    fails_in_one_line(tmp_path, "move it away")


def test_a_file_in_the_folder_s_place(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("a file")
    fails_in_one_line(tmp_path / "home", "FRONTDESK_HOME")


@pytest.fixture
def outer_folder() -> Iterator[Path]:
    """A folder that every user can enter, which pytest's own is not."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


@contextmanager
def as_plain_user(folder: Path) -> Iterator[None]:
    """Put `folder` in the power of a user for whom permissions count (root is lent another name)."""
    root = os.geteuid() == 0
    folder.chmod(0o755)
    if root:
        for path in (folder, *folder.iterdir()):
            os.chown(path, NOBODY, -1)
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        folder.chmod(0o755)
        if root:
            os.seteuid(0)


def test_a_read_only_folder(outer_folder: Path) -> None:
    folder = outer_folder / "home"
    folder.mkdir()
    with as_plain_user(folder):
        folder.chmod(0o555)
        fails_in_one_line(folder, "writable")


def test_a_store_that_became_read_only(outer_folder: Path) -> None:
    folder = outer_folder / "home"
    # Made before the privileges are dropped: the migrations may lie in a folder that only root can read.
    Store.open(folder, FrozenClock(START)).close()
    with as_plain_user(folder):
        for path in folder.iterdir():
            path.chmod(0o444)
        folder.chmod(0o555)
        fails_in_one_line(folder, "writable")


@pytest.mark.slow
def test_kill_9_in_the_middle_of_saves_loses_nothing_that_was_committed(place: Place) -> None:
    program = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from pathlib import Path
from test_store import FrozenClock, receipt
from store import Store
store = Store.open(Path({str(place.folder)!r}), FrozenClock(), url={place.url!r})
for number in range(1_000_000):
    store.ledger.save(receipt(f"turn-{{number}}"))
    print(number, flush=True)
"""
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        for _ in range(60):
            running.stdout.readline()
        running.send_signal(signal.SIGKILL)
        last = 59 + len([line for line in running.stdout.read().split("\n") if line])
    store = place.open()
    for number in range(last + 1):
        assert store.ledger.get(f"turn-{number}") == receipt(f"turn-{number}")
    turns = store.ledger.totals(START).turns
    assert last + 1 <= turns <= last + 2
    assert store.ledger.totals(START).cost_microusd == 7 * turns


def test_purge_removes_what_is_old_and_the_books_still_add_up(place: Place) -> None:
    clock = FrozenClock(START)
    store = place.open(clock)

    def a_turn(name: str) -> None:
        store.ledger.save(receipt(name, clock.now(), question=f"question of {name}"))
        store.threads.claim(f"thread-of-{name}", "user")
        store.vault.write(f"thread-of-{name}", {"<EMAIL_1>": "mai@example.com"})
        store.tickets.open(f"thread-of-{name}", name, "user", department="d", reason="r", summary=f"summary of {name}")
        store.feedback.add(name, "down", f"comment on {name}")

    a_turn("old")
    a_turn("used-again")
    clock.moment += timedelta(days=91)
    a_turn("new")
    store.threads.claim("thread-of-used-again", "user")
    before = clock.now() - timedelta(days=90)
    books = store.ledger.totals(START - timedelta(days=1))
    assert b"summary of old" in place.content()
    purged = store.purge(before)
    assert (purged.receipts, purged.feedback, purged.tickets, purged.vault, purged.threads) == (2, 2, 2, 1, 1)
    for lost in ("question of old", "comment on old", "summary of old", "question of used-again"):
        assert lost.encode() not in place.content()
    with pytest.raises(NotFoundError):
        store.ledger.get("old")
    assert store.ledger.get("new").question == "question of new"
    assert store.vault.read("thread-of-used-again") == {"<EMAIL_1>": "mai@example.com"}
    assert store.vault.read("thread-of-old") == {}
    after = store.ledger.totals(START - timedelta(days=1))
    assert (after.cost_microusd, after.calls, after.turns) == (books.cost_microusd, 3, 1)
    whose = place.sql("SELECT user_hash, error FROM calls ORDER BY id")
    assert whose == [("", ""), ("", ""), ("ab" * 16, "late")]


def test_another_key_does_not_open_the_store(tmp_path: Path) -> None:
    Store.open(tmp_path, FrozenClock(START), vault_key="a key of the operator").close()
    fails_in_one_line(tmp_path, "vault.key", "missing")
    with pytest.raises(StoreError, match="not the one"):
        Store.open(tmp_path, FrozenClock(START), vault_key="another key altogether")
    with pytest.raises(SettingsError, match="shorter than 16"):
        Store.open(tmp_path, FrozenClock(START), vault_key="short")
    Store.open(tmp_path, FrozenClock(START), vault_key="a key of the operator").close()


@pytest.mark.parametrize(
    "content", [b"", b"!", b"c2hvcnQ=", b"\xff\xfe\x00" * 20], ids=["empty", "sign", "short", "bytes"]
)
def test_a_damaged_key_file(used: Path, content: bytes) -> None:
    (used / "vault.key").write_bytes(content)
    fails_in_one_line(used, "damaged")


def test_a_lost_key_file_is_not_replaced(used: Path) -> None:
    (used / "vault.key").unlink()
    fails_in_one_line(used, "missing")
    assert not (used / "vault.key").exists()
