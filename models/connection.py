"""Connections to a server of models: an httpx client, as OpenAI's library takes one, over aiohttp's connections.

httpx's own pool asks the system of each idle connection, when a request comes and again when it ends, whether its server has
hung up; with 32 clients that was most of a call (docs/decisions/057-connections-of-aiohttp.md). aiohttp is told when one has.
"""

import ssl
from collections.abc import Callable
from contextvars import ContextVar
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import httpx
from aiohttp import ClientSession, DummyCookieJar, TCPConnector, TraceConfig, TraceRequestChunkSentParams
from httpx_aiohttp import AiohttpTransport

from models.catalog import Endpoint
from models.joined import Joiner

KEPT_SECONDS = 5.0
"""An idle connection is kept for so long: a request over one that its server is about to close is lost."""
GONE: ContextVar[Callable[[], None]] = ContextVar("gone")
"""Who is to be told when the request of this task has gone out."""


def connections(endpoint: Endpoint) -> httpx.AsyncClient:
    """A client for one endpoint, without a time limit or a bound of its own. Belongs to the event loop that first uses it.

    Turns in flight are limited at the door, and a call by its caller's deadline.
    """
    trusted = httpx.create_ssl_context()
    if endpoint.ca_file:
        trusted.load_verify_locations(endpoint.ca_file)
    # A proxy of the environment is for the outside: it must not see requests to this machine.
    proxy = None if endpoint.private else _proxy(endpoint.base_url)
    transport = AiohttpTransport(verify=trusted, proxy=proxy, client=lambda: _session(trusted))
    return _Forgetful(transport=transport, timeout=None, event_hooks={"response": [Joiner()]})


def _session(trusted: ssl.SSLContext) -> ClientSession:
    watched = TraceConfig()
    watched.on_request_chunk_sent.append(_sent)
    connector = TCPConnector(ssl=trusted, limit=0, keepalive_timeout=KEPT_SECONDS)
    return ClientSession(connector=connector, cookie_jar=DummyCookieJar(), trace_configs=[watched])


async def _sent(_session: ClientSession, _about: SimpleNamespace, _sent: TraceRequestChunkSentParams) -> None:
    # A body of ours is one piece, handed over whole.
    GONE.get()()


def _proxy(url: str) -> httpx.Proxy | None:
    """The proxy that HTTPS_PROXY, HTTP_PROXY or ALL_PROXY name for an address that NO_PROXY leaves to them."""
    to, named = urlsplit(url), getproxies()
    address = named.get(to.scheme) or named.get("all")
    if not address or proxy_bypass(to.netloc):
        return None
    return httpx.Proxy(address if "://" in address else f"http://{address}")


class _Forgetful(httpx.AsyncClient):
    """A client that keeps no cookies: what a server sets for one customer's request is not sent along with another's.

    Looking for them in a response that has none took a twentieth of a call.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._none = _NoCookies()

    @property
    def cookies(self) -> httpx.Cookies:
        """None."""
        return self._none

    @cookies.setter
    def cookies(self, _cookies: object) -> None:
        raise NotImplementedError


class _NoCookies(httpx.Cookies):
    def extract_cookies(self, response: httpx.Response) -> None:
        """Pass a response's cookies by."""
