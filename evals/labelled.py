"""Rows of JSONL that bear a label or a rating, and what is measured of a scorer on them."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
from pydantic import BaseModel, ValidationError

from domain.errors import UsageError
from domain.turn import Language
from evals.jsonl import read_lines
from evals.run import Figure, Miss, Run
from evals.runner import drawn
from models.language import LANGUAGES, detect_language

RESAMPLES, SEED = 1_000, 20261121
MS = 1000.0
SHOWN_MISSES = 100
OFTEN = 0.1


class LabelledRow(BaseModel):
    """What every row has."""

    id: str
    kind: str = "all"


RowT = TypeVar("RowT", bound=LabelledRow)
Statistic = Callable[[np.ndarray, np.ndarray], float | None]
"""Of truths and of scores; None where it is not defined."""


def open_rows(run: Run, suite: str, shape: type[RowT], example: str) -> tuple[list[RowT], list[Miss]]:
    """The rows of `--data`, as many as `--sample` draws, and those that cannot be read, which are said aloud.

    Raises UsageError without rows.
    """
    if run.data is None:
        raise UsageError("measures rows of your own", where=f"eval {suite}", fix=f"--data FILE with rows {example}")
    rows, broken = read_rows(run.data, shape)
    for miss in broken:
        run.say(f"{miss.id}: unscored: {miss.why}")
    if not rows:
        raise UsageError("no rows", where=str(run.data), fix=f"one JSON object a line: {example}")
    return drawn(rows, run.sample, run.seed), broken


def read_rows(path: Path, shape: type[RowT]) -> tuple[list[RowT], list[Miss]]:
    """The rows of a file, and where and why a line is none. Raises UsageError for a file that is not there."""
    rows: list[RowT] = []
    broken: list[Miss] = []
    for number, raw in enumerate(read_lines(path), start=1):
        if raw.strip():
            try:
                given = json.loads(raw.decode())
                named = given | {"id": str(given.get("id", number))} if isinstance(given, dict) else given
                rows.append(shape.model_validate(named))
            except (ValueError, RecursionError) as fault:
                broken.append(Miss(f"{path.name}:{number}", "unscored", _first(fault)))
    return rows, broken


def with_interval(name: str, truth: Sequence[float], scores: Sequence[float], statistic: Statistic) -> Figure:
    """A statistic of paired values, with the 95 % interval of rows drawn again (bootstrap, fixed seed)."""
    one, other = np.asarray(truth, dtype=float), np.asarray(scores, dtype=float)
    value = statistic(one, other) if len(one) else None
    if value is None:
        return Figure(name, None, len(one))
    generator = np.random.default_rng(SEED)
    drawn = generator.integers(0, len(one), (RESAMPLES, len(one)))
    found = [each for row in drawn if (each := statistic(one[row], other[row])) is not None]
    low, high = np.percentile(found, [2.5, 97.5])
    return Figure(name, value, len(one), (float(low), float(high)))


def balanced_accuracy(truth: np.ndarray, said: np.ndarray) -> float | None:
    """The mean of how often a yes and how often a no is told right; None without both."""
    yes, no = truth == 1, truth == 0
    if not yes.any() or not no.any():
        return None
    return float(((said[yes] == 1).mean() + (said[no] == 0).mean()) / 2)


def f1(truth: np.ndarray, said: np.ndarray) -> float | None:
    """F1 of the yeses; None where there is none and none was said."""
    both, any_ = ((truth == 1) & (said == 1)).sum(), (truth == 1).sum() + (said == 1).sum()
    return float(2 * both / any_) if any_ else None


def auroc(truth: np.ndarray, scores: np.ndarray) -> float | None:
    """How often a yes scores above a no, ties half; None without both."""
    ours, theirs = int((truth == 1).sum()), int((truth == 0).sum())
    if not ours or not theirs:
        return None
    return float((ranks(scores)[truth == 1].sum() - ours * (ours + 1) / 2) / (ours * theirs))


def spearman(truth: np.ndarray, scores: np.ndarray) -> float | None:
    """The correlation of ranks, -1..1, ties at their middle; None where either never changes."""
    one, other = ranks(truth), ranks(scores)
    if one.std() == 0 or other.std() == 0:
        return None
    return float(np.corrcoef(one, other)[0, 1])


def ranks(values: np.ndarray) -> np.ndarray:
    """The rank of each value from 1; equal values share the middle of theirs."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    middles: np.ndarray = (np.cumsum(counts) - (counts - 1) / 2)[place]
    return middles


def languages_of(texts: Sequence[str]) -> list[Language]:
    """The languages that more than one in ten of the texts are in."""
    spoken = [detect_language(text, LANGUAGES) for text in texts]
    return [name for name in LANGUAGES if spoken.count(name) > OFTEN * len(spoken)]


def counts(rows: int, unscored: int) -> dict[str, int]:
    """How many rows there were, for a result's `about`."""
    return {"rows": rows + unscored, "scored": rows, "unscored": unscored}


def _first(fault: Exception) -> str:
    if isinstance(fault, ValidationError):
        first = fault.errors()[0]
        return f"{'.'.join(str(part) for part in first['loc']) or 'row'}: {first['msg']}"
    return f"not UTF-8 JSON: {fault}"
