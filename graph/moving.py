"""A desk's memory on its way: migrated to the newest version, or moved from files to Postgres."""

import asyncio
from collections import defaultdict
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path

from domain.errors import StoreError
from domain.settings import Settings
from graph.profiles import find_desk
from graph.system import SystemClock
from graph.threads import FILE as THREADS
from graph.threads import Saver, open_saver
from store import HomeLock, Store
from store.db import FILE, migrate
from store.move import move_rows
from store.vault import CONTENT, KEY_FILE

CONVERSATIONS = "checkpoints"

Tell = Callable[[str, int], None]


async def migrate_desk(settings: Settings) -> tuple[str, str]:
    """Bring a desk's database to this version's tables: the number found (empty: a new one), and that of now."""
    folder = settings.home / find_desk(settings.desk).name
    return await asyncio.to_thread(migrate, folder, settings.database_url.get_secret_value())


async def move_desk(settings: Settings, url: str, tell: Tell) -> dict[str, int]:
    """Copy a desk from its files to the empty database at `url`; rows by table, and checkpoints.

    The files stay as they are. Raises StoreError, with nothing of the store written, when the target holds anything;
    HomeInUseError while the desk is served.
    """
    folder = settings.home / find_desk(settings.desk).name
    if not (folder / FILE).exists():
        raise StoreError("there is no desk in files here", where=str(folder), fix="set FRONTDESK_HOME or --desk")
    async with AsyncExitStack() as opened:
        opened.enter_context(await asyncio.to_thread(HomeLock.acquire, folder))
        key = settings.vault_key.get_secret_value() or await asyncio.to_thread(vault_key_of, folder)
        for target in ("", url):
            store = await asyncio.to_thread(Store.open, folder, SystemClock(), url=target, vault_key=key)
            await asyncio.to_thread(store.close)
        old, new = await open_saver(folder, opened), await open_saver(folder, opened, url)
        # Conversations first, each as often as need be: only a store that is whole makes the move done.
        count = await move_threads(old, new) if (folder / THREADS).exists() else 0
        tell(CONVERSATIONS, count)
        return {CONVERSATIONS: count} | await asyncio.to_thread(move_rows, folder / FILE, url, tell)


def vault_key_of(folder: Path) -> str:
    """The key file of a desk as FRONTDESK_VAULT_KEY takes it. Raises StoreError."""
    try:
        return CONTENT + (folder / KEY_FILE).read_text("ascii").strip()
    except (OSError, UnicodeDecodeError) as fault:
        raise StoreError(
            "the vault's key is not here",
            where=str(folder / KEY_FILE),
            fix="put the key file there that belongs to it, or set FRONTDESK_VAULT_KEY",
        ) from fault


async def move_threads(old: Saver, new: Saver) -> int:
    """Copy every checkpoint with what was written to it, the earlier ones of a thread first."""
    kept = [one async for one in old.alist(None)]
    for one in reversed(kept):
        place = one.config["configurable"]
        before = one.parent_config["configurable"]["checkpoint_id"] if one.parent_config else None
        config = {"thread_id": place["thread_id"], "checkpoint_ns": place["checkpoint_ns"]}
        await new.aput(
            {"configurable": config | ({"checkpoint_id": before} if before else {})},
            one.checkpoint,
            one.metadata,
            one.checkpoint["channel_versions"],
        )
        written = defaultdict(list)
        for task, channel, value in one.pending_writes or []:
            written[task].append((channel, value))
        for task, writes in written.items():
            await new.aput_writes({"configurable": config | {"checkpoint_id": place["checkpoint_id"]}}, writes, task)
    return len(kept)
