"""`gaps`: what customers asked and the articles do not say."""

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from cli.office import run_operation
from cli.options import AsJson, Desk, desk_settings, readable
from cli.terminal import Json, note, percent, shortened, show, show_json, show_table

if TYPE_CHECKING:
    from domain.settings import Settings

EXAMPLES = """\b
Examples:
  frontdesk gaps
  frontdesk gaps --since 30d --json"""

DRAFT_EXAMPLES = """\b
Examples:
  frontdesk gaps draft
  frontdesk gaps draft --since 90d --unanswered --dry-run
\b
A draft lies in the desk's folder drafts/ and says `draft: true`, which no ingest takes. Edit it, take that line out,
move it to your articles, and ingest them."""

SHOWN = 20
QUESTION_LENGTH = 70


def gaps(
    *,
    since: Annotated[
        str, typer.Option("--since", metavar="SPAN", help="24h, 7d, 2w, or a date such as 2026-11-01.")
    ] = "7d",
    desk: Desk = None,
    as_json: AsJson = False,
) -> None:
    """Show what the knowledge lacks: unanswered questions grouped by meaning, and how retrieval does.

    Questions are masked. Write an article for the first rows, then ingest it.
    """
    found = asyncio.run(_gaps(desk_settings(desk), readable(since, "--since")))
    if as_json:
        show_json(found)
    else:
        _show(found)


def draft(
    *,
    since: Annotated[
        str, typer.Option("--since", metavar="SPAN", help="24h, 7d, 2w, or a date such as 2026-11-01.")
    ] = "30d",
    most: Annotated[int, typer.Option("--most", min=1, max=100, help="How many, the most asked first.")] = 10,
    unanswered: Annotated[bool, typer.Option("--unanswered", help="Also where no colleague has answered yet.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be written, write nothing.")] = False,
    desk: Desk = None,
    as_json: AsJson = False,
) -> None:
    """Write drafts of the articles that are missing, with what colleagues answered when they were asked."""
    fields = {"since": readable(since, "--since"), "most": most, "unanswered": unanswered, "write": not dry_run}
    done = run_operation(desk_settings(desk), "gaps.draft", **fields)
    if as_json:
        show_json(done)
        return
    rows = [
        [one["asked"], one["answers"], shortened(one["title"], QUESTION_LENGTH), one["file"]] for one in done["drafts"]
    ]
    if rows:
        show_table(["asked", "answers", "title", "file"], rows)
    what = f"{len(rows)} would be written" if dry_run else f"{done['written']} written"
    show(
        f"{done['folder']}: {what}, {done['there']} there from before, {done['left_out']} gaps that nobody has answered"
    )


async def _gaps(settings: "Settings", since: str) -> Json:
    from cli.office import open_office  # noqa: PLC0415  # --help need not wait for it

    async with open_office(settings) as office:
        note("reading receipts and grouping questions by meaning")
        return await office.run("gaps", since=since)


def _show(found: Json) -> None:
    rows = [
        [
            gap["count"],
            gap["users"],
            shortened(gap["example"], QUESTION_LENGTH),
            gap["nearest"],
            gap["confidence"],
            gap["last"][:16],
        ]
        for gap in found["gaps"][:SHOWN]
    ]
    if rows:
        show_table(["asked", "users", "for example", "nearest article", "confidence", "last (UTC)"], rows)
    if len(found["gaps"]) > SHOWN:
        show(f"and {len(found['gaps']) - SHOWN} more (--json)")
    show(f"since {found['since'][:16]} UTC: {found['unanswered']} of {found['turns']} turns without a sure answer")
    show(f"retrieval   {_ms(found['retrieval_ms_p50'])} p50, {_ms(found['retrieval_ms_p95'])} p95")
    spread = " / ".join(_plain(found[f"confidence_p{share}"]) for share in (10, 50, 90))
    show(f"confidence  {spread} (10 / 50 / 90 of 100 questions)")
    show(f"shares      don't know {percent(found['dont_know_rate'])}, no passage {percent(found['no_passage_rate'])}")
    if found["drift_alarm"] is None:
        show(f"drift       too few questions to tell ({found['searches']} now, {found['reference_searches']} before)")
        return
    verdict = "the questions have changed: see the table" if found["drift_alarm"] else "none"
    low = percent(found["drift_low_share"])
    show(f"drift       {verdict} (PSI {found['drift_psi']:.2f}, {low} below the mark of 10% of the four weeks before)")


def _ms(value: float | None) -> str:
    return "none" if value is None else f"{value:.1f} ms"


def _plain(value: float | None) -> str:
    return "none" if value is None else f"{value:.2f}"
