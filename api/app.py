"""The HTTP door as a whole: which routes there are, what becomes of an error, and how it is served."""

import asyncio
import secrets
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api import admin, chat, openai, pages, probes, problems
from api.doors import Doors
from api.gate import Gate, is_loopback
from api.identity import Doorkeeper, UserTokens
from api.limits import RateHeaders, RateLimits
from api.replays import Replays
from api.server import address_of, listen, open_listener
from api.server import run as run_loop
from api.turns import Turns
from domain.errors import FrontdeskError, UsageError
from domain.ports import Clock, Ids, Progress
from domain.settings import Settings
from graph.alerts import open_watch
from graph.bootstrap import close_service, open_service
from graph.health import banner
from graph.recall import recall
from graph.rooms import Say
from graph.service import Service
from graph.system import Uuid7
from graph.warming import settle_memory, start_model, warm
from store import Store
from tracing import configure_logging

HEARTBEAT = 10.0
"""Seconds of silence in a stream after which a comment says that the desk is still at work."""
ABOUT = (
    "Cited, guarded answers to customers' questions. Every outcome of a turn is a 200 with `outcome` and `reason`;"
    " errors are RFC 9457 problem+json with a stable `type`."
)


def create_app(
    service: Service,
    *,
    owner_token: str = "",
    clock: Clock | None = None,
    ids: Ids | None = None,
    heartbeat: float = HEARTBEAT,
) -> FastAPI:
    """The application over an open service. `owner_token` opens /admin, as do keys with the scope for it."""
    # No /docs: its page loads scripts from elsewhere, which our content policy forbids.
    app = FastAPI(
        title=f"Frontdesk: {service.profile.name}",
        description=ABOUT,
        version=version("frontdesk"),
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    ids, clock = ids or Uuid7(), clock or service.clock
    limits = RateLimits.of(service.settings, clock)
    replays = Replays(service.store, partial(recall, service), ids)
    app.state.doors = Doors(service, Turns(), replays, ids, clock, _new_session, heartbeat, limits)
    app.state.assets = pages.read_assets()
    for router in (chat.router, openai.router, probes.router, pages.router, admin.make_router()):
        app.include_router(router)
    for kind in (FrontdeskError, problems.ProblemError, RequestValidationError, HTTPException):
        app.add_exception_handler(kind, problems.on_error)
    app.add_middleware(RateHeaders)
    app.add_middleware(Backstop, ids=ids)
    settings = service.settings
    app.add_middleware(
        Gate,
        ids=ids,
        doorkeeper=Doorkeeper(service.store.keys, UserTokens.of(settings), owner_token),
        hosts=_listed(settings.hosts),
        origins=_listed(settings.origins),
        max_body_bytes=settings.max_body_bytes,
        patience=settings.request_timeout,
    )
    if settings.origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=sorted(_listed(settings.origins)),
            allow_methods=["GET", "POST", "DELETE"],
            allow_headers=["Authorization", "Content-Type", "Idempotency-Key", "X-Thread-Id"],
            expose_headers=["X-Trace-Id", "Retry-After", "RateLimit", "RateLimit-Policy"],
        )
    return app


@dataclass(frozen=True, slots=True)
class Backstop:
    """ASGI middleware that has the last word on an error nobody foresaw: our words, never its text."""

    app: ASGIApp
    ids: Ids

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = False

        async def watched(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self.app(scope, receive, watched)
        except Exception as fault:  # noqa: BLE001  # the one place of this door that catches all: a bug is a 500
            occurrence = self.ids.new()
            problems.report(fault, problems.INTERNAL, occurrence)
            if not started:
                await problems.respond(problems.INTERNAL, occurrence, scope["path"])(scope, receive, send)


def _listed(names: str) -> frozenset[str]:
    """Names that a setting lists with commas."""
    return frozenset(name.strip().lower().rstrip("/") for name in names.split(",") if name.strip())


def to_stderr(line: str) -> None:
    """Say a line to whoever started the server."""
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def run_server(settings: Settings, say: Say = to_stderr, progress: Progress | None = None) -> None:
    """Serve a desk until SIGINT or SIGTERM. Raises UsageError, HomeInUseError and what opening a desk raises."""
    # A Ctrl+C before the server listens.
    with suppress(KeyboardInterrupt):
        run_loop(serve(settings, say=say, progress=progress))


async def serve(settings: Settings, *, say: Say = to_stderr, progress: Progress | None = None) -> None:
    """As `run_server`, in a running loop; the port is taken before the desk is opened, and opened after."""
    with open_listener(settings.host, settings.port) as listener:
        address, token = address_of(listener, settings.host), new_token()
        async with open_app(settings, token, say=say, progress=progress) as app:
            service = app.state.doors.service

            def ready() -> None:
                service.lock.publish(address, token)
                welcome(service.profile.name, address, say)
                say(banner(service))

            patience = settings.request_timeout
            await listen(app, listener, grace=settings.shutdown_timeout, ready=ready, patience=patience)


@asynccontextmanager
async def open_app(
    settings: Settings, token: str, *, say: Say = to_stderr, progress: Progress | None = None, among: Path | None = None
) -> AsyncIterator[FastAPI]:
    """The application over a desk that is opened for it, with all that goes on beside it; closed in the end.

    `among`: see `open_service`. Raises UsageError, HomeInUseError and what opening a desk raises.
    """
    configure_logging(settings.log_level)
    vet = partial(fit_for_others, settings)
    service = await open_service(settings, say=say, progress=progress, vet=vet, among=among)
    app = create_app(service, owner_token=token)
    beside = asyncio.create_task(_beside(service), name="warm up")
    watching = asyncio.create_task(open_watch(service).run(), name="alerts")
    try:
        yield app
        await app.state.doors.turns.settled()
        await app.state.doors.limits.aclose()
    finally:
        beside.cancel()
        watching.cancel()
        await asyncio.gather(beside, watching, return_exceptions=True)
        await close_service(service)


def welcome(name: str, address: str, say: Say) -> None:
    """Say where a desk answers."""
    say(f"{name} answers at {address}")
    say(f"Operators: {address}/ops (frontdesk ops shows the token that opens it)")


def fit_for_others(settings: Settings, store: Store) -> None:
    """Raises UsageError when other machines could reach a desk that asks nobody who they are."""
    if is_loopback(settings.host) or UserTokens.of(settings) or store.keys.any():
        return
    raise UsageError(
        "other machines could reach this address, and there is no API key yet",
        where=f"--host {settings.host}",
        fix="make one first: frontdesk keys create NAME --scope server",
    )


async def _beside(service: Service) -> None:
    """What goes on while the desk already answers: warming up, then the local model."""
    await warm(service)
    settle_memory()
    await start_model(service)


def new_token() -> str:
    """What opens /admin to who may read the desk's lock file."""
    return secrets.token_urlsafe(32)


def _new_session() -> str:
    return f"session-{secrets.token_urlsafe(32)}"
