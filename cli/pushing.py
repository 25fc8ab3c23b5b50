"""`eval push`: a kept run, brought to Langfuse or MLflow."""

import asyncio
from enum import StrEnum
from typing import Annotated

import typer

from cli.experiments import Run
from cli.options import AsJson, desk_settings, readable
from cli.terminal import show, show_json

EXAMPLES = """\b
Examples:
  frontdesk eval push last
  frontdesk eval push desk-20261121-134501 --to mlflow --uri sqlite:///mlflow.db"""


class Place(StrEnum):
    """Where a run may be brought."""

    LANGFUSE = "langfuse"
    MLFLOW = "mlflow"


def push(
    *,
    run: Run = "last",
    to: Annotated[Place, typer.Option("--to", help="langfuse wants its keys, mlflow the extra of that name.")] = (
        Place.LANGFUSE
    ),
    uri: Annotated[
        str, typer.Option("--uri", metavar="ADDRESS", help="MLflow's tracking address; else MLFLOW_TRACKING_URI.")
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Bring a kept run to Langfuse or MLflow.

    To Langfuse as an experiment over a data set, with traces and scores; what is there already is not there twice.
    """
    from evals.mirror import push_to_langfuse, push_to_mlflow  # noqa: PLC0415  # --help need not wait for it
    from evals.records import Records  # noqa: PLC0415

    settings = desk_settings(None)
    records = Records(settings.home)
    record = records.find(readable(run, "RUN"))
    place = asyncio.run(push_to_langfuse(record, settings)) if to is Place.LANGFUSE else push_to_mlflow(record, uri)
    records.note(record, to.value, place)
    if as_json:
        show_json({"run": record.id, "to": to.value, "id": place, "rows": len(record.result.rows)})
        return
    show(f"{record.id} is in {to.value}: {place}, {len(record.result.rows)} rows")
