"""Work spread over a Ray cluster: the only importer of ray, which is an extra.

Ray schedules, restarts and retries; nothing of that is ours. Every machine of the cluster needs the same Frontdesk.
"""

import asyncio
import os
import re
import socket
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from functools import cache
from importlib.metadata import version
from typing import Any, Literal

from domain.errors import FrontdeskError, UsageError
from domain.ports import DoneT, Hand, Hands, ItemT

Where = Literal["", "ray"]
"""Where heavy work is done: in this process, or spread over a Ray cluster."""

INSTALL = 'pip install "frontdesk[ray]" (0.2 GB), here and on every machine of the cluster'
RETRIES = 3
"""Times that Ray starts a hand anew that has died, and does again what it was at."""
MISSING = re.compile(r"No module named [^\n]+")
PLACE = re.compile(r"(ray://)?\[?(?P<host>[^\[\]/]+)\]?:(?P<port>\d{1,5})")
PATIENCE = 10.0
"""Seconds that a cluster gets to take a connection, and hands to close what they hold."""


@asynccontextmanager
async def open_hands(where: Where, address: str) -> AsyncIterator[Hands | None]:
    """What spreads work; None where it is done in this process. `address`: FRONTDESK_RAY_ADDRESS.

    Raises UsageError where ray is not installed, FrontdeskError where the cluster cannot be reached.
    """
    if not where:
        yield None
        return
    try:
        import ray  # noqa: PLC0415  # an extra, and seconds: only where work is spread
    except ImportError as fault:
        raise UsageError("ray is not installed", where="--on ray", fix=INSTALL) from fault
    connection = _connection()
    joining = asyncio.ensure_future(asyncio.to_thread(connection.join, ray, address))
    try:
        await asyncio.shield(joining)
        yield RayHands(ray, address or "--on ray")
    finally:
        await asyncio.wait([joining])  # who is called off while a cluster starts leaves it all the same
        if joining.exception() is None:
            await asyncio.to_thread(connection.leave, ray)


class Connection:
    """The one connection to a cluster that Ray allows a process: the first user opens it, the last one ends it.

    One that was there before, of a program that has us inside, is not ours to end. Both calls block.
    """

    def __init__(self) -> None:
        self._changing = threading.Lock()
        self._users = 0
        self._ours = False

    def join(self, ray: Any, address: str) -> None:
        """Use it until `leave`. Raises FrontdeskError; then it is not in use."""
        with self._changing:
            if not ray.is_initialized():
                connect(ray, address)
                self._ours = True
            self._users += 1

    def leave(self, ray: Any) -> None:
        """Be done with it, once for each `join`."""
        with self._changing:
            self._users -= 1
            if self._ours and not self._users:
                self._ours = False
                ray.shutdown()


@cache
def _connection() -> Connection:
    return Connection()


def connect(ray: Any, address: str) -> None:
    """Join the cluster at an address, or start one on this machine. Raises FrontdeskError."""
    # Ray tells its makers about every cluster unless it is told not to.
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    quiet = {"log_to_driver": False, "logging_level": "ERROR"}
    own = {"include_dashboard": False, "_node_ip_address": "127.0.0.1"}
    try:
        if found := PLACE.fullmatch(address):
            # Ray itself asks five times for three minutes, in many lines.
            socket.create_connection((found["host"], int(found["port"])), timeout=PATIENCE).close()
        ray.init(address=address or "local", **quiet, **({} if address else own))
    except (OSError, RuntimeError, ValueError, TimeoutError) as fault:
        what = f"the Ray cluster cannot be reached: {_first(fault)}"
        raise FrontdeskError(what, where=address or "--on ray", fix="see FRONTDESK_RAY_ADDRESS") from fault


