"""What every request passes before a route sees it: host, origin, owner, media type, size; and security headers."""

import hmac
import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api import problems
from api.problems import Problem
from domain.ports import Ids

READING = frozenset({"GET", "HEAD", "OPTIONS"})
ADMIN = "/admin"
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
    """ASGI middleware. `owner_token` opens /admin; an empty one opens it to nobody."""

    app: ASGIApp
    ids: Ids
    owner_token: str
    max_body_bytes: int

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in SECURITY_HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        limit = ADMIN_BODY_BYTES if _is_admin(scope) else self.max_body_bytes
        problem = self._objection(scope, Headers(scope=scope), limit)
        if problem:
            await problems.respond(problem, self.ids.new(), scope["path"])(scope, receive, guarded)
        else:
            await self.app(scope, _limited(receive, limit), guarded)

    def _objection(self, scope: Scope, headers: Headers, limit: int) -> Problem | None:
        host = headers.get("host", "")
        if not _is_ours(host):
            # A foreign name that leads here is how another site reads what only this machine may (DNS rebinding).
            return problems.WRONG_HOST.saying("open it as http://127.0.0.1 or http://localhost with its port")
        if scope["method"] not in READING and not _same_origin(headers, host):
            return problems.FOREIGN_ORIGIN
        if _is_admin(scope) and not self._is_owner(headers.get("authorization", "")):
            return problems.NOT_OWNER
        return _body_objection(headers, limit)

    def _is_owner(self, authorization: str) -> bool:
        scheme, _, token = authorization.partition(" ")
        same = hmac.compare_digest(token.encode(), self.owner_token.encode())
        return bool(self.owner_token) and same and scheme.lower() == "bearer"


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


def _limited(receive: Receive, limit: int) -> Receive:
    """Stop reading a body that turns out larger than it may be."""
    read = 0

    async def measured() -> Message:
        nonlocal read
        message = await receive()
        read += len(message.get("body", b""))
        if read > limit:
            # An HTTPException: FastAPI turns anything else that reading raises into "cannot be parsed".
            raise HTTPException(413)
        return message

    return measured


def _is_admin(scope: Scope) -> bool:
    path: str = scope["path"]
    return path == ADMIN or path.startswith(f"{ADMIN}/")


def _is_ours(host: str) -> bool:
    """Whether a Host header names this machine. Its port is not compared: an SSH tunnel may have another."""
    found = HOST.fullmatch(host)
    return found is not None and is_loopback(found["name"].strip("[]").lower())


def _same_origin(headers: Headers, host: str) -> bool:
    """Whether the page that sends this was served from here; programs that are no browser name no origin."""
    origin = headers.get("origin")
    if origin is None:
        return headers.get("sec-fetch-site", "none") in ("none", "same-origin")
    try:
        return urlsplit(origin).netloc.lower() == host.lower()
    except ValueError:
        return False
