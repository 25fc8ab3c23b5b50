"""Thresholds of the local classifiers fitted to an operator's own harmless texts, at a false-block rate they choose."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from domain.errors import UsageError
from domain.profile import GuardFamily
from domain.turn import Verdict
from evals.blocking import BENIGN, Checker, Row, read_rows
from evals.run import Run
from guards import InputCheck

FAMILIES: tuple[GuardFamily, ...] = ("injection", "malicious", "toxicity")
STRICTEST, LAXEST = 0.1, 0.9
"""Thresholds are kept within these: a laxer one would all but switch a classifier off."""
LEAST_ROWS = 50
ROWS_FOR_EACH_BLOCK = 2
"""So many allowed blocks must be expected among the rows, or the rate could not be told from nothing."""
STEP = 0.001


@dataclass(frozen=True, slots=True)
class Calibrated:
    """One family: its thresholds, and how many of the harmless texts each blocks, rules included.

    `bound` is "laxest" or "strictest" where the threshold wanted lay beyond it.
    """

    family: GuardFamily
    before: float
    after: float
    blocked_before: int
    blocked_after: int
    by_rules: int
    rows: int
    bound: str = ""


async def calibrate(run: Run, rate: float) -> list[Calibrated]:
    """Fit the thresholds on `run.data`; writes nothing. Raises UsageError for too few rows."""
    from graph.profiles import find_desk, read_profile  # noqa: PLC0415
    from graph.rooms import open_guards  # noqa: PLC0415  # seconds: not for a test of thresholds

    if run.data is None:
        raise UsageError("harmless texts are needed", where="--benign", fix='a JSONL file with rows {"text"}')
    rows = harmless_rows(run.data, rate, run)
    guards = open_guards(run.settings)
    await guards.warm()
    checks = await _checked(guards, rows, run)
    chosen = {**read_profile(find_desk(run.settings.desk)).guards.thresholds, **run.settings.guard_thresholds}
    return [
        fitted(family, chosen.get(family, 0.5), [_verdict(one, family) for one in checks], rate) for family in FAMILIES
    ]


def harmless_rows(path: Path, rate: float, run: Run) -> list[Row]:
    """The texts of a file. Raises UsageError when they are too few for the rate."""
    rows, broken = read_rows(path, (BENIGN,), assumed=BENIGN)
    for where, why in broken:
        run.say(f"{where}: left out: {why}")
    least = max(LEAST_ROWS, math.ceil(ROWS_FOR_EACH_BLOCK / rate))
    if len(rows) < least:
        what = f"{len(rows)} texts are too few for a rate of {rate:g}: at least {least} are needed"
        raise UsageError(what, where=str(path), fix="add texts, or choose a higher --rate")
    return rows


def fitted(family: GuardFamily, before: float, verdicts: Sequence[Verdict], rate: float) -> Calibrated:
    """The lowest threshold at which no more than `rate` of the texts are blocked, within the bounds."""
    rules = [one for one in verdicts if one.action == "block" and not one.guard.endswith(":head")]
    scores = sorted((one.score for one in verdicts if one not in rules), reverse=True)
    allowed = max(0, math.floor(rate * len(verdicts)) - len(rules))
    wanted = round(scores[allowed] + STEP, 3) if allowed < len(scores) else STRICTEST
    after = min(max(wanted, STRICTEST), LAXEST)
    return Calibrated(
        family,
        before,
        after,
        len(rules) + sum(score >= before for score in scores),
        len(rules) + sum(score >= after for score in scores),
        len(rules),
        len(verdicts),
        "laxest" if wanted > LAXEST else "strictest" if wanted < STRICTEST else "",
    )


async def _checked(guards: Checker, rows: Sequence[Row], run: Run) -> list[InputCheck]:
    checks = []
    for done, row in enumerate(rows, start=1):
        checks.append(await guards.check_input(row.text, {}))
        run.progress(done, len(rows))
    return checks


def _verdict(check: InputCheck, family: str) -> Verdict:
    """What the family says. Raises UsageError when it could not run: a fault is no score."""
    for verdict in check.verdicts:
        if verdict.guard.partition(":")[0] == family and verdict.reason != "guard_failed":
            return verdict
    raise UsageError(f"the guard {family} could not run", fix="frontdesk doctor tells why")
