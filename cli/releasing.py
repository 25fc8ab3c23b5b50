"""`release`, and the half of `prompts` that makes one serve."""

import asyncio
from typing import Annotated, Any

import typer

from cli.office import open_office, run_operation
from cli.options import AsJson, Desk, In, Reason, StandsFor, desk_settings, readable
from cli.terminal import Json, meter, note, show, show_json, show_table
from domain.errors import UsageError

CREATE_EXAMPLES = """\b
Examples:
  frontdesk release create 2026-11-a --note "shorter answers" --prompt answer=answer_better@1
  frontdesk release create strict --base 2026-11-a --threshold injection=0.4
  frontdesk release create follows-the-articles --knowledge live
\b
What is not given is pinned as it serves now; nothing answers by a release before it is promoted."""
LIST_EXAMPLES = """\b
Example:
  frontdesk release list"""
DIFF_EXAMPLES = """\b
Example:
  frontdesk release diff built-in 2026-11-a"""
GATE_EXAMPLES = """\b
Examples:
  frontdesk release gate 2026-11-a
  frontdesk release gate 2026-11-a --against built-in --json
\b
Puts the desk's own dev cases (cases/dev.jsonl) through what serves and through the release, over the articles in the
desk's folder, case against case; what it finds is kept with the release."""
PROMOTE_EXAMPLES = """\b
Examples:
  frontdesk release promote 2026-11-a --to staging
  frontdesk release promote 2026-11-a --to production --replaces built-in
  frontdesk release promote hotfix --to production --without-gate "the model's provider is down"
\b
Where desk.yaml asks for a second key (releases: {approval: [production]}), the first call waits for it: another key
says the same."""
ROLLBACK_EXAMPLES = """\b
Examples:
  frontdesk release rollback
  frontdesk release rollback --in production"""
PROMOTE_PROMPT_EXAMPLES = """\b
Examples:
  frontdesk prompts promote answer@2
  frontdesk prompts promote answer_better --to production
\b
Makes a release that differs from what serves there in this one line, and promotes it."""
ROLLBACK_PROMPT_EXAMPLES = """\b
Examples:
  frontdesk prompts rollback
  frontdesk prompts rollback judge --in production"""

Release = Annotated[str, typer.Argument(metavar="RELEASE", help="As `release list` names it; built-in: what ships.")]
To = Annotated[
    str,
    typer.Option(
        "--to", metavar="dev|staging|production", help="Where to serve it.  [default: this desk's environment]"
    ),
]
Replaces = Annotated[str, typer.Option("--replaces", metavar="RELEASE", help="Only if this one serves there now.")]
Pins = Annotated[list[str] | None, typer.Option("--prompt", metavar="NAME=PROMPT[@V]", help="A prompt for a name.")]
Thresholds = Annotated[list[str] | None, typer.Option("--threshold", metavar="GUARD=0..1", help="A guard's threshold.")]
Models = Annotated[list[str] | None, typer.Option("--model", metavar="TIER=MODEL", help="The model of a tier.")]


def create(
    *,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Small letters, digits, . _ -")],
    base: Annotated[str, typer.Option("--base", metavar="RELEASE", help="Change this one.")] = "",
    prompt: Pins = None,
    threshold: Thresholds = None,
    model: Models = None,
    knowledge: Annotated[
        str, typer.Option("--knowledge", metavar="VERSION|live", help="A kept version; live: whichever serves.")
    ] = "",
    text: Annotated[str, typer.Option("--note", help="What it is for.")] = "",
    desk: Desk = None,
    as_json: AsJson = False,
) -> None:
    """Pin prompts, RAG configuration, thresholds, models and knowledge under a name."""
    fields: Json = {"name": readable(name, "NAME"), "base": base, "knowledge": knowledge, "note": text}
    for field, given in (("prompts", prompt), ("models", model)):
        if given:
            fields[field] = dict(_pair(each) for each in given)
    if threshold:
        fields["thresholds"] = {family: _number(value) for family, value in map(_pair, threshold)}
    made = run_operation(desk_settings(desk), "release.create", **fields)
    if as_json:
        show_json(made)
        return
    show_table(["pin", "is"], [[pin, value] for pin, value in made["pins"].items()], title=made["name"])


def list_all(*, desk: Desk = None, as_json: AsJson = False) -> None:
    """List the releases, and what serves where."""
    found = run_operation(desk_settings(desk), "release")
    if as_json:
        show_json(found)
        return
    rows = [
        [each["environment"], each["release"], (each["since"] or "")[:16], each["who"], each["experiment"] or ""]
        for each in found["environments"]
    ]
    show_table(["environment", "release", "since (UTC)", "by", "experiment"], rows)
    show()
    rows = [[each["name"], _gate(each["gate"]), (each["at"] or "")[:16], each["note"]] for each in found["releases"]]
    show_table(["release", "gate", "made (UTC)", "note"], rows)


def show_one(*, name: Release, desk: Desk = None, as_json: AsJson = False) -> None:
    """Show what a release pins."""
    found = run_operation(desk_settings(desk), "release.show", name=readable(name, "RELEASE"))
    if as_json:
        show_json(found)
        return
    show_table(["pin", "is"], [[pin, value] for pin, value in found["pins"].items()], title=found["name"])
    show(f"gate: {_gate(found['gate'])}")


