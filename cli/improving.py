"""`improve`: the weekly round, from what happened to a proposal."""

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from cli.measuring import remembering_calls
from cli.office import open_office
from cli.options import AsJson, Desk, desk_settings
from cli.terminal import Json, meter, note, show, show_json, show_table
from domain.errors import FrontdeskError
from evals.stats import wilson

if TYPE_CHECKING:
    from evals.run import Run
    from training.weekly import Asked, Held, Proposed, Seen

EXAMPLES = """\b
Examples:
  frontdesk improve --week
  frontdesk improve --since 30d --prompt answer_better --rag-config english-512 --json
  frontdesk improve --week --write
  frontdesk improve --week --sample 30 --prompt answer_zero_shot
\b
Candidates: the answer prompts that the desk has registered, the RAG configurations of its embedder, thresholds and scope
examples from reviewed blocks, and what --prompt and --rag-config name. Each is put through the desk's dev cases beside
what serves; the best that wins more than chance is confirmed on the held-out cases and becomes a release that carries the
evidence. Nothing is promoted, and a server may go on serving meanwhile. Killed? Give the same command again: answers of
models are kept, and none is asked for twice."""
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
    sample: Annotated[
        int, typer.Option("--sample", min=0, metavar="N", help="So many dev cases, drawn by --seed; 0: all of them.")
    ] = 0,
    seed: Annotated[int, typer.Option("--seed", help="What draws the sample.")] = 0,
    fresh: Annotated[bool, typer.Option("--fresh", help="Ask models anew, whatever was answered before.")] = False,
    write: Annotated[
        bool, typer.Option("--write", help="Put guards that the gate let pass and were confirmed into desk.yaml.")
    ] = False,
    desk: Desk = None,
    as_json: AsJson = False,
) -> None:
    """Look at the week, hold candidates against what serves, and propose the best, or say that nothing was better."""
    from evals.run import Run  # noqa: PLC0415  # --help need not wait for it
    from training.weekly import Asked  # noqa: PLC0415  # as above

    settings, asked = desk_settings(desk), Asked("7d" if week else since, prompt or (), rag_config or ())
    with meter("cases") as progress:
        run = remembering_calls(Run(settings, note, progress, sample=sample, seed=seed, fresh=fresh))
        seen, held, proposed = asyncio.run(_round(run, asked, write=write))
    if as_json:
        show_json(_flat(seen, held, proposed))
    else:
        _tell(seen, held, proposed)
    if proposed.trouble:
        note(proposed.trouble)
        raise typer.Exit(1)


async def _round(run: "Run", asked: "Asked", *, write: bool) -> "tuple[Seen, Held, Proposed]":
    from training.weekly import Proposed, hold, look, propose  # noqa: PLC0415  # as above

    settings = run.settings
    async with open_office(settings) as office:
        seen = await look(settings, asked, office.run)
    held = await hold(run, seen)
    try:
        async with open_office(settings) as office:
            return seen, held, await propose(settings, seen, held.week, office.run, write=write)
    except FrontdeskError as fault:  # what was measured in an hour is shown all the same
        return seen, held, Proposed("frontdesk release create", trouble=str(fault))


def _tell(seen: "Seen", held: "Held", proposed: "Proposed") -> None:
    show(
        f"{seen.stats['requests']} questions since {seen.stats['since'][:16]}, {seen.queue['waiting']} turns wait for a reviewer"
    )
    for group in seen.queue["groups"][:SHOWN]:
        show(f"  {group['count']:>3}  {group['example'][:80]}")
    show(f"{seen.ready} reviewed turns would become cases (frontdesk review to-cases)")
    show(f"{seen.learnt.blocks} reviewed blocks{''.join(f'; {line}' for line in seen.learnt.kept)}")
    show()
    columns = ["candidate", "kind", "right", "won", "lost", "difference", "95 % interval", "verdict"]
    title = f"{held.week.cases} dev cases, {held.week.right:.3f} right under {seen.serving.name}"
    show_table(columns, [_row(one) for one in _candidates(held)], title=title)
    show()
    show(held.week.why)
    if proposed.release:
        show(f"release {proposed.release} is made of it and carries these figures; it answers nowhere yet")
    show(f"next: {proposed.next_step}" + ("; desk.yaml is written" if proposed.written else ""))


def _candidates(held: "Held") -> list[Json]:
    return [
        {
            "name": one.candidate.name,
            "kind": one.candidate.kind,
            "about": one.candidate.about,
            "won": len(one.held.won),
            "lost": len(one.held.lost),
            "right": None if one.right.value is None else round(one.right.value, 4),
            "right_n": one.right.n,
            "right_ci": _ends(one.right.ci),
            "diff": round(one.held.difference, 4),
            "diff_ci": _ends(one.interval),
            "verdict": one.verdict,
        }
        for one in held.week.weighed
    ]


def _row(one: Json) -> list[object]:
    interval = f"{one['diff_ci'][0]:+.3f} to {one['diff_ci'][1]:+.3f}" if one["diff_ci"] else ""
    name = f"{one['name']} ({one['about']})" if one["about"] else one["name"]
    right = f"{one['right']:.3f} of {one['right_n']}" if one["right_n"] else "-"
    return [name, one["kind"], right, one["won"], one["lost"], f"{one['diff']:+.3f}", interval, one["verdict"]]


def _ends(interval: tuple[float, float] | None) -> list[float] | None:
    return [round(end, 4) for end in interval] if interval else None


def _flat(seen: "Seen", held: "Held", proposed: "Proposed") -> Json:
    week, apart = held.week, held.week.confirmed
    return {
        "since": seen.stats["since"],
        "requests": seen.stats["requests"],
        "waiting": seen.queue["waiting"],
        "groups": len(seen.queue["groups"]),
        "cases_ready": seen.ready,
        "reviewed_blocks": seen.learnt.blocks,
        "kept": seen.learnt.kept,
        "serving": seen.serving.name,
        "cases": week.cases,
        "right": round(week.right, 4),
        "right_ci": _ends(wilson(round(week.right * week.cases), week.cases)),
        "candidates": _candidates(held),
        "not_measured": week.failed,
        "left_out": held.notes,
        "proposed": week.proposed.name if week.proposed else None,
        "proposed_kind": week.proposed.kind if week.proposed else None,
        "held_out_cases": apart.held.both if apart else 0,
        "held_out_diff": round(apart.held.difference, 4) if apart else None,
        "held_out_diff_ci": _ends(apart.interval) if apart else None,
        "why": week.why,
        "release": proposed.release or None,
        "next": proposed.next_step,
        "written": proposed.written,
        "trouble": proposed.trouble or None,
    }
