"""Listening: one socket, signals that let running turns finish, and a word when it is ready."""

import asyncio
import errno
import math
import signal
import socket
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, cast

import uvicorn
from fastapi import FastAPI
from uvicorn.loops.auto import auto_loop_factory

from api.connections import IDLE_SECONDS, Connection, allow_files
from domain.errors import UsageError

BACKLOG = 2_048
PATIENCE = 15.0
"""Seconds in which the head of a request must have come, unless settings say otherwise."""


def run(work: Coroutine[Any, Any, None]) -> None:
    """Run a server on uvloop, where there is one (not on Windows): what passes between threads and sockets costs a third less."""
    with asyncio.Runner(loop_factory=auto_loop_factory()) as runner:
        runner.run(work)


def open_listener(host: str, port: int) -> socket.socket:
    """Bind `host:port` (0: a free one); nothing is let in before `listen`. Raises UsageError."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as fault:
        raise _unusable(host, port, fault) from fault
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except OSError as fault:
        listener.close()
        raise _unusable(host, port, fault) from fault
    return listener


def address_of(listener: socket.socket, host: str) -> str:
    """The URL that a listener is reached at."""
    name = f"[{host}]" if ":" in host else host
    return f"http://{name}:{listener.getsockname()[1]}"


async def listen(
    app: FastAPI, listener: socket.socket, *, grace: float, ready: Callable[[], None], patience: float = PATIENCE
) -> None:
    """Serve until SIGINT or SIGTERM, then give open requests `grace` seconds to end. Calls `ready` when it listens."""
    await _Server(configured(app, grace, patience, lifespan="off"), ready).serve([listener])


def configured(app: Any, grace: float, patience: float, **more: Any) -> uvicorn.Config:
    """How every process of ours serves: silent about itself, and with `grace` seconds for what is running."""
    # uvicorn makes connections by calling this, and asks it nothing else.
    connection = cast("Any", partial(Connection, patience=patience, most=allow_files()))
    return uvicorn.Config(
        app,
        http=connection,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        ws="none",
        loop="auto",
        backlog=BACKLOG,
        timeout_keep_alive=IDLE_SECONDS,
        timeout_graceful_shutdown=math.ceil(grace),
        **more,
    )


class _Server(uvicorn.Server):
    """uvicorn, but a signal ends serving and not the process: the desk is still to be closed."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, then say so. Raises UsageError when another process has begun to listen there meanwhile."""
        try:
            await super().startup(sockets)
        except OSError as fault:
            host, port, *_ = sockets[0].getsockname() if sockets else ("", 0)
            raise _unusable(host, port, fault) from fault
        self._ready()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop at the first signal; a second SIGINT stops without waiting."""
        loop = asyncio.get_running_loop()
        signals = (signal.SIGINT, signal.SIGTERM)
        for number in signals:
            loop.add_signal_handler(number, self.handle_exit, number, None)
        try:
            yield
        finally:
            for number in signals:
                loop.remove_signal_handler(number)


def _unusable(host: str, port: int, fault: OSError) -> UsageError:
    taken = fault.errno == errno.EADDRINUSE
    what = f"port {port} is in use" if taken else f"cannot listen here: {fault.strerror}"
    return UsageError(what, where=f"{host}:{port}", fix="pass --port with another, or 0 for any free one")
