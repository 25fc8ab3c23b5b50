"""What every request passes before a route sees it: host, origin, owner, media type, size; and security headers."""

import asyncio
import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api import problems
from api.identity import Doorkeeper, Identity
from api.problems import Problem, ProblemError
from domain.ports import Ids

READING = frozenset({"GET", "HEAD", "OPTIONS"})
ADMIN = "/admin"
API = "/v1"
ANALYSTS = ("/metrics", "/openapi.json")
"""What tells of the desk as a whole: open on this machine alone, an analyst's where there are keys."""
ADMIN_BODY_BYTES = 1_048_576
"""The owner may ask about longer texts than a customer."""
HOST = re.compile(r"(?P<name>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+)(:[0-9]{1,5})?")
CONTENT_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:;"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
SECURITY_HEADERS = {
    "Content-Security-Policy": CONTENT_POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


def is_loopback(host: str) -> bool:
    """Whether a host name or address is this machine itself and nothing else."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@dataclass(frozen=True, slots=True)
class Gate:
    """ASGI middleware: who may pass; who it is then stands in the request's state as `identity`.

    `hosts` and `origins` are those that the settings name beside the desk's own. `patience`: seconds that a body
    may take to come.
    """

    app: ASGIApp
    ids: Ids
    doorkeeper: Doorkeeper
    hosts: frozenset[str]
    origins: frozenset[str]
    max_body_bytes: int
    patience: float

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                named = "content-security-policy" in headers  # by the widget's page, which says who may frame it
                for name, value in SECURITY_HEADERS.items():
                    if not (named and name == "X-Frame-Options"):
                        headers.setdefault(name, value)
            await send(message)

        limit = ADMIN_BODY_BYTES if _under(ADMIN, scope) else self.max_body_bytes
        try:
            await self._admit(scope, Headers(scope=scope), limit)
        except ProblemError as refusal:
            response = problems.respond(refusal.problem, self.ids.new(), scope["path"])
            await response(scope, receive, guarded)
        else:
            await self.app(scope, _limited(receive, limit, self.patience), guarded)

    async def _admit(self, scope: Scope, headers: Headers, limit: int) -> None:
        """Raises ProblemError for whoever may not pass."""
        host = headers.get("host", "")
        if not await self._is_ours(host):
            # A foreign name that leads here is how another site reads what only this machine may (DNS rebinding).
            raise ProblemError(
                problems.WRONG_HOST.saying("open it as http://127.0.0.1 or http://localhost with its port")
            )
        inside = _under(ADMIN, scope)
        if (inside or scope["method"] not in READING) and not self._same_origin(headers, host, own=inside):
            raise ProblemError(problems.FOREIGN_ORIGIN)
        scope.setdefault("state", {})["identity"] = await self._identity(scope, headers.get("authorization", ""))
        if problem := _body_objection(headers, limit):
            raise ProblemError(problem)

    async def _identity(self, scope: Scope, authorization: str) -> Identity:
        """Who asks, where that matters. Raises ProblemError for whoever may not come this far."""
        inside, telling = _under(ADMIN, scope), scope["path"] in ANALYSTS
        if not (inside or telling or _under(API, scope)):
            return Identity()
        try:
            identity = await self.doorkeeper.identify(authorization)
        except ProblemError:
            if inside:
                raise ProblemError(problems.NOT_OWNER) from None
            raise
        if inside and identity.scope is None:
            raise ProblemError(problems.NOT_OWNER)
        if inside and identity.scope in ("chat", "server"):
            raise ProblemError(problems.WRONG_SCOPE)
        if telling and not (identity.open or identity.may("analyst")):
            raise ProblemError(problems.WRONG_SCOPE if identity.scope else problems.KEY_NEEDED)
        return identity

    async def _is_ours(self, host: str) -> bool:
        """Whether a Host header names this desk. Its port is not compared: a tunnel may have another."""
        found = HOST.fullmatch(host)
        if found is None:
            return False
        name = found["name"].strip("[]").lower()
        return is_loopback(name) or name in self.hosts or (not self.hosts and await self.doorkeeper.keyed())

    def _same_origin(self, headers: Headers, host: str, *, own: bool) -> bool:
        """Whether the page that sends this was served from here; programs that are no browser name no origin.

        `own`: pages of the origins that the settings name, which are the customers', do not count.
        """
        origin = headers.get("origin")
        if origin is None:
            return headers.get("sec-fetch-site", "none") in ("none", "same-origin")
        if origin in self.origins:
            return not own
        try:
            return urlsplit(origin).netloc.lower() == host.lower()
        except ValueError:
            return False


def _body_objection(headers: Headers, limit: int) -> Problem | None:
    """What speaks against a body before it is read."""
    length = headers.get("content-length", "")
    has_body = length not in ("", "0") or "transfer-encoding" in headers
    if has_body and headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        return problems.NOT_JSON.saying("send the header Content-Type: application/json")
    if length.isdecimal() and int(length) > limit:
        return _too_large(limit)
    return None


def _too_large(limit: int) -> Problem:
    return problems.TOO_LARGE.saying(f"a body may have {limit:,} bytes")


def _limited(receive: Receive, limit: int, patience: float) -> Receive:
    """Stop reading a body that turns out larger than it may be, or that does not come to its end."""
    read = 0
    until: float | None = None
    whole = False

    async def measured() -> Message:
        nonlocal read, until, whole
        if whole:
            return await receive()
        until = until or asyncio.get_running_loop().time() + patience
        # HTTPExceptions: FastAPI turns anything else that reading raises into "cannot be parsed".
        try:
            async with asyncio.timeout_at(until):
                message = await receive()
        except TimeoutError:
            raise HTTPException(408) from None
        read += len(message.get("body", b""))
        whole = not message.get("more_body", False)
        if read > limit:
            raise HTTPException(413)
        return message

    return measured


def _under(folder: str, scope: Scope) -> bool:
    path: str = scope["path"]
    return path == folder or path.startswith(f"{folder}/")
