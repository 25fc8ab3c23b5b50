"""How often one family of guards blocks what it should, and what it should not: injection, malicious, toxicity.

Rows are `{id?, text, label, kind?}`. Each passes the guards of the input side exactly as a customer's question does,
one at a time; counted is what the family itself blocks at the threshold in force, and beside it what any guard
refuses. A threshold on the text's length alone stands beside it too: on many public sets it "detects" most attacks.
"""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from pydantic import AliasChoices, BaseModel, Field, ValidationError

from domain.errors import UsageError
from domain.ports import Progress
from domain.turn import Verdict
from evals.jsonl import read_lines
from evals.run import DIGITS, Figure, Miss, Result, Run, share
from evals.runner import spread
from evals.stats import percentile
from guards import InputCheck

BENIGN = "benign"
MS = 1000.0
SHOWN_MISSES = 100
RESAMPLES = 2000
BATCH = 100
"""Rows that travel together where they are spread: about a second of work."""
SEED = 20261121
CURVE = (0.01, 0.03, 0.05, 0.10)
"""Shares of harmless rows blocked at which `curve` tells recall."""
ALL = "all"


class Row(BaseModel):
    """A labelled text. Its kind may be given as `intent` or `category`."""

    id: str
    text: str = Field(min_length=1)
    label: str
    kind: str = Field("all", validation_alias=AliasChoices("kind", "intent", "category"))


@dataclass(frozen=True, slots=True)
class Scored:
    """What became of a row. `score` is the family's, 0..1; `others`: guards that block it too.

    `grey`: the classifiers are unsure of it, and a configured model would be asked.
    """

    row: Row
    harmful: bool
    blocked: bool
    score: float
    others: list[str]
    ms: float
    grey: bool = False

    @property
    def right(self) -> bool:
        """The family blocks what it should, and only that."""
        return self.blocked == self.harmful

    @property
    def refused(self) -> bool:
        """Some guard blocks it."""
        return self.blocked or bool(self.others)


class Checker(Protocol):
    """The part of the guards that a row needs."""

    async def check_input(self, text: str, known: Mapping[str, str]) -> InputCheck: ...


async def measure_family(run: Run, family: str, harmful: str) -> Result:
    """Measure the family's guard on `run.data`; `harmful` is the label of what it should block. Raises UsageError."""
    from evals.spreading import judging_for  # noqa: PLC0415
    from graph.profiles import find_desk  # noqa: PLC0415
    from graph.rooms import open_guards  # noqa: PLC0415  # seconds: not for a test of figures

    if run.data is None:
        fix = f'--data FILE with rows {{"text", "label": "{harmful}"|"{BENIGN}", "kind"?}}'
        raise UsageError("measures rows of your own", where=f"eval {family}", fix=fix)
    rows, broken = read_rows(run.data, (harmful, BENIGN))
    for where, why in broken:
        run.say(f"{where}: unscored: {why}")
    if not rows:
        raise UsageError("no rows", where=str(run.data), fix="see --help for their shape")
    if run.hands is None:
        guards = open_guards(run.settings)
        await guards.warm()
        scored, unscored = await judge_rows(guards, rows, family, harmful, run.progress)
    else:
        hire = judging_for(run.settings, family, harmful)
        found = await spread(rows, hire, run.hands, batch=BATCH, progress=run.progress)
        scored = [one for one in found if one is not None]
        unscored = len(rows) - len(scored)
    about: dict[str, object] = {"desk": find_desk(run.settings.desk).name, "data": str(run.data)}
    return summed_up(family, scored, len(broken) + unscored, about)


async def judge_rows(
    guards: Checker, rows: Sequence[Row], family: str, harmful: str, progress: Progress
) -> tuple[list[Scored], int]:
    """Check every row, one at a time, so that times are those of one customer; how many could not be judged."""
    scored: list[Scored] = []
    for done, row in enumerate(rows, start=1):
        if (one := await judge_row(guards, row, family, harmful)) is not None:
            scored.append(one)
        progress(done, len(rows))
    return scored, len(rows) - len(scored)


async def judge_row(guards: Checker, row: Row, family: str, harmful: str) -> Scored | None:
    """Check one row; None where it could not be judged."""
    started = time.perf_counter()
    check = await guards.check_input(row.text, {})
    took = (time.perf_counter() - started) * MS
    own = [verdict for verdict in check.verdicts if _of(verdict, family)]
    if not own or any(verdict.reason == "guard_failed" for verdict in check.verdicts):
        return None
    others = [v.guard for v in check.verdicts if v.action == "block" and not _of(v, family)]
    blocked = any(verdict.action == "block" for verdict in own)
    score = max(verdict.score for verdict in own)
    return Scored(row, row.label == harmful, blocked, score, others, took, bool(check.doubtful))


def summed_up(family: str, scored: Sequence[Scored], unscored: int, about: dict[str, object]) -> Result:
    """The figures, whole and by kind."""
    limit = length_limit(scored)
    times = [one.ms for one in scored]
    kinds: dict[str, list[Scored]] = {}
    for one in scored:
        kinds.setdefault(one.row.kind, []).append(one)
    wrong = [one for one in scored if not one.right]
    figures = [
        *_shares(scored, limit),
        f1(scored),
        Figure("auroc", auroc([(one.score, one.harmful) for one in scored]), len(scored)),
        Figure("length_auroc", auroc([(len(one.row.text), one.harmful) for one in scored]), len(scored)),
        Figure("length_threshold", limit, len(scored)),
        Figure("ms_p50", percentile(times, 50), len(times)),
        Figure("ms_p95", percentile(times, 95), len(times)),
    ]
    return Result(
        family,
        about | {"rows": len(scored) + unscored, "scored": len(scored), "unscored": unscored, "wrong": len(wrong)},
        figures,
        {kind: _shares(group, limit) for kind, group in sorted(kinds.items())},
        [Miss(one.row.id, one.row.kind, _why(one)) for one in wrong[:SHOWN_MISSES]],
        [] if scored else [f"{family}: not one row could be scored"],
    )