class RayHands:
    """`Hands` that are Ray actors, one for each core of the cluster at most."""

    def __init__(self, ray: Any, where: str) -> None:
        self._ray, self._where = ray, where

    async def each(
        self, hire: Callable[[], Hand[ItemT, DoneT]], items: Sequence[ItemT], *, batch: int
    ) -> AsyncGenerator[tuple[int, DoneT]]:
        """See `Hands`."""
        batches = iter([(start, items[start : start + batch]) for start in range(0, len(items), batch)])
        finished: asyncio.Queue[tuple[int, Sequence[DoneT]]] = asyncio.Queue()
        hands = self._hired(hire, -(-len(items) // batch))
        working = [asyncio.ensure_future(self._work(hand, batches, finished)) for hand in hands]
        try:
            given = 0
            while given < len(items):
                start, done = await _next(finished, working)
                for place, each in enumerate(done, start=start):
                    yield place, each
                given += len(done)
        except self._ray.exceptions.RayError as fault:
            raise self._told(fault) from fault
        finally:
            for task in working:
                task.cancel()
            await asyncio.gather(*working, return_exceptions=True)
            await asyncio.to_thread(self._dismiss, hands)

    def _hired(self, hire: Callable[[], Hand[ItemT, DoneT]], batches: int) -> list[Any]:
        cores = int(self._ray.cluster_resources().get("CPU", 1))
        actor = self._ray.remote(num_cpus=1, max_restarts=RETRIES, max_task_retries=RETRIES)(RayHand)
        sent = self._ray.put(hire)
        return [actor.remote(sent) for _ in range(min(batches, max(1, cores)))]

    async def _work(
        self,
        hand: Any,
        batches: Iterator[tuple[int, Sequence[ItemT]]],
        finished: "asyncio.Queue[tuple[int, Sequence[DoneT]]]",
    ) -> None:
        # A hand for which the cluster has no room yet takes nothing from the others.
        there, here = await hand.version.remote(), version("frontdesk")
        if there != here:
            what = f"the cluster runs Frontdesk {there}, this is {here}"
            raise FrontdeskError(what, where=self._where, fix="install the same one on every machine")
        for start, items in batches:
            await finished.put((start, await hand.do.remote(items)))

    def _told(self, fault: Any) -> FrontdeskError:
        """What a person is told of an error of Ray's, or the error of ours that lies in it."""
        cause = getattr(fault, "cause", None)
        if isinstance(cause, FrontdeskError):
            return cause
        if missing := MISSING.search(str(fault)):
            what = f"the cluster has no Frontdesk, or another one: {missing[0]}"
            return FrontdeskError(what, where=self._where, fix="install the same one on every machine")
        what = f"Ray gave the work up: {_first(cause or fault)}"
        return FrontdeskError(what, where=self._where, fix="see `ray logs`; the same command begins again")

    def _dismiss(self, hands: Sequence[Any]) -> None:
        closing = [hand.close.remote() for hand in hands]
        self._ray.wait(closing, num_returns=len(closing), timeout=PATIENCE)
        for hand in hands:
            self._ray.kill(hand)


class RayHand:
    """What Ray runs in a process of its own. Opened at the first work, so that what goes wrong there is told as it is."""

    def __init__(self, hire: Callable[[], Hand[Any, Any]]) -> None:
        self._hire = hire
        self._hand: Hand[Any, Any] | None = None

    def version(self) -> str:
        """The Frontdesk there."""
        return version("frontdesk")

    def do(self, items: Sequence[Any]) -> Sequence[Any]:
        """Work. Ray does it again elsewhere when this process dies."""
        if self._hand is None:
            self._hand = self._hire()
        return self._hand.do(items)

    def close(self) -> None:
        """Let go of what was opened."""
        if self._hand is not None:
            self._hand.close()


async def _next(
    finished: "asyncio.Queue[tuple[int, Sequence[DoneT]]]", working: Sequence["asyncio.Task[None]"]
) -> tuple[int, Sequence[DoneT]]:
    """The next that is finished. Raises what ends one of the working."""
    coming = asyncio.ensure_future(finished.get())
    try:
        while not coming.done():
            going = [task for task in working if not task.done()]
            await asyncio.wait([coming, *going], return_when=asyncio.FIRST_COMPLETED)
            for task in working:
                if task.done():
                    task.result()
        return coming.result()
    finally:
        coming.cancel()


def _first(fault: BaseException) -> str:
    lines = str(fault).strip().splitlines() or [type(fault).__name__]
    return lines[0]
