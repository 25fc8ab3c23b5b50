"""`improve`: the weekly round, from what happened to a proposal."""

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from cli.options import AsJson, Desk, desk_settings
from cli.terminal import Json, meter, note, show, show_json, show_table

if TYPE_CHECKING:
    from training.weekly import Improved

EXAMPLES = """\b
Examples:
  frontdesk improve --week
  frontdesk improve --since 30d --prompt answer_better --rag-config english-512 --json
  frontdesk improve --week --write
\b
Candidates: the answer prompts that the desk has registered, the RAG configurations of its embedder, thresholds and scope
examples from reviewed blocks, and what --prompt and --rag-config name. Each is put through the desk's dev cases beside
what serves; the best that wins more than chance is confirmed on the held-out cases. Nothing is promoted."""
SHOWN = 5


def improve(
    *,
    week: Annotated[bool, typer.Option("--week", help="Look at the last seven days (the default).")] = False,
    since: Annotated[str, typer.Option("--since", help="How far to look back: 24h, 7d, or a date.")] = "7d",
    prompt: Annotated[
        list[str] | None, typer.Option("--prompt", metavar="NAME[@V]", help="A prompt as a candidate; may be repeated.")
    ] = None,
    rag_config: Annotated[
        list[str] | None, typer.Option("--rag-config", metavar="NAME", help="A RAG configuration; may be repeated.")
    ] = None,
    write: Annotated[
        bool, typer.Option("--write", help="Put guards that the gate let pass and were confirmed into desk.yaml.")
    ] = False,
    desk: Desk = None,
    as_json: AsJson = False,
) -> None:
    """Look at the week, hold candidates against what serves, and propose the best, or say that nothing was better."""
    from training.weekly import Asked  # noqa: PLC0415  # --help need not wait for it
    from training.weekly import improve as look  # noqa: PLC0415

    asked = Asked("7d" if week else since, prompt or (), rag_config or (), write)
    with meter("cases") as progress:
        done: Improved = asyncio.run(look(desk_settings(desk), asked, say=note, progress=progress))
    if as_json:
        show_json(_flat(done))
        return
    stats, queue = done.stats, done.queue
    show(f"{stats['requests']} questions since {stats['since'][:16]}, {queue['waiting']} turns wait for a reviewer")
    for group in queue["groups"][:SHOWN]:
        show(f"  {group['count']:>3}  {group['example'][:80]}")
    show(f"{done.ready} reviewed turns would become cases (frontdesk review to-cases)")
    show(f"{done.learnt.blocks} reviewed blocks{''.join(f'; {line}' for line in done.learnt.kept)}")
    show()
    columns = ["candidate", "kind", "won", "lost", "difference", "95 % interval", "verdict"]
    title = f"{done.week.cases} dev cases, {done.week.right:.3f} right as it serves"
    show_table(columns, [_row(one) for one in _candidates(done)], title=title)
    show()
    show(done.week.why)
    show(f"next: {done.next_step}" + ("; desk.yaml is written" if done.written else ""))


def _candidates(done: "Improved") -> list[Json]:
    return [
        {
            "name": one.candidate.name,
            "kind": one.candidate.kind,
            "about": one.candidate.about,
            "won": len(one.held.won),
            "lost": len(one.held.lost),
            "diff": round(one.held.difference, 4),
            "diff_ci": [round(end, 4) for end in one.interval] if one.interval else None,
            "verdict": one.verdict,
        }
        for one in done.week.weighed
    ]


def _row(one: Json) -> list[object]:
    interval = f"{one['diff_ci'][0]:+.3f} to {one['diff_ci'][1]:+.3f}" if one["diff_ci"] else ""
    name = f"{one['name']} ({one['about']})" if one["about"] else one["name"]
    return [name, one["kind"], one["won"], one["lost"], f"{one['diff']:+.3f}", interval, one["verdict"]]


def _flat(done: "Improved") -> Json:
    week, held = done.week, done.week.confirmed
    return {
        "since": done.stats["since"],
        "requests": done.stats["requests"],
        "waiting": done.queue["waiting"],
        "groups": len(done.queue["groups"]),
        "cases_ready": done.ready,
        "reviewed_blocks": done.learnt.blocks,
        "kept": done.learnt.kept,
        "cases": week.cases,
        "right": round(week.right, 4),
        "candidates": _candidates(done),
        "not_measured": week.failed,
        "left_out": done.notes,
        "proposed": week.proposed.name if week.proposed else None,
        "proposed_kind": week.proposed.kind if week.proposed else None,
        "held_out_cases": held.held.both if held else 0,
        "held_out_diff": round(held.held.difference, 4) if held else None,
        "held_out_diff_ci": [round(end, 4) for end in held.interval] if held and held.interval else None,
        "why": week.why,
        "next": done.next_step,
        "written": done.written,
    }
