"""Options that several commands share, and the settings that they lead to."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from domain.errors import UsageError

if TYPE_CHECKING:
    from domain.settings import Settings
    from graph.on_ray import Where


class On(StrEnum):
    """What else than this process may do heavy work."""

    RAY = "ray"


Desk = Annotated[
    str | None,
    typer.Option(
        "--desk",
        metavar="NAME|FOLDER",
        help="The desk: a name in ./desks or the installation, or a folder with a desk.yaml.  [default: shop]",
        show_default=False,
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object on the last line.")]
Jsonl = Annotated[
    str | None,
    typer.Option(
        "--jsonl", metavar="FILE|-", help="Take rows from this file (- is standard input): one in, one out, in order."
    ),
]
In = Annotated[
    str, typer.Option("--in", metavar="dev|staging|production", help="Where.  [default: this desk's environment]")
]
Reason = Annotated[str, typer.Option("--without-gate", metavar="REASON", help="Pass by the gate, and say why.")]
StandsFor = Annotated[
    str, typer.Option("--as", metavar="NAME", help="The name it stands for.  [default: its own, or its beginning]")
]
"""Of the commands that serve a release or a prompt."""
OnRay = Annotated[
    On | None,
    typer.Option("--on", help="Spread the work over a Ray cluster: FRONTDESK_RAY_ADDRESS, else this machine."),
]


def place_of(on: On | None) -> "Where":
    """Where work is done, as graph/on_ray.py names it."""
    return "ray" if on else ""


def desk_settings(desk: str | None, **overrides: object) -> "Settings":
    """Read the settings once; a command's options win. Raises SettingsError."""
    from domain.settings import read_settings  # noqa: PLC0415  # pydantic-settings: 0.2 s that --help need not wait for

    return read_settings(desk=desk, **overrides)


def quiet_logging(settings: "Settings") -> None:
    """Log for a command: warnings only, unless the operator has set a level."""
    from tracing import configure_logging  # noqa: PLC0415  # as above

    configure_logging(settings.log_level if "log_level" in settings.model_fields_set else "WARNING")


def one_of(text: str | None, jsonl: str | None, what: str) -> None:
    """Check that exactly one of a text and a file of rows was given. Raises UsageError."""
    if (text is None) == (jsonl is None):
        raise UsageError(f"give a {what} or --jsonl, one of them", fix="see --help for an example")


def readable(text: str, where: str) -> str:
    """Check a text from outside. Raises UsageError for bytes that are no UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError as fault:
        raise UsageError("is not valid UTF-8", where=where, fix="check the terminal's encoding") from fault
    return text


def absolute(path: str) -> Path:
    """A path as another process with another working directory understands it."""
    return Path(path).expanduser().absolute()
