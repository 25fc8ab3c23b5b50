"""Turns on their way to Langfuse: read from the outbox behind the answers, in order, until they are taken.

A turn never waits for this. What Langfuse does not take stays in the outbox, over restarts too; the
oldest beyond the outbox's limit are given up and counted. Trouble is said once, not once a turn.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Protocol

import structlog

from domain.errors import StoreError
from domain.receipt import Receipt
from graph.timeline import scores_of, trace_of
from store import Store
from store.outbox import Export, Part
from tracing import Metrics
from tracing.server import Answer, packed
from tracing.spans import encode, fitting_environment

BATCH_ROWS = 32
BATCH_BYTES = 2_000_000
"""Bytes of a request before packing; Langfuse's own limit is 4.5 MB."""
BATCH_SCORES = 100
LEASE = "traces"
IDLE = 1.0
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0
BREATH = 0.0005
"""Seconds that the reading thread leaves to the answers between two turns: Python runs one thread at a time."""
CLOSE_SECONDS = 3.0
TOO_MANY, FIRST_SERVER_ERROR = 429, 500


class Server(Protocol):
    """Where traces go; tracing/server.py has the real one."""

    async def spans(self, body: bytes) -> Answer: ...
    async def scores(self, scores: Sequence[Mapping[str, Any]]) -> Answer: ...
    async def fault(self) -> str: ...
    async def aclose(self) -> None: ...


@dataclass(slots=True)
class _Parcel:
    """What is sent of one turn. `rows`: what of the outbox is done with it."""

    rows: list[int]
    spans: bytes = b""
    scores: list[dict[str, Any]] = field(default_factory=list)
    refused: bool = False


class _AwayError(Exception):
    """Langfuse takes nothing now."""

    def __init__(self, why: str, wait: float = 0.0) -> None:
        super().__init__(why)
        self.wait = wait


