"""Several processes behind one port, under uvicorn's supervisor: one that dies is followed by another.

Each opens the desk for itself. What they share is in Postgres, Chroma and Redis, as with replicas on many machines.
"""

import os
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from socket import socket

from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn import Config
from uvicorn.supervisors import Multiprocess
from uvicorn.supervisors.multiprocess import Process

from api.app import fit_for_others, new_token, open_app, to_stderr, welcome
from api.server import address_of, configured, open_listener
from domain.errors import FrontdeskError
from domain.settings import Settings
from graph.bootstrap import vet_store
from graph.crew import counts_in, crew_folder, must_share
from graph.profiles import find_desk, read_profile
from graph.rooms import Say
from store import HomeLock
from tracing.metrics import count_among

SILENCE = 60
"""Seconds after which a worker that does not answer the supervisor is taken for hung: importing takes some of them."""


def run_workers(settings: Settings, count: int, say: Say = to_stderr) -> None:
    """Serve a desk in `count` processes until SIGINT or SIGTERM; SIGHUP replaces them one by one.

    Raises UsageError, HomeInUseError, what the store says against being opened, and FrontdeskError when a worker
    cannot open the desk at the start.
    """
    must_share(settings, count)
    desk = find_desk(settings.desk)
    name, among = read_profile(desk).name, crew_folder(settings)
    with HomeLock.acquire(settings.home / desk.name) as lock, open_listener(settings.host, settings.port) as listener:
        vet_store(settings, lambda store: fit_for_others(settings, store))
        count_among(counts_in(among))
        address, token = address_of(listener, settings.host), new_token()

        def ready() -> None:
            lock.publish(address, token)
            welcome(name, address, say)
            say(f"{count} workers; {_counting(settings, count)}")

        worker = Worker(settings, token, among)
        grace, patience = settings.shutdown_timeout, settings.request_timeout
        config = configured(
            worker, grace, patience, lifespan="on", factory=True, workers=count, timeout_worker_healthcheck=SILENCE
        )
        crew = Crew(config, [listener], ready)
        crew.run()
        if crew.failed:
            raise FrontdeskError("a worker could not open the desk", where=name, fix="mend what it said above")


@dataclass(frozen=True, slots=True)
class Worker:
    """What each process makes its application from. It travels there by a pipe: no secret is in an environment."""

    settings: Settings
    token: str
    among: Path

    def __call__(self) -> ASGIApp:
        """The application, whose desk is opened when it is started."""
        return _Opening(self)


class _Opening:
    """An ASGI application that opens its desk in `lifespan`, and then passes everything on."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._app: ASGIApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        assert self._app is not None  # nothing is let in before the start is complete
        await self._app(scope, receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        worker = self._worker
        await receive()
        async with AsyncExitStack() as opened:
            try:
                app = open_app(worker.settings, worker.token, among=worker.among)
                self._app = await opened.enter_async_context(app)
            except FrontdeskError as fault:
                to_stderr(f"worker {os.getpid()}: {fault}")
                await send({"type": "lifespan.startup.failed"})
                return
            await send({"type": "lifespan.startup.complete"})
            stop: Message = await receive()
        await send({"type": stop["type"] + ".complete"})


class Crew(Multiprocess):
    """uvicorn's supervisor, but it says when all serve, and one that cannot start later does not stop the others."""

    def __init__(self, config: Config, sockets: list[socket], ready: Callable[[], None]) -> None:
        super().__init__(config, sockets)
        self.failed = False
        self._ready = ready
        self._serving = False

    def keep_subprocess_alive(self) -> None:
        """Look after every worker once."""
        if self.should_exit.is_set():
            return
        super().keep_subprocess_alive()
        if self.should_exit.is_set():
            self._lost_at_start()
        elif not self._serving and all(process.is_ready() for process in self.processes):
            self._serving = True
            self._ready()

    def _lost_at_start(self) -> None:
        """One could not open the desk. At first that is the end; later a database may be away, and come back."""
        if not self._serving:
            self.failed = True
            return
        self.should_exit.clear()
        for place, process in enumerate(self.processes):
            if process.exitcode is not None:
                self.processes[place] = Process(self.config, self.sockets)
                self.processes[place].start()


def _counting(settings: Settings, count: int) -> str:
    """How limits are counted."""
    if settings.redis_url.get_secret_value():
        return "limits are counted together, in Redis"
    return f"each counts limits for itself, so that they are up to {count} times as wide: set FRONTDESK_REDIS_URL"