def diff(
    *,
    first: Release,
    second: Annotated[str, typer.Argument(metavar="RELEASE", help="The one to compare it with.")],
    desk: Desk = None,
    as_json: AsJson = False,
) -> None:
    """Show what one release pins otherwise than another."""
    found = run_operation(
        desk_settings(desk), "release.diff", a=readable(first, "RELEASE"), b=readable(second, "RELEASE")
    )
    if as_json:
        show_json(found)
    elif found["same"]:
        show(f"{found['a']} and {found['b']} pin the same")
    else:
        show_table(["pin", found["a"], found["b"]], [[each["pin"], each["a"], each["b"]] for each in found["changes"]])


def gate(
    *,
    name: Release,
    against: Annotated[
        str, typer.Option("--against", metavar="RELEASE", help="What to hold it against.  [default: what serves here]")
    ] = "",
    parallel: Annotated[int, typer.Option("--parallel", min=1, max=32, help="Turns at a time.")] = 4,
    desk: Desk = None,
    as_json: AsJson = False,
) -> None:
    """Put a release through the gate: the desk's cases, case against case with what serves."""
    found = asyncio.run(_gate_it(readable(name, "RELEASE"), against, desk, parallel))
    if as_json:
        show_json(found)
    else:
        figures = found["figures"]
        show_table(["figure", "value"], [[each, "-" if at is None else f"{at:g}"] for each, at in figures.items()])
        show(f"{found['release']} {'has passed' if found['passed'] else 'has not passed'} against {found['against']}")
    for line in found["failed"]:
        note(line)
    if not found["passed"]:
        raise typer.Exit(1)


async def _gate_it(name: str, against: str, desk: str | None, parallel: int) -> Json:
    from domain.release import Release as Pinned  # noqa: PLC0415  # --help need not wait for it
    from evals.releases import hold  # noqa: PLC0415
    from evals.run import Run  # noqa: PLC0415

    settings = desk_settings(desk)
    async with open_office(settings) as office:
        two = [(await office.run("release.show", name=each))["release"] for each in (against, name)]
    with meter("cases") as progress:
        run = Run(settings, say=note, progress=progress, parallel=parallel)
        result = await hold(run, *(Pinned.model_validate(each) for each in two))
    figures = {figure.name: figure.value for figure in result.figures}
    passed = not result.failed
    async with open_office(settings) as office:
        await office.run("release.gate", name=name, passed=passed, figures=figures)
    return {"release": name, "against": two[0]["name"], "passed": passed, "figures": figures, "failed": result.failed}


def promote(
    *,
    name: Release,
    to: To = "",
    without_gate: Reason = "",
    replaces: Replaces = "",
    desk: Desk = None,
    as_json: AsJson = False,
) -> None:
    """Let a release serve, once it has passed the gate."""
    fields = {"name": readable(name, "RELEASE"), "environment": to, "without_gate": without_gate, "replaces": replaces}
    _done(run_operation(desk_settings(desk), "release.promote", **fields), as_json=as_json)


def rollback(*, where: In = "", desk: Desk = None, as_json: AsJson = False) -> None:
    """Let what served before serve again, within a second."""
    _done(run_operation(desk_settings(desk), "release.rollback", environment=where), as_json=as_json)


def promote_prompt(
    *,
    name: Annotated[str, typer.Argument(metavar="PROMPT[@V]", help="As `prompts list` names it.")],
    stands_for: StandsFor = "",
    to: To = "",
    without_gate: Reason = "",
    replaces: Replaces = "",
    desk: Desk = None,
    as_json: AsJson = False,
) -> None:
    """Let a prompt serve: a release with one line changed."""
    fields = {"name": readable(name, "PROMPT"), "stands_for": stands_for, "environment": to}
    fields |= {"without_gate": without_gate, "replaces": replaces}
    _done(run_operation(desk_settings(desk), "prompts.promote", **fields), as_json=as_json)


def rollback_prompt(
    *,
    name: Annotated[str, typer.Argument(metavar="[NAME]", help="The name that a prompt stands for.")] = "answer",
    where: In = "",
    desk: Desk = None,
    as_json: AsJson = False,
) -> None:
    """Let the prompt that stood there before serve again, within a second."""
    _done(run_operation(desk_settings(desk), "prompts.rollback", name=name, environment=where), as_json=as_json)


def _done(done: Json, *, as_json: bool) -> None:
    if as_json:
        show_json(done)
    elif done["state"] == "waiting":
        show(f"{done['release']} waits for a second key to promote it to {done['environment']}")
    else:
        show(f"{done['release']} serves {done['environment']}, in place of {done['before']}")


def _pair(text: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not sign or not name or not value:
        raise UsageError("must be NAME=VALUE", where=text, fix="as in --prompt answer=answer_better")
    return name, value


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError as fault:
        raise UsageError("is no number", where=text, fix="as in --threshold injection=0.6") from fault


def _gate(found: dict[str, Any] | None) -> str:
    return "not tried" if found is None else "passed" if found["passed"] else "failed"
