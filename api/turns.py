"""Turns at work. Each runs in a task of its own, so that a listener who leaves can stop it.

The desk's event stream must be read from start to end in one task: its timeouts and spans belong to it.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import TYPE_CHECKING

import structlog

from graph.desk import Done, Event

if TYPE_CHECKING:
    from domain.receipt import Reply


class RunningTurn:
    """One turn. `reply` or `fault` is known when it is `over`; neither is, when it was stopped.

    It is over with its reply: what it does behind that concerns no listener.
    """

    def __init__(self, events: AsyncIterator[Event]) -> None:
        self.reply: Reply | None = None
        self.fault: BaseException | None = None
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._heard: deque[Event] = deque()
        self._news = asyncio.Event()
        self.task = asyncio.create_task(self._work(events), name="turn")
        self.task.add_done_callback(self._end)

    @property
    def ended(self) -> bool:
        """Whether it is over and every event was taken."""
        return self.over.done() and not self._heard

    async def next(self, silence: float) -> Event | None:
        """Its next event; None after `silence` seconds without one, and when it has ended."""
        if not self._heard and not self.over.done():
            self._news.clear()
            # Not by wait_for: it makes a task of each wait, and whoever listens is told two rounds of the loop later.
            with suppress(TimeoutError):
                async with asyncio.timeout(silence):
                    await self._news.wait()
        return self._heard.popleft() if self._heard else None

    def stop(self) -> None:
        """Stop the work; nothing happens to a turn that is over."""
        if not self.over.done():
            self.task.cancel()

    async def _work(self, events: AsyncIterator[Event]) -> None:
        async for event in events:
            self._heard.append(event)
            if isinstance(event, Done):
                self.reply = event.reply
                self.over.set_result(None)
            self._news.set()
            await asyncio.sleep(0)  # it is told before the turn goes on, whose next step may take the loop for a while

    def _end(self, task: asyncio.Task[None]) -> None:
        fault = None if task.cancelled() else task.exception()
        if self.reply is None:
            self.fault = fault
            self.over.set_result(None)
            self._news.set()
        elif fault:
            structlog.get_logger().error("behind a reply", error=type(fault).__name__)


class Turns:
    """The turns under way at this door."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[None]] = set()

    def start(self, events: AsyncIterator[Event]) -> RunningTurn:
        """Set a turn to work."""
        turn = RunningTurn(events)
        self._running.add(turn.task)
        turn.task.add_done_callback(self._running.discard)
        return turn

    async def settled(self) -> None:
        """Return when no turn is at work any more."""
        while self._running:
            await asyncio.wait(self._running)
