"""Opening, migrating, losing power, running into broken files, and forgetting in time."""

import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from fakes import FrozenClock
from sqlalchemy import create_engine

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


def fails_in_one_line(folder: Path, *words: str) -> None:
    with pytest.raises(StoreError) as caught:
        Store.open(folder, FrozenClock(START)).ledger.recent(1000)
    line = str(caught.value)
    assert "\n" not in line
    for word in (str(folder), *words):
        assert word in line


def bytes_of(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.iterdir() if path.is_file())


@pytest.fixture
def used(tmp_path: Path) -> Path:
    """A folder whose store has been used and closed."""
    store = Store.open(tmp_path, FrozenClock(START))
    for number in range(200):
        store.ledger.save(receipt(f"turn-{number:04}", question="word " * 100))
    store.close()
    return tmp_path


def test_opens_in_a_folder_that_does_not_exist_and_finds_everything_again(tmp_path: Path) -> None:
    folder = tmp_path / "home" / "shop"
    store = Store.open(folder, FrozenClock(START))
    store.ledger.save(receipt("turn-1"))
    hashed = store.vault.user_hash("mai")
    store.close()
    again = Store.open(folder, FrozenClock(START))
    assert again.ledger.get("turn-1") == receipt("turn-1")
    assert again.vault.user_hash("mai") == hashed
    assert folder.stat().st_mode & 0o777 == 0o700
    again.close()


def test_migrations_end_in_the_declared_tables(tmp_path: Path) -> None:
    Store.open(tmp_path, FrozenClock(START)).close()
    engine = create_engine(f"sqlite:///{tmp_path / 'desk.sqlite3'}")
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []
        assert context.get_current_heads() == (HEAD,)
    engine.dispose()
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


def test_processes_that_open_a_new_folder_at_once_all_get_the_same_store(tmp_path: Path) -> None:
    program = f"""
from datetime import datetime, UTC
from pathlib import Path
from store import Store
class Clock:
    def now(self): return datetime(2026, 3, 1, tzinfo=UTC)
    def monotonic(self): return 0.0
print(Store.open(Path({str(tmp_path)!r}), Clock()).vault.user_hash("mai"))
"""
    running = [
        subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    said = [process.communicate() for process in running]
    assert [errors for _, errors in said] == ["", ""]
    assert len({out for out, _ in said}) == 1


def test_a_newer_database_is_left_alone(used: Path) -> None:
    with sqlite3.connect(used / "desk.sqlite3") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    fails_in_one_line(used, "9999", HEAD)


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


def test_kill_9_in_the_middle_of_saves_loses_nothing_that_was_committed(tmp_path: Path) -> None:
    program = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from pathlib import Path
from test_store import FrozenClock, receipt
from store import Store
store = Store.open(Path({str(tmp_path)!r}), FrozenClock())
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
    store = Store.open(tmp_path, FrozenClock(START))
    for number in range(last + 1):
        assert store.ledger.get(f"turn-{number}") == receipt(f"turn-{number}")
    turns = store.ledger.totals(START).turns
    assert last + 1 <= turns <= last + 2
    assert store.ledger.totals(START).cost_microusd == 7 * turns
    store.close()


def test_purge_removes_what_is_old_and_the_books_still_add_up(tmp_path: Path) -> None:
    clock = FrozenClock(START)
    store = Store.open(tmp_path, clock)

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
    assert b"summary of old" in bytes_of(tmp_path)
    purged = store.purge(before)
    assert (purged.receipts, purged.feedback, purged.tickets, purged.vault, purged.threads) == (2, 2, 2, 1, 1)
    for lost in ("question of old", "comment on old", "summary of old", "question of used-again"):
        assert lost.encode() not in bytes_of(tmp_path)
    with pytest.raises(NotFoundError):
        store.ledger.get("old")
    assert store.ledger.get("new").question == "question of new"
    assert store.vault.read("thread-of-used-again") == {"<EMAIL_1>": "mai@example.com"}
    assert store.vault.read("thread-of-old") == {}
    after = store.ledger.totals(START - timedelta(days=1))
    assert (after.cost_microusd, after.calls, after.turns) == (books.cost_microusd, 3, 1)
    store.close()
    with sqlite3.connect(tmp_path / "desk.sqlite3") as connection:
        whose = connection.execute("SELECT user_hash, error FROM calls ORDER BY id").fetchall()
    connection.close()
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
