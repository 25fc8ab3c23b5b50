"""`migrate` and `move`: a desk's memory, to the tables of this version or to another database."""

import asyncio
from typing import Annotated

import typer

from cli.options import AsJson, Desk, desk_settings
from cli.terminal import note, show, show_json, show_table

MIGRATE_EXAMPLES = """\b
Examples:
  frontdesk migrate
  FRONTDESK_DATABASE_URL=postgresql://desk@db/desk frontdesk migrate --json
\b
A desk migrates by itself when it is opened. This is for an operator who wants it done, and seen, before."""

MOVE_EXAMPLES = """\b
Examples:
  frontdesk move --to postgresql://desk:password@db.example/desk
  frontdesk move --desk clinic --to "postgresql://desk@db.example/clinic?sslmode=verify-full"
\b
Afterwards set, for every replica:
  FRONTDESK_DATABASE_URL=postgresql://desk:password@db.example/desk
  FRONTDESK_VAULT_KEY="base64:$(cat .frontdesk/shop/vault.key)"   # unless a key was set already"""


def migrate(*, desk: Desk = None, as_json: AsJson = False) -> None:
    """Bring the desk's database to this version's tables; says from which version to which."""
    from graph.moving import migrate_desk  # noqa: PLC0415  # --help need not wait for it

    settings = desk_settings(desk)
    found, now = asyncio.run(migrate_desk(settings))
    if as_json:
        show_json({"from": found or None, "to": now, "changed": found != now})
    elif found == now:
        show(f"the database has version {now} already")
    else:
        show(f"the database went from {f'version {found}' if found else 'nothing'} to version {now}")


def move(
    *,
    to: Annotated[str, typer.Option("--to", help="postgresql:// address of an empty database.")],
    desk: Desk = None,
    as_json: AsJson = False,
) -> None:
    """Copy a desk from its files to Postgres: receipts, books, vault, tickets, conversations.

    All of the store or nothing of it; the files stay as they are. The knowledge is not in it: ingest it again.
    """
    from graph.moving import move_desk  # noqa: PLC0415  # as above

    settings = desk_settings(desk)
    moved = asyncio.run(move_desk(settings, to, lambda table, rows: note(f"{table}: {rows}")))
    if as_json:
        show_json({"rows": sum(moved.values()), **moved})
    else:
        show_table(("table", "rows"), [(name, rows) for name, rows in moved.items()])
        show("moved; set FRONTDESK_DATABASE_URL and FRONTDESK_VAULT_KEY (see --help)")
