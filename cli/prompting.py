"""`prompts`: the versions of what is said to a model."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from cli.office import run_operation
from cli.options import AsJson, Desk, desk_settings, readable
from cli.terminal import note, show, show_dim, show_json, show_table
from domain.errors import UsageError

LIST_EXAMPLES = """\b
Example:
  frontdesk prompts list"""
SHOW_EXAMPLES = """\b
Examples:
  frontdesk prompts show answer
  frontdesk prompts show answer@1 --json"""
DIFF_EXAMPLES = """\b
Example:
  frontdesk prompts diff answer answer_zero_shot"""
EXPORT_EXAMPLES = """\b
Examples:
  frontdesk prompts export answer > answer.yaml
  frontdesk prompts export > all.yaml"""
REGISTER_EXAMPLES = """\b
Examples:
  frontdesk prompts register my_answer.yaml
  frontdesk prompts import all.yaml
\b
The prompts become files in the desk's folder prompts/: commit them. Registering changes no answer."""
PUSH_EXAMPLES = """\b
Examples:
  frontdesk prompts push
  frontdesk prompts push answer
\b
Version 2 carries the label frontdesk-2 in Langfuse, which counts its own. What is there is left as it is."""
PULL_EXAMPLES = """\b
Examples:
  frontdesk prompts pull answer
  frontdesk prompts pull answer --label tried-by-lan
\b
The text becomes the next version in the desk's folder prompts/, with the variables and cases of the one before.
It answers nobody before a release has it: frontdesk prompts promote."""
HASH = 12
"""Letters of a hash that a table shows."""

Name = Annotated[str, typer.Argument(metavar="NAME[@V]", help="As `prompts list` names it; without @V what ships.")]
Other = Annotated[str, typer.Argument(metavar="NAME[@V]", help="The one to compare it with.")]


def list_all(*, desk: Desk = None, as_json: AsJson = False) -> None:
    """List every version of every prompt."""
    found = run_operation(desk_settings(desk), "prompts")
    if as_json:
        show_json(found)
        return
    rows = [
        [each["label"], each["hash"][:HASH], each["cases"], "ships" if each["shipped"] else each["created_at"][:16]]
        for each in found["prompts"]
    ]
    show_table(["prompt", "hash", "cases", "since (UTC)"], rows)


def show_one(*, name: Name, desk: Desk = None, as_json: AsJson = False) -> None:
    """Show one version of a prompt."""
    found = run_operation(desk_settings(desk), "prompts.show", name=readable(name, "NAME"))
    if as_json:
        show_json(found)
        return
    show(f"{found['label']} · {found['hash'][:HASH]} · {found['author']} · takes {', '.join(found['variables'])}")
    show(found["note"])
    if found["parent"]:
        show(
            f"made from {found['parent']}: {', '.join(f'{name} {value:g}' for name, value in found['figures'].items())}"
        )
    for line in found["messages"]:
        show_dim(f"[{line['role']}]")
        show(line["text"])


def diff(*, first: Name, second: Other, desk: Desk = None, as_json: AsJson = False) -> None:
    """Show what one prompt says otherwise than another."""
    fields = {"a": readable(first, "NAME"), "b": readable(second, "NAME")}
    found = run_operation(desk_settings(desk), "prompts.diff", **fields)
    if as_json:
        show_json(found)
        return
    for line in found["diff"]:
        show(line)
    if found["same"]:
        show(f"{found['a']} and {found['b']} say the same")


def export(
    *,
    name: Annotated[str, typer.Argument(metavar="[NAME[@V]]", help="All of them without it.")] = "",
    desk: Desk = None,
    as_json: AsJson = False,
) -> None:
    """Print prompts as YAML: version, created_at, hash, template, metadata."""
    found = run_operation(desk_settings(desk), "prompts.export", name=name)
    if as_json:
        show_json(found)
        return
    show(found["yaml"], end="")


def register(
    *,
    file: Annotated[str, typer.Argument(metavar="FILE", help="A prompt's file or an export; -: read it from a pipe.")],
    desk: Desk = None,
    as_json: AsJson = False,
) -> None:
    """Take prompts into the desk's folder: all of a file or none."""
    _registered(run_operation(desk_settings(desk), "prompts.register", text=_text(file)), as_json=as_json)


def push(
    *,
    name: Annotated[str, typer.Argument(metavar="[NAME[@V]]", help="All of them without it.")] = "",
    desk: Desk = None,
    as_json: AsJson = False,
) -> None:
    """Bring prompts to Langfuse, a mirror of those in git."""
    done = run_operation(desk_settings(desk), "prompts.push", name=name)
    if as_json:
        show_json(done)
        return
    for label in done["pushed"]:
        show(f"{label} is in Langfuse now")
    if done["unchanged"]:
        note(f"{len(done['unchanged'])} were there, word for word")


def pull(
    *,
    name: Name,
    label: Annotated[str, typer.Option(metavar="LABEL", help="Which version there.")] = "latest",
    desk: Desk = None,
    as_json: AsJson = False,
) -> None:
    """Take what a prompt says in Langfuse as its next version here."""
    done = run_operation(desk_settings(desk), "prompts.pull", name=readable(name, "NAME"), label=label)
    _registered(done, as_json=as_json)


def _registered(done: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        show_json(done)
        return
    for label in done["registered"]:
        show(f"{label} is registered")
    for label in done["unchanged"]:
        note(f"{label} was there, word for word")


def _text(file: str) -> str:
    try:
        return sys.stdin.read() if file == "-" else Path(file).expanduser().read_text(encoding="utf-8")
    except OSError as fault:
        raise UsageError(fault.strerror or "cannot be read", where=file, fix="give a file of YAML") from fault
    except UnicodeDecodeError as fault:
        raise UsageError("is no text in UTF-8", where=file, fix="give a file of YAML") from fault
