"""Personal data: how much of what is labelled is masked, and how much is masked that bears no label.

A labelled span is hit when at least half of its characters are masked, whatever kind the mask gives it; a masked
piece is right when at least half of its characters are labelled. Masking is that of a customer's question.
"""

import asyncio
import json
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydantic import BaseModel, Field, ValidationError, model_validator

from domain.errors import FrontdeskError, UsageError
from evals.jsonl import read_lines
from evals.run import Figure, Miss, Result, Run, share
from evals.stats import percentile
from graph.profiles import find_desk, read_profile
from guards.pii import Finder
from guards.placeholders import Find, mask, masked_spans

NAME = "pii"
HALF = 0.5
RESAMPLES, SEED = 1_000, 20261121
"""The interval of F2, which is no share, is that of rows drawn again and again (bootstrap)."""


class Labelled(BaseModel):
    """Personal data in a text, by character: `text[start:end]`."""

    type: str
    start: int = Field(ge=0)
    end: int


class Row(BaseModel):
    """A text and what is personal in it."""

    id: str
    text: str
    spans: list[Labelled]

    @model_validator(mode="after")
    def _spans_lie_in_the_text(self) -> "Row":
        if "\x00" in self.text:
            message = "text holds a NUL, which is dropped before masking"
            raise ValueError(message)
        for number, span in enumerate(self.spans, start=1):
            if not span.start < span.end <= len(self.text):
                message = f"spans[{number}] ({span.start}-{span.end}) lies outside of the text's {len(self.text)}"
                raise ValueError(message)
        return self


@dataclass(frozen=True, slots=True)
class Scored:
    """One row masked. hits: for each label its type and whether it was hit; right: for each masked piece."""

    row: Row
    hits: list[tuple[str, bool]]
    right: list[bool]
    leaked: dict[str, int]
    ms: float


async def measure(run: Run) -> Result:
    """Mask every row of `--data`. Raises UsageError without a file or without rows."""
    if run.data is None:
        raise UsageError(
            "needs rows", where="eval pii", fix='pass --data FILE with {"text", "spans":[{type,start,end}]}'
        )
    rows, broken = read_rows(run.data)
    for miss in broken:
        run.say(f"{miss.id}: unscored: {miss.why}")
    if not rows:
        raise UsageError("no rows", where=str(run.data), fix="one JSON object a line")
    find = Finder(read_profile(find_desk(run.settings.desk)), model=run.settings.ner == "on")
    await asyncio.to_thread(find.warm)
    scored: list[Scored] = []
    for number, row in enumerate(rows, start=1):
        try:
            scored.append(await asyncio.to_thread(score, row, find))
        except FrontdeskError as fault:
            broken.append(Miss(row.id, "fault", str(fault)))
        run.progress(number, len(rows))
    about = {"data": run.data.name, "ner": run.settings.ner, "rows": len(rows), "unscored": len(broken)}
    return summed_up(scored, broken, about)


def read_rows(path: Path) -> tuple[list[Row], list[Miss]]:
    """The rows of a file, and those that cannot be scored, named by line. Raises UsageError."""
    rows: list[Row] = []
    broken: list[Miss] = []
    for number, raw in enumerate(read_lines(path), start=1):
        if not raw.strip():
            continue
        try:
            value = json.loads(raw.decode())
            rows.append(Row.model_validate(value | {"id": str(value.get("id", number))}))
        except ValidationError as fault:
            broken.append(Miss(f"{path.name}:{number}", "unscored", fault.errors()[0]["msg"]))
        except (ValueError, TypeError, AttributeError):
            broken.append(Miss(f"{path.name}:{number}", "unscored", "no JSON object"))
    return rows, broken


def score(row: Row, find: Find) -> Scored:
    """Mask one text and hold it against its labels. Raises GuardFaultError."""
    started = time.perf_counter()
    masked = mask(row.text, {}, find)
    ms = (time.perf_counter() - started) * 1000
    pieces = [range(span.start, span.end) for span in masked_spans(masked)]
    hidden = {place for piece in pieces for place in piece}
    labelled = {place for span in row.spans for place in range(span.start, span.end)}
    leaked: dict[str, int] = {}
    for span in row.spans:
        open_ = sum(place not in hidden for place in range(span.start, span.end))
        leaked[span.type] = leaked.get(span.type, 0) + open_
    return Scored(
        row,
        [(span.type, _covered(range(span.start, span.end), hidden) >= HALF) for span in row.spans],
        [_covered(piece, labelled) >= HALF for piece in pieces],
        leaked,
        ms,
    )


def _covered(places: range, by: set[int]) -> float:
    return sum(place in by for place in places) / len(places)


def summed_up(scored: Sequence[Scored], broken: Sequence[Miss], about: dict[str, object]) -> Result:
    """The figures. Fails when nothing could be scored."""
    hits = [hit for one in scored for hit in one.hits]
    right = [each for one in scored for each in one.right]
    times = [one.ms for one in scored]
    figures = [
        share("precision", right),
        share("recall", [hit for _, hit in hits]),
        _f2(scored),
        Figure("leaked_characters", sum(sum(one.leaked.values()) for one in scored), len(hits)),
        Figure("masked_pieces", len(right), len(scored)),
        Figure("ms_p50", percentile(times, 50), len(times)),
        Figure("ms_p95", percentile(times, 95), len(times)),
    ]
    by_type = {kind: _of_type(kind, scored) for kind in sorted({kind for kind, _ in hits})}
    failed = [] if scored else ["pii: not one row could be scored"]
    return Result(NAME, about, figures, by_type, list(broken), failed)


def _of_type(kind: str, scored: Sequence[Scored]) -> list[Figure]:
    hits = [hit for one in scored for each, hit in one.hits if each == kind]
    return [
        share("recall", hits),
        Figure("leaked_characters", sum(one.leaked.get(kind, 0) for one in scored), len(hits)),
    ]


def _f2(scored: Sequence[Scored]) -> Figure:
    counts = np.array(list(_counts(scored)) or [(0, 0, 0, 0)], dtype=float)
    labels = int(counts[:, 1].sum())
    value = f2(*counts.sum(axis=0))
    if value is None:
        return Figure("f2", None, labels)
    generator = np.random.default_rng(SEED)
    drawn = generator.multinomial(len(counts), [1 / len(counts)] * len(counts), RESAMPLES) @ counts
    values = [each for row in drawn if (each := f2(*row)) is not None]
    low, high = percentile(values, 2.5), percentile(values, 97.5)
    return Figure("f2", value, labels, (low, high) if low is not None and high is not None else None)


def _counts(scored: Iterable[Scored]) -> Iterable[tuple[int, int, int, int]]:
    for one in scored:
        yield sum(hit for _, hit in one.hits), len(one.hits), sum(one.right), len(one.right)


def f2(hit: float, labels: float, right: float, pieces: float) -> float | None:
    """F2 of recall and precision: recall counts four times as much. None where nothing is labelled nor masked."""
    if not labels and not pieces:
        return None
    recall = hit / labels if labels else 0.0
    precision = right / pieces if pieces else 0.0
    return 5 * precision * recall / (4 * precision + recall) if precision + recall else 0.0
