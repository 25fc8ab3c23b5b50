"""`ingest`, `knowledge` and `search`: what the desk knows."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.options import AsJson, Desk, OnRay, absolute, desk_settings, place_of, readable
from cli.terminal import Json, meter, note, read_line, shortened, show, show_dim, show_json, show_table
from domain.errors import UsageError

if TYPE_CHECKING:
    from domain.settings import Settings
    from graph.on_ray import Where

INGEST_EXAMPLES = """\b
Examples:
  frontdesk ingest desks/shop/knowledge
  frontdesk ingest articles.jsonl --desk ./mybank
  frontdesk ingest articles/ --on ray
\b
Markdown, HTML, text, PDF, DOCX, CSV and JSONL ({"id", "title", "text", "audience"?, "language"?}). Run it again whenever
the articles change: only what changed is learnt anew; what this PATH brought earlier and no longer holds goes. What cannot be taken is
named with why, and a file that cannot be read keeps what it brought before."""

LIST_EXAMPLES = """\b
Example:
  frontdesk knowledge list --desk shop"""

FORGET_EXAMPLES = """\b
Examples:
  frontdesk knowledge forget returns-2019
  frontdesk knowledge forget ./old-articles --dry-run
  frontdesk knowledge forget ./old-articles/prices.csv --yes --json
