"""`receipt`: the record of one turn, as a waterfall of its steps."""

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from cli.options import AsJson, Desk, desk_settings, readable
from cli.terminal import Json, shortened, show, show_json, show_table

if TYPE_CHECKING:
    from domain.settings import Settings

EXAMPLES = """\b
Examples:
  frontdesk receipt 0192f0c1-7d1e-7a3b-8c11-2f0d6a3b9e55
  frontdesk receipt 0192f0c1 --json
\b
The id stands below every answer, and in a Reply as turn_id. The first 8 characters or more do, if no
other id begins with them."""

BAR_WIDTH = 30
TEXT_LENGTH = 160


def receipt(
    *,
    turn: Annotated[str, typer.Argument(metavar="ID", help="A turn's id, or how it begins.")],
    desk: Desk = None,
    as_json: AsJson = False,
) -> None:
    """Show everything that is kept of a turn.

    Steps with their times, verdicts, route and why, passages, sources, calls, cost, scores.
    """
    asyncio.run(_receipt(desk_settings(desk), readable(turn, "ID"), as_json=as_json))


async def _receipt(settings: "Settings", turn: str, *, as_json: bool) -> None:
    from cli.office import open_office  # noqa: PLC0415  # --help need not wait for it

    async with open_office(settings) as office:
        kept = await office.run("receipt", turn_id=turn)
    if as_json:
        show_json(kept)
        return
    _show_head(kept)
    _show_steps(kept)
    _show_parts(kept)
    _show_foot(kept)


def _show_head(kept: Json) -> None:
    outcome = f"{kept['outcome']} ({kept['reason']})" if kept["reason"] else kept["outcome"]
    show(f"receipt {kept['turn_id']}")
    show(f"{kept['at'][:19]} UTC · desk {kept['desk']} · {kept['language']} · user {kept['user'][:12]}")
    show(f"thread {kept['thread_id']}")
    show()
    show(f"question  {kept['question']}")
    if kept["standalone"] and kept["standalone"] != kept["question"]:
        show(f"read as   {kept['standalone']}")
    show(f"answer    {kept['answer']}")
    show(f"outcome   {outcome}{' · error ' + kept['error'] if kept['error'] else ''}")
    why = "; ".join(kept["why"])
    show(f"route     {kept['tier']}{': ' + why if why else ''} · retrieval confidence {kept['confidence']:.2f}")
    model = f" · {kept['model']}" if kept["model"] else ""
    prompt = f" · prompt {kept['prompt']}" if kept["prompt"] else ""
    show(f"answered  {kept['mode']}{model}{prompt} · {kept['rag_config']} · release {kept['release']}")
    show(f"knowledge {kept['knowledge']}")
    show()


def _show_steps(kept: Json) -> None:
    """A waterfall: each step's bar begins where the one before it ended."""
    steps = kept["steps"]
    total = max(sum(step["ms"] for step in steps), kept["latency_ms"], 0.001)
    rows, begun = [], 0.0
    for step in steps:
        left = round(begun / total * BAR_WIDTH)
        begun += step["ms"]
        length = max(round(begun / total * BAR_WIDTH) - left, 1)
        rows.append([step["name"], step["ms"], " " * min(left, BAR_WIDTH - 1) + "█" * length])
    show_table(["step", "ms", f"of {kept['latency_ms']:.1f} ms"], rows)


def _show_parts(kept: Json) -> None:
    if kept["verdicts"]:
        rows = [[one["guard"], one["action"], one["reason"], one["score"]] for one in kept["verdicts"]]
        _table("verdicts", ["guard", "action", "reason", "score"], rows)
    if kept["passages"]:
        rows = [[one["id"], round(one["score"], 3), shortened(one["text"], TEXT_LENGTH)] for one in kept["passages"]]
        _table("passages", ["passage", "score", "text"], rows)
    if kept["sources"]:
        rows = [[one["id"], one["title"], shortened(one["quote"], TEXT_LENGTH)] for one in kept["sources"]]
        _table("sources", ["article", "title", "quote"], rows)
    if kept["calls"]:
        rows = [
            [
                one["purpose"],
                one["model"],
                "ok" if one["ok"] else one["error"],
                one["input_tokens"],
                one["output_tokens"],
                round(one["ms"], 1),
                one["cost_microusd"] / 1_000_000,
            ]
            for one in kept["calls"]
        ]
        _table("calls", ["purpose", "model", "result", "in", "out", "ms", "usd"], rows)
    if kept["scores"]:
        from scoring.judge import AGREEMENT  # noqa: PLC0415  # --help need not wait for it

        rows = [
            [one["name"], "unscored" if one["value"] is None else f"{one['value']:.2f}", one["comment"]]
            for one in kept["scores"]
        ]
        _table("scores", ["score", "value", "comment"], rows)
        show(AGREEMENT)


def _show_foot(kept: Json) -> None:
    show()
    if kept["handoff"]:
        show(f"handed to {kept['handoff']['department'] or 'support'}, ticket {kept['handoff']['ticket']}")
    show(f"{kept['tokens']} tokens · ${kept['cost_usd']:.6f} · {kept['latency_ms']:.1f} ms · trace {kept['trace_id']}")


def _table(title: str, columns: list[str], rows: list[list[object]]) -> None:
    show()
    show_table(columns, rows, title=title)
