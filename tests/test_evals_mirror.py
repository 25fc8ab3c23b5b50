"""Runs in Langfuse and MLflow: data set, experiment, traces and scores; and what is said when it cannot be."""

import asyncio
import hashlib
import json
from dataclasses import replace
from datetime import UTC, datetime
from importlib.util import find_spec

import pytest
from langfuse_datasets_double import PROJECT, langfuse_datasets
from langfuse_double import BASIC

from domain.errors import FrontdeskError, UsageError
from domain.settings import read_settings
from evals.mirror import experiment_of, push_to_langfuse, push_to_mlflow
from evals.records import Record
from evals.run import Figure, Result, Row, share

TRACE = "ab" * 16
ROWS = [
    Row(
        "c1",
        "direct",
        {"answered_right": 1.0, "cited_right": 0.0},
        "how long?",
        "answer; 2 years",
        "2 years",
        "",
        TRACE,
        0.0,
        12.0,
    ),
    Row("c2", "angry", {"answered_right": 0.0}, "where is it?", "answer", "no", "without Monday", "", 0.0, 5.0),
]
FIGURES = [share("answered_right", [True, False]), Figure("hit@5", 0.5, 2), Figure("none", None, 0)]
RECORD = Record(
    "desk-20261121-090000",
    datetime(2026, 11, 21, 9, tzinfo=UTC).isoformat(),
    3.0,
    0,
    Result("desk", {"desk": "Lamps", "split": "dev"}, FIGURES, rows=ROWS, config={"prompt": "answer@1"}),
)


def settings(host):
    return read_settings(langfuse_host=host, langfuse_public_key="pk-test", langfuse_secret_key="sk-test")


def pushed(double, record=RECORD):
    double.authorization = BASIC
    return asyncio.run(push_to_langfuse(record, settings(double.url)))


def test_a_run_becomes_an_experiment_over_a_data_set_with_traces_and_scores():
    with langfuse_datasets() as double:
        experiment = pushed(double)
        name = "frontdesk/desk/Lamps/dev"
        assert list(double.datasets) == [name]
        stable = json.dumps(["langfuse-experiment-v1", PROJECT, f"ds-{name}", RECORD.id], separators=(",", ":"))
        assert experiment == hashlib.sha256(stable.encode()).hexdigest()[:16]
        assert {one["input"] for one in double.items.values()} == {"how long?", "where is it?"}
        assert double.items[f"{name}-c1"]["expectedOutput"] == "answer; 2 years"

        first = next(one for one in double.spans if one["trace"] == TRACE)
        said = first["attributes"]
        assert said["langfuse.experiment.id"] == experiment
        assert said["langfuse.experiment.dataset.id"] == f"ds-{name}"
        assert said["langfuse.experiment.item.id"] == f"{name}-c1"
        assert said["langfuse.experiment.item.root_observation_id"] == first["id"]
        assert (said["langfuse.observation.input"], said["langfuse.observation.output"]) == ("how long?", "2 years")
        assert first["end"] - first["start"] == 12_000_000
        assert len({one["trace"] for one in double.spans}) == 2

        scores = {(one.get("traceId"), one["name"]): one for one in double.scores}
        assert scores[TRACE, "cited_right"]["value"] == 0.0
        assert scores[TRACE, "cited_right"]["observationId"] == first["id"]
        assert scores[None, "answered_right"]["datasetRunId"] == experiment
        assert (None, "none") not in scores
        assert next(one for one in double.scores if one.get("comment"))["comment"] == "without Monday"


def test_a_run_that_is_sent_twice_is_there_once():
    with langfuse_datasets() as double:
        assert pushed(double) == pushed(double)
        assert len(double.items) == 2
        assert len({one["id"] for one in double.spans}) == 2
        assert len({one["id"] for one in double.scores}) == len(double.scores) / 2


def test_what_cannot_be_mirrored_is_said_in_a_line():
    with pytest.raises(UsageError, match="not configured"):
        asyncio.run(push_to_langfuse(RECORD, read_settings()))
    with pytest.raises(UsageError, match="no rows that may leave"):
        asyncio.run(
            push_to_langfuse(replace(RECORD, result=replace(RECORD.result, rows=[])), settings("http://127.0.0.1:9"))
        )
    with pytest.raises(FrontdeskError, match="gives no answer"):
        asyncio.run(push_to_langfuse(RECORD, settings("http://127.0.0.1:9")))
    with langfuse_datasets() as double:
        double.status = 503
        with pytest.raises(FrontdeskError, match="answers 503 to /api/public/v2/datasets"):
            pushed(double)
        double.status = 200
        double.refused = 1
        with pytest.raises(FrontdeskError, match="a part only"):
            pushed(double)
        double.authorization = "Basic other"
        with pytest.raises(FrontdeskError, match="refuses the keys"):
            asyncio.run(push_to_langfuse(RECORD, settings(double.url)))


def test_rows_without_texts_carry_scores_alone():
    bare = replace(
        RECORD,
        result=replace(RECORD.result, suite="idk", about={"data": "x/idk.jsonl"}, rows=[Row("1", "k", {"right": 1.0})]),
    )
    made = experiment_of(bare)
    assert (made.dataset, made.items[0].input, dict(made.items[0].scores)) == ("frontdesk/idk/idk", "", {"right": 1.0})


def test_mlflow_is_said_to_be_absent():
    if find_spec("mlflow"):
        pytest.skip("MLflow is installed here")
    with pytest.raises(UsageError, match=r"MLflow is not installed.*frontdesk\[mlflow\]"):
        push_to_mlflow(RECORD, "")


def test_mlflow_takes_settings_figures_and_the_page(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # where it keeps artifacts
    if not find_spec("mlflow"):
        pytest.skip("MLflow is not installed: pip install 'frontdesk[mlflow]' and run this test again")
    import mlflow  # noqa: PLC0415  # optional

    uri = f"sqlite:///{tmp_path}/mlflow.db"
    run = mlflow.MlflowClient(tracking_uri=uri).get_run(push_to_mlflow(RECORD, uri))
    assert run.data.metrics == {"answered_right": 0.5, "hit_at_5": 0.5}
    assert (run.data.params["prompt"], run.info.run_name) == ("answer@1", RECORD.id)
    assert {one.path for one in mlflow.MlflowClient(tracking_uri=uri).list_artifacts(run.info.run_id)} == {
        "run.json",
        "report.html",
    }
