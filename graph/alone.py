"""One turn at a time per thread: in this process, and among all that share the database."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import structlog

from domain.errors import StoreError, ThreadBusyError
from domain.ports import Ids
from store import Store
from store.leases import SECONDS

RENEWALS = 3
"""How often a lease is renewed in its life: two may fail."""


class OneAtATime:
    """Who is at work on which thread."""

    def __init__(self, store: Store, ids: Ids) -> None:
        self._leases = store.leases if store.shared else None
        self._holder = ids.new()
        self._busy: set[str] = set()

    def __len__(self) -> int:
        """How many threads this process is at work on."""
        return len(self._busy)

    @asynccontextmanager
    async def on(self, thread_id: str) -> AsyncIterator[None]:
        """Be alone on a thread. Raises ThreadBusyError."""
        if thread_id in self._busy:
            raise _busy(thread_id)
        self._busy.add(thread_id)
        try:
            async with self._leased(thread_id):
                yield
        finally:
            self._busy.discard(thread_id)

    @asynccontextmanager
    async def _leased(self, thread_id: str) -> AsyncIterator[None]:
        if self._leases is None:
            yield
            return
        name = f"thread {thread_id}"
        if not await asyncio.to_thread(self._leases.take, name, self._holder):
            raise _busy(thread_id)
        renewing = asyncio.create_task(self._renew(name), name="lease")
        try:
            yield
        finally:
            renewing.cancel()
            with suppress(StoreError):  # it ends by itself
                await asyncio.to_thread(self._leases.release, name, self._holder)

    async def _renew(self, name: str) -> None:
        assert self._leases is not None  # only _leased starts it
        while True:
            await asyncio.sleep(SECONDS / RENEWALS)
            try:
                kept = await asyncio.to_thread(self._leases.take, name, self._holder)
            except StoreError as fault:
                structlog.get_logger().warning("lease not renewed", error=type(fault).__name__)
            else:
                if not kept:
                    structlog.get_logger().error("lease lost")
                    return


def _busy(thread_id: str) -> ThreadBusyError:
    return ThreadBusyError("this thread's last question is still being answered", where=thread_id)
