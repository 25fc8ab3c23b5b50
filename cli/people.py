"""`data`: what the desk knows of one user, shown or removed."""

from typing import Annotated

import typer

from cli.office import run_operation
from cli.options import AsJson, Desk, desk_settings, readable
from cli.terminal import show, show_json

EXPORT_EXAMPLES = """\b
Example:
  frontdesk data export --user customer-17 > customer-17.json"""
DELETE_EXAMPLES = """\b
Example:
  frontdesk data delete --user customer-17
\b
There is no way back, and no question is asked. Cost rows stay, as nobody's, so that books still add up."""

User = Annotated[str, typer.Option("--user", metavar="ID", help="Whose data; the id under which they asked.")]


def export(*, user: User, desk: Desk = None, as_json: AsJson = False) -> None:
    """Print all that is kept about a user as one JSON object, their own data in place."""
    del as_json  # it is always that
    show_json(run_operation(desk_settings(desk), "data.export", user=readable(user, "--user")))


def delete(*, user: User, desk: Desk = None, as_json: AsJson = False) -> None:
    """Remove a user from every store, and from Langfuse where it is configured."""
    done = run_operation(desk_settings(desk), "data.delete", user=readable(user, "--user"))
    if as_json:
        show_json(done)
        return
    show(
        f"removed: {done['threads']} conversations, {done['receipts']} receipts, {done['feedback']} ratings, "
        f"{done['tickets']} tickets, {done['traces']} traces; {done['calls']} cost rows are nobody's now"
    )