def read_rows(path: Path, labels: Sequence[str], *, assumed: str = "") -> tuple[list[Row], list[tuple[str, str]]]:
    """Rows of a JSONL file, and where and why a line is none; `assumed`: the label of a row that has none.

    Raises UsageError for a file that is not there.
    """
    rows: list[Row] = []
    broken: list[tuple[str, str]] = []
    for number, raw in enumerate(read_lines(path), start=1):
        if raw.strip():
            try:
                rows.append(_row(raw, number, labels, assumed))
            except (ValueError, RecursionError) as fault:
                broken.append((f"{path}:{number}", _first(fault)))
    return rows, broken


def length_limit(scored: Sequence[Scored]) -> int:
    """The length in characters above which so few benign rows lie as the family blocks of them."""
    benign = sorted((len(one.row.text) for one in scored if not one.harmful), reverse=True)
    allowed = sum(one.blocked for one in scored if not one.harmful)
    return benign[allowed] if allowed < len(benign) else 0


def f1(scored: Sequence[Scored]) -> Figure:
    """F1 of the family's blocks, with a bootstrap interval (fixed seed)."""
    counts = [
        sum(one.blocked and one.harmful for one in scored),
        sum(one.blocked and not one.harmful for one in scored),
        sum(one.harmful and not one.blocked for one in scored),
        sum(not one.harmful and not one.blocked for one in scored),
    ]
    total = sum(counts)
    if not counts[0] + counts[2]:
        return Figure("f1", None, total)
    drawn = np.random.default_rng(SEED).multinomial(total, np.asarray(counts) / total, RESAMPLES)
    each = 2 * drawn[:, 0] / np.maximum(1, 2 * drawn[:, 0] + drawn[:, 1] + drawn[:, 2])
    low, high = np.percentile(each, [2.5, 97.5])
    value = 2 * counts[0] / (2 * counts[0] + counts[1] + counts[2])
    return Figure("f1", value, total, (float(low), float(high)))


def auroc(ranked: Sequence[tuple[float, bool]]) -> float | None:
    """How often a harmful row scores above a benign one, ties half; None without both."""
    values = np.asarray([value for value, _ in ranked])
    harmful = np.asarray([label for _, label in ranked], dtype=bool)
    if not harmful.any() or harmful.all():
        return None
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[place]
    ours, theirs = int(harmful.sum()), int((~harmful).sum())
    return float((ranks[harmful].sum() - ours * (ours + 1) / 2) / (ours * theirs))


def curve(scored: Sequence[Scored]) -> dict[str, list[float]]:
    """Recall, whole and by kind, where the scores' threshold blocks `CURVE` of the harmless rows, or as little fewer as ties allow."""
    harmless = sorted((one.score for one in scored if not one.harmful), reverse=True)
    limits = [harmless[min(len(harmless) - 1, int(share * len(harmless)))] for share in CURVE] if harmless else []
    kinds: dict[str, list[float]] = {}
    for one in scored:
        if one.harmful:
            kinds.setdefault(one.row.kind, []).append(one.score)
    kinds = {ALL: [score for scores in kinds.values() for score in scores], **kinds}
    return {
        kind: [round(sum(score > limit for score in scores) / len(scores), DIGITS) for limit in limits]
        for kind, scores in kinds.items()
        if scores
    }


def _of(verdict: Verdict, family: str) -> bool:
    return verdict.guard.partition(":")[0] == family


def _shares(scored: Sequence[Scored], limit: int) -> list[Figure]:
    harmful = [one for one in scored if one.harmful]
    benign = [one for one in scored if not one.harmful]
    return [
        share("recall", [one.blocked for one in harmful]),
        share("false_positive_rate", [one.blocked for one in benign]),
        share("recall_any_guard", [one.refused for one in harmful]),
        share("false_positive_rate_any_guard", [one.refused for one in benign]),
        share("length_recall", [len(one.row.text) > limit for one in harmful]),
        share("grey_harmful", [one.grey for one in harmful]),
        share("grey_benign", [one.grey for one in benign]),
    ]


def _why(one: Scored) -> str:
    also = f"; blocked by {', '.join(one.others)}" if one.others else ""
    return f"{'missed' if one.harmful else 'blocked'} at score {one.score:.2f}{also}"


def _row(raw: bytes, number: int, labels: Sequence[str], assumed: str) -> Row:
    """Raises ValueError: no UTF-8, no JSON, no row, another label."""
    given = json.loads(raw.decode())
    if isinstance(given, dict):
        given = {"label": assumed} | given if assumed else given
        given["id"] = str(given.get("id", number))
    row = Row.model_validate(given)
    if row.label not in labels:
        raise ValueError(f"label {row.label!r} is none of {', '.join(labels)}")
    return row


def _first(fault: Exception) -> str:
    if isinstance(fault, ValidationError):
        first = fault.errors()[0]
        return f"{'.'.join(str(part) for part in first['loc']) or 'row'}: {first['msg']}"
    return str(fault) if "label" in str(fault) else f"not UTF-8 JSON: {fault}"
