"""Idempotency keys: a request that is sent again is answered from what is kept, at any replica, and never worked on twice."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, suppress
from dataclasses import dataclass
from typing import Any, Protocol, cast

import structlog

from api.problems import KEY_REUSED, REQUEST_RUNNING, ProblemError
from domain.errors import StoreError
from domain.ports import Ids
from domain.receipt import Reply
from graph.desk import Done, Event
from store import Store
from store.leases import SECONDS
from store.replays import Slot

RENEWALS = 3
"""How often a request's hold is renewed in its life: two may fail."""


class Recall(Protocol):
    """Gives the reply of a turn to its user; of one that is not known to have been answered, only a good one."""

    def __call__(self, turn_id: str, user_id: str, *, answered: bool) -> Reply | None: ...


@dataclass(frozen=True, slots=True)
class Begun:
    """A request that is worked on here: its turn is to have this id."""

    slot: Slot
    turn_id: str


class Replays:
    """The requests of one desk that came with a key."""

    def __init__(self, store: Store, recall: Recall, ids: Ids) -> None:
        self._store = store
        self._recall = recall
        self._ids = ids

    async def begin(self, user: str, key: str, body: str) -> Reply | Begun:
        """The reply that was given before; a `Begun` where this request is the first.

        Raises ProblemError: the same request is running, or the key came with another body.
        """
        return await asyncio.to_thread(self._begin, user, key, body)

    async def keeping(self, begun: Begun, events: AsyncIterator[Event]) -> AsyncIterator[Event]:
        """The events of the turn; it holds its key meanwhile. A turn without a reply sets it free."""
        renewing = asyncio.create_task(self._renew(begun), name="replay")
        answered = False
        try:
            async with aclosing(cast("Any", events)) as running:
                async for event in running:
                    if isinstance(event, Done):
                        answered = True
                        # Else the hold ends by itself, and the turn is found in the ledger.
                        with suppress(StoreError):
                            await asyncio.to_thread(self._store.replays.end, begun.slot, begun.turn_id)
                    yield event
        finally:
            renewing.cancel()
            if not answered:
                with suppress(StoreError):
                    await asyncio.to_thread(self._store.replays.drop, begun.slot, begun.turn_id)

    def _begin(self, user: str, key: str, body: str) -> Reply | Begun:
        vault = self._store.vault
        slot = Slot(vault.digest(f"{user}\0{key}"), vault.digest(body), vault.user_hash(user))
        begun = Begun(slot, self._ids.new())
        standing = self._store.replays.begin(slot, begun.turn_id)
        if standing.state == "other_body":
            raise ProblemError(KEY_REUSED)
        if standing.state == "running":
            raise ProblemError(REQUEST_RUNNING)
        # A replica that was killed may have ended the turn, and not got round to saying so.
        done = standing.state == "done"
        earlier = self._recall(standing.turn_id, user, answered=done) if standing.turn_id else None
        if earlier and not done:
            self._store.replays.end(slot, standing.turn_id)
        elif done and not earlier:
            self._store.replays.drop(slot, standing.turn_id)
            return self._begin(user, key, body)
        return earlier or begun

    async def _renew(self, begun: Begun) -> None:
        while True:
            await asyncio.sleep(SECONDS / RENEWALS)
            try:
                await asyncio.to_thread(self._store.replays.renew, begun.slot, begun.turn_id)
            except StoreError as fault:
                structlog.get_logger().warning("idempotency key not renewed", error=type(fault).__name__)
