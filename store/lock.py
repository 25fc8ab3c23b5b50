"""One owner per desk folder. The operating system holds the lock, so that a dead owner never blocks."""

import fcntl
import json
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from domain.errors import HomeInUseError, StoreError

FILE = "lock.json"

RECORD = 4096
"""Bytes of the file: written at once and padded, so that a reader never sees half of it."""

ATTEMPTS = 200
PAUSE = 0.005
"""Seconds between attempts to become the owner while readers look who is."""


@dataclass(frozen=True, slots=True)
class Owner:
    """The process that owns a folder. `address` is its URL if it serves, `token` opens it to local commands."""

    pid: int
    address: str = ""
    token: str = ""


class HomeLock:
    """The ownership of a folder. A fork shares it, a program that is started does not."""

    def __init__(self, handle: int) -> None:
        self._handle = handle

    @classmethod
    def acquire(cls, folder: Path) -> Self:
        """Become the folder's owner.

        Raises HomeInUseError with the owner's address (its token: `read_owner`), StoreError if the folder is unusable.
        """
        handle = _open(folder, os.O_RDWR | os.O_CREAT)
        if not _try_lock(handle):
            owner = _read(handle)
            os.close(handle)
            raise _in_use(folder, owner)
        lock = cls(handle)
        try:
            os.fchmod(handle, 0o600)
            lock.publish("", "")
        except OSError as fault:
            lock.release()
            raise _unusable(folder, fault) from fault
        return lock

    def publish(self, address: str, token: str) -> None:
        """Tell other processes where this one serves and how they prove that they are local."""
        _write(self._handle, Owner(os.getpid(), address, token))

    def release(self) -> None:
        """Give the folder back; twice is as good as once."""
        if self._handle >= 0:
            # The file stays: removing it would let two processes lock two files of one name.
            os.ftruncate(self._handle, 0)
            os.close(self._handle)
            self._handle = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def read_owner(folder: Path) -> Owner | None:
    """Give the living owner of a folder; None when nobody owns it. Raises StoreError if that cannot be found out."""
    if not (folder / FILE).exists():
        return None
    handle = _open(folder, os.O_RDONLY)
    try:
        return None if _flock(handle, fcntl.LOCK_SH) else _read(handle)
    finally:
        os.close(handle)


def _open(folder: Path, flags: int) -> int:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return os.open(folder / FILE, flags | os.O_CLOEXEC, 0o600)
    except OSError as fault:
        raise _unusable(folder, fault) from fault


def _try_lock(handle: int) -> bool:
    for _ in range(ATTEMPTS):
        if _flock(handle, fcntl.LOCK_EX):
            return True
        if not _flock(handle, fcntl.LOCK_SH):
            return False
        # Nobody owns the folder: only a `read_owner` elsewhere is looking.
        fcntl.flock(handle, fcntl.LOCK_UN)
        time.sleep(PAUSE)
    return False


def _flock(handle: int, kind: int) -> bool:
    try:
        fcntl.flock(handle, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _write(handle: int, owner: Owner) -> None:
    os.pwrite(handle, json.dumps(asdict(owner)).encode().ljust(RECORD), 0)


def _read(handle: int) -> Owner:
    record = os.pread(handle, RECORD, 0).strip()
    return Owner(**json.loads(record)) if record else Owner(0)


def _in_use(folder: Path, owner: Owner) -> HomeInUseError:
    return HomeInUseError(
        f"process {owner.pid} owns this folder",
        where=str(folder),
        fix=f"go through {owner.address}" if owner.address else "wait until it is done, or stop it",
        address=owner.address,
    )


def _unusable(folder: Path, fault: OSError) -> StoreError:
    return StoreError(
        f"the folder cannot be locked: {fault.strerror}",
        where=str(folder / FILE),
        fix="make it writable for this user, or set FRONTDESK_HOME",
    )
