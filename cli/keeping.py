"""`backup` and `restore`: a desk's memory in one file, and back."""

import asyncio
import shutil
from pathlib import Path
from typing import Annotated

import typer

from cli.options import AsJson, Desk, absolute, desk_settings
from cli.terminal import note, show, show_json
from domain.errors import FrontdeskError, UsageError

BACKUP_EXAMPLES = """\b
Examples:
  frontdesk backup
  frontdesk backup /mnt/backups/shop-monday.tar.gz
  frontdesk backup --json
\b
The desk may be served meanwhile. The vault's key is not in the file: keep it elsewhere, as whoever has both can read
customers' data, and whoever has only the file can bring nothing back. Articles and desk.yaml are yours to keep."""

RESTORE_EXAMPLES = """\b
Examples:
  frontdesk restore shop-20260301T120000.tar.gz
  frontdesk restore shop-20260301T120000.tar.gz --force
  FRONTDESK_DATABASE_URL=postgresql://desk@db/new frontdesk restore shop-20260301T120000.tar.gz
\b
The desk must not be served. Files may come back into Postgres and Chroma, and the other way."""

Force = Annotated[bool, typer.Option("--force", help="Go on where something is in the way.")]


def backup(
    *,
    to: Annotated[
        str | None, typer.Argument(metavar="[FILE]", help="Where to put it; else in the desk's folder, in backups/.")
    ] = None,
    force: Force = False,
    desk: Desk = None,
    as_json: AsJson = False,
) -> None:
    """Put receipts, books, vault, conversations and knowledge into one file."""
    from cli.office import run_operation  # noqa: PLC0415  # --help need not wait for it

    settings, target = desk_settings(desk), absolute(to) if to else None
    if target and not target.parent.is_dir():
        raise UsageError("there is no such folder", where=str(target.parent))
    if target and target.exists() and not force:
        raise UsageError("is there already", where=str(target), fix="pass --force to replace it, or another name")
    made = run_operation(settings, "backup")
    if target:
        try:
            made["file"] = str(shutil.move(made["file"], target))
        except OSError as fault:
            what = f"the backup was made, and cannot be moved: {fault.strerror}"
            raise FrontdeskError(what, where=made["file"]) from fault
    note(f"the vault's key is not in it: keep {made['key']} elsewhere, nothing comes back without it")
    if as_json:
        show_json(made)
    else:
        show(f"{made['file']}: {made['bytes']:,} bytes, {made['rows']:,} rows, knowledge {made['knowledge'] or 'none'}")


def restore(
    *,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="As `backup` made it.")],
    force: Force = False,
    desk: Desk = None,
    as_json: AsJson = False,
) -> None:
    """Make the desk's memory what it was when the file was made; what is there is moved aside with --force."""
    from graph.backup import restore as bring_back  # noqa: PLC0415  # as above

    settings = desk_settings(desk)
    told = bring_back(settings, file, force=force, tell=lambda table, rows: note(f"{table}: {rows}"))
    manifest = asyncio.run(told)
    rows = sum(manifest.rows.values())
    if as_json:
        show_json({"made_at": manifest.made_at, "rows": rows, "knowledge": manifest.knowledge})
    else:
        show(f"restored: {rows:,} rows, knowledge {manifest.knowledge or 'none'}, as of {manifest.made_at}")
