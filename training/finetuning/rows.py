"""Instructions and the responses they should get, as a user's file holds them: CSV, or JSON rows.

A row of JSON is `{instruction, response}`, `{prompt, completion}`, `{question, answer}`, a conversation
`{messages: [{role, content}]}` whose last line is the assistant's, or an accepted case, which is a question with the
`answer` that a reviewer wrote. Everything else is left out, and named with its line.
"""

import csv
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from domain.errors import UsageError

ASKED = ("instruction", "prompt", "question")
ANSWERED = ("response", "completion", "answer")
SHOWN = ("context", "input")
DELIMITERS = (",", ";", "\t", "|")
UTF16 = (b"\xff\xfe", b"\xfe\xff")
JSON_ENDINGS = frozenset({".jsonl", ".json", ".ndjson"})


@dataclass(frozen=True, slots=True)
class Columns:
    """What a CSV calls the two; `context`, if there is such a column, is shown to the model before the instruction."""

    instruction: str = "instruction"
    response: str = "response"
    context: str = "context"


@dataclass(frozen=True, slots=True)
class Example:
    """One row: what was asked, what should be said, what was shown beside it, and where it stands (file:line)."""

    instruction: str
    response: str
    context: str = ""
    where: str = ""

    @property
    def asked(self) -> str:
        """What a model is given."""
        return f"{self.context}\n\n{self.instruction}" if self.context else self.instruction


@dataclass(frozen=True, slots=True)
class Examples:
    """The rows of a file; `left_out` says where and why for each that is none."""

    rows: list[Example]
    left_out: list[str]


def read_examples(path: Path, columns: Columns | None = None) -> Examples:
    """Read a file. Raises UsageError: no such file, no UTF-8, other columns than it needs, not one row."""
    try:
        raw = path.read_bytes()
    except OSError as fault:
        raise UsageError(
            f"cannot be read: {fault.strerror}", where=str(path), fix="give a CSV or JSONL file"
        ) from fault
    names = columns or Columns()
    found = (
        _json_rows(raw, path) if path.suffix.lower() in JSON_ENDINGS else _csv_rows(_decoded(raw, path), path, names)
    )
    rows: list[Example] = []
    left_out: list[str] = []
    for row in found:
        if isinstance(row, Example):
            rows.append(row)
        else:
            left_out.append(row)
    if not rows:
        why = f": {left_out[0]}" if left_out else ""
        raise UsageError(f"holds not one row{why}", where=str(path), fix="see frontdesk finetune --help for the rows")
    return Examples(rows, left_out)


def _decoded(raw: bytes, path: Path) -> str:
    """The text of a file in UTF-8, or UTF-16 with its mark. Raises UsageError naming the line of a foreign byte."""
    try:
        return raw.decode("utf-16" if raw[:2] in UTF16 else "utf-8-sig")
    except UnicodeDecodeError as fault:
        line = raw[: fault.start].count(b"\n") + 1
        what = f"is not UTF-8: byte 0x{raw[fault.start]:02x}"
        raise UsageError(what, where=f"{path}:{line}", fix="save the file as UTF-8") from fault


def _csv_rows(text: str, path: Path, columns: Columns) -> Iterator[Example | str]:
    header = text.lstrip("\n\r").partition("\n")[0]
    delimiter = max(DELIMITERS, key=header.count)
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        named = {name.strip().lower(): name for name in reader.fieldnames or [] if name}
        asked, answered = (_column(named, name, path, columns) for name in (columns.instruction, columns.response))
        shown = named.get(columns.context.lower(), "")
        for row in reader:
            where = f"{path.name}:{reader.line_num}"
            if None in row or None in row.values():
                yield f"{where}: has another number of columns than the header"
            else:
                yield _example(row[asked], row[answered], row[shown] if shown else "", where)
    except csv.Error as fault:
        where = f"{path}:{reader.line_num}"
        raise UsageError(f"is no CSV: {fault}", where=where, fix="put texts with commas or quotes in quotes") from fault


def _column(named: Mapping[str, str], wanted: str, path: Path, columns: Columns) -> str:
    if wanted.lower() in named:
        return named[wanted.lower()]
    has = ", ".join(named) or "none"
    what = f"needs the columns {columns.instruction} and {columns.response}, and has {has}"
    fix = "rename them, or name yours: --instruction COLUMN --response COLUMN"
    raise UsageError(what, where=f"{path}:1", fix=fix)


def _json_rows(raw: bytes, path: Path) -> Iterator[Example | str]:
    for number, line in enumerate(raw.removeprefix(b"\xef\xbb\xbf").splitlines(), start=1):
        if not line.strip():
            continue
        where = f"{path.name}:{number}"
        try:
            row = json.loads(line.decode())
        except UnicodeDecodeError:
            yield f"{where}: is not UTF-8"
        except (ValueError, RecursionError):
            yield f"{where}: is no JSON object a line"
        else:
            yield _of_json(row, where) if isinstance(row, dict) else f"{where}: is no JSON object"


def _of_json(row: Mapping[str, Any], where: str) -> Example | str:
    if "messages" in row:
        return _of_conversation(row["messages"], where)
    if row.get("outcome", "answer") != "answer":
        return f"{where}: a case of {row['outcome']}, which has no answer to learn"
    asked, answered, shown = (
        next((row[name] for name in names if row.get(name)), "") for names in (ASKED, ANSWERED, SHOWN)
    )
    if not all(isinstance(text, str) for text in (asked, answered, shown)):
        return f"{where}: holds something that is not a text"
    return _example(asked, answered, shown, where)


def _of_conversation(messages: object, where: str) -> Example | str:
    lines = messages if isinstance(messages, list) else []
    said = [
        (str(line["role"]), line["content"])
        for line in lines
        if isinstance(line, dict) and isinstance(line.get("content"), str) and line.get("role") in {"user", "assistant"}
    ]
    while said and said[-1][0] != "assistant":
        said.pop()
    if len(said) < len(("user", "assistant")) or said[-2][0] != "user":
        return f"{where}: a conversation in which no customer is answered"
    earlier = "\n".join(f"{role}: {text.strip()}" for role, text in said[:-2])
    return _example(said[-2][1], said[-1][1], earlier, where)


def _example(asked: str, answered: str, shown: str, where: str) -> Example | str:
    example = Example(asked.strip(), answered.strip(), shown.strip(), where)
    if not example.instruction or not example.response:
        return f"{where}: has no {'response' if example.instruction else 'instruction'}"
    try:
        f"{example.asked}{example.response}".encode()
    except UnicodeEncodeError:
        return f"{where}: holds half a character"
    return example
