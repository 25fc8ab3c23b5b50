"""`keys` and `audit`: who may use the API, and what operators did."""

from enum import StrEnum
from typing import Annotated

import typer

from cli.office import run_operation
from cli.options import AsJson, Desk, desk_settings, readable
from cli.terminal import Json, note, show, show_json, show_table

CREATE_EXAMPLES = """\b
Examples:
  frontdesk keys create "our web shop" --scope server
  frontdesk keys create "Linh at the inbox" --scope agent
\b
Scopes: chat asks as itself, or for users whose tokens you sign · server says whose question it is ·
agent answers tickets · analyst reads what happened · admin does everything.
From the first key on, every request outside the chat page needs one."""
LIST_EXAMPLES = """\b
Example:
  frontdesk keys list"""
REVOKE_EXAMPLES = """\b
Example:
  frontdesk keys revoke 0f3a9c2b7d1e"""
AUDIT_EXAMPLES = """\b
Examples:
  frontdesk audit
  frontdesk audit --last 200 --json"""


class Scope(StrEnum):
    """What a key may do."""

    CHAT = "chat"
    SERVER = "server"
    AGENT = "agent"
    ANALYST = "analyst"
    ADMIN = "admin"


def create(
    *,
    name: Annotated[str, typer.Argument(metavar="NAME", help="What the key is for, or whose it is.")],
    scope: Annotated[Scope, typer.Option("--scope", help="What it may do.")] = Scope.SERVER,
    desk: Desk = None,
    as_json: AsJson = False,
) -> None:
    """Make an API key. It is shown this once; the desk keeps a hash of it."""
    made = run_operation(desk_settings(desk), "keys.create", name=readable(name, "NAME"), scope=scope.value)
    if as_json:
        show_json(made)
        return
    note(f"key {made['id']} for {made['name']}, scope {made['scope']}; it is shown this once:")
    show(made["key"])


def list_keys(*, desk: Desk = None, as_json: AsJson = False) -> None:
    """List the API keys, the newest first."""
    listed = run_operation(desk_settings(desk), "keys.list")
    if as_json:
        show_json(listed)
        return
    rows = [
        [key["id"], key["scope"], key["created_at"][:16], (key["revoked_at"] or "")[:16], key["name"]]
        for key in listed["keys"]
    ]
    show_table(["id", "scope", "made (UTC)", "revoked", "name"], rows)
    if not rows:
        show("no key was ever made: the API is open on this machine, and closed to others")


def revoke(
    *,
    key: Annotated[str, typer.Argument(metavar="ID", help="As `keys list` names it.")],
    desk: Desk = None,
    as_json: AsJson = False,
) -> None:
    """Close an API key for good, from its next request on."""
    revoked = run_operation(desk_settings(desk), "keys.revoke", key_id=readable(key, "ID"))
    if as_json:
        show_json(revoked)
        return
    show(f"key {revoked['id']} ({revoked['name']}) opens nothing any more")


def audit(
    *,
    last: Annotated[int, typer.Option("--last", min=1, max=1000, help="How many entries.")] = 50,
    desk: Desk = None,
    as_json: AsJson = False,
) -> None:
    """List what operators did, the newest first. The log can be read and added to, never changed."""
    found = run_operation(desk_settings(desk), "audit", count=last)
    if as_json:
        show_json(found)
        return
    rows = [[entry["at"][:19], entry["who"], entry["what"], _change(entry)] for entry in found["entries"]]
    show_table(["at (UTC)", "who", "what", "before → after"], rows)


def _change(entry: Json) -> str:
    return " → ".join("-" if value is None else str(value) for value in (entry["before"], entry["after"]))