\b
WHAT is an article's id (as `frontdesk search` tells it), or a file or folder that an ingest has read, there or not; ./ before
a name says that it is a path. A new version serves without them; `frontdesk knowledge rollback` brings them back while
the old one is kept. A file that is still in its folder comes back with the next ingest of it: take it away first."""

ROLLBACK_EXAMPLES = """\b
Example:
  frontdesk knowledge rollback 3f9a1c02 --desk shop"""

VECTORS_EXAMPLES = """\b
Example:
  frontdesk knowledge vectors --desk shop"""

SEARCH_EXAMPLES = """\b
Examples:
  frontdesk search "refund time"
  frontdesk search "phí giao hàng" --k 3 --json"""

QUOTE_LENGTH = 300
SHOWN = 20
"""Articles that are named before they go; beyond that they are counted."""
CONFIRMED = ("y", "yes")
PATH_ALONE = ("./", "../", "/", "~")
"""How a path begins that is meant for no id: ids may hold slashes, as the places in a folder do."""


def ingest(
    *,
    path: Annotated[str, typer.Argument(metavar="PATH", help="A file or a folder of articles.")],
    on: OnRay = None,
    desk: Desk = None,
    as_json: AsJson = False,
) -> None:
    """Take articles into the desk's knowledge.

    Says what was added, changed and removed, and names what could not be taken.
    """
    asyncio.run(_ingest(desk_settings(desk), absolute(readable(path, "PATH")), place_of(on), as_json=as_json))


async def _ingest(settings: "Settings", path: Path, on: "Where", *, as_json: bool) -> None:
    from cli.office import open_office  # noqa: PLC0415  # --help need not wait for it

    fields = {"path": str(path)} | ({"on": on} if on else {})
    async with open_office(settings, on=on) as office:
        with meter("taking articles in") as progress:
            report = await office.run("ingest", progress=progress, **fields)
    if as_json:
        for skip in report["skips"]:
            note(f"{skip['where']}: not taken: {skip['why']}")
        for file in report["converted"]:
            note(f"{file['where']}: read as {file['encoding']}")
        show_json(report)
        return
    if report["skips"]:
        show_table(["not taken", "why"], [[skip["where"], skip["why"]] for skip in report["skips"]])
    if report["converted"]:
        show_table(["converted", ""], [[file["where"], f"read as {file['encoding']}"] for file in report["converted"]])
    counts = ", ".join(f"{report[name]} {name}" for name in ("added", "changed", "removed", "unchanged", "skipped"))
    show(f"{counts} in {report['seconds']:.1f} s; knowledge {report['version']} serves")
    for removed in report["removed_ids"]:
        show_dim(f"  removed {removed}")


def list_versions(
    *,
    desk: Desk = None,
    as_json: AsJson = False,
) -> None:
    """List the kept versions of the knowledge."""
    _show_knowledge(asyncio.run(_knowledge(desk_settings(desk), "")), as_json=as_json)


def forget(
    *,
    what: Annotated[str, typer.Argument(metavar="WHAT", help="An article's id, or a path that was ingested.")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would go, change nothing.")] = False,
    desk: Desk = None,
    as_json: AsJson = False,
) -> None:
    """Take articles out of the desk's knowledge: one, or all that a file or folder brought.

    Shows what would go and asks first.
    """
    asyncio.run(_forget(desk_settings(desk), readable(what, "WHAT"), yes=yes, dry_run=dry_run, as_json=as_json))


async def _forget(settings: "Settings", what: str, *, yes: bool, dry_run: bool, as_json: bool) -> None:
    from cli.office import open_office  # noqa: PLC0415  # as above

    fields: Json = {"article": "" if what.startswith(PATH_ALONE) else what, "path": str(absolute(what))}
    async with open_office(settings) as office:
        done = await office.run("knowledge.forget", dry_run=True, **fields)
        goes = f"{done['removed']} of {done['removed'] + done['left']} articles, {done['chunks']} chunks"
        if not as_json:
            _show_leaving(done["articles"])
        if not dry_run:
            if not yes:
                note(f"forget {goes}? y for yes")
                if (await read_line("") or "").strip().lower() not in CONFIRMED:
                    raise UsageError("not confirmed: nothing is changed", where=what, fix="--yes goes without asking")
            with meter("writing the version without them") as progress:
                done = await office.run("knowledge.forget", progress=progress, replaces=done["version"], **fields)
    if as_json:
        show_json(done)
    elif dry_run:
        show(f"{goes} would go; nothing is changed")
    else:
        show(f"{goes} forgotten; knowledge {done['version']} serves")
        show_dim(f"  back: frontdesk knowledge rollback {done['before']}")


def _show_leaving(articles: list[Json]) -> None:
    shown = [[row["id"], row["title"], row["audience"], row["path"]] for row in articles[:SHOWN]]
    show_table(["article", "title", "audience", "from"], shown)
    if len(articles) > SHOWN:
        show_dim(f"  and {len(articles) - SHOWN} more")


def rollback(
    *,
    version: Annotated[str, typer.Argument(metavar="VERSION", help="As `knowledge list` names it.")],
    desk: Desk = None,
    as_json: AsJson = False,
) -> None:
    """Serve an earlier version of the knowledge again."""
    _show_knowledge(asyncio.run(_knowledge(desk_settings(desk), readable(version, "VERSION"))), as_json=as_json)


async def _knowledge(settings: "Settings", rollback_to: str) -> Json:
    from cli.office import open_office  # noqa: PLC0415  # as above

    async with open_office(settings) as office:
        if rollback_to:
            return await office.run("knowledge.rollback", version=rollback_to)
        return await office.run("knowledge")


def _show_knowledge(known: Json, *, as_json: bool) -> None:
    if as_json:
        show_json(known)
        return
    rows = [
        ["*" if row["serving"] else "", row["version"], row["at"][:19], row["articles"], row["chunks"], row["config"]]
        for row in known["versions"]
    ]
    show_table(["", "version", "at (UTC)", "articles", "chunks", "configuration"], rows)
    show(f"{known['articles']} articles, {known['internal']} of them internal; * serves")
    if known["overdue"]:
        show(f"past their review date: {', '.join(known['overdue'])}")


def vectors(
    *,
    desk: Desk = None,
    as_json: AsJson = False,
) -> None:
    """Compute the vectors of the desk's own articles into its folder, so that first starts are quick.

    Run it again after the articles or the RAG configuration have changed, and commit what it writes.
    """
    made = asyncio.run(_vectors(desk_settings(desk)))
    if as_json:
        show_json(made)
        return
    show(f"{made['texts']} texts, {made['computed']} computed, {made['bytes']:,} bytes in {made['folder']}")


async def _vectors(settings: "Settings") -> Json:
    from graph.shipping import ship_desk_vectors  # noqa: PLC0415  # as above

    with meter("learning the articles") as progress:
        return await ship_desk_vectors(settings, progress)


def search(
    *,
    question: Annotated[str, typer.Argument(metavar="QUESTION", help="What to look for.")],
    k: Annotated[int, typer.Option("--k", min=1, max=50, help="How many articles.")] = 5,
    desk: Desk = None,
    as_json: AsJson = False,
) -> None:
    """Search the public articles as a customer's turn does.

    The confidence says how likely they are to hold the answer, 0 to 1.
    """
    asyncio.run(_search(desk_settings(desk), readable(question, "QUESTION"), k, as_json=as_json))


async def _search(settings: "Settings", question: str, k: int, *, as_json: bool) -> None:
    from cli.office import open_office  # noqa: PLC0415  # as above

    async with open_office(settings) as office:
        found = await office.run("search", question=question, k=k)
    if as_json:
        show_json(found)
        return
    show(f"confidence {found['confidence']:.2f}")
    for place, result in enumerate(found["results"], start=1):
        show(f"{place}. {result['title']} ({result['id']}), score {result['score']:.2f}")
        show_dim(f"   {shortened(result['quote'], QUOTE_LENGTH)}")
