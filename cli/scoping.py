"""`scope fit`: a scope classifier fitted to the business's own labelled questions."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.options import AsJson, Desk, desk_settings
from cli.terminal import Json, meter, note, show_json, show_table

if TYPE_CHECKING:
    from evals.run import Result
    from evals.scope_fit import ScopeFit

EXAMPLES = """\b
Examples:
  frontdesk scope fit questions.jsonl --desk ./desks/mine --dry-run
  frontdesk scope fit questions.jsonl --desk ./desks/mine --json
\b
A row: {"text": "...", "label": "in"|"out", "kind": "..."}; kind, a category, may be absent. At least 12 of each label."""

SHOWN = ("in_scope_accuracy", "out_of_scope_recall", "accuracy", "precision", "f1")


def fit(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Questions labelled in or out of the business.")],
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the figures, write nothing.")] = False,
    desk: Desk = None,
    as_json: AsJson = False,
) -> None:
    """Fit the scope filter to labelled questions of your own.

    A quarter of them is held out: on it the filter is judged as it is and as it would be. Where that is no worse,
    scope.json is written into the desk's folder, fitted to all rows; a server uses it when it starts again.
    """
    from evals.run import Run  # noqa: PLC0415  # --help need not wait for it
    from evals.scope_fit import fit_scope  # noqa: PLC0415
    from graph.profiles import find_desk  # noqa: PLC0415
    from guards.scope_head import FILE, write_scope_head  # noqa: PLC0415

    settings = desk_settings(desk)
    folder = find_desk(settings.desk)
    with meter("questions") as progress:
        done: ScopeFit = asyncio.run(fit_scope(Run(settings, note, progress, data=file)))
    written = done.pays and not dry_run
    if written:
        write_scope_head(folder, done.head)
    told = f"written to {folder / FILE}" if written else "nothing written"
    note(told if done.pays else f"{told}: the filter as it is judges more of the held-out questions right")
    if as_json:
        show_json(_flat(done) | {"desk": str(folder), "written": written})
        return
    columns = ["held out", "figure", "n", "before", "after"]
    show_table(columns, _lines(done.before, done.after))


def _flat(done: "ScopeFit") -> Json:
    flat: Json = {"fitted": done.fitted, "held_out": done.held_out, "left_out": done.left_out, "pays": done.pays}
    for ending, result in (("_before", done.before), ("", done.after)):
        flat |= {f"{each.name}{ending}": each.value for each in result.figures if each.name in SHOWN}
    kinds = {"before": done.before.by_kind, "after": done.after.by_kind}
    flat["by_kind"] = {
        when: {kind: {each.name: each.value for each in figures} for kind, figures in found.items()}
        for when, found in kinds.items()
    }
    return flat


def _lines(before: "Result", after: "Result") -> list[list[object]]:
    lines: list[list[object]] = []
    groups = [("all", before.figures, after.figures)]
    groups += [(kind or "-", before.by_kind[kind], after.by_kind[kind]) for kind in sorted(before.by_kind)]
    for kind, old, new in groups:
        lines += [
            [kind, one.name, one.n, one.shown, two.shown]
            for one, two in zip(old, new, strict=True)
            if one.name in SHOWN and one.value is not None
        ]
    return lines
