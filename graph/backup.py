"""A desk's memory in one file, and back: receipts, books, vault, tickets, conversations, every kept version of the knowledge.

The file is the same wherever the desk lies, so that one may be made of files and brought into Postgres and Chroma, or
the other way. The vault's key is not in it: who holds both can read customers' data.
"""

import asyncio
import hashlib
import json
import os
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from domain.errors import StoreError
from domain.settings import Settings
from graph.moving import CONVERSATIONS, move_threads, vault_key_of
from graph.profiles import find_desk
from graph.rooms import chroma_place
from graph.service import Service
from graph.system import SystemClock
from graph.threads import FILE as THREADS
from graph.threads import open_saver
from retrieval.saving import restore_knowledge
from store import HomeLock, Store
from store.db import FILE, migrate
from store.migrate import HEAD
from store.move import check_empty, count_rows, move_rows
from store.sqlite import save_copy

FORMAT = 1
MANIFEST = "manifest.json"
KNOWLEDGE = "knowledge"
FOLDER = "backups"
STATE = (FILE, THREADS, KNOWLEDGE)
LOGS = ("-wal", "-shm")
BLOCK = 1 << 20
COMPRESSION = 3
"""Of 9: twice as fast as the usual 6, and a tenth larger."""

Json = dict[str, Any]
Tell = Callable[[str, int], None]


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup is of. `tables`: the number of the last migration; `files`: SHA-256 by path."""

    format: int
    frontdesk: str
    desk: str
    made_at: str
    tables: str
    knowledge: str
    rows: dict[str, int]
    files: dict[str, str]


async def backup(service: Service, *, who: str = "operator") -> Json:
    """Put the whole memory of a running desk into a new file of its folder's `backups`; where it is, and what is in it.

    Conversations first, then the rest: no conversation is in it whose secrets are not.
    """
    made_at = service.clock.now()
    name = f"{service.desk_folder.name}-{made_at:%Y%m%dT%H%M%S}.tar.gz"
    target = service.state_folder / FOLDER / name
    with _aside(service.state_folder) as folder:
        rows = {CONVERSATIONS: await _save_threads(service, folder)}
        rows |= await asyncio.to_thread(_save_rows, service, folder)
        await service.knowledge.save(folder / KNOWLEDGE)
        manifest = Manifest(
            FORMAT,
            version("frontdesk"),
            service.desk_folder.name,
            made_at.isoformat(timespec="seconds"),
            HEAD,
            service.knowledge.version,
            rows,
            await asyncio.to_thread(_hashes, folder),
        )
        (folder / MANIFEST).write_text(json.dumps(asdict(manifest), indent=1), "utf-8")
        await asyncio.to_thread(_pack, folder, target)
    told = {
        "file": str(target),
        "bytes": target.stat().st_size,
        "rows": sum(rows.values()),
        "knowledge": manifest.knowledge,
    }
    await asyncio.to_thread(service.store.audit.record, who, "backup", None, told)
    return told | {"key": _where_the_key_is(service)}


async def restore(settings: Settings, file: Path, *, force: bool, tell: Tell) -> Manifest:
    """Make a desk's memory what it was when `file` was made.

    In files what is there is refused, or with `force` moved aside into `replaced-…`; a database and a Chroma server
    must be empty. Raises StoreError, HomeInUseError while the desk is served, with the desk as it was.
    """
    state = settings.home / find_desk(settings.desk).name
    url, clock = settings.database_url.get_secret_value(), SystemClock()
    async with AsyncExitStack() as opened:
        opened.enter_context(await asyncio.to_thread(HomeLock.acquire, state))
        folder = opened.enter_context(_aside(state))
        manifest = await asyncio.to_thread(_unpack, file, folder)
        key = settings.vault_key.get_secret_value() or await asyncio.to_thread(vault_key_of, state)
        # Migrated, and opened with the key, before anything of the desk is touched.
        store = await asyncio.to_thread(Store.open, folder, clock, vault_key=key)
        await asyncio.to_thread(store.audit.record, "operator", "restore", None, {"file": file.name})
        await asyncio.to_thread(store.close)
        there = [name for name in STATE if (state / name).exists()]
        if there and not force:
            fix = "pass --force: it is moved aside, not deleted"
            raise StoreError(f"there is a desk already: {', '.join(there)}", where=str(state), fix=fix)
        if url:
            await asyncio.to_thread(_check_target, state, url, key)
        server = chroma_place(settings, find_desk(settings.desk))
        await asyncio.to_thread(restore_knowledge, folder / KNOWLEDGE, folder / "built", clock, server)
        if url:
            await _bring_rows(folder, url, tell)
        if there:
            await asyncio.to_thread(_set_aside, state, f"replaced-{clock.now():%Y%m%dT%H%M%S}", there)
        await asyncio.to_thread(_put_in_place, folder, state, rows=not url, knowledge=server is None)
    return manifest


async def _save_threads(service: Service, folder: Path) -> int:
    url = service.settings.database_url.get_secret_value()
    async with AsyncExitStack() as opened:
        if not url:
            await asyncio.to_thread(save_copy, service.state_folder / THREADS, folder / THREADS)
            return sum([1 async for _ in (await open_saver(folder, opened)).alist(None)])
        old, new = await open_saver(folder, opened, url), await open_saver(folder, opened)
        return await move_threads(old, new)


def _save_rows(service: Service, folder: Path) -> dict[str, int]:
    url = service.settings.database_url.get_secret_value()
    if not url:
        save_copy(service.state_folder / FILE, folder / FILE)
        return count_rows(folder / FILE)
    migrate(folder)
    return move_rows(url, folder / FILE, lambda _table, _rows: None, key_too=True)


async def _bring_rows(folder: Path, url: str, tell: Tell) -> None:
    async with AsyncExitStack() as opened:
        old, new = await open_saver(folder, opened), await open_saver(folder, opened, url)
        tell(CONVERSATIONS, await move_threads(old, new))
    await asyncio.to_thread(move_rows, folder / FILE, url, tell)


def _check_target(state: Path, url: str, key: str) -> None:
    Store.open(state, SystemClock(), url=url, vault_key=key).close()
    check_empty(url)


@contextmanager
def _aside(state: Path) -> Iterator[Path]:
    """A folder on the same disk, gone afterwards. Raises StoreError for a disk that is full or read-only."""
    try:
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".aside-", dir=state) as folder:
            yield Path(folder)
    except OSError as fault:
        what = f"the disk does not take it: {fault.strerror or fault}"
        raise StoreError(what, where=str(state), fix="free some space, or make the folder writable") from fault


def _hashes(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): _sha256(path) for path in sorted(folder.rglob("*")) if path.is_file()}


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _pack(folder: Path, target: Path) -> None:
    target.parent.mkdir(mode=0o700, exist_ok=True)
    part = target.with_suffix(".part")
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as stream:
        with tarfile.open(fileobj=stream, mode="w:gz", compresslevel=COMPRESSION) as archive:
            # The manifest first: what is in it can be told without reading all of it.
            for path in (folder / MANIFEST, *sorted(folder.rglob("*"))):
                if path.is_file() and (path.name != MANIFEST or path == folder / MANIFEST):
                    archive.add(path, str(path.relative_to(folder)))
        stream.flush()
        os.fsync(stream.fileno())
    part.replace(target)


def _unpack(file: Path, folder: Path) -> Manifest:
    """Raises StoreError for a file that is no backup, is damaged, or is of a newer Frontdesk."""
    try:
        with tarfile.open(file, "r:gz") as archive:
            archive.extractall(folder, filter="data")
        manifest = Manifest(**json.loads((folder / MANIFEST).read_text("utf-8")))
    except FileNotFoundError as fault:
        raise StoreError("there is no such file, or it is no backup", where=str(file)) from fault
    except (tarfile.TarError, EOFError, ValueError, TypeError, OSError) as fault:
        raise StoreError(f"no backup, or cut off: {fault}", where=str(file), fix="take another one") from fault
    if manifest.format != FORMAT or manifest.tables > HEAD:
        what = f"a backup of Frontdesk {manifest.frontdesk} (tables {manifest.tables}), this one knows {HEAD}"
        raise StoreError(what, where=str(file), fix="restore it with that version")
    (folder / MANIFEST).unlink()
    if _hashes(folder) != manifest.files:
        raise StoreError("the backup is damaged: a file in it is not what was put in", where=str(file))
    return manifest


def _set_aside(state: Path, name: str, there: list[str]) -> None:
    (state / name).mkdir(mode=0o700)
    for each in (*there, *(file + log for file in (FILE, THREADS) for log in LOGS)):
        if (state / each).exists():
            (state / each).rename(state / name / each)


def _put_in_place(folder: Path, state: Path, *, rows: bool, knowledge: bool) -> None:
    if knowledge:
        (folder / "built").rename(state / KNOWLEDGE)
    if rows:
        # The store last: it is what makes the desk be there.
        for name in (THREADS, FILE):
            (folder / name).rename(state / name)


def _where_the_key_is(service: Service) -> str:
    if service.settings.vault_key.get_secret_value():
        return "FRONTDESK_VAULT_KEY"
    return str(service.state_folder / "vault.key")
