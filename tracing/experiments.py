"""An evaluation in Langfuse: its rows as a data set, the run as an experiment with traces and scores.

As its SDK (5.0) does it: an experiment is what spans say of themselves (`langfuse.experiment.*`). The span of a row is
put into the trace of its turn, so that one click leads from the score to the steps. Ids are hashes: a run that is
sent twice is there once.
"""

import asyncio
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tracing.api import LangfuseApi
from tracing.server import packed
from tracing.spans import Observation, Trace, encode, fitting_environment, fitting_id, fitting_text, span_id

DATASETS = "/api/public/v2/datasets"
ITEMS = "/api/public/dataset-items"
PROJECTS = "/api/public/projects"
TRACES = "/api/public/otel/v1/traces"
SCORES = "/api/public/scores"
AT_ONCE = 4
BATCH = 100
NS_PER_MS = 1_000_000


@dataclass(frozen=True, slots=True)
class Item:
    """A row of a data set and what came of it; texts are masked. `trace_id`: of the turn, empty where there was none."""

    id: str
    input: str
    expected: str
    output: str
    scores: Mapping[str, float]
    kind: str = ""
    why: str = ""
    trace_id: str = ""
    ms: float = 0.0


@dataclass(frozen=True, slots=True)
class Experiment:
    """One run over a data set. `figures`: of the run as a whole; `metadata`: what they depend on."""

    dataset: str
    name: str
    at: datetime
    items: Sequence[Item]
    figures: Mapping[str, float]
    metadata: Mapping[str, str] = field(default_factory=dict)


class ExperimentMirror:
    """A Langfuse server, for experiments."""

    def __init__(self, api: LangfuseApi, *, environment: str) -> None:
        self._api = api
        self._environment = fitting_environment(environment)

    async def push(self, run: Experiment) -> str:
        """Bring the data set up to date and put the run beside it; the experiment's id there.

        Raises FrontdeskError for a server that is away, refuses the keys, or does not take it.
        """
        project = (await self._api.ask("GET", PROJECTS)).get("data") or [{}]
        about = {"description": "Rows of `frontdesk eval`; masked.", "metadata": {"source": "frontdesk"}}
        dataset = str((await self._api.ask("POST", DATASETS, {"name": run.dataset, **about}))["id"])
        experiment = _experiment_id(str(project[0].get("id", "")), dataset, run.name)
        gate = asyncio.Semaphore(AT_ONCE)

        async def put(item: Item) -> None:
            async with gate:
                await self._api.ask("POST", ITEMS, _row(run, item))

        await asyncio.gather(*(put(item) for item in run.items))
        for some in _batches(run.items):
            body = packed([encode(self._trace(run, item, experiment, dataset)) for item in some])
            await self._api.send(TRACES, body, {"Content-Type": "application/x-protobuf", "Content-Encoding": "gzip"})
        scores = [score for item in run.items for score in self._scores(run, item)]
        scores += [
            self._score(run, "run", name, value) | {"datasetRunId": experiment} for name, value in run.figures.items()
        ]
        for some_scores in _batches(scores):
            await self._api.send(SCORES, json.dumps(some_scores).encode(), {"Content-Type": "application/json"})
        return experiment

    def _trace(self, run: Experiment, item: Item, experiment: str, dataset: str) -> Trace:
        own, start = _own_span(run, item), round(run.at.timestamp() * 1000) * NS_PER_MS
        said = Observation(
            name="experiment-item-run",
            kind="span",
            id=own,
            parent="",
            start=start,
            end=start + round(item.ms * NS_PER_MS),
            input=item.input,
            output=item.output,
            metadata={"experiment_run_name": run.name, "dataset_item_id": _item_id(run, item), "kind": item.kind},
            attributes={
                "langfuse.experiment.id": experiment,
                "langfuse.experiment.name": fitting_id(run.name),
                "langfuse.experiment.metadata": fitting_text(dict(run.metadata)),
                "langfuse.experiment.dataset.id": dataset,
                "langfuse.experiment.item.id": _item_id(run, item),
                "langfuse.experiment.item.expected_output": fitting_text(item.expected),
                "langfuse.experiment.item.root_observation_id": own,
            },
        )
        return Trace(_trace_id(run, item), "evaluation", run.name, ["eval"], self._environment, run.name, {}, [said])

    def _scores(self, run: Experiment, item: Item) -> list[dict[str, Any]]:
        where = {"traceId": _trace_id(run, item), "observationId": _own_span(run, item)}
        why = {"comment": item.why[:500]} if item.why else {}
        return [self._score(run, item.id, name, value) | where | why for name, value in item.scores.items()]

    def _score(self, run: Experiment, of: str, name: str, value: float) -> dict[str, Any]:
        own = span_id(run.name, of, "score", name) * 2
        common = {"id": own, "name": name, "value": value, "dataType": "NUMERIC", "environment": self._environment}
        return common | {"timestamp": run.at.isoformat().replace("+00:00", "Z")}


def _row(run: Experiment, item: Item) -> dict[str, Any]:
    return {
        "datasetName": run.dataset,
        "id": _item_id(run, item),
        "input": item.input,
        "expectedOutput": item.expected,
        "metadata": {"row": item.id, "kind": item.kind},
    }


def _item_id(run: Experiment, item: Item) -> str:
    return fitting_id(f"{run.dataset}-{item.id}")


def _own_span(run: Experiment, item: Item) -> str:
    return span_id(run.name, item.id)


def _trace_id(run: Experiment, item: Item) -> str:
    return item.trace_id or span_id(run.name, item.id, "a") + span_id(run.name, item.id, "b")


def _experiment_id(project: str, dataset: str, name: str) -> str:
    """As Langfuse's server and SDK derive it, so that a run sent again is the same run."""
    parts = ["langfuse-experiment-v1", project, dataset, name]
    return hashlib.sha256(json.dumps(parts, separators=(",", ":"), ensure_ascii=False).encode()).hexdigest()[:16]


def _batches(every: Sequence[Any]) -> list[Sequence[Any]]:
    return [every[begin : begin + BATCH] for begin in range(0, len(every), BATCH)]
