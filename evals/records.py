"""The runs of this installation: each a file of JSON under FRONTDESK_HOME/experiments, to be listed and compared.

A record holds figures, rows (masked; of held-out cases none) and what they depend on. It belongs to whoever may read
the folder.
"""

import json
import os
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from domain.errors import NotFoundError, StoreError
from evals.run import Result

FOLDER = "experiments"
UNFINISHED = "unfinished"
LAST = "last"
NAME = re.compile(r"[a-z0-9_-]+")


@dataclass(frozen=True, slots=True)
class Record:
    """One run. `at` is when it began (ISO, UTC), `seconds` how long it took; `seed` drew its sample and intervals."""

    id: str
    at: str
    seconds: float
    seed: int
    result: Result
    notes: dict[str, str] = field(default_factory=dict)

    @property
    def headline(self) -> str:
        """The first figures in a line, for a list."""
        figures = [one for one in self.result.figures if one.ci and one.value is not None][:3]
        return ", ".join(f"{one.name} {one.value:.3f}" for one in figures)

    @property
    def cost_usd(self) -> float:
        """What its rows cost in models."""
        return sum(row.cost_usd for row in self.result.rows) or next(
            (one.value or 0.0 for one in self.result.figures if one.name == "cost_usd"), 0.0
        )

    def as_json(self) -> dict[str, Any]:
        """The record for a reader: its figures flat, as the suite's own `--json` has them."""
        about = {"run": self.id, "at": self.at, "seconds": round(self.seconds, 1), "seed": self.seed}
        return about | {"config": self.result.config, "notes": self.notes} | self.result.as_json()


class Records:
    """The runs of one home."""

    def __init__(self, home: Path) -> None:
        self.folder = home / FOLDER

    @property
    def unfinished(self) -> Path:
        """Where rows are kept while their run goes on."""
        return self.folder / UNFINISHED

    def calls(self, server: str) -> Path:
        """The file of model calls that were asked of a server."""
        return self.folder / f"calls-{server}.jsonl"

    def save(self, result: Result, *, began: datetime, seconds: float, seed: int) -> Record:
        """Keep a run under a name of its own: its suite and the second it began. Raises StoreError."""
        base = f"{result.suite}-{began:%Y%m%d-%H%M%S}"
        record = Record(base, began.isoformat(timespec="seconds"), seconds, seed, result)
        number = 1
        while not self._write(record, new=True):
            number += 1
            record = replace(record, id=f"{base}-{number}")
        return record

    def note(self, record: Record, name: str, value: str) -> Record:
        """Add to a record where it was sent. Raises StoreError."""
        noted = replace(record, notes=record.notes | {name: value})
        self._write(noted, new=False)
        return noted

    def find(self, name: str) -> Record:
        """A run by its name, by letters that begin no other's, or the `last`. Raises NotFoundError, StoreError."""
        names = self.names()
        if name == LAST and names:
            return self._read(max(names, key=_when))
        found = [one for one in names if one == name] or [one for one in names if name and one.startswith(name)]
        if len(found) == 1:
            return self._read(found[0])
        what = f"begins {len(found)} runs" if found else "no such run"
        raise NotFoundError(what, where=name, fix="see frontdesk eval list")

    def all(self, say: Callable[[str], None]) -> list[Record]:
        """Every run, the newest first; one that cannot be read is said and left out."""
        found: list[Record] = []
        for name in sorted(self.names(), key=_when, reverse=True):
            try:
                found.append(self._read(name))
            except StoreError as fault:
                say(str(fault))
        return found

    def names(self) -> list[str]:
        """The names of all runs."""
        return sorted(path.stem for path in self.folder.glob("*.json") if NAME.fullmatch(path.stem))

    def before(self, record: Record) -> Record | None:
        """The run before this one of the same suite on the same data, if there is one."""
        every = self.all(lambda _: None)
        same = [one for one in every if one.at <= record.at and one.id != record.id and _measures_the_same(one, record)]
        return max(same, key=lambda one: (one.at, one.id), default=None)

    def _read(self, name: str) -> Record:
        path = self.folder / f"{name}.json"
        try:
            return TypeAdapter(Record).validate_json(path.read_bytes())
        except (OSError, ValidationError) as fault:
            raise StoreError("is no record of a run", where=str(path), fix="remove it, or mend its rights") from fault

    def _write(self, record: Record, *, new: bool) -> bool:
        """Whole or not at all; False where `new` is asked for and the name is taken. Raises StoreError."""
        path = self.folder / f"{record.id}.json"
        part = path.with_suffix(f".{os.getpid()}.part")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            part.write_text(json.dumps(asdict(record), ensure_ascii=False), encoding="utf-8", errors="replace")
            try:
                if new:
                    path.hardlink_to(part)
                else:
                    part.replace(path)
            except FileExistsError:
                return False
            finally:
                part.unlink(missing_ok=True)
        except OSError as fault:
            raise StoreError(
                f"cannot be written: {fault.strerror}", where=str(path), fix="see its rights and room"
            ) from fault
        return True


def _when(name: str) -> tuple[str, str]:
    """A name's second, behind the name of its suite."""
    return name.partition("-")[2], name


def _measures_the_same(one: Record, other: Record) -> bool:
    names = ("suite", "desk", "split", "data", "a", "b")
    return all(_about(one.result, name) == _about(other.result, name) for name in names)


def _about(result: Result, name: str) -> object:
    return result.suite if name == "suite" else result.about.get(name)