class Exporter:
    """Sends what is in one desk's outbox. Of all processes of the desk one sends at a time."""

    def __init__(
        self,
        store: Store,
        server: Server,
        metrics: Metrics,
        *,
        environment: str,
        backlog: int,
        holder: str,
        jitter: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """`backlog`: the most rows that are kept. `holder`: this process' name among the others. `jitter` gives 0..1 at random."""
        self._store = store
        self._server = server
        self._metrics = metrics
        self._environment = fitting_environment(environment)
        self._backlog = backlog
        self._holder = holder
        self._jitter = jitter
        self._sleep = sleep
        self._task: asyncio.Task[None] | None = None
        self._sending = asyncio.Lock()
        self._sent: set[int] = set()
        self._trouble = ""
        self._refusal = ""
        self._seen = (0, 0)

    @property
    def standing(self) -> tuple[int, int, str]:
        """How many rows waited at the last look, how many were given up since the desk began, and why they wait."""
        return (*self._seen, self._trouble)

    async def start(self) -> None:
        """Look at the outbox, and send from now on, in a task of this event loop. Raises StoreError."""
        await asyncio.to_thread(self._look)
        self._task = asyncio.create_task(self._work(), name="traces")

    async def drain(self, seconds: float) -> bool:
        """Send everything that waits, for so long at most; whether nothing waits any more."""
        with suppress(TimeoutError, StoreError):
            async with asyncio.timeout(seconds):
                while await self.send():
                    pass
                return (await asyncio.to_thread(self._store.outbox.state))[0] == 0
        return False

    async def close(self) -> None:
        """Stop, after one last try of `CLOSE_SECONDS`; what is left is sent by the next process."""
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if not self._trouble:
            await self.drain(CLOSE_SECONDS)
        with suppress(StoreError):
            await asyncio.to_thread(self._store.leases.release, LEASE, self._holder)
        await self._server.aclose()

    async def send(self) -> bool:
        """Send the oldest rows; whether there may be more. False as well where another process sends, or Langfuse is away."""
        try:
            async with self._sending:
                return await self._send() == BATCH_ROWS
        except _AwayError:
            return False

    async def _work(self) -> None:
        pause = FIRST_PAUSE
        if fault := await self._server.fault():
            structlog.get_logger().warning("langfuse is not as it must be", reason=fault)
        while True:
            wait = IDLE
            try:
                async with self._sending:
                    if await self._send() == BATCH_ROWS:
                        wait = 0.0
                pause = FIRST_PAUSE
            except _AwayError as fault:
                wait = max(pause * (1 + self._jitter()) / 2, min(fault.wait, LONGEST_PAUSE))
                pause = min(2 * pause, LONGEST_PAUSE)
            except StoreError as fault:
                self._tell(f"the outbox cannot be read: {fault}")
            await self._sleep(wait)

    async def _send(self) -> int:
        """How many rows were read. Raises _AwayError, StoreError."""
        outbox = self._store.outbox
        if not await asyncio.to_thread(self._look) or not await asyncio.to_thread(self._hold):
            return 0
        rows = await asyncio.to_thread(outbox.next, BATCH_ROWS)
        if not rows:
            self._sent.clear()
            return 0
        parcels, lost = await asyncio.to_thread(self._parcels, rows)
        if lost:
            self._refuse("receipts that cannot be read")
            await asyncio.to_thread(outbox.done, lost, dropped=len(lost))
        try:
            for group in _groups(parcels):
                await self._deliver(group)
        except _AwayError as fault:
            self._tell(str(fault))
            raise
        self._recovered()
        return len(rows)

    async def _deliver(self, group: Sequence[_Parcel]) -> None:
        """Send a group and forget its rows. Raises _AwayError; what was taken before that is not sent again."""
        await self._spans([one for one in group if one.spans and not self._sent.issuperset(one.rows)])
        self._sent.update(row for one in group for row in one.rows)
        stuck = await self._scores(group)
        done = [one for one in group if one not in stuck]
        ids = [row for one in done for row in one.rows]
        await asyncio.to_thread(self._store.outbox.done, ids, dropped=sum(one.refused for one in done))
        self._sent.difference_update(ids)
        if stuck:
            raise _AwayError("some scores were put off")

    async def _spans(self, group: Sequence[_Parcel]) -> None:
        """Send spans; of a request that is refused the halves, until it is known whose are. Raises _AwayError."""
        if not group:
            return
        body = await asyncio.to_thread(packed, [one.spans for one in group])
        answer = await self._server.spans(body)
        if answer.verdict == "later":
            raise _AwayError(answer.why, answer.wait)
        if answer.verdict == "taken":
            return
        if len(group) == 1:
            group[0].refused = True
            self._refuse(f"a turn's spans: {answer.why}")
            return
        half = len(group) // 2
        await self._spans(group[:half])
        await self._spans(group[half:])

    async def _scores(self, group: Sequence[_Parcel]) -> list[_Parcel]:
        """Send scores; those to be sent again. Raises _AwayError."""
        every = [(parcel, score) for parcel in group for score in parcel.scores]
        stuck: list[_Parcel] = []
        for begin in range(0, len(every), BATCH_SCORES):
            some = every[begin : begin + BATCH_SCORES]
            answer = await self._server.scores([score for _, score in some])
            if answer.verdict == "later":
                raise _AwayError(answer.why, answer.wait)
            for parcel, score in some:
                status = answer.errors.get(score["id"], 0) if answer.verdict == "partly" else 0
                if status >= FIRST_SERVER_ERROR or status == TOO_MANY:
                    stuck.append(parcel)
                elif status or answer.verdict == "refused":
                    parcel.refused = True
                    self._refuse(f"a score: {answer.why}")
        return stuck

    def _parcels(self, rows: Sequence[Export]) -> tuple[list[_Parcel], list[int]]:
        """What is to be sent, in the order of the rows, and the rows that cannot be."""
        parts: dict[str, set[Part]] = {}
        of_turn: dict[str, list[int]] = {}
        for row in rows:
            parts.setdefault(row.turn_id, set()).add(row.part)
            of_turn.setdefault(row.turn_id, []).append(row.id)
        receipts = self._store.ledger.several(list(parts))
        parcels, lost = list[_Parcel](), list[int]()
        for turn_id, wanted in parts.items():
            time.sleep(BREATH)
            receipt = receipts.get(turn_id)
            parcel = _Parcel(of_turn[turn_id])
            try:
                if receipt and receipt.sampled:
                    self._fill(parcel, receipt, wanted)
            except (ValueError, TypeError, KeyError):
                receipt = None
            if receipt is None:
                lost += parcel.rows
            else:
                parcels.append(parcel)
        return parcels, lost

    def _fill(self, parcel: _Parcel, receipt: Receipt, wanted: set[Part]) -> None:
        rated = self._store.feedback.get(receipt.turn_id) if "feedback" in wanted else None
        trace = trace_of(receipt, wanted, self._environment)
        parcel.spans = encode(trace) if trace else b""
        parcel.scores = scores_of(receipt, wanted, self._environment, rated)

    def _hold(self) -> bool:
        """Whether this process is the one that sends; a lease is longer than a request for spans and one for scores."""
        return self._store.leases.take(LEASE, self._holder)

    def _look(self) -> int:
        """Keep the outbox within its limit, and say how much waits."""
        waiting, dropped = self._store.outbox.state()
        if waiting > self._backlog:
            gone = self._store.outbox.trim(self._backlog)
            self._refuse("more than FRONTDESK_TRACE_BACKLOG waits", gone)
            waiting, dropped = waiting - gone, dropped + gone
        self._seen = waiting, dropped
        self._metrics.traces(waiting, dropped)
        return waiting

    def _tell(self, why: str) -> None:
        if why != self._trouble:
            structlog.get_logger().warning("traces wait for Langfuse", reason=why)
        self._trouble = why

    def _recovered(self) -> None:
        if self._trouble:
            structlog.get_logger().info("traces go out again")
        self._trouble = ""

    def _refuse(self, what: str, count: int = 1) -> None:
        """Something is lost for good: said once, counted always."""
        if what != self._refusal:
            structlog.get_logger().warning("traces are given up", reason=what, count=count)
        self._refusal = what


def _groups(parcels: Sequence[_Parcel]) -> list[list[_Parcel]]:
    """Parcels in requests that are not too large."""
    groups: list[list[_Parcel]] = []
    size = 0
    for one in parcels:
        if not groups or size + len(one.spans) > BATCH_BYTES:
            groups.append([])
            size = 0
        groups[-1].append(one)
        size += len(one.spans)
    return groups
