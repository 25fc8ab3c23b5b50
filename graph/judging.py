"""The judge at work behind the answers: a bounded backlog that sheds, one turn at a time."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, cast

import structlog

from domain.ports import Clock, Tracer, TurnContext
from domain.turn import Call, Score, Step, Turn
from graph.build import Graph
from store import Store
from tracing import Metrics

SAMPLE_STEPS = 2**32
MS = 1000.0
JUDGE = "judge"
CALM = 0.2
"""Seconds without a turn that count as quiet."""
PATIENCE = 30.0
"""Seconds that a turn waits for its judge while others are being answered; then it is judged all the same."""


@dataclass(frozen=True, slots=True)
class _Job:
    about: TurnContext
    turn_id: str
    turn: Turn
    asked_at: datetime
    graph: Graph


class Judging:
    """Judges a sample of the turns whose answers have gone out, and books their scores."""

    def __init__(
        self,
        store: Store,
        tracer: Tracer,
        metrics: Metrics,
        *,
        backlog: int,
        rate: Callable[[], float],
        clock: Clock,
    ) -> None:
        self._store = store
        self._tracer = tracer
        self._metrics = metrics
        self._rate = rate
        self._clock = clock
        self._jobs: asyncio.Queue[_Job] = asyncio.Queue(maxsize=backlog)
        self._worker: asyncio.Task[None] | None = None
        self.quiet = asyncio.Event()
        """Set while no turn is running: the judge gives way to customers, for `PATIENCE` at most."""
        self.quiet.set()

    def offer(self, about: TurnContext, turn_id: str, turn: Turn, *, asked_at: datetime, graph: Graph) -> bool:
        """Take a turn, for this judge, if it falls into the sample and there is room; False if it was passed over."""
        if int(about.trace_id[-8:], 16) >= self._rate() * SAMPLE_STEPS:
            return False
        try:
            self._jobs.put_nowait(_Job(about, turn_id, turn, asked_at, graph))
        except asyncio.QueueFull:
            self._metrics.judge_shed()
            return False
        if self._worker is None or self._worker.done():
            self._worker = asyncio.create_task(self._work(), name="judge")
            self._worker.add_done_callback(_tell)
        return True

    async def drain(self) -> None:
        """Wait until every turn that was taken has been judged."""
        await self._jobs.join()

    async def close(self) -> None:
        """Stop; turns still waiting stay unjudged, which their receipts say by having no score."""
        if self._worker:
            self._worker.cancel()
            await asyncio.gather(self._worker, return_exceptions=True)

    async def _work(self) -> None:
        while True:
            job = await self._jobs.get()
            # Two cores cannot embed for a judge and a customer at once: 17 ms of a 68 ms answer were the judge's.
            with suppress(TimeoutError):
                await asyncio.wait_for(self._calm(), PATIENCE)
            try:
                at, began = self._clock.now(), self._clock.monotonic()
                with self._tracer.turn(job.about):
                    judged = await job.graph.ainvoke(cast("Any", job.turn))
                took, after = (self._clock.monotonic() - began) * MS, (at - job.asked_at).total_seconds() * MS
                step = Step(JUDGE, round(took, 2), round(max(0.0, after), 2))
                await self._book(job, step, judged["scores"], judged.get("calls", []))
            finally:
                self._jobs.task_done()

    async def _calm(self) -> None:
        """Wait for a moment without turns that lasts: the next question often follows at once."""
        while True:
            await self.quiet.wait()
            await asyncio.sleep(CALM)
            if self.quiet.is_set():
                return

    async def _book(self, job: _Job, step: Step, scores: list[Score], calls: list[Call]) -> None:
        calls = [replace(call, step=JUDGE) for call in calls]
        await asyncio.to_thread(self._store.ledger.add_scores, job.turn_id, scores, calls, step)
        self._metrics.judged(scores, calls)
        for score in scores:
            self._tracer.score(job.about.trace_id, score)


def _tell(worker: asyncio.Task[None]) -> None:
    """A judge that failed leaves its turn unjudged, and says so; the next turn starts it again."""
    if not worker.cancelled() and (fault := worker.exception()):
        structlog.get_logger().error("judge failed", error=type(fault).__name__)
