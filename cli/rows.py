"""Rows of JSON: one in, one out, in order; a bad one is named with its line and the rest goes on."""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from cli.terminal import Json, meter, note, show_json
from domain.errors import FrontdeskError, UsageError

LONG = 20
"""Rows from which on a file is worth a progress bar."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line: where it stands (file:line), what it is called (its id, else its line number) and its fields."""

    where: str
    id: str | int
    fields: Json

    def text(self, *names: str) -> str:
        """The first of these fields that is there. Raises UsageError."""
        for name in names:
            if self.fields.get(name) is not None:
                return self.optional_text(name)
        raise UsageError(f"has no {' or '.join(names)}", where=self.where, fix=f"add {names[0]!r}")

    def optional_text(self, name: str, default: str = "") -> str:
        """A field that is a text, or is not there. Raises UsageError."""
        value = self.fields.get(name)
        if value is None:
            return default
        if not isinstance(value, str):
            raise UsageError(f"{name} is not a text", where=self.where, fix="put it in quotes")
        try:
            value.encode()
        except UnicodeEncodeError:
            raise UsageError(f"{name} holds half a character", where=self.where, fix="mend its \\u escapes") from None
        return value

    def texts(self, name: str) -> list[str] | None:
        """A field that is a list of texts (or of objects with a text); None if it is not there. Raises UsageError."""
        value = self.fields.get(name)
        if value is None:
            return None
        if not isinstance(value, list):
            raise UsageError(f"{name} is not a list", where=self.where, fix="put it in brackets")
        each = [one.get("text") if isinstance(one, dict) else one for one in value]
        if not all(isinstance(one, str) for one in each):
            raise UsageError(f"{name} holds something that is not a text", where=self.where)
        return [str(one) for one in each]


Answer = Callable[[Row], Awaitable[Json]]


async def answer_rows(source: str, answer: Answer) -> int:
    """Answer every row of a file, or of standard input for "-", on stdout; give how many could not be.

    Raises UsageError if there is no such file.
    """
    bad = 0
    with _opened(source) as (stream, name), meter(name) as progress:
        total = _count(source)
        lines = enumerate(stream, start=1)
        while line := await asyncio.to_thread(next, lines, None):
            number, raw = line
            if total >= LONG:
                progress(number, total)
            if raw.strip():
                bad += not await _answer(number, raw, name, answer)
    return bad


async def _answer(number: int, raw: bytes, name: str, answer: Answer) -> bool:
    own_id: str | int = number
    try:
        row = _row(number, raw, f"{name}:{number}")
        own_id = row.id
        result = await answer(row)
    except FrontdeskError as fault:
        where = f"{name}:{number}"
        note(str(fault) if fault.where == where else f"{where}: {fault}")
        show_json({"id": own_id, "error": str(fault)})
        return False
    show_json({"id": own_id} | result)
    return True


def _row(number: int, raw: bytes, where: str) -> Row:
    try:
        fields: Any = json.loads(raw.decode("utf-8-sig" if number == 1 else "utf-8"))
    except UnicodeDecodeError:
        raise UsageError("is not UTF-8", where=where, fix="save the file as UTF-8") from None
    except (ValueError, RecursionError) as fault:
        raise UsageError(f"is not JSON: {fault}", where=where, fix="one JSON object a line") from None
    if not isinstance(fields, dict):
        raise UsageError("is not a JSON object", where=where, fix='like {"question": "…"}')
    own_id = fields.get("id")
    return Row(where, own_id if isinstance(own_id, str | int) else number, fields)


@contextmanager
def _opened(source: str) -> Iterator[tuple[BinaryIO, str]]:
    if source == "-":
        yield sys.stdin.buffer, "stdin"
        return
    try:
        stream = Path(source).open("rb")  # noqa: SIM115  # closed below; a fault of a row must not look like one of opening
    except OSError as fault:
        raise UsageError(f"cannot be read: {fault.strerror}", where=source, fix="give a file of JSON rows") from fault
    with stream:
        yield stream, source


def _count(source: str) -> int:
    """Lines of a file; 0 where that cannot be told beforehand."""
    path = Path(source)
    if source == "-" or not path.is_file():
        return 0
    with path.open("rb") as stream:
        return sum(1 for _ in stream)


def facts(row: Row) -> list[dict[str, str]]:
    """The row's context: facts about this customer, {title, text} each. Raises UsageError."""
    value = row.fields.get("context")
    if value is None:
        return []
    if not isinstance(value, Sequence) or not all(_is_fact(one) for one in value):
        raise UsageError("context is not a list of {title, text}", where=row.where)
    return [{"title": one["title"], "text": one["text"]} for one in value]


def _is_fact(one: object) -> bool:
    return isinstance(one, dict) and all(isinstance(one.get(name), str) for name in ("title", "text"))
