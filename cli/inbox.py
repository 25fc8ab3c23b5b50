"""`handoffs`: customers who wait for a person, and what agents say to them."""

import sys
from typing import Annotated

import typer

from cli.office import run_operation
from cli.options import AsJson, Desk, desk_settings, readable
from cli.terminal import Json, show, show_dim, show_json, show_table

LIST_EXAMPLES = """\b
Example:
  frontdesk handoffs list"""
SHOW_EXAMPLES = """\b
Example:
  frontdesk handoffs show T-CGJQ9"""
REPLY_EXAMPLES = """\b
Examples:
  frontdesk handoffs reply T-CGJQ9 "Your lamp was found; it leaves us tomorrow."
  frontdesk handoffs reply T-CGJQ9 - < answer.txt
\b
The customer reads it in the same conversation. Personal data in it is masked in what is kept,
as in a customer's own words; placeholders like <EMAIL_1> may be used."""
CLOSE_EXAMPLES = """\b
Example:
  frontdesk handoffs close T-CGJQ9
\b
The conversation is the assistant's again, until the customer asks for a person anew."""

HOUR, MINUTE = 3_600, 60

Ticket = Annotated[str, typer.Argument(metavar="TICKET", help="As `handoffs list` names it.")]


def list_open(*, desk: Desk = None, as_json: AsJson = False) -> None:
    """List the open tickets, the oldest first."""
    found = run_operation(desk_settings(desk), "handoffs")
    if as_json:
        show_json(found)
        return
    rows = [
        [each["ticket"], _span(each["waiting_seconds"]), each["department"], each["reason"], _line(each["summary"])]
        for each in found["handoffs"]
    ]
    show_table(["ticket", "waits", "department", "reason", "about"], rows)
    if not rows:
        show("nobody waits for a person")
    for each in found["withdrawn"]:
        show_dim(f"{each['ticket']} was withdrawn by the customer, {each['closed_at'][:16]}")


def show_one(*, ticket: Ticket, desk: Desk = None, as_json: AsJson = False) -> None:
    """Show a ticket and what was said in it."""
    _shown(run_operation(desk_settings(desk), "handoffs.show", ticket=readable(ticket, "TICKET")), as_json=as_json)


def reply(
    *,
    ticket: Ticket,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="What the customer is told; -: read it from a pipe.")],
    desk: Desk = None,
    as_json: AsJson = False,
) -> None:
    """Answer a customer in their own conversation."""
    said = sys.stdin.read() if text == "-" else text
    settings = desk_settings(desk)
    done = run_operation(settings, "handoffs.reply", ticket=readable(ticket, "TICKET"), text=readable(said, "TEXT"))
    _shown(done, as_json=as_json)


def close(*, ticket: Ticket, desk: Desk = None, as_json: AsJson = False) -> None:
    """Close a ticket."""
    _shown(run_operation(desk_settings(desk), "handoffs.close", ticket=readable(ticket, "TICKET")), as_json=as_json)


def _shown(ticket: Json, *, as_json: bool) -> None:
    if as_json:
        show_json(ticket)
        return
    ended = "withdrawn by the customer" if ticket["closed_by"] == "customer" else "closed"
    state = (
        f"{ended} {ticket['closed_at'][:16]}" if ticket["closed_at"] else f"waits {_span(ticket['waiting_seconds'])}"
    )
    show(f"{ticket['ticket']} · {ticket['department'] or 'no department'} · {ticket['reason']} · {state}")
    for message in ticket["messages"]:
        show_dim(f"{message['at'][:16]} {message['author']}")
        show(message["text"])


def _span(seconds: int) -> str:
    if seconds >= HOUR:
        return f"{seconds // HOUR} h {seconds % HOUR // MINUTE} min"
    return f"{seconds // MINUTE} min" if seconds >= MINUTE else f"{seconds} s"


def _line(text: str, length: int = 60) -> str:
    line = " ".join(text.split())
    return line if len(line) <= length else line[: length - 1].rstrip() + "…"
