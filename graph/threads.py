"""Where conversations are kept between turns: LangGraph's own savers, on SQLite or Postgres."""

import asyncio
import json
import re
import sqlite3
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiosqlite
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

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

NUL = re.compile(r"(?<!\\)((?:\\\\)*)\\u0000")

Saver = BaseCheckpointSaver[str]


async def open_saver(folder: Path, opened: AsyncExitStack, url: str = "") -> Saver:
    """Open the conversations in the Postgres at `url`, or in `folder/threads.sqlite3` without one.

    Raises StoreError. `opened` closes it.
    """
    serializer = JsonPlusSerializer(allowed_msgpack_modules=KEPT)
    return await (_in_postgres(url, opened, serializer) if url else _in_file(folder / FILE, opened, serializer))


async def scrub(saver: Saver) -> None:
    """Overwrite on the disk what was deleted; a Postgres server does so by itself."""
    if isinstance(saver, AsyncSqliteSaver):
        await saver.conn.execute_fetchall("PRAGMA wal_checkpoint(TRUNCATE)")


async def _in_file(path: Path, opened: AsyncExitStack, serializer: JsonPlusSerializer) -> Saver:
    try:
        connection = await aiosqlite.connect(path)
        opened.push_async_callback(connection.close)
        await connection.execute("PRAGMA journal_mode=WAL")
        await connection.execute("PRAGMA synchronous=NORMAL")
        await connection.execute("PRAGMA secure_delete=ON")  # what a user has removed must not lie on in free pages
        saver = AsyncSqliteSaver(connection, serde=serializer)
        await saver.setup()
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
