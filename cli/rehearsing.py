"""`prompts test`: prompts put to their own tests."""

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from cli.office import open_office
from cli.options import AsJson, Desk, desk_settings
from cli.terminal import Json, note, show, show_json, show_table
from domain.errors import ConflictError, UsageError

if TYPE_CHECKING:
    from domain.settings import Settings

EXAMPLES = """\b
Examples:
  frontdesk prompts test
  frontdesk prompts test answer --with scripted
  frontdesk prompts test answer@2 --json
\b
scripted: the right and wrong answers that each case brings; shows that the case can fail. embedded: the local model.
configured: the model of FRONTDESK_LLM_BASE_URL or of a provider's key. What is not there is skipped, and named."""
WAYS = ("scripted", "embedded", "configured")


def rehearse(
    *,
    name: Annotated[str, typer.Argument(metavar="[PROMPT[@V]]", help="All of them without it.")] = "",
    ways: Annotated[
        list[str] | None, typer.Option("--with", metavar="scripted|embedded|configured", help="May be repeated.")
    ] = None,
    desk: Desk = None,
    as_json: AsJson = False,
) -> None:
    """Put prompts to their own tests."""
    for way in ways or ():
        if way not in WAYS:
            raise UsageError(f"no way {way!r}", where="--with", fix=f"one of {', '.join(WAYS)}")
    runs, skipped = asyncio.run(_runs(desk_settings(desk), name, ways or WAYS))
    failed = sum(run["failed"] for run in runs)
    if as_json:
        show_json({"runs": runs, "skipped": skipped, "failed": failed})
    for run in () if as_json else runs:
        rows = [
            [each["prompt"], each["case"], "; ".join(each["faults"]) or each["unscored"]]
            for each in run["cases"]
            if each["faults"] or each["unscored"]
        ]
        who = f"{run['with']} ({run['model']})" if run["model"] else run["with"]
        show_table(["prompt", "case", "why"], rows, title=who)
        show(f"{who}: {run['passed']} passed, {run['failed']} failed, {run['unscored']} unscored")
    for way, why in skipped.items():
        note(f"SKIPPED {way}: {why}")
    if failed:
        raise typer.Exit(1)


async def _runs(
    settings: "Settings", name: str, ways: "tuple[str, ...] | list[str]"
) -> tuple[list[Json], dict[str, str]]:
    """What each way has found, and why a way was not gone."""
    configured = bool(settings.llm_base_url or settings.providers)
    missing = {}
    if settings.llm == "off":
        missing = dict.fromkeys(("embedded", "configured"), "FRONTDESK_LLM=off")
    elif configured:
        missing = {"embedded": "another model is configured in its place"}
    else:
        missing = {"configured": "set FRONTDESK_LLM_BASE_URL or a provider's key"}
    runs: list[Json] = []
    skipped = {way: why for way, why in missing.items() if way in ways}
    wanted = [way for way in ways if way not in skipped]
    async with open_office(settings, model=any(way != "scripted" for way in wanted)) as office:
        for way in wanted:
            try:
                found = await office.run("prompts.test", name=name, model="scripted" if way == "scripted" else "model")
            except ConflictError as fault:
                skipped[way] = str(fault)
            else:
                runs.append(found | {"with": way})
    return runs, skipped
