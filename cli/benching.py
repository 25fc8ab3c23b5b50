"""`bench`: what the desk adds to a model call, in time, processor and memory."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.options import AsJson, desk_settings
from cli.terminal import note, show, show_json
from domain.errors import UsageError

if TYPE_CHECKING:
    from domain.settings import Settings
    from evals.bench import Figures

EXAMPLES = """\b
Examples:
  frontdesk bench --quick
  frontdesk bench --desk shop --into docs/performance.md
  frontdesk bench --check
  frontdesk bench --quick --flame flame.svg
  frontdesk bench --workers 2   # with FRONTDESK_DATABASE_URL, FRONTDESK_CHROMA_URL, FRONTDESK_VAULT_KEY
\b
Starts `frontdesk serve` in a folder of its own over a model that answers after --delay-ms, and asks it over HTTP: first
on an English desk of 100 articles that it writes, then on larger ones, then on --desk. Added time is the desk's time
less that of the same model asked directly. Turns that were refused, quoted or lost are left out, counted and shown.
Takes about four minutes at rest, more with 10,000 articles to read; --quick about two. Run it on a machine at rest.
\b
--check measures only ratios of processor time, which mean the same on any machine, and ends with 1 when one is above
its limit. With --workers the servers of your settings are used: give it a database and a Chroma server of its own."""

Quick = Annotated[bool, typer.Option("--quick", help="Fewer turns, one start, and no desk of 10,000 articles.")]
Beside = Annotated[
    str | None,
    typer.Option("--desk", metavar="NAME|FOLDER", help="A desk to measure beside; it needs cases/dev.jsonl."),
]
Delay = Annotated[float, typer.Option("--delay-ms", min=0, max=10_000, help="Latency of the model.")]
Workers = Annotated[int, typer.Option("--workers", min=1, help="Processes; more than 1 need servers of their own.")]
Flame = Annotated[
    Path | None, typer.Option("--flame", metavar="SVG", help="Draw a flame graph to this file (needs py-spy).")
]
Into = Annotated[
    Path | None, typer.Option("--into", metavar="PAGE", help="Write the tables between this page's bench markers.")
]
Check = Annotated[bool, typer.Option("--check", help="Ratios only; exit 1 when one is above its limit.")]


def bench(
    *,
    quick: Quick = False,
    desk: Beside = None,
    delay_ms: Delay = 50.0,
    workers: Workers = 1,
    flame: Flame = None,
    into: Into = None,
    check: Check = False,
    as_json: AsJson = False,
) -> None:
    """Measure what the desk adds to a model call, and how it grows."""
    if check:
        _checked(desk, as_json=as_json)
        return
    from evals.bench import FULL, QUICK, Plan, measure  # noqa: PLC0415  # --help need not wait for it
    from evals.bench_tables import tables, write_into  # noqa: PLC0415  # as above

    settings = desk_settings(desk)
    plan = Plan(
        QUICK if quick else FULL,
        delay_ms,
        workers,
        servers=_servers(settings, workers),
        beside=desk or "",
        beside_questions=_questions(settings) if desk else (),
        flame=flame,
        say=note,
    )
    found = measure(plan)
    if into:
        write_into(into, found)
        note(f"written into {into}")
    show(tables(found))
    _left_out(found)
    if as_json:
        show_json(found)


def _checked(desk: str | None, *, as_json: bool) -> None:
    from evals.bench import bodies, numbered  # noqa: PLC0415  # as above
    from evals.bench_check import LIMITS, check  # noqa: PLC0415  # as above
    from graph.profiles import find_desk  # noqa: PLC0415  # as above

    asked = bodies(numbered(_questions(desk_settings(desk)))) if desk else None
    result = check(note, find_desk(desk) if desk else None, asked)
    for name in [name for name in LIMITS if name in result.figures]:
        show(f"{name}: {result.figures[name]} (at most {LIMITS[name]}){'  TOO MUCH' if name in result.above else ''}")
    _left_out(result.figures)
    if as_json:
        show_json(result.figures | {"passed": not result.above})
    if result.above:
        raise typer.Exit(1)


def _left_out(found: "Figures") -> None:
    why = f" ({found['left_out_why']})" if found.get("left_out_why") else ""
    note(f"{found['counted']} turns counted, {found['left_out']} left out{why}")


def _servers(settings: "Settings", workers: int) -> dict[str, str]:
    """The settings that lead several processes to the stores they share. Raises UsageError where they lead nowhere."""
    if workers == 1:
        return {}
    from graph.crew import must_share  # noqa: PLC0415  # as above

    must_share(settings, workers)
    return {
        "FRONTDESK_DATABASE_URL": settings.database_url.get_secret_value(),
        "FRONTDESK_REDIS_URL": settings.redis_url.get_secret_value(),
        "FRONTDESK_CHROMA_URL": settings.chroma_url,
        "FRONTDESK_VAULT_KEY": settings.vault_key.get_secret_value(),
    }


def _questions(settings: "Settings") -> tuple[str, ...]:
    """The first questions of a desk's own cases that have an answer. Raises UsageError."""
    from evals.cases import read_cases  # noqa: PLC0415  # as above
    from graph.profiles import find_desk  # noqa: PLC0415  # as above

    file = find_desk(settings.desk) / "cases" / "dev.jsonl"
    cases, _ = read_cases([file])
    asked = tuple(case.question for case in cases if case.outcome == "answer" and not case.reason and not case.history)
    if not asked:
        raise UsageError("no case has an answer", where=str(file), fix="measure another desk, or none")
    return asked
