"""Kept runs, brought to where a team already looks: Langfuse, or MLflow."""

import math
import tempfile
from datetime import datetime
from pathlib import Path

from domain.errors import UsageError
from domain.settings import Settings
from evals.records import Record
from evals.report import page
from tracing.api import LangfuseApi
from tracing.experiments import Experiment, ExperimentMirror, Item

MLFLOW_EXPERIMENT = "frontdesk"
LONGEST_PARAM = 500


async def push_to_langfuse(record: Record, settings: Settings) -> str:
    """Mirror a run as an experiment over a data set; where it stands there.

    Raises UsageError without keys or rows, FrontdeskError for a server that does not take it.
    """
    if not settings.traces_to_langfuse:
        raise UsageError(
            "Langfuse is not configured", where=record.id, fix="set LANGFUSE_PUBLIC_KEY and LANGFUSE_SECRET_KEY"
        )
    if not record.result.rows:
        raise UsageError("has no rows that may leave the house", where=record.id, fix="mirror a run of dev cases")
    secret = settings.langfuse_secret_key.get_secret_value()
    fix = "see frontdesk doctor, then frontdesk eval push RUN"
    async with LangfuseApi(settings.langfuse_host, settings.langfuse_public_key, secret, fix=fix) as api:
        mirror = ExperimentMirror(api, environment=settings.langfuse_environment or "eval")
        return await mirror.push(experiment_of(record))


def experiment_of(record: Record) -> Experiment:
    """The run in the words of the mirror."""
    about = record.result.about
    on = Path(str(about.get("split") or about.get("data") or "rows")).stem
    items = [
        Item(row.id, row.question, row.expected, row.answer, row.scores, row.kind, row.why, row.trace_id, row.ms)
        for row in record.result.rows
    ]
    dataset = "/".join(filter(None, ("frontdesk", record.result.suite, str(about.get("desk", "")), on)))
    return Experiment(
        dataset, record.id, datetime.fromisoformat(record.at), items, _figures(record), record.result.config
    )


def push_to_mlflow(record: Record, uri: str) -> str:
    """Log a run to an MLflow server or store: its settings, figures, record and page. The id of the run there.

    `uri` is MLflow's tracking address; empty: its own environment decides. Raises UsageError where MLflow is not
    installed or does not take it.
    """
    try:
        import mlflow  # noqa: PLC0415  # optional, and seconds
    except ImportError as fault:
        fix = "pip install 'frontdesk[mlflow]'"
        raise UsageError("MLflow is not installed", where="eval push", fix=fix) from fault
    client = mlflow.MlflowClient(tracking_uri=uri or None)
    try:
        found = client.get_experiment_by_name(MLFLOW_EXPERIMENT)
        experiment = found.experiment_id if found else client.create_experiment(MLFLOW_EXPERIMENT)
        began = round(datetime.fromisoformat(record.at).timestamp() * 1000)
        run = client.create_run(experiment, start_time=began, run_name=record.id, tags={"suite": record.result.suite})
        own = run.info.run_id
        for name, value in (record.result.config | {"seed": str(record.seed)}).items():
            client.log_param(own, name, value[:LONGEST_PARAM])
        for name, number in _figures(record).items():
            client.log_metric(own, _plain(name), number)
        client.log_dict(own, record.as_json(), "run.json")
        with tempfile.TemporaryDirectory() as folder:
            report = Path(folder) / "report.html"
            report.write_text(page(record.result), encoding="utf-8", errors="replace")
            client.log_artifact(own, str(report))
        client.set_terminated(own, end_time=began + round(record.seconds * 1000))
    except mlflow.MlflowException as fault:
        raise UsageError("MLflow did not take it", where=uri or "MLflow", fix=str(fault).splitlines()[0]) from fault
    return str(own)


def _figures(record: Record) -> dict[str, float]:
    return {
        one.name: float(one.value)
        for one in record.result.figures
        if one.value is not None and math.isfinite(one.value)
    }


def _plain(name: str) -> str:
    """A figure's name as MLflow takes it: no @."""
    return name.replace("@", "_at_")
