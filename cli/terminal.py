"""How the terminal's door speaks: results on stdout, notices and errors on stderr, plain where nobody watches."""

import asyncio
import json
import math
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.progress import Progress as Bar
    from rich.progress import TaskID

    from domain.ports import Progress

Json = dict[str, Any]

CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
"""Characters that move a terminal's cursor or change its state; articles and models must not."""
TENTHS = 10
SILENCE = 10.0
"""Most seconds without a line of progress."""
LEAST_SECONDS = 1.0
"""Work must have gone on so long before its pace is told."""


def clean(text: str) -> str:
    """Take out what could take over the reader's terminal; line breaks and tabs stay."""
    return CONTROL.sub("", text.replace("\r\n", "\n"))


def show(text: str = "", *, end: str = "\n") -> None:
    """Write a piece of the result."""
    sys.stdout.write(_writable(clean(text) + end, sys.stdout.encoding))
    sys.stdout.flush()


def note(text: str) -> None:
    """Write a line beside the result: what is going on, what went wrong."""
    sys.stderr.write(_writable(" ".join(clean(text).split()) + "\n", sys.stderr.encoding))
    sys.stderr.flush()


def show_json(value: Mapping[str, Any]) -> None:
    """Write one JSON object on one line."""
    text = json.dumps(value, ensure_ascii=False)
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        text = json.dumps(value)
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def shortened(text: str, length: int) -> str:
    """A text on one line of at most so many characters."""
    line = " ".join(text.split())
    return line if len(line) <= length else line[: length - 1].rstrip() + "…"


def percent(share: float | None) -> str:
    """A share as a report says it; "none" where there is nothing to tell."""
    return "none" if share is None else f"{share:.1%}"


async def read_line(prompt: str) -> str | None:
    """The next line of standard input, or None at the end; a person sees `prompt`. Reads in a daemon thread: Ctrl-C need not wait for Enter."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[str | None] = loop.create_future()

    def settle(line: str | None) -> None:
        if not future.done():
            future.set_result(line)

    def read() -> None:
        loop.call_soon_threadsafe(settle, _blocking_line(prompt))

    threading.Thread(target=read, daemon=True).start()
    return await future


def _blocking_line(prompt: str) -> str | None:
    if sys.stdin.isatty():
        try:
            return input(prompt)
        except EOFError:
            return None
    raw = sys.stdin.buffer.readline()
    return raw.decode("utf-8", "replace") if raw else None


def dim(text: str) -> str:
    """Text of less weight, where a terminal shows it so."""
    return f"\x1b[2m{clean(text)}\x1b[0m" if sys.stdout.isatty() else clean(text)


def show_dim(text: str) -> None:
    """Write a line of less weight than the result."""
    sys.stdout.write(_writable(dim(text) + "\n", sys.stdout.encoding))
    sys.stdout.flush()


def show_table(columns: Sequence[str], rows: Sequence[Sequence[object]], *, title: str = "") -> None:
    """Write a table: drawn on a terminal, aligned columns elsewhere. Numbers stand right."""
    cells = [[clean(str(cell)) for cell in row] for row in rows]
    right = [bool(rows) and all(isinstance(row[place], int | float) for row in rows) for place in range(len(columns))]
    if not sys.stdout.isatty():
        _plain_table(columns, cells, right, title)
        return
    from rich.console import Console  # noqa: PLC0415  # 60 ms: only where a table is drawn
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    table = Table(title=title or None, title_justify="left")
    for name, to_the_right in zip(columns, right, strict=True):
        table.add_column(name, justify="right" if to_the_right else "left", overflow="fold")
    for row in cells:
        table.add_row(*(Text(cell) for cell in row))
    Console().print(table)


def _plain_table(columns: Sequence[str], cells: list[list[str]], right: Sequence[bool], title: str) -> None:
    widths = [max(len(line[place]) for line in [list(columns), *cells]) for place in range(len(columns))]
    if title:
        show(title)
    for line in [list(columns), *cells]:
        aligned = [
            cell.rjust(width) if to_the_right else cell.ljust(width)
            for cell, width, to_the_right in zip(line, widths, right, strict=True)
        ]
        show("  ".join(aligned).rstrip())


class Meter:
    """Shows how far long work has come, its pace and the time left: a bar on a terminal, elsewhere a line each tenth or ten seconds.

    Less done than before, another total or another stage is a new stretch of work. Close it.
    """

    def __init__(self, what: str, seconds: Callable[[], float] = time.monotonic) -> None:
        self._usual = self._what = what
        self._seconds = seconds
        self._done = self._total = -1
        self._tenth = -1
        self._started = self._told = 0.0
        self._bar: Bar | None = None
        self._task: TaskID | None = None

    def __call__(self, done: int, total: int) -> None:
        """Take note of (done, total)."""
        self._note(self._usual, done, total)

    def stage(self, what: str) -> "Progress":
        """The meter of one stage, under its own name."""
        return partial(self._note, what)

    def _note(self, what: str, done: int, total: int) -> None:
        if what != self._what or total != self._total or done < self._done:
            self.close()
            self._what = what
            self._total, self._tenth, self._started = total, -1, self._seconds()
        self._done = done
        now = self._seconds()
        pace = _pace(done, total, now - self._started)
        if sys.stderr.isatty():
            self._draw(done, total, pace)
        elif total and ((tenth := TENTHS * done // total) != self._tenth or now - self._told >= SILENCE):
            self._tenth, self._told = tenth, now
            note(f"{self._what}: {done}/{total}{', ' if pace else ''}{pace}")

    def close(self) -> None:
        """Leave the terminal as it was."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def _draw(self, done: int, total: int, pace: str) -> None:
        if self._bar is None or self._task is None:
            if done >= total:
                return
            from rich.console import Console  # noqa: PLC0415  # only where a bar is drawn
            from rich.progress import BarColumn, MofNCompleteColumn, TextColumn  # noqa: PLC0415
            from rich.progress import Progress as Bar  # noqa: PLC0415

            columns = (
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.fields[pace]}"),
            )
            self._bar = Bar(*columns, console=Console(stderr=True), transient=True)
            self._task = self._bar.add_task(self._what, total=total, pace="")
            self._bar.start()
        self._bar.update(self._task, completed=done, total=total, pace=pace)
        if done >= total:
            self.close()


def _pace(done: int, total: int, seconds: float) -> str:
    """Rate and time left; nothing before there is something to tell them from."""
    if seconds < LEAST_SECONDS or not 0 < done < total:
        return ""
    rate = done / seconds
    left = math.ceil((total - done) / rate)
    minutes, rest = divmod(left, 60)
    return f"{rate:.1f}/s, {f'{minutes} min {rest:02} s' if minutes else f'{rest} s'} left"


@contextmanager
def meter(what: str) -> Iterator[Meter]:
    """Give a meter for one long piece of work."""
    gauge = Meter(what)
    try:
        yield gauge
    finally:
        gauge.close()


def _writable(text: str, encoding: str | None) -> str:
    """Text as the stream can take it: a letter that it has no code for becomes a question mark."""
    encoding = encoding or "utf-8"
    return text.encode(encoding, "replace").decode(encoding)
