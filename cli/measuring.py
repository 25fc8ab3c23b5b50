"""`eval`: measure the desk."""

import asyncio
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.options import AsJson, Desk, OnRay, desk_settings, place_of, readable
from cli.terminal import meter, note, show, show_json, show_table
from domain.errors import FrontdeskError, StoreError

if TYPE_CHECKING:
    from evals.records import Record, Records
    from evals.run import Measure, Result, Run
    from graph.on_ray import Where

EXAMPLES = """\b
Examples:
  FRONTDESK_LLM=off frontdesk eval desk
  frontdesk eval desk --desk clinic --json
  frontdesk eval desk --data cases.jsonl --report out.html
  frontdesk eval desk --compare answer@1 model=quote
  frontdesk eval gate --desk shop
  frontdesk eval answers --data qa.jsonl --report out.html
  frontdesk eval list
  frontdesk eval compare desk-20261121-134501 last
  frontdesk eval injection --data texts.jsonl --json
  frontdesk eval pii --data texts.jsonl
  frontdesk eval desk --data cases.jsonl --on ray
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
"answer"}; for judge: {"question", "answer", "human": 1..4}.
For answers: {"question" (asked) or "answer", "reference" or "references": ["..."], "regex"?}."""


SUITES = (
    "What to measure: desk, answers, cache, faithfulness, gate, idk, injection, judge, malicious, pii, retrieval, router, scope,"
    " toxicity."
)


class Split(StrEnum):
    """Which of a desk's own cases."""

    DEV = "dev"
    HELD_OUT = "held_out"
    ALL = "all"


Data = Annotated[Path | None, typer.Option("--data", metavar="FILE", help="Your own rows; else the desk's cases.")]
Examples = Annotated[
    Path | None, typer.Option("--examples", metavar="FILE", help="scope: know the business by these rows alone.")
]
Judge = Annotated[
    str, typer.Option("--judge", metavar="MODEL|auto", help="desk, judge: let this model rate the answers.")
]
Kb = Annotated[Path | None, typer.Option("--kb", metavar="FILE", help="Articles of your own to search (retrieval).")]


def evaluate(
    *,
    suite: Annotated[str, typer.Argument(metavar="SUITE", help=SUITES)],
    data: Data = None,
    examples: Examples = None,
    kb: Kb = None,
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
    sample: Annotated[int, typer.Option("--sample", min=0, metavar="N", help="So many rows, drawn by --seed.")] = 0,
    seed: Annotated[int, typer.Option("--seed", help="What draws the sample.")] = 0,
    judge: Judge = "",
    on: OnRay = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Ask everything anew: no rows of a stopped run, no kept model calls.")
    ] = False,
    report: Annotated[Path | None, typer.Option("--report", metavar="HTML", help="Write a page to this file.")] = None,
    desk: Desk = None,
    as_json: AsJson = False,
) -> None:
    """Measure the desk on labelled cases.

    Prints figures with their counts and 95 % intervals, and keeps the run: see `eval list`. A run that was stopped
    goes on where it was when the same is measured again.
    """
    from evals.records import Records  # noqa: PLC0415  # --help need not wait for it
    from evals.run import Run  # noqa: PLC0415

    settings = desk_settings(desk)
    records = Records(settings.home)
    with meter("rows") as progress:
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
            sample=sample,
            seed=seed,
            fresh=fresh,
            judge=judge,
        )
        run = replace(remembering_calls(run), unfinished=records.unfinished)
        result, record = _measured(readable(suite, "SUITE"), run, records, place_of(on))
    if report:
        _write_report(records, record, result, report)
    _shown(result, as_json=as_json, run=record.id if record else "")
    if result.failed:
        raise typer.Exit(1)


def _measured(suite: str, run: "Run", records: "Records", on: "Where") -> tuple["Result", "Record | None"]:
    """What the suite measured, and the run as it was kept. One that cannot be kept is shown all the same."""
    from evals.run import find_suite  # noqa: PLC0415  # as above
    from graph.system import SystemClock  # noqa: PLC0415

    measure, clock = find_suite(suite), SystemClock()
    began, started = clock.now(), clock.monotonic()
    result = asyncio.run(_spread(suite, measure, run, on) if on else measure(run))
    seconds = clock.monotonic() - started
    try:
        record = records.save(result, began=began, seconds=seconds, seed=run.seed)
    except StoreError as fault:
        note(f"not kept: {fault}")
        return result, None
    note(f"kept as {record.id}: {seconds:.0f} s, ${record.cost_usd:.4f} (frontdesk eval show {record.id})")
    return result, _mirrored(run, records, record)


async def _spread(suite: str, measure: "Measure", run: "Run", on: "Where") -> "Result":
    """The same by many processes. Raises UsageError for a suite that one process measures."""
    from evals.spreading import must_spread  # noqa: PLC0415  # as above
    from graph.on_ray import open_hands  # noqa: PLC0415

    must_spread(suite)
    async with open_hands(on, run.settings.ray_address) as hands:
        return await measure(replace(run, hands=hands))


def _mirrored(run: "Run", records: "Records", record: "Record") -> "Record":
    """The run, also in Langfuse where that is configured; one that does not take it now gets it by `eval push`."""
    if not (run.settings.traces_to_langfuse and record.result.rows):
        return record
    from evals.mirror import push_to_langfuse  # noqa: PLC0415  # only where it is wanted

    try:
        place = asyncio.run(push_to_langfuse(record, run.settings))
    except FrontdeskError as fault:
        note(f"not mirrored: {fault}")
        return record
    note(f"mirrored to Langfuse as {record.id}")
    return records.note(record, "langfuse", place)


def remembering_calls(run: "Run") -> "Run":
    """The run with the model calls that were answered before, unless it shall begin anew or asks no model."""
    from evals.cached_calls import CachedCalls  # noqa: PLC0415  # as above
    from evals.fingerprint import hash_of  # noqa: PLC0415
    from evals.records import Records  # noqa: PLC0415

    if run.settings.llm == "off" or run.fresh:
        return run
    return replace(run, calls=CachedCalls(Records(run.settings.home).calls(hash_of(run.settings.llm_base_url))))


def _write_report(records: "Records", record: "Record | None", result: "Result", path: Path) -> None:
    from evals.report import Side, write_page  # noqa: PLC0415  # as above

    before = records.before(record) if record and not result.other_rows else None
    write_page(result, path, Side(before.id, before.result) if before else None)
    note(f"written to {path}")


def _shown(result: "Result", *, as_json: bool, run: str) -> None:
    if as_json:
        show_json(result.as_json() | {"run": run})
    else:
        for title, columns, rows in result.tables():
            show_table(columns, rows, title=title)
            show()
    for failure in result.failed:
        note(failure)
