"""`release ab` and `prompts ab`: two releases side by side on real customers."""

from typing import Annotated

import typer

from cli.office import run_operation
from cli.options import AsJson, Desk, In, Reason, StandsFor, desk_settings, readable
from cli.terminal import Json, show, show_json, show_table

START_EXAMPLES = """\b
Examples:
  frontdesk release ab start 2026-11-a --share 0.05
  frontdesk release ab start 2026-11-a --in production --name shorter-answers
\b
So large a share of the users gets the release, for as long as the experiment runs; the others get what serves. Start with
a canary of 0.05. In staging and production the release must have passed the gate."""
STATUS_EXAMPLES = """\b
Examples:
  frontdesk release ab status
  frontdesk release ab status shorter-answers --json
\b
May be looked at every day: the intervals hold over all looks together."""
STOP_EXAMPLES = """\b
Example:
  frontdesk release ab stop
\b
Everybody gets what serves; promote the better one with `frontdesk release promote`."""
PROMPT_EXAMPLES = """\b
Examples:
  frontdesk prompts ab answer_better
  frontdesk prompts ab answer@2 --share 0.05 --in production
\b
Makes a release that differs from what serves in this one line, and shows it to a share of the users. How it stands:
frontdesk release ab status."""

Share = Annotated[float, typer.Option("--share", help="Share of the users that get it, above 0 and below 1.")]
Called = Annotated[str, typer.Option("--name", metavar="NAME", help="What the experiment is called.")]
Which = Annotated[str, typer.Argument(metavar="[NAME]", help="The experiment; without it the one that runs.")]


def start(
    *,
    release: Annotated[str, typer.Argument(metavar="RELEASE", help="As `release list` names it.")],
    share: Share = 0.5,
    name: Called = "",
    where: In = "",
    without_gate: Reason = "",
    desk: Desk = None,
    as_json: AsJson = False,
) -> None:
    """Show a release to a share of the users."""
    fields = {"release": readable(release, "RELEASE"), "share": share, "name": name, "environment": where}
    done = run_operation(desk_settings(desk), "release.ab.start", **fields, without_gate=without_gate)
    _started(done, as_json=as_json)


def start_prompt(
    *,
    prompt: Annotated[str, typer.Argument(metavar="PROMPT[@V]", help="As `prompts list` names it.")],
    stands_for: StandsFor = "",
    share: Share = 0.5,
    name: Called = "",
    where: In = "",
    without_gate: Reason = "",
    desk: Desk = None,
    as_json: AsJson = False,
) -> None:
    """Show a prompt to a share of the users."""
    fields = {"prompt": readable(prompt, "PROMPT"), "stands_for": stands_for, "share": share, "name": name}
    fields |= {"environment": where, "without_gate": without_gate}
    _started(run_operation(desk_settings(desk), "prompts.ab", **fields), as_json=as_json)


def status(*, name: Which = "", desk: Desk = None, as_json: AsJson = False) -> None:
    """See how an experiment stands, and whether a winner can be told."""
    found = run_operation(desk_settings(desk), "release.ab", name=name)
    if as_json:
        show_json(found)
        return
    over = f", stopped {found['stopped_at'][:16]}" if found["stopped_at"] else ""
    show(f"{found['name']} in {found['environment']}, since {found['started_at'][:16]} UTC{over}")
    rows = [
        [arm, found[arm], f"{part:.0%}", found["users"][arm], found["turns"][arm]]
        for arm, part in (("a", 1 - found["share"]), ("b", found["share"]))
    ]
    show_table(["arm", "release", "share", "users", "turns"], rows)
    show()
    rows = [
        [each["measure"], _shown(each["a"]), _shown(each["b"]), "/".join(map(str, each["users"])), _interval(each)]
        for each in found["measures"]
    ]
    show_table(["measure", "a", "b", "users", "b less a"], rows)
    show(f"{found['winner'] or 'no winner yet'}: {found['why']}")


def stop(*, name: Which = "", desk: Desk = None, as_json: AsJson = False) -> None:
    """End an experiment."""
    done = run_operation(desk_settings(desk), "release.ab.stop", name=name)
    if as_json:
        show_json(done)
    else:
        show(f"{done['name']} has ended; {done['a']} serves everybody in {done['environment']}")


def _started(done: Json, *, as_json: bool) -> None:
    if as_json:
        show_json(done)
    elif done["state"] == "waiting":
        show(f"{done['name']} waits for a second key")
    else:
        show(
            f"{done['name']}: {done['b']} for {done['share']:.0%} of the users of {done['environment']}, {done['a']} else"
        )


def _shown(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"


def _interval(measure: Json) -> str:
    if measure["interval"] is None:
        return "too few"
    low, high = measure["interval"]
    return f"{low:+.4g} to {high:+.4g}" + (f" ({measure['better']})" if measure["better"] else "")
