"""Where conversations are kept between turns: LangGraph's own savers, on SQLite or Postgres."""

import asyncio
import json
import re
import sqlite3
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack
from itertools import islice
from pathlib import Path
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    BaseCheckpointSaver,
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
)
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.checkpoint.sqlite import SqliteSaver

from domain.errors import StoreError
from domain.turn import Call, Handoff, Message, Passage, Score, Source, Step, Verdict

FILE = "threads.sqlite3"

KEPT = (Call, Handoff, Message, Passage, Score, Source, Step, Verdict)
"""The values of ours that a checkpoint may hold; it reads back nothing else."""

POOL = 8
"""Connections of one process to Postgres for conversations; the saver takes one at a time."""

CONNECT_SECONDS = 10.0
SETUP_LOCK = 5_042_137_713
"""The number of the advisory lock under which one process at a time makes the saver's tables."""
PAUSE = 0.1
AT_ONCE = 100
"""Checkpoints that are read in one go."""

NUL = re.compile(r"(?<!\\)((?:\\\\)*)\\u0000")

Saver = BaseCheckpointSaver[str]


class FileSaver(SqliteSaver):
    """LangGraph's saver for one file, each of its calls in a thread.

    Its own asynchronous one sends every statement to a thread by itself, seven a turn, and packs what is kept in the
    event loop.
    """

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """The newest checkpoint of a thread, or the one that `config` names."""
        return await asyncio.to_thread(self.get_tuple, config)

    async def alist(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,  # noqa: A002  # the library's name
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[CheckpointTuple]:
        """Checkpoints, newest first. Nothing else is read or written until the last has been taken."""
        every: Iterator[CheckpointTuple] = self.list(config, filter=filter, before=before, limit=limit)
        while some := await asyncio.to_thread(lambda: list(islice(every, AT_ONCE))):
            for one in some:
                yield one

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """Keep a checkpoint."""
        return await asyncio.to_thread(self.put, config, checkpoint, metadata, new_versions)

    async def aput_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        """Keep what a step has written."""
        await asyncio.to_thread(self.put_writes, config, writes, task_id, task_path)

    async def adelete_thread(self, thread_id: str) -> None:
        """Forget a thread."""
        await asyncio.to_thread(self.delete_thread, thread_id)

    def scrub(self) -> None:
        """Empty the write-ahead log into the file. Blocking."""
        with self.lock:
            self.conn.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def close(self) -> None:
        """Close the file, after what is being kept at this moment. Blocking."""
        with self.lock:
            self.conn.close()


async def open_saver(folder: Path, opened: AsyncExitStack, url: str = "") -> Saver:
    """Open the conversations in the Postgres at `url`, or in `folder/threads.sqlite3` without one.

    Raises StoreError. `opened` closes it.
    """
    serializer = JsonPlusSerializer(allowed_msgpack_modules=KEPT)
    return await (_in_postgres(url, opened, serializer) if url else _in_file(folder / FILE, opened, serializer))


async def scrub(saver: Saver) -> None:
    """Overwrite on the disk what was deleted; a Postgres server does so by itself."""
    if isinstance(saver, FileSaver):
        await asyncio.to_thread(saver.scrub)


async def _in_file(path: Path, opened: AsyncExitStack, serializer: JsonPlusSerializer) -> Saver:
    saver = await asyncio.to_thread(_open_file, path, serializer)
    opened.push_async_callback(asyncio.to_thread, saver.close)
    return saver


def _open_file(path: Path, serializer: JsonPlusSerializer) -> FileSaver:
    try:
        connection = sqlite3.connect(path, check_same_thread=False)
        saver = FileSaver(connection, serde=serializer)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.execute("PRAGMA secure_delete=ON")  # what a user has removed must not lie on in free pages
        saver.setup()
    except sqlite3.Error as fault:
        raise StoreError(
            f"the conversations cannot be opened: {fault}",
            where=str(path),
            fix="restore a backup, or move the file away to start without earlier conversations",
        ) from fault
    return saver


async def _in_postgres(url: str, opened: AsyncExitStack, serializer: JsonPlusSerializer) -> Saver:
    # 0.2 s that a desk in files need not pay.
    import psycopg  # noqa: PLC0415
    from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver  # noqa: PLC0415
    from psycopg.rows import dict_row  # noqa: PLC0415
    from psycopg_pool import AsyncConnectionPool, PoolTimeout  # noqa: PLC0415

    pool = AsyncConnectionPool(
        url,
        open=False,
        min_size=1,
        max_size=POOL,
        timeout=CONNECT_SECONDS,
        kwargs={"autocommit": True, "prepare_threshold": 0, "row_factory": dict_row},
        configure=_store_any_text,
        check=AsyncConnectionPool.check_connection,
    )
    opened.push_async_callback(pool.close)
    try:
        await pool.open(wait=True, timeout=CONNECT_SECONDS)
        saver = AsyncPostgresSaver(pool, serde=serializer)
        async with pool.connection() as connection:
            await _set_up(saver, connection)
    except (psycopg.Error, PoolTimeout) as fault:
        said = str(fault).splitlines()[0] if str(fault) else type(fault).__name__
        raise StoreError(
            f"the conversations cannot be opened: {said}", where="FRONTDESK_DATABASE_URL", fix="frontdesk doctor"
        ) from fault
    return saver


async def _set_up(saver: Any, connection: Any) -> None:
    """Make the saver's tables, one process at a time.

    It makes indexes CONCURRENTLY, which waits for everybody who waits for a lock: so nobody does, they ask again.
    """
    while True:
        asked = await connection.execute("SELECT pg_try_advisory_lock(%s) AS mine", (SETUP_LOCK,))
        if (await asked.fetchone())["mine"]:
            break
        await asyncio.sleep(PAUSE)
    try:
        await saver.setup()
    finally:
        await connection.execute("SELECT pg_advisory_unlock(%s)", (SETUP_LOCK,))


async def _store_any_text(connection: Any) -> None:
    """Let texts into JSONB that Postgres refuses there: NUL and halves of surrogate pairs become U+FFFD."""
    from psycopg.types.json import set_json_dumps  # noqa: PLC0415  # see _in_postgres

    set_json_dumps(_json, connection)


def _json(value: Any) -> str:
    text = NUL.sub(r"\1\\ufffd", json.dumps(value, ensure_ascii=False))
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
