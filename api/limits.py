"""How often one caller may ask: a sliding window for each user, API key and address, in memory or in Redis.

A turn that is refused so costs nothing: nothing was guarded, searched or asked. With Redis all replicas count
together; while Redis is away each counts for itself, and /readyz says so.
"""

import ipaddress
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import structlog
from fastapi import Request
from limits import RateLimitItem, parse
from limits.aio.storage import MemoryStorage, RedisStorage
from limits.aio.strategies import MovingWindowRateLimiter
from limits.errors import StorageError
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api import problems
from api.problems import ProblemError
from domain.ports import Clock
from domain.settings import Settings
from domain.tls import tls_trouble
from graph.service import Dependency

if TYPE_CHECKING:
    from redis.asyncio import ConnectionPool

Kind = Literal["key", "user", "address"]
PREFIX = "frontdesk"
REDIS_SECONDS = 0.5
"""How long Redis may take to answer: a customer waits for it."""
AWAY_SECONDS = 5.0
"""How long a Redis that did not answer is left alone."""
V6_NETWORK = 64
"""Bits of an IPv6 address that belong to one connection: who has one has all addresses under it."""


@dataclass(frozen=True, slots=True)
class Quota:
    """What is left of one limit. `reset`: seconds until more is."""

    kind: Kind
    limit: int
    window: int
    left: int
    reset: int


class RateLimits:
    """The limits of one desk. Belongs to one event loop."""

    def __init__(self, limits: Mapping[Kind, str], clock: Clock, redis_url: str = "") -> None:
        """`limits` as "30/minute" by kind; empty: none. `redis_url` empty: counted in this process."""
        self._items: dict[Kind, RateLimitItem] = {kind: parse(text) for kind, text in limits.items() if text}
        self._clock = clock
        self._here = MovingWindowRateLimiter(MemoryStorage())
        self._pool = _pool(redis_url) if redis_url else None
        self._shared = MovingWindowRateLimiter(_storage(redis_url, self._pool)) if self._pool else None
        self._away_until = 0.0

    @classmethod
    def of(cls, settings: Settings, clock: Clock) -> "RateLimits":
        """As the settings say."""
        limits: dict[Kind, str] = {
            "key": settings.rate_limit_key,
            "user": settings.rate_limit_user,
            "address": settings.rate_limit_address,
        }
        return cls(limits, clock, settings.redis_url.get_secret_value())

    async def admit(self, request: Request, whose: Sequence[tuple[Kind, str]]) -> None:
        """Count one turn against every limit of its caller. Raises ProblemError (429) when one is used up.

        What is left then stands in the response's headers, see `RateHeaders`.
        """
        quotas = [quota for kind, name in whose if (quota := await self._count(kind, name))]
        if not quotas:
            return
        request.state.rate_headers = headers(quotas)
        spent = [quota for quota in quotas if quota.left < 0]
        if spent:
            wait = max(quota.reset for quota in spent)
            kinds = " and ".join(quota.kind for quota in spent)
            detail = f"more questions than this {kinds} may ask; again in {wait} s"
            told = problems.TOO_MANY.saying(detail)
            raise ProblemError(replace(told, headers={"Retry-After": str(wait)}))

    def part(self) -> Dependency | None:
        """How the shared counting is; None where there is none."""
        if self._shared is None:
            return None
        away = self._clock.monotonic() < self._away_until
        detail = "redis is away: each replica counts for itself" if away else "redis"
        return Dependency("rate_limits", "degraded" if away else "ok", detail)

    async def aclose(self) -> None:
        """Close the connections to Redis."""
        if self._pool:
            await self._pool.aclose()

    async def _count(self, kind: Kind, name: str) -> Quota | None:
        item = self._items.get(kind)
        if item is None:
            return None
        if self._shared and self._clock.monotonic() >= self._away_until:
            try:
                return await _hit(self._shared, item, kind, name, self._clock)
            except StorageError as fault:
                self._away_until = self._clock.monotonic() + AWAY_SECONDS
                trouble = tls_trouble(fault.storage_error, "FRONTDESK_REDIS_URL")
                why = trouble[0] if trouble else type(fault.storage_error).__name__
                structlog.get_logger().warning("rate limits: redis is away", error=why)
        return await _hit(self._here, item, kind, name, self._clock)


@dataclass(frozen=True, slots=True)
class RateHeaders:
    """ASGI middleware that puts what is left of a caller's limits into the response, refused or not."""

    app: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def told(message: Message) -> None:
            found = scope.get("state", {}).get("rate_headers")
            if found and message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(found)
            await send(message)

        await self.app(scope, receive, told)


def headers(quotas: Sequence[Quota]) -> dict[str, str]:
    """Both ways in which clients read them: draft 10 of the IETF, and the three fields of its early drafts."""
    tightest = min(quotas, key=lambda quota: (quota.left, -quota.reset))
    return {
        "RateLimit-Policy": ", ".join(f'"{quota.kind}";q={quota.limit};w={quota.window}' for quota in quotas),
        "RateLimit": ", ".join(f'"{quota.kind}";r={max(0, quota.left)};t={quota.reset}' for quota in quotas),
        "RateLimit-Limit": str(tightest.limit),
        "RateLimit-Remaining": str(max(0, tightest.left)),
        "RateLimit-Reset": str(tightest.reset),
    }


def callers(request: Request, *, user: str = "", key: str = "", vouched: bool = False) -> list[tuple[Kind, str]]:
    """Whose limits a request counts against: its key's and its user's; of a visitor that nobody knows, its address's.

    `user`: who is named or proved to ask; `vouched`: a server asks for its own visitors, whose addresses it knows.
    This machine itself is no address: behind it may be everybody.
    """
    found: list[tuple[Kind, str]] = [("key", key)] if key else []
    network = _network(request.client.host if request.client else "")
    if user:
        found.append(("user", user))
    elif network and not vouched:
        found.append(("address", network))
    return found


def _network(host: str) -> str:
    """The connection behind an address; empty for this machine's own and for what is no address."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return ""
    if address.is_loopback:
        return ""
    if isinstance(address, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((address, V6_NETWORK), strict=False))
    return str(address)


def _pool(url: str) -> "ConnectionPool":
    from redis.asyncio import ConnectionPool  # noqa: PLC0415  # 0.1 s that a desk without Redis need not pay

    url = url.replace("redis+unix://", "unix://")
    return ConnectionPool.from_url(url, socket_timeout=REDIS_SECONDS, socket_connect_timeout=REDIS_SECONDS)


def _storage(url: str, pool: "ConnectionPool") -> RedisStorage:
    # The pool goes through options that the library declares as plain values.
    options: dict[str, Any] = {"connection_pool": pool}
    return RedisStorage(f"async+{url}", wrap_exceptions=True, implementation="redispy", key_prefix=PREFIX, **options)


async def _hit(limiter: MovingWindowRateLimiter, item: RateLimitItem, kind: Kind, name: str, clock: Clock) -> Quota:
    taken = await limiter.hit(item, kind, name)
    stats = await limiter.get_window_stats(item, kind, name)
    window = item.get_expiry()
    # The library goes by the machine's own clock: no difference to ours makes a wait longer than the window.
    reset = math.ceil(stats.reset_time - clock.now().timestamp())
    return Quota(kind, item.amount, window, stats.remaining if taken else -1, min(max(1, reset), window))
