"""`optimise`: a better instruction for a prompt, searched on some cases and judged on others."""

import asyncio
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from cli.options import AsJson, Desk, desk_settings
from cli.terminal import meter, note, show, show_json, show_table

EXAMPLES = """\b
Examples:
  frontdesk optimise answer --budget 400 --student gpt-4.1-nano --teacher gpt-4.1 --cost-limit 0.50
  frontdesk optimise scope --data messages.jsonl --categories categories.yaml --budget 200
  frontdesk optimise judge --data ratings.jsonl --budget 300
  frontdesk optimise rewrite --data follow_ups.jsonl
\b
answer and rewrite take the desk's cases: its dev cases to learn from, its held-out ones to be judged on (totals only).
With --data FILE alone a part of the rows is held out. Rows: cases as for `eval desk` (answer, rewrite; rewrite wants
history and relevant), {"text", "category"} with "out" for none (scope), {"question", "answer", "passages"?, "human": 1..4}
(judge). A run that was killed goes on when the same command is given again. Needs DSPy: see docs/improvement.md."""


class Subject(StrEnum):
    """Prompts that can be optimised."""

    ANSWER = "answer"
    SCOPE = "scope"
    JUDGE = "judge"
    REWRITE = "rewrite"


File = Annotated[Path | None, typer.Option("--data", metavar="FILE", help="Rows of your own instead of the desk's.")]
Model = "A model as `frontdesk doctor` names it."


def optimise(
    prompt: Annotated[Subject, typer.Argument(metavar="PROMPT", help="answer, scope, judge or rewrite.")],
    *,
    budget: Annotated[
        int, typer.Option("--budget", min=10, help="How often the student may be asked while searching.")
    ] = 300,
    student: Annotated[str, typer.Option("--student", metavar="MODEL", help=f"Who answers. {Model}")] = "",
    teacher: Annotated[str, typer.Option("--teacher", metavar="MODEL", help=f"Who writes instructions. {Model}")] = "",
    judge: Annotated[
        str, typer.Option("--judge", metavar="MODEL", help="answer: who gives an opinion beside the rules.")
    ] = "",
    start: Annotated[str, typer.Option("--from", metavar="NAME[@V]", help="The version to begin with.")] = "",
    data: File = None,
    held_out: Annotated[
        Path | None, typer.Option("--held-out", metavar="FILE", help="Rows to be judged on, in a file of their own.")
    ] = None,
    categories: Annotated[
        Path | None, typer.Option("--categories", metavar="YAML", help="scope: what each category is, name: text.")
    ] = None,
    sample: Annotated[
        int,
        typer.Option(
            "--sample", min=0, metavar="N", help="At most N rows to learn and choose from, N to be judged on; 0: all."
        ),
    ] = 0,
    cost_limit: Annotated[
        float | None, typer.Option("--cost-limit", min=0, metavar="USD", help="What the run may cost in all.")
    ] = None,
    desk: Desk = None,
    as_json: AsJson = False,
) -> None:
    """Search a better instruction for a prompt (GEPA), and register it if held-out cases say so.

    The new version names its parent and its figures, and answers nowhere until it is promoted.
    """
    from training.optimising import Wanted, run_optimise  # noqa: PLC0415  # --help need not wait for it

    wanted = Wanted(
        prompt.value, budget, student, teacher, judge, start, data, held_out, categories, cost_limit, sample
    )
    with meter("answers") as progress:
        done = asyncio.run(run_optimise(desk_settings(desk), wanted, say=note, progress=progress))
    if as_json:
        show_json(done.result.as_json())
        return
    for title, columns, rows in done.result.tables():
        show_table(columns, rows, title=title)
        show()
    if done.registered:
        show(f"{done.registered} is registered; it answers nowhere until it is promoted")
    else:
        show(f"the start is kept: {done.result.about['why']}")
