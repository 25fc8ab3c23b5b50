"""A scope classifier fitted to a business's labelled questions, and what it changes on a quarter held out.

The quarter is chosen by the hash of each text's letters, within its label, so that the same file gives the same split
and no text stands on both sides of it, however it is spelt.
"""

import asyncio
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from domain.errors import UsageError
from domain.ports import Embedder, Vector
from domain.profile import DeskProfile
from domain.words import fold
from evals.blocking import Row, read_rows
from evals.run import Result, Run
from evals.suites.scope import LABELS, put_through, summed_up
from guards import ScopeFilter
from guards.scope_head import ScopeHead, fit_scope_head

LEAST = 12
"""Different questions of each label without which a held-out quarter would tell nothing."""
QUARTER = 4


@dataclass(frozen=True, slots=True)
class ScopeFit:
    """`head` is fitted to all rows; the figures, by one fitted to three quarters, and of the filter before, on the rest."""

    head: ScopeHead
    before: Result
    after: Result
    fitted: int
    held_out: int
    left_out: int

    @property
    def pays(self) -> bool:
        """Whether no fewer held-out questions are judged right than before."""
        old, new = ({each.name: each.value or 0.0 for each in one.figures} for one in (self.before, self.after))
        return new["accuracy"] >= old["accuracy"]


async def fit_scope(run: Run) -> ScopeFit:
    """Fit to `run.data`; writes nothing. Raises UsageError for a file without enough of both labels."""
    from graph.profiles import find_desk, read_profile  # noqa: PLC0415
    from graph.rooms import open_scope  # noqa: PLC0415  # seconds: not for a test of figures

    if run.data is None:
        raise UsageError("labelled questions are needed", where="scope fit", fix='rows {"text", "label": "in"|"out"}')
    rows, left_out = distinct_rows(run.data, run)
    folder = find_desk(run.settings.desk)
    profile = read_profile(folder)
    unfitted, embedder = open_scope(run.settings, profile, folder, fitted=False)
    return await fitted_to(rows, run, left_out=left_out, profile=profile, embedder=embedder, unfitted=unfitted)


async def fitted_to(
    rows: Sequence[Row], run: Run, *, left_out: int, profile: DeskProfile, embedder: Embedder, unfitted: ScopeFilter
) -> ScopeFit:
    """Fit, and judge the held-out quarter before and after."""
    kept, held_out = halves(rows)
    vectors: dict[str, Vector] = {}
    for done, row in enumerate(rows, start=1):
        vectors[row.text] = await embedder.query(row.text)
        run.progress(done, len(rows))
    trial, head = [await asyncio.to_thread(_head, embedder.name, part, vectors) for part in (kept, rows)]
    results = []
    for scope in (unfitted, ScopeFilter(profile, embedder, head=trial)):
        scored = await put_through(scope, held_out, run)
        results.append(summed_up(scored, 0, {"desk": profile.name}))
    return ScopeFit(head, results[0], results[1], len(kept), len(held_out), left_out)


def distinct_rows(path: Path, run: Run) -> tuple[list[Row], int]:
    """Rows of a file without duplicates and without texts of both labels, and how many lines were left out.

    Raises UsageError when no line is a row, a label is missing, or either has too few.
    """
    rows, broken = read_rows(path, LABELS)
    for where, why in broken:
        run.say(f"{where}: left out: {why}")
    if not rows:
        why = broken[0][1] if broken else "it is empty"
        raise UsageError(f"no row can be used: {why}", where=str(path), fix='{"text": "…", "label": "in"|"out"}')
    labels: dict[str, set[str]] = {}
    for row in rows:
        labels.setdefault(_letters(row.text), set()).add(row.label)
    both = sum(len(found) > 1 for found in labels.values())
    if both:
        run.say(f"{both} texts are labelled in and out: left out")
    distinct = {_letters(row.text): row for row in rows if len(labels[_letters(row.text)]) == 1}
    for label in LABELS:
        count = sum(row.label == label for row in distinct.values())
        if count < LEAST:
            what = f"{count} different questions are labelled {label}: at least {LEAST} are needed"
            raise UsageError(what, where=str(path), fix="add rows of both labels, in and out")
    return list(distinct.values()), len(rows) + len(broken) - len(distinct)


def halves(rows: Sequence[Row]) -> tuple[list[Row], list[Row]]:
    """The rows fitted on, and the quarter of each label that is held out."""
    kept: list[Row] = []
    held_out: list[Row] = []
    for label in LABELS:
        ordered = sorted((row for row in rows if row.label == label), key=lambda row: _hash(row.text))
        quarter = max(1, len(ordered) // QUARTER)
        held_out += ordered[:quarter]
        kept += ordered[quarter:]
    return kept, held_out


def _head(embedder: str, rows: Sequence[Row], vectors: dict[str, Vector]) -> ScopeHead:
    return fit_scope_head(embedder, [vectors[row.text] for row in rows], [row.label == "out" for row in rows])


def _letters(text: str) -> str:
    """What makes two spellings the same question: letters and digits, folded."""
    return re.sub(r"\W+", " ", fold(text)).strip() or text


def _hash(text: str) -> str:
    return hashlib.sha256(_letters(text).encode("utf-8", "replace")).hexdigest()
