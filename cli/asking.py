"""`ask` and `chat`: one question, many rows of them, or a conversation."""

import asyncio
import sys
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import TYPE_CHECKING, Annotated

import typer

from cli.options import AsJson, Desk, Jsonl, desk_settings, one_of, readable
from cli.terminal import Json, clean, note, read_line, shortened, show, show_dim, show_json
from domain.errors import FrontdeskError

if TYPE_CHECKING:
    from cli.office import Office
    from cli.rows import Row
    from domain.settings import Settings

QUOTE_LENGTH = 140

ASK_EXAMPLES = """\b
Examples:
  frontdesk ask "How long do I have to return something?"
  frontdesk ask "Đổi hàng mất bao lâu?" --desk shop --json
  frontdesk ask "And what does that cost?" --thread 0192f0c1-...
  frontdesk ask --jsonl questions.jsonl > replies.jsonl
\b
A row of --jsonl: {"question": "...", "id"?, "user"?, "thread"?, "language"?, "context"?: [{"title", "text"}]};
"message" or "text" stand in for "question". Its line of output is the Reply with the row's id."""

CHAT_EXAMPLES = """\b
Examples:
  frontdesk chat
  printf 'where is my parcel?\\n/quit\\n' | frontdesk chat --desk shop
\b
/new starts a new conversation, /quit ends."""

User = Annotated[str, typer.Option("--user", metavar="ID", help="Who asks; a thread belongs to its user.")]
Thread = Annotated[str, typer.Option("--thread", metavar="ID", help="Go on with this conversation.")]


def ask(
    *,
    question: Annotated[str | None, typer.Argument(metavar="QUESTION", help="What a customer asks.")] = None,
    user: User = "anonymous",
    thread: Thread = "",
    desk: Desk = None,
    jsonl: Jsonl = None,
    as_json: AsJson = False,
) -> None:
    """Ask one question; get answer, sources and receipt.

    The question goes through the whole graph. Waits for the local model unless FRONTDESK_LLM=off.
    """
    one_of(question, jsonl, "question")
    settings = desk_settings(desk)
    if jsonl is not None:
        asyncio.run(_ask_rows(settings, jsonl, user, thread))
    else:
        asyncio.run(_ask(settings, readable(question or "", "question"), user, thread, as_json=as_json))


async def _ask(settings: "Settings", question: str, user: str, thread: str, *, as_json: bool) -> None:
    from cli.office import Asked, open_office  # noqa: PLC0415  # --help need not wait for it

    async with open_office(settings, model=True) as office:
        reply = await office.ask(Asked(question, user, thread))
    if as_json:
        show_json(reply)
        return
    show(reply["answer"])
    _show_rest(reply)


async def _ask_rows(settings: "Settings", jsonl: str, user: str, thread: str) -> None:
    from cli.office import Asked, open_office  # noqa: PLC0415  # as above
    from cli.rows import answer_rows, facts  # noqa: PLC0415

    def asked(row: "Row") -> Asked:
        return Asked(
            row.text("question", "message", "text"),
            row.optional_text("user", user),
            row.optional_text("thread", thread),
            row.optional_text("language"),
            facts(row),
        )

    async with open_office(settings, model=True) as office:
        bad = await answer_rows(jsonl, lambda row: office.ask(asked(row)))
    if bad:
        raise typer.Exit(1)


def chat(*, user: User = "anonymous", thread: Thread = "", desk: Desk = None) -> None:
    """Talk to the desk in the terminal.

    A conversation that streams, remembers, and shows its sources.
    """
    settings = desk_settings(desk)
    if not asyncio.run(_chat(settings, user, thread)):
        raise typer.Exit(1)


async def _chat(settings: "Settings", user: str, thread: str) -> bool:
    """Converse until /quit or the end of the input; whether every turn could be taken."""
    from cli.office import open_office  # noqa: PLC0415  # as above

    fine = True
    async with open_office(settings, model=True) as office:
        if sys.stdin.isatty():
            note("Ask away. /new starts a new conversation, /quit ends.")
        async with aclosing(_lines()) as questions:
            async for line in questions:
                if line == "/new":
                    thread = ""
                    continue
                try:
                    thread = await _turn(office, line, user, thread)
                except FrontdeskError as fault:
                    note(str(fault))
                    fine = False
    return fine


async def _turn(office: "Office", line: str, user: str, thread: str) -> str:
    """One exchange, written as it is spoken; the thread it belongs to."""
    from cli.office import Asked  # noqa: PLC0415  # as above

    reply = await office.ask(Asked(line, user, thread), heard=_say)
    show()
    _show_rest(reply)
    show()
    return str(reply["thread_id"])


def _say(piece: str | None) -> None:
    """Write a piece of an answer; what a terminal has shown it cannot take back but in words."""
    if piece is None:
        show()
        show_dim("  (taken back: it did not hold when the answer was complete)")
    else:
        show(piece, end="")


async def _lines() -> AsyncGenerator[str, None]:
    """Lines of the person or pipe at standard input, up to /quit; empty ones are left out."""
    while (line := await read_line("you> ")) is not None and line.strip() != "/quit":
        if line.strip():
            yield line.strip()


def _show_rest(reply: Json) -> None:
    """What stands below an answer: sources, ticket, and how it came about."""
    for number, source in enumerate(reply["sources"], start=1):
        quote = shortened(clean(source["quote"]), QUOTE_LENGTH)
        show_dim(f"  [{number}] {source['title']} ({source['id']}): {quote}")
    if reply.get("handoff"):
        show_dim(f"  ticket {reply['handoff']['ticket']}, {reply['handoff']['department'] or 'support'}")
    receipt = reply["receipt"]
    outcome = f"{reply['outcome']} ({reply['reason']})" if reply.get("reason") else reply["outcome"]
    how = f"{receipt['mode']}{' by ' + receipt['model'] if receipt['model'] else ''}"
    cost = f" · ${receipt['cost_usd']:.6f}" if receipt["cost_usd"] else ""
    show_dim(f"  {outcome} · {how} · {receipt['latency_ms']:.0f} ms{cost} · receipt {reply['turn_id']}")
