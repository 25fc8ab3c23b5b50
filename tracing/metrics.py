"""Prometheus metrics of one service, on a registry of their own."""

import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.registry import Collector

from domain.receipt import MICRO, Receipt
from domain.turn import Call, Score

MS = 1_000
TURN_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
STEP_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0)
SCORE_BUCKETS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)


Levels = Callable[[], Mapping[tuple[str, ...], float]]


class _Reading(Collector):
    """A gauge whose labels come and go with what it reads."""

    def __init__(self, name: str, about: str, labels: Sequence[str], read: Levels) -> None:
        self._name, self._about, self._labelnames, self._read = name, about, tuple(labels), read

    def collect(self) -> Iterator[GaugeMetricFamily]:
        family = GaugeMetricFamily(self._name, self._about, labels=self._labelnames)
        for labels, value in self._read().items():
            family.add_metric(labels, value)
        yield family


def count_among(folder: Path) -> None:
    """Let the processes that this one will start count together, in `folder`, from nothing."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    # Read by prometheus_client when it is imported: for this process itself that is too late.
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(folder)


def _together(folder: Path) -> CollectorRegistry:
    for path in folder.glob("gauge_live*.db"):
        # What a process that was killed had in hand is in nobody's hand any more.
        pid = int(path.stem.rpartition("_")[2])
        if not psutil.pid_exists(pid):
            mark_process_dead(pid, str(folder))  # type: ignore[no-untyped-call]  # the library's
    registry = CollectorRegistry()
    MultiProcessCollector(registry, path=str(folder))  # type: ignore[no-untyped-call]  # the library's
    return registry


class Metrics:
    """What operators watch. Labels hold closed sets of names only: never a text, a user or a thread."""

    def __init__(self, among: Path | None = None) -> None:
        """`among`: the folder in which processes that serve one desk together keep their counts (`count_among`)."""
        self._registry = own = CollectorRegistry()
        self._levels, self._among = CollectorRegistry(), among
        self._turns = Counter(
            "frontdesk_turns", "Turns that ended.", ["outcome", "reason", "mode", "language"], registry=own
        )
        self._turn_seconds = Histogram(
            "frontdesk_turn_seconds", "Time of a whole turn.", ["mode"], buckets=TURN_BUCKETS, registry=own
        )
        self._step_seconds = Histogram(
            "frontdesk_step_seconds", "Time of one step.", ["step"], buckets=STEP_BUCKETS, registry=own
        )
        self._guards = Counter("frontdesk_guard_actions", "Verdicts of guards.", ["guard", "action"], registry=own)
        self._guard_faults = Counter("frontdesk_guard_faults", "Guards that could not run.", ["guard"], registry=own)
        self._calls = Counter("frontdesk_model_calls", "Calls of models.", ["model", "purpose", "ok"], registry=own)
        self._tokens = Counter("frontdesk_model_tokens", "Tokens, by kind.", ["model", "kind"], registry=own)
        self._cost = Counter("frontdesk_model_cost_usd", "Money spent on models.", ["model"], registry=own)
        self._confidence = Histogram(
            "frontdesk_retrieval_confidence", "Calibrated confidence.", buckets=SCORE_BUCKETS, registry=own
        )
        self._scores = Histogram(
            "frontdesk_judge_score", "Judged turns.", ["dimension"], buckets=SCORE_BUCKETS, registry=own
        )
        self._unscored = Counter("frontdesk_judge_unscored", "Not scored.", ["dimension"], registry=own)
        self._shed = Counter("frontdesk_judge_shed", "Turns that the full judge passed over.", registry=own)
        self._in_flight = Gauge(
            "frontdesk_turns_in_flight", "Turns running now.", registry=own, multiprocess_mode="livesum"
        )
        self._ratings = Counter("frontdesk_feedback", "Thumbs of customers.", ["rating"], registry=own)
        self._tiers = Counter("frontdesk_router_tiers", "Turns by complexity tier.", ["tier"], registry=own)
        self._undelivered = Gauge(
            "frontdesk_traces_undelivered",
            "Turns, judgements and ratings that Langfuse has not confirmed.",
            registry=own,
            multiprocess_mode="livemostrecent",
        )
        self._dropped = Gauge(
            "frontdesk_traces_dropped",
            "Of those, how many were given up since the desk began.",
            registry=own,
            multiprocess_mode="livemostrecent",
        )

    def observe(self, receipt: Receipt) -> None:
        """Count a turn that ended, failed and refused ones too."""
        self._turns.labels(receipt.outcome, receipt.reason or "none", receipt.mode, receipt.language).inc()
        self._tiers.labels(receipt.tier).inc()
        self._turn_seconds.labels(receipt.mode).observe(receipt.latency_ms / MS)
        for step in receipt.steps:
            self._step_seconds.labels(step.name).observe(step.ms / MS)
        if receipt.passages:
            self._confidence.observe(receipt.confidence)
        for verdict in receipt.verdicts:
            # "domain_rules:<id>" is one guard: rules are the desk's, and there may be many.
            guard = verdict.guard.partition(":")[0]
            self._guards.labels(guard, verdict.action).inc()
            if verdict.reason == "guard_failed":
                self._guard_faults.labels(guard).inc()
        self._called(receipt.calls)

    def judged(self, scores: Sequence[Score], calls: Sequence[Call]) -> None:
        """Count what the judge found after the answer had gone out, and what it spent."""
        for score in scores:
            if score.value is None:
                self._unscored.labels(score.name).inc()
            else:
                self._scores.labels(score.name).observe(score.value)
        self._called(calls)

    def judge_shed(self) -> None:
        """Count a turn that the judge had no room for."""
        self._shed.inc()

    @contextmanager
    def in_flight(self) -> Iterator[None]:
        """Count a turn as running."""
        with self._in_flight.track_inprogress():
            yield

    def rated(self, rating: str) -> None:
        """Count a thumb."""
        self._ratings.labels(rating).inc()

    def traces(self, undelivered: int, dropped: int) -> None:
        """Say how many rows wait for Langfuse, and how many were given up."""
        self._undelivered.set(undelivered)
        self._dropped.set(dropped)

    def watch(self, name: str, about: str, labels: Sequence[str], read: Levels) -> None:
        """Show a gauge that is read, by the values of its labels, whenever the metrics are."""
        self._levels.register(_Reading(name, about, labels, read))

    def render(self) -> bytes:
        """The metrics in Prometheus' text format: of all processes together, where there are several."""
        counts = self._registry if self._among is None else _together(self._among)
        return generate_latest(counts) + generate_latest(self._levels)

    def _called(self, calls: Sequence[Call]) -> None:
        for call in calls:
            self._calls.labels(call.model, call.purpose, "yes" if call.ok else "no").inc()
            self._tokens.labels(call.model, "input").inc(call.input_tokens - call.cached_tokens)
            self._tokens.labels(call.model, "cached").inc(call.cached_tokens)
            self._tokens.labels(call.model, "output").inc(call.output_tokens)
            self._cost.labels(call.model).inc(call.cost_microusd / MICRO)
