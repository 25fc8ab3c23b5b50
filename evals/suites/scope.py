"""Business scope: rows `{id?, text, label: in|out, kind?}`, and which of them the scope filter turns away.

With `--examples`, a few labelled rows of the same shape, the filter knows a new business by these alone, and uses the
embedder that a desk in their languages would; without, it is the filter of `--desk` with its sentences and articles.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from domain.errors import UsageError
from domain.profile import DeskProfile
from evals.blocking import MS, SHOWN_MISSES, Row, auroc, length_limit, read_rows
from evals.blocking import Scored as Judged
from evals.blocking import f1 as f1_of
from evals.run import Figure, Miss, Result, Run, share
from evals.stats import percentile
from guards import ScopeVerdict
from models.language import LANGUAGES, detect_language

NAME = "scope"
LABELS = ("in", "out")
KEPT = (0.95, 0.90, 0.85)
"""Shares of the questions in scope that are kept, at which the figures tell what is caught."""
VIETNAMESE = 0.1
"""From this share of Vietnamese examples on, a business speaks it."""


@dataclass(frozen=True, slots=True)
class Scored:
    """What became of a row."""

    row: Row
    verdict: ScopeVerdict
    ms: float

    @property
    def right(self) -> bool:
        """In is let through, out is turned away."""
        return self.verdict.scope == self.row.label


class Judge(Protocol):
    """The part of the scope filter that a row needs."""

    async def judge(self, question: str) -> ScopeVerdict: ...


async def measure(run: Run) -> Result:
    """Judge every row of `--data`. Raises UsageError without rows, or with examples of which none is in scope."""
    from graph.profiles import find_desk, read_profile  # noqa: PLC0415
    from graph.rooms import open_scope  # noqa: PLC0415  # seconds: not for a test of figures

    if run.data is None:
        raise UsageError(
            "measures rows of your own", where="eval scope", fix='--data FILE: {"text", "label": "in"|"out"}'
        )
    rows, unscored = _rows(run.data, run)
    if run.examples:
        examples, _ = _rows(run.examples, run)
        profile, folder = business_of(examples, run.examples), None
    else:
        examples, folder = [], find_desk(run.settings.desk)
        profile = read_profile(folder)
    scope, embedder = open_scope(run.settings, profile, folder)
    await scope.warm()
    scored = await put_through(scope, rows, run)
    about = {"desk": profile.name, "data": run.data.name, "embedder": embedder.name, "examples": len(examples)}
    return summed_up(scored, unscored, about)


def business_of(examples: Sequence[Row], path: Path) -> DeskProfile:
    """A business that is known by its examples alone. Raises UsageError without one in scope."""
    by_label = {label: [row.text for row in examples if row.label == label] for label in LABELS}
    if not by_label["in"]:
        raise UsageError("no example in scope", where=str(path), fix='rows with "label": "in"')
    spoken = [detect_language(text, LANGUAGES) for text in by_label["in"]]
    share_vi = spoken.count("vi") / len(spoken)
    languages = [name for name, there in (("en", share_vi < 1 - VIETNAMESE), ("vi", share_vi > VIETNAMESE)) if there]
    scope = {"describe": by_label["in"][0], **by_label}
    return DeskProfile.model_validate({"name": path.stem, "languages": languages, "scope": scope})


async def put_through(scope: Judge, rows: Sequence[Row], run: Run) -> list[Scored]:
    """Judge row by row, so that times are those of one customer, the embedding included."""
    scored: list[Scored] = []
    for done, row in enumerate(rows, start=1):
        started = time.perf_counter()
        verdict = await scope.judge(row.text)
        scored.append(Scored(row, verdict, (time.perf_counter() - started) * MS))
        run.progress(done, len(rows))
        if done % 100 == 0:
            await asyncio.sleep(0)
    return scored


def summed_up(scored: Sequence[Scored], unscored: int, about: dict[str, object]) -> Result:
    """The figures; out of scope is what is to be found, so that precision, recall and F1 are those of turning away."""
    wrong = [one for one in scored if not one.right]
    times = [one.ms for one in scored]
    kinds: dict[str, list[Scored]] = {}
    for one in scored:
        kinds.setdefault(one.row.kind, []).append(one)
    limit = length_limit([_judged(one, "out") for one in scored])
    figures = [
        *_shares(scored),
        share("length_recall", [len(one.row.text) > limit for one in scored if one.row.label == "out"]),
        f1(scored, "out"),
        f1(scored, "in"),
        Figure("auroc", auroc([(1 - one.verdict.unusual, one.row.label == "out") for one in scored]), len(scored)),
        *(caught_keeping(scored, kept) for kept in KEPT),
        Figure("ms_p50", percentile(times, 50), len(times)),
        Figure("ms_p95", percentile(times, 95), len(times)),
    ]
    return Result(
        NAME,
        about | {"rows": len(scored) + unscored, "scored": len(scored), "unscored": unscored, "wrong": len(wrong)},
        figures,
        {kind: [*_shares(group), f1(group, "out")] for kind, group in sorted(kinds.items())},
        [Miss(one.row.id, one.row.kind, f"{one.row.label}: {one.verdict.reason}") for one in wrong[:SHOWN_MISSES]],
        [] if scored else ["scope: not one row could be scored"],
    )


def caught_keeping(scored: Sequence[Scored], kept: float) -> Figure:
    """The share of rows out of scope that is more unusual than all but `kept` of those in scope: `turn_away` moves along it."""
    usual = sorted(one.verdict.unusual for one in scored if one.row.label == "in")
    limit = usual[int((1 - kept) * len(usual))] if usual else 0.0
    caught = share("", [one.verdict.unusual < limit for one in scored if one.row.label == "out"])
    return replace(caught, name=f"caught_keeping_{kept:.2f}")


def f1(scored: Sequence[Scored], label: str) -> Figure:
    """F1 of finding the rows of one label, with a bootstrap interval; `f1` is that of "out"."""
    figure = f1_of([_judged(one, label) for one in scored])
    return figure if label == "out" else Figure(f"f1_{label}", figure.value, figure.n, figure.ci)


def _judged(one: Scored, label: str) -> Judged:
    return Judged(one.row, one.row.label == label, one.verdict.scope == label, 0.0, [], one.ms)


def _shares(scored: Sequence[Scored]) -> list[Figure]:
    return [
        share("in_scope_accuracy", [one.right for one in scored if one.row.label == "in"]),
        share("out_of_scope_recall", [one.right for one in scored if one.row.label == "out"]),
        share("accuracy", [one.right for one in scored]),
        share("precision", [one.right for one in scored if one.verdict.scope == "out"]),
    ]


def _rows(path: Path, run: Run) -> tuple[list[Row], int]:
    rows, broken = read_rows(path, LABELS)
    for where, why in broken:
        run.say(f"{where}: unscored: {why}")
    if not rows:
        raise UsageError("no rows", where=str(path), fix='one JSON object a line: {"text", "label": "in"|"out"}')
    return rows, len(broken)
