"""The gate: the desk's dev cases held against `evals/baseline.yaml`, case against case.

Red if significantly more cases were lost than won, by the majority of three runs on each case; or if replies of most runs
show internal or forbidden text. A turn that could not be taken is left out; where too many could not, there is no verdict but an error.
`python -m evals.baseline` writes the baseline anew.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from domain.errors import FrontdeskError, NotMeasuredError, UsageError
from evals.asking import opened
from evals.baseline import Baseline, read_baseline
from evals.paired import RUNS, Paired, majority, mcnemar_p, pair
from evals.run import Figure, Miss, Result, Run
from evals.suites.desk import Taken, cards_of, take
from graph.profiles import find_desk

NAME = "gate"
NEEDED = 0.9
"""Share of the baseline's cases that must be scored for a verdict."""


async def measure(run: Run) -> Result:
    """Put the desk through its gate. Raises UsageError without a baseline, NotMeasuredError where it can't be measured."""
    try:
        return await _measured(run)
    except (UsageError, NotMeasuredError):
        raise
    except FrontdeskError as fault:
        raise NotMeasuredError(
            f"not measured: {fault.what}", where=fault.where or "eval gate", fix=fault.fix
        ) from fault


async def _measured(run: Run) -> Result:
    name = find_desk(run.settings.desk).name
    baseline = read_baseline(name)
    settings = run.settings.model_copy(update={"llm": "off"}) if baseline.mode == "quote" else run.settings
    # Each run asks anew, also what an earlier one has asked: otherwise three runs would be one.
    run = replace(run, settings=settings, split="dev", data=None, sample=0, unfinished=None, calls=None)
    async with opened(run) as service:
        if baseline.mode == "model" and not cards_of(service, None):
            fix = "start it, or measure a baseline by quotation: python -m evals.baseline"
            raise NotMeasuredError("not measured: no model is up", where=f"eval gate, desk {name}", fix=fix)

        async def again() -> Taken:
            return await take(run, service)

        return await judged(name, baseline, again, run.say)


async def judged(
    name: str, baseline: Baseline, take_again: Callable[[], Awaitable[Taken]], say: Callable[[str], None]
) -> Result:
    """The verdict of one run, or, if that is suspect, of the majority of three, case by case.

    Raises NotMeasuredError where too little was scored.
    """
    runs: list[Taken] = []
    while not runs or (_suspect(runs[0], baseline) and len(runs) < RUNS):
        taken = await take_again()
        held = pair(baseline.right_by_case(), taken.right())
        if held.both < NEEDED * len(baseline.cases):
            why = taken.unscored[0].why if taken.unscored else "they are no longer there"
            what = f"not measured: {len(baseline.cases) - held.both} of {len(baseline.cases)} cases gave no answer"
            raise NotMeasuredError(what, where=f"eval gate, desk {name}", fix=f"mend this and run it again: {why}")
        runs.append(taken)
        if _suspect(taken, baseline):
            say(f"run {len(runs)} of {RUNS}: {len(held.lost)} cases lost, {len(held.won)} won")
    held = pair(baseline.right_by_case(), majority([taken.right() for taken in runs]))
    shown = [taken for taken in runs if taken.result.failed]
    lines = [*shown[-1].result.failed] if len(shown) > len(runs) / 2 else []
    if held.is_loss:
        lines.append(f"gate: {len(held.lost)} cases lost and {len(held.won)} won against the baseline")
    return _result(name, runs, held, lines)


def _suspect(taken: Taken, baseline: Baseline) -> bool:
    return pair(baseline.right_by_case(), taken.right()).is_suspect or bool(taken.result.failed)


def _result(name: str, runs: Sequence[Taken], held: Paired, lines: list[str]) -> Result:
    """Figures, kinds and rows are those of the last run; lost and won are of all of them."""
    taken = runs[-1]
    why = {case.case.id: case.why for one in runs for case in one.scored if case.why}
    return Result(
        NAME,
        {
            "desk": name,
            "runs": len(runs),
            "lost": len(held.lost),
            "won": len(held.won),
            "unscored": len(taken.unscored),
        },
        [
            *taken.result.figures,
            Figure("diff_answered_right", held.difference, held.both),
            Figure("mcnemar_p", mcnemar_p(len(held.lost), len(held.won)), held.both),
        ],
        taken.result.by_kind,
        [*(Miss(case, "lost", why.get(case, "")) for case in held.lost), *(Miss(case, "won", "") for case in held.won)],
        lines,
        rows=taken.result.rows,
        config=taken.result.config,
    )
