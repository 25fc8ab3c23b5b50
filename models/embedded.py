"""The embedded model: fetches its weights, runs its server as a child process, and keeps it running."""

import asyncio
import json
import sys
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

import psutil

from domain.errors import WeightsError
from domain.ports import Clock, Ids, Progress
from models.catalog import ModelRow
from models.embedded_server import EmbeddedServerArguments
from models.weights import FetchPlan

SLOTS = 3
"""One for each kind of request (answer, answerable, judge): a slot keeps the prefix that all of a kind share."""
LOAD_SECONDS = 180.0
"""Loading takes 1-12 s; a cold disk or a busy machine may need far longer."""
STOP_SECONDS = 5.0
RESTARTS = 3
BACKOFF_SECONDS = 1.0
STEADY_SECONDS = 600.0
"""A server that ran this long had started well: its crash counts as the first."""
LAST_WORDS = 5
INSTALL = 'run: pip install "frontdesk[local]"'


class Attach(Protocol):
    """Where the endpoint is announced. `base_url` and `api_key` are empty when it has gone."""

    def __call__(self, base_url: str, api_key: str) -> None: ...


class Kept(Protocol):
    """Weights that can be had: fetched and checked, or found on this machine."""

    def plan(self) -> FetchPlan: ...
    async def fetch(self, progress: Progress | None = None) -> Path: ...


class LocalModel:
    """The embedded model's life. One instance a process; its methods belong to one event loop.

    `state` is "off", "fetching", "loading", "ready", or "failed: " and the cause in one line.
    """

    def __init__(
        self,
        row: ModelRow,
        weights: Kept,
        *,
        attach: Attach,
        clock: Clock,
        ids: Ids,
        threads: int = 0,
        server: Sequence[str] = (),
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """`threads` 0: one per physical core. `server` is the command of the child, ours by default."""
        self.row, self.weights = row, weights
        self.state = "off"
        self.base_url = ""
        self._attach, self._clock, self._ids, self._sleep = attach, clock, ids, sleep
        self._threads = threads or psutil.cpu_count(logical=False) or 1
        self._server = tuple(server)
        self._child: asyncio.subprocess.Process | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._listeners: list[asyncio.Task[None]] = []
        self._words: deque[str] = deque(maxlen=LAST_WORDS)

    async def start(self, progress: Progress | None = None) -> None:
        """Fetch if need be, load, and return when the model is ready or has failed: see `state`.

        `progress` gets (MB done, MB in all) while weights are fetched. Cancelling stops everything.
        """
        try:
            if not self._server and find_spec("xllamacpp") is None:
                self.state = f"failed: xllamacpp is not installed ({INSTALL})"
                return
            self.state = "fetching"
            path = await self.weights.fetch(progress)
            await self._launch(path)
        except WeightsError as fault:
            self.state = f"failed: {fault}"
        except asyncio.CancelledError:
            await self.stop()
            raise
        else:
            if self.state == "ready":
                self._keeper = asyncio.create_task(self._keep(path))

    async def stop(self) -> None:
        """End the server. Safe to call at any time, also twice."""
        keeper, self._keeper = self._keeper, None
        if keeper is not None:
            keeper.cancel()
            await asyncio.gather(keeper, return_exceptions=True)
        await self._end_child()
        self._gone("off")

    async def _keep(self, path: Path) -> None:
        """Restart the server after a crash; give up after `RESTARTS` in a row."""
        crashes = 0
        while True:
            since = self._clock.monotonic()
            status = await self._child.wait() if self._child else "unknown"
            crashes = 1 if self._clock.monotonic() - since > STEADY_SECONDS else crashes + 1
            if crashes > RESTARTS:
                self._gone(f"failed: its server ended {crashes} times, last with status {status}{self._last_words()}")
                return
            self._gone("loading")
            await self._sleep(BACKOFF_SECONDS * 2 ** (crashes - 1))
            await self._launch(path)

    async def _launch(self, path: Path) -> None:
        """Start the child and wait until it has loaded; sets `state` to ready or failed."""
        self.state = "loading"
        key = self._ids.new()
        self._child = await asyncio.create_subprocess_exec(
            *(self._server or _server_command()),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        await self._send(self._arguments(path, key))
        try:
            said = await asyncio.wait_for(self._announcement(), LOAD_SECONDS)
        except TimeoutError:
            await self._end_child()
            self.state = f"failed: not loaded after {LOAD_SECONDS:.0f} s"
            return
        if "base_url" in said:
            self.base_url, self.state = said["base_url"], "ready"
            self._attach(self.base_url, key)
            return
        await self._end_child()
        self.state = f"failed: {said.get('error', 'its server ended while loading')}{self._last_words()}"

    async def _send(self, arguments: EmbeddedServerArguments) -> None:
        pipe = self._pipe()
        pipe.write(json.dumps(arguments).encode() + b"\n")
        try:
            await pipe.drain()
        except ConnectionError:
            # It died at once: its exit is seen where its announcement is awaited.
            return

    async def _announcement(self) -> dict[str, str]:
        """The child's JSON line; empty when it ended without one. Its other output is kept as last words."""
        child = self._child
        if child is None or child.stdout is None or child.stderr is None:
            return {}
        self._words.clear()
        self._listeners = [asyncio.create_task(self._listen(child.stderr))]
        async for line in child.stdout:
            if line.startswith(b"{"):
                said: dict[str, str] = json.loads(line)
                # A pipe that nobody reads fills up and stops the writer.
                self._listeners.append(asyncio.create_task(self._listen(child.stdout)))
                return said
        return {}

    async def _listen(self, stream: asyncio.StreamReader) -> None:
        async for line in stream:
            self._words.append(line.decode(errors="replace").strip())

    async def _end_child(self) -> None:
        """Close the child's stdin, which ends it; kill it if that takes too long."""
        child, self._child = self._child, None
        if child is None:
            return
        if child.stdin is not None:
            child.stdin.close()
        try:
            await asyncio.wait_for(child.wait(), STOP_SECONDS)
        except TimeoutError:
            child.kill()
            await child.wait()

    def _arguments(self, path: Path, key: str) -> EmbeddedServerArguments:
        return {
            "weights": str(path),
            "alias": self.row.name,
            "threads": self._threads,
            "context": self.row.context,
            "slots": SLOTS,
            "api_key": key,
        }

    def _pipe(self) -> asyncio.StreamWriter:
        if self._child is None or self._child.stdin is None:
            raise WeightsError("the server has no stdin", where=self.row.name)
        return self._child.stdin

    def _gone(self, state: str) -> None:
        self.state, self.base_url = state, ""
        self._attach("", "")

    def _last_words(self) -> str:
        words = "; ".join(word for word in self._words if word)
        return f" ({words})" if words else ""


def _server_command() -> tuple[str, ...]:
    """The script by its path: `-m` would find a folder named models in the working directory first."""
    return (sys.executable, "-P", str(Path(__file__).with_name("embedded_server.py")))
