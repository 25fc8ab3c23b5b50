"""One owner per folder, and no dead one."""

import fcntl
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from domain.errors import HomeInUseError, StoreError
from store import HomeLock, Owner, read_owner

OWNER = """
import sys
from pathlib import Path
from store import HomeLock
lock = HomeLock.acquire(Path(sys.argv[1]))
if len(sys.argv) > 2:
    lock.publish(sys.argv[2], sys.argv[3])
print("mine", flush=True)
sys.stdin.read()
"""


@contextmanager
def owner_elsewhere(folder: Path, *published: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", OWNER, str(folder), *published]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "mine\n"
            yield process
        finally:
            process.kill()


def test_an_owner_that_serves_is_named_with_its_address_and_token(tmp_path: Path) -> None:
    with owner_elsewhere(tmp_path, "http://127.0.0.1:8123", "a-token") as process:
        with pytest.raises(HomeInUseError) as caught:
            HomeLock.acquire(tmp_path)
        assert caught.value.address == "http://127.0.0.1:8123"
        assert "a-token" not in str(caught.value)
        assert read_owner(tmp_path) == Owner(process.pid, "http://127.0.0.1:8123", "a-token")


def test_an_owner_that_does_not_serve_must_be_waited_for(tmp_path: Path) -> None:
    with owner_elsewhere(tmp_path) as process:
        with pytest.raises(HomeInUseError) as caught:
            HomeLock.acquire(tmp_path)
        assert caught.value.address == ""
        assert (
            str(caught.value)
            == f"{tmp_path}: process {process.pid} owns this folder (wait until it is done, or stop it)"
        )


def test_a_killed_owner_does_not_block(tmp_path: Path) -> None:
    with owner_elsewhere(tmp_path, "http://127.0.0.1:8123", "a-token") as process:
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert read_owner(tmp_path) is None
        with HomeLock.acquire(tmp_path):
            assert read_owner(tmp_path) == Owner(os.getpid())


def test_what_is_released_is_free_and_forgotten(tmp_path: Path) -> None:
    folder = tmp_path / "home" / "shop"
    assert read_owner(folder) is None
    assert not folder.exists()
    lock = HomeLock.acquire(folder)
    lock.publish("http://127.0.0.1:1", "a-token")
    lock.publish("http://127.0.0.1:22222", "another")
    assert read_owner(folder) == Owner(os.getpid(), "http://127.0.0.1:22222", "another")
    lock.release()
    lock.release()
    assert read_owner(folder) is None
    assert (folder / "lock.json").read_bytes() == b""
    with HomeLock.acquire(folder), pytest.raises(HomeInUseError):
        HomeLock.acquire(folder)


def test_the_token_is_the_owner_s_alone_to_read(tmp_path: Path) -> None:
    (tmp_path / "lock.json").write_text("{}")
    (tmp_path / "lock.json").chmod(0o644)
    with HomeLock.acquire(tmp_path):
        assert (tmp_path / "lock.json").stat().st_mode & 0o777 == 0o600


def test_readers_never_keep_an_owner_out_nor_see_half_a_record(tmp_path: Path) -> None:
    done = threading.Event()
    seen: set[Owner | None] = set()

    def look() -> None:
        while not done.is_set():
            seen.add(read_owner(tmp_path))

    readers = [threading.Thread(target=look) for _ in range(2)]
    for reader in readers:
        reader.start()
    for number in range(100):
        with HomeLock.acquire(tmp_path) as lock:
            lock.publish(f"http://127.0.0.1:{number}" * 20, "token")
    done.set()
    for reader in readers:
        reader.join()
    assert {type(one) for one in seen} <= {type(None), Owner}
    assert {one.pid for one in seen if one} <= {0, os.getpid()}


def test_a_reader_only_delays_an_owner(tmp_path: Path) -> None:
    HomeLock.acquire(tmp_path).release()
    with (tmp_path / "lock.json").open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        leaving = threading.Timer(0.05, lambda: fcntl.flock(file, fcntl.LOCK_UN))
        leaving.start()
        with HomeLock.acquire(tmp_path):
            assert read_owner(tmp_path) == Owner(os.getpid())
        leaving.join()


@pytest.mark.parametrize("blocked", ["lock.json", "home"])
def test_a_folder_that_cannot_be_locked(tmp_path: Path, blocked: str) -> None:
    folder = tmp_path / "home"
    if blocked == "home":
        folder.write_text("a file")
    else:
        (folder / blocked).mkdir(parents=True)
    with pytest.raises(StoreError, match="cannot be locked") as caught:
        HomeLock.acquire(folder)
    assert str(folder) in str(caught.value)
    assert "\n" not in str(caught.value)
