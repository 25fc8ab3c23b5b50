"""Work that comes round: what has outlived its retention is removed, by whichever replica comes first."""

import asyncio
from contextlib import AsyncExitStack
from datetime import timedelta

import structlog

from domain.errors import FrontdeskError
from domain.ports import Clock
from graph.threads import Saver
from store import Store

PERIOD = 3_600.0
"""Seconds between two rounds of a process."""

LEASE = "upkeep"


async def let_go(store: Store, saver: Saver, clock: Clock, days: int) -> None:
    """Remove what is older than `days`: checkpoints first, while the store still knows whose they are."""
    before = clock.now() - timedelta(days=days)
    for thread in await asyncio.to_thread(store.threads.untouched_since, before):
        await saver.adelete_thread(thread)
    await asyncio.to_thread(store.purge, before)


async def keep_tidy(
    store: Store, saver: Saver, clock: Clock, *, days: int, holder: str, period: float = PERIOD
) -> None:
    """Let go of what is old every `period` seconds, until cancelled."""
    while True:
        await asyncio.sleep(period)
        try:
            await tidy(store, saver, clock, days=days, holder=holder)
        except FrontdeskError as fault:
            structlog.get_logger().error("upkeep failed", error=type(fault).__name__)


async def tidy(store: Store, saver: Saver, clock: Clock, *, days: int, holder: str) -> bool:
    """Let go of what is old, in one process at a time; False when another is at it, or the clock is not to be believed yet."""
    if not await asyncio.to_thread(store.leases.take, LEASE, holder):
        return False
    try:
        if until := await asyncio.to_thread(store.rounds.begin, clock.now()):
            structlog.get_logger().warning(
                "upkeep waits: the clock went ahead", removes_nothing_until=until.isoformat()
            )
            return False
        await let_go(store, saver, clock, days)
    finally:
        await asyncio.to_thread(store.leases.release, LEASE, holder)
    return True


async def start_upkeep(
    opened: AsyncExitStack, store: Store, saver: Saver, clock: Clock, *, days: int, holder: str
) -> None:
    """Remove what has outlived its retention before anything is asked, and then again from time to time."""
    await tidy(store, saver, clock, days=days, holder=holder)
    work = asyncio.create_task(keep_tidy(store, saver, clock, days=days, holder=holder), name="upkeep")

    async def stop() -> None:
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)

    opened.push_async_callback(stop)
