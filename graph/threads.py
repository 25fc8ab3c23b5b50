"""Where conversations are kept between turns: LangGraph's own saver on SQLite."""

import sqlite3
from pathlib import Path

import aiosqlite
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

from domain.errors import StoreError
from domain.turn import Call, Handoff, Message, Passage, Score, Source, Step, Verdict

FILE = "threads.sqlite3"

KEPT = (Call, Handoff, Message, Passage, Score, Source, Step, Verdict)
"""The values of ours that a checkpoint may hold; it reads back nothing else."""


async def open_saver(folder: Path) -> AsyncSqliteSaver:
    """Open `folder/threads.sqlite3`. Raises StoreError. Close it with `close_saver`."""
    path = folder / FILE
    try:
        connection = await aiosqlite.connect(path)
        await connection.execute("PRAGMA journal_mode=WAL")
        await connection.execute("PRAGMA synchronous=NORMAL")
        saver = AsyncSqliteSaver(connection, serde=JsonPlusSerializer(allowed_msgpack_modules=KEPT))
        await saver.setup()
    except sqlite3.Error as fault:
        await connection.close()
        raise StoreError(
            f"the conversations cannot be opened: {fault}",
            where=str(path),
            fix="restore a backup, or move the file away to start without earlier conversations",
        ) from fault
    return saver


async def close_saver(saver: AsyncSqliteSaver) -> None:
    """Close the saver's connection."""
    await saver.conn.close()
