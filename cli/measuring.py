"""`eval`: measure the desk."""

import asyncio
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.options import AsJson, Desk, desk_settings, readable
from cli.terminal import meter, note, show, show_json, show_table

if TYPE_CHECKING:
    from evals.run import Result

EXAMPLES = """\b
Examples:
  FRONTDESK_LLM=off frontdesk eval desk
  frontdesk eval desk --desk clinic --json
  frontdesk eval desk --data cases.jsonl --report out.html
  frontdesk eval desk --compare answer@1 model=quote
  frontdesk eval gate --desk shop
  frontdesk eval injection --data texts.jsonl --json
  frontdesk eval pii --data texts.jsonl
  frontdesk eval scope --data rows.jsonl --examples examples.jsonl
  frontdesk eval retrieval --kb articles.jsonl --data questions.jsonl
  frontdesk eval retrieval --kb articles.jsonl --data questions.jsonl --compare english-256 english-512
\b
A row of --data for desk: {"id", "question", "outcome", "kind", "reason"?, "history"?, "language"?, "relevant"?: ["id"],
"facts"?: [["one wording", "another"]], "must_not"?: ["..."]}. Of held-out cases only totals are shown.
For injection, malicious, toxicity: {"text", "label": "attack|harmful|toxic" or "benign", "kind"?, "id"?}.
For pii: {"text", "spans": [{"type", "start", "end"}], "id"?}, places counted in characters.
For scope: {"text", "label": "in" or "out", "kind"?, "id"?}; --examples takes a few rows of the same shape.
For retrieval: --data {"id", "text", "relevant": ["id"]}, --kb {"id", "title", "text"}.
For faithfulness: {"context", "claim", "label": "supported" or "unsupported"}; for idk: {"answer", "label": "idk" or
"answer"}; for judge: {"question", "answer", "human": 1..4}."""


SUITES = (
    "What to measure: desk, cache, faithfulness, gate, idk, injection, judge, malicious, pii, retrieval, router, scope,"
    " toxicity."
)


class Split(StrEnum):
    """Which of a desk's own cases."""

    DEV = "dev"
    HELD_OUT = "held_out"
    ALL = "all"


def evaluate(
    *,
    suite: Annotated[
        str,
        typer.Argument(metavar="SUITE", help=SUITES),
    ],
    data: Annotated[
        Path | None, typer.Option("--data", metavar="FILE", help="Your own rows; else the desk's cases.")
    ] = None,
    examples: Annotated[
        Path | None, typer.Option("--examples", metavar="FILE", help="scope: know the business by these rows alone.")
    ] = None,
    kb: Annotated[
        Path | None, typer.Option("--kb", metavar="FILE", help="Articles of your own to search (retrieval).")
    ] = None,
    compare: Annotated[
        tuple[str, str] | None,
        typer.Option(
            "--compare",
            metavar="A B",
            help="Two variants on the same rows: RAG configurations (retrieval), prompt=…, tier=…, model=quote (desk).",
        ),
    ] = None,
    split: Annotated[Split, typer.Option("--split", help="Which of the desk's own cases.")] = Split.DEV,
    parallel: Annotated[int, typer.Option("--parallel", min=1, max=32, help="Turns at a time.")] = 4,
    report: Annotated[Path | None, typer.Option("--report", metavar="HTML", help="Write a page to this file.")] = None,
    desk: Desk = None,
    as_json: AsJson = False,
) -> None:
    """Measure the desk on labelled cases.

    Prints figures with their counts and 95 % intervals.
    """
    from evals.report import write_page  # noqa: PLC0415  # --help need not wait for it
    from evals.run import Run, find_suite  # noqa: PLC0415

    measure = find_suite(readable(suite, "SUITE"))
    settings = desk_settings(desk)
    with meter("cases") as progress:
        run = Run(
            settings,
            data=data,
            examples=examples,
            split=split.value,
            parallel=parallel,
            say=note,
            progress=progress,
            kb=kb,
            compare=compare,
        )
        result = asyncio.run(measure(run))
    if report:
        write_page(result, report)
        note(f"written to {report}")
    _shown(result, as_json=as_json)
    if result.failed:
        raise typer.Exit(1)


def _shown(result: "Result", *, as_json: bool) -> None:
    if as_json:
        show_json(result.as_json())
    else:
        for title, columns, rows in result.tables():
            show_table(columns, rows, title=title)
            show()
    for failure in result.failed:
        note(failure)
