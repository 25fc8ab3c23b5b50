"""`guard calibrate`: the guards' thresholds fitted to the operator's own harmless texts."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from cli.options import AsJson, Desk, desk_settings
from cli.terminal import Json, meter, note, show_json, show_table

EXAMPLES = """\b
Examples:
  frontdesk guard calibrate --benign questions.jsonl --dry-run
  frontdesk guard calibrate --benign questions.jsonl --rate 0.005 --desk ./desks/mine
\b
A row of --benign: {"text": "..."}, a question that a guard should let pass. At least 2 / rate of them."""


def calibrate(
    *,
    benign: Annotated[Path, typer.Option("--benign", metavar="FILE", help="Harmless texts of your own customers.")],
    rate: Annotated[
        float, typer.Option("--rate", min=0.0005, max=0.2, help="Share of them that each guard may block.")
    ] = 0.01,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the thresholds, write nothing.")] = False,
    desk: Desk = None,
    as_json: AsJson = False,
) -> None:
    """Fit the guards' thresholds to your own harmless texts.

    Writes guards.thresholds into the desk's desk.yaml; a running server reads them when it starts again.
    """
    from evals.calibrate import LAXEST, Calibrated  # noqa: PLC0415  # --help need not wait for it
    from evals.calibrate import calibrate as fit  # noqa: PLC0415
    from evals.run import Run  # noqa: PLC0415
    from graph.profiles import find_desk, write_thresholds  # noqa: PLC0415

    settings = desk_settings(desk)
    with meter("texts") as progress:
        found: list[Calibrated] = asyncio.run(fit(Run(settings, note, progress, data=benign), rate))
    folder = find_desk(settings.desk)
    if not dry_run:
        write_thresholds(folder, {one.family: one.after for one in found})
    for one in found:
        if one.bound == "laxest":
            note(
                f"{one.family}: kept at {LAXEST:g}, the floor of safety: {one.blocked_after} of {one.rows} texts are"
                f" still blocked, {one.by_rules} of them by rules"
            )
        elif one.blocked_after > rate * one.rows:
            note(f"{one.family}: {one.by_rules} texts are blocked by rules, which have no threshold")
    if as_json:
        result: Json = {"desk": str(folder), "rows": found[0].rows, "rate": rate, "written": not dry_run}
        for one in found:
            result |= {f"{one.family}_threshold": one.after, f"{one.family}_threshold_before": one.before}
            result |= {f"{one.family}_blocked": one.blocked_after, f"{one.family}_blocked_before": one.blocked_before}
        show_json(result)
        return
    columns = ["guard", "threshold before", "after", "blocked before", "after", "of"]
    show_table(columns, [[c.family, c.before, c.after, c.blocked_before, c.blocked_after, c.rows] for c in found])
    note("nothing written" if dry_run else f"written to {folder / 'desk.yaml'}")
