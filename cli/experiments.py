"""`eval list`, `eval show`, `eval compare`: the runs that were kept."""

from pathlib import Path
from typing import Annotated

import typer

from cli.options import AsJson, desk_settings, readable
from cli.terminal import note, show, show_json, show_table

LIST_EXAMPLES = """\b
Examples:
  frontdesk eval list
  frontdesk eval list --suite desk --json"""
SHOW_EXAMPLES = """\b
Examples:
  frontdesk eval show last
  frontdesk eval show desk-20261121-134501 --report out.html"""
COMPARE_EXAMPLES = """\b
Examples:
  frontdesk eval compare desk-20261121-134501 last
  frontdesk eval compare desk-20261121-134501 desk-20261121-150210 --report out.html"""

Run = Annotated[str, typer.Argument(metavar="RUN", help="As `eval list` names it, letters that begin it, or last.")]
Report = Annotated[Path | None, typer.Option("--report", metavar="HTML", help="Write a page to this file.")]


def list_all(
    *,
    suite: Annotated[str, typer.Option("--suite", metavar="SUITE", help="Only runs of this suite.")] = "",
    as_json: AsJson = False,
) -> None:
    """List the runs that were kept, the newest first."""
    from evals.records import Records  # noqa: PLC0415  # --help need not wait for it

    found = [one for one in Records(desk_settings(None).home).all(note) if not suite or one.result.suite == suite]
    if as_json:
        runs = [
            {
                "run": one.id,
                "suite": one.result.suite,
                "at": one.at,
                "seconds": round(one.seconds, 1),
                "cost_usd": round(one.cost_usd, 6),
                "rows": len(one.result.rows),
                "failed": bool(one.result.failed),
                "figures": {each.name: each.value for each in one.result.figures},
            }
            for one in found
        ]
        show_json({"runs": runs})
        return
    rows = [
        [
            one.id,
            " ".join(str(one.result.about[name]) for name in ("desk", "split", "data") if name in one.result.about),
            one.headline,
            f"{one.seconds:.0f} s",
            f"${one.cost_usd:.4f}",
            "failed" if one.result.failed else "",
        ]
        for one in found
    ]
    show_table(["run", "on", "figures", "took", "cost", ""], rows)


def show_one(*, run: Run = "last", report: Report = None, as_json: AsJson = False) -> None:
    """Show one run as it was shown when it ended."""
    from evals.records import Records  # noqa: PLC0415  # as above
    from evals.report import Side, write_page  # noqa: PLC0415

    records = Records(desk_settings(None).home)
    record = records.find(readable(run, "RUN"))
    if report:
        before = records.before(record)
        write_page(record.result, report, Side(before.id, before.result) if before else None)
        note(f"written to {report}")
    if as_json:
        show_json(record.as_json())
        return
    show(f"{record.id} · {record.at} · {record.seconds:.0f} s · ${record.cost_usd:.4f}")
    for title, columns, rows in record.result.tables():
        show_table(columns, rows, title=title)
        show()
    show_table(["setting", "value"], [list(each) for each in record.result.config.items()], title="measured with")


def compare_two(*, a: Run, b: Run = "last", report: Report = None, as_json: AsJson = False) -> None:
    """Hold the second run against the first, figure by figure and row by row."""
    from evals.comparing import compare  # noqa: PLC0415  # as above
    from evals.records import Records  # noqa: PLC0415
    from evals.report import Side, write_page  # noqa: PLC0415

    records = Records(desk_settings(None).home)
    first, second = records.find(readable(a, "A")), records.find(readable(b, "B"))
    found = compare(first, second)
    if report:
        write_page(second.result, report, Side(first.id, first.result))
        note(f"written to {report}")
    if as_json:
        show_json(found.as_json())
        return
    for title, columns, rows in found.tables():
        show_table(columns, rows, title=title)
        show()
