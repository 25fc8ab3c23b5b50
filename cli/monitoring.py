"""`monitor report`: the week of a desk as a page, as figures, and as work for reviewers."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.options import AsJson, Desk, desk_settings
from cli.terminal import Json, meter, note, percent, show, show_json, show_table

if TYPE_CHECKING:
    from domain.settings import Settings

EXAMPLES = """\b
Examples:
  frontdesk monitor report --week
  frontdesk monitor report --week --to monday.html --sample 400
  frontdesk monitor report --week --json
\b
Answers that nobody has judged yet are judged now; those below the line, and 5 % for a person's rating, are put into
the review queue: frontdesk review list. A judging model is asked where one is configured by its address or key."""

ASPECTS = ("accuracy", "relevance", "safety")


def report(
    *,
    week: Annotated[bool, typer.Option("--week", help="The last seven days: the only span there is.")] = True,
    to: Annotated[Path | None, typer.Option("--to", metavar="HTML", help="Where the page is written.")] = None,
    sample: Annotated[int, typer.Option("--sample", min=1, max=2_000, help="Answers that are judged.")] = 200,
    seed: Annotated[
        int | None,
        typer.Option("--seed", help="Of the sample; the same seed draws the same.  [default: the week's day]"),
    ] = None,
    desk: Desk = None,
    as_json: AsJson = False,
) -> None:
    """Write the weekly page, and put what needs a person before reviewers.

    One HTML file that fetches nothing: judged answers, how judge and people agree, requests, money, drift, gaps.
    """
    del week  # said aloud, so that a shorter span may come to stand beside it
    from evals.weekly import agreement, verdict, write_page  # noqa: PLC0415  # --help need not wait for it

    settings = desk_settings(desk)
    found = asyncio.run(_found(settings, sample, seed))
    found |= agreement(found["pairs"])
    path = to or Path(f"{Path(settings.desk).name}-week-{found['until'][:10]}.html")
    write_page(found, path)
    note(f"written to {path}")
    if as_json:
        show_json({"page": str(path), **found})
        return
    _show(found, verdict(found))


async def _found(settings: "Settings", sample: int, seed: int | None) -> Json:
    from cli.office import open_office  # noqa: PLC0415  # as above

    # The embedded model takes minutes for what a small share of the judge's word rests on: its part stays unscored.
    asks = bool(settings.llm_base_url or settings.providers)
    async with open_office(settings, model=asks) as office:
        with meter("judging answers") as progress:
            return await office.run("monitor.report", progress=progress, sample=sample, seed=seed)


def _show(found: Json, verdict: list[str]) -> None:
    for line in verdict:
        show(line)
    rows = [
        [name, found[f"{name}_n"], _of(found[name]), _ends(found[f"{name}_ci"]), _agreeing(found, name)]
        for name in ASPECTS
    ]
    show_table(["of 1 to 5", "judged", "mean", "95 % interval", "judge and people"], rows)
    show(
        f"requests    {found['requests']:,}, {found['resolved']:,} resolved, {found['eligible']:,} answered from articles"
    )
    show(f"rates       no sure answer {percent(found['dont_know_rate'])}, guards {percent(found['guard_rate'])}")
    show(f"cost        ${found['cost_usd']:.4f} for {found['calls']:,} calls")
    drift = {None: "too few questions to tell", True: "the questions have changed", False: "none"}[found["drift_alarm"]]
    show(f"drift       {drift}")
    show(f"gaps        {len(found['gaps'])} shown of {found['unanswered']:,} questions without a sure answer")
    show(f"to review   {found['waiting']:,} turns wait: frontdesk review list")


def _agreeing(found: Json, aspect: str) -> str:
    share, count = found[f"agreement_{aspect}"], found[f"agreement_{aspect}_n"]
    return f"too few ({count} of {found['agreement_needs']})" if share is None else f"{share:.0%} of {count}"


def _of(value: float | None) -> str:
    return "unscored" if value is None else f"{value:.2f}"


def _ends(ends: list[float] | None) -> str:
    return "" if ends is None else f"{ends[0]:.2f} to {ends[1]:.2f}"
