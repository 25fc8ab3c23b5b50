"""Rows taken one after the other or several at a time, and kept as they finish: a run that is killed goes on."""

import asyncio
import json
import threading
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from domain.errors import StoreError
from domain.ports import Hand, Hands, Progress

RowT = TypeVar("RowT")
DoneT = TypeVar("DoneT")


async def go_through(
    rows: Sequence[RowT], work: Callable[[RowT], Awaitable[DoneT]], *, parallel: int, progress: Progress
) -> list[DoneT]:
    """Do the work for every row, `parallel` at a time; what comes of it stands in the order of the rows.

    The first error ends the run, once what is under way has been stopped.
    """
    gate, done = asyncio.Semaphore(parallel), 0

    async def one(row: RowT) -> DoneT:
        nonlocal done
        async with gate:
            result = await work(row)
        done += 1
        progress(done, len(rows))
        return result

    progress(done, len(rows))
    tasks = [asyncio.ensure_future(one(row)) for row in rows]
    try:
        return list(await asyncio.gather(*tasks))
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def spread(
    rows: Sequence[RowT],
    hire: Callable[[], Hand[RowT, DoneT]],
    hands: Hands,
    *,
    batch: int,
    progress: Progress,
    taken: Callable[[DoneT], Awaitable[None]] | None = None,
) -> list[DoneT]:
    """As `go_through`, by many processes; `taken` is told what comes of each row as it comes."""
    found: dict[int, DoneT] = {}
    progress(0, len(rows))
    async with aclosing(hands.each(hire, rows, batch=batch)) as done:
        async for place, result in done:
            if taken:
                await taken(result)
            found[place] = result
            progress(len(found), len(rows))
    return [found[place] for place in range(len(rows))]


def drawn(rows: Sequence[RowT], sample: int, seed: int) -> list[RowT]:
    """`sample` of the rows, by the seed, in their own order; all of them for 0."""
    if not 0 < sample < len(rows):
        return list(rows)
    chosen = set(np.random.default_rng(seed).choice(len(rows), sample, replace=False).tolist())
    return [row for place, row in enumerate(rows) if place in chosen]


def untold(_done: int, _total: int) -> None:
    """Nobody watches."""


class Kept:
    """The rows of a run that is under way, in a file of JSON lines: `done` holds those of an earlier try, by id.

    Rows are written whole, one at a time; a line that was cut off by a kill is left out. One process a file.
    """

    def __init__(self, path: Path) -> None:
        """Raises StoreError for a file that cannot be read."""
        self._path = path
        self._lock = threading.Lock()
        self.done: dict[str, dict[str, Any]] = {}
        try:
            raw = path.read_bytes() if path.is_file() else b""
            for line in raw.splitlines():
                self._take(line)
            if raw and not raw.endswith(b"\n"):
                with path.open("ab") as file:
                    file.write(b"\n")
        except OSError as fault:
            raise _unusable(path, fault) from fault

    def keep(self, row: str, result: dict[str, Any]) -> None:
        """Write what came of a row. Raises StoreError."""
        line = json.dumps({"id": row, "row": result}, ensure_ascii=False) + "\n"
        try:
            with self._lock:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                with self._path.open("a", encoding="utf-8", errors="replace") as file:
                    file.write(line)
        except OSError as fault:
            raise _unusable(self._path, fault) from fault

    def forget(self) -> None:
        """Remove the file: the run has ended, or shall begin anew."""
        self._path.unlink(missing_ok=True)
        self.done.clear()

    def _take(self, line: bytes) -> None:
        try:
            given = json.loads(line)
            self.done[str(given["id"])] = dict(given["row"])
        except (ValueError, KeyError, TypeError):
            return  # cut off when the run was killed: that row is done again


def _unusable(path: Path, fault: OSError) -> StoreError:
    return StoreError(f"cannot be used: {fault.strerror}", where=str(path), fix="see its folder's rights and room")
