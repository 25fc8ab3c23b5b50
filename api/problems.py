"""Errors as problem+json (RFC 9457): a stable type and sentences of our own, never an exception's text.

`type` is "/problems/<kind>"; the kinds are a contract. `instance` names the occurrence: for what was
our fault, the log line that says more holds the same id as its trace_id.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import Any

import structlog
from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from domain.errors import (
    ConflictError,
    DeskError,
    FrontdeskError,
    KnowledgeError,
    NotFoundError,
    OverloadedError,
    SettingsError,
    StoreError,
    ThreadBusyError,
    UsageError,
)

MEDIA_TYPE = "application/problem+json"
SHOWN_FIELDS = 10
LONGEST_NAME = 100
"""Characters of a field's name that are repeated to the caller, who may have made it up."""
OPENAI = ("/v1/chat/completions", "/v1/models")
"""Routes whose clients expect OpenAI's form of an error, too."""
OVERLOADED_SECONDS = "2"
BUSY_SECONDS = "1"
"""How long a client is asked to wait, as the header says it."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One kind of failure. `extra` are members of the body beside those of the RFC."""

    kind: str
    status: int
    title: str
    detail: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def type(self) -> str:
        """The stable name that a client may branch on."""
        return f"/problems/{self.kind}"

    def saying(self, detail: str) -> "Problem":
        """The same kind, with what is wrong this time."""
        return replace(self, detail=detail)


UNREADABLE = Problem("unreadable-body", 400, "The body is not valid JSON in UTF-8")
WRONG_REQUEST = Problem("wrong-request", 400, "The request cannot be carried out")
NOT_OWNER = Problem("owner-only", 401, "Only this machine's owner may do this", headers={"WWW-Authenticate": "Bearer"})
BEARER = {"WWW-Authenticate": "Bearer"}
KEY_NEEDED = Problem("key-needed", 401, "An API key is needed", headers=BEARER)
UNKNOWN_KEY = Problem("unknown-key", 401, "There is no such API key, or it was revoked", headers=BEARER)
UNKNOWN_TOKEN = Problem("unknown-token", 401, "The user token is forged, stale or meant for others", headers=BEARER)
WRONG_SCOPE = Problem("wrong-scope", 403, "The API key does not allow this")
FOREIGN_ORIGIN = Problem("foreign-origin", 403, "Requests from another site are not taken")
NOT_FOUND = Problem("not-found", 404, "There is no such thing, or it is not yours")
NO_MODEL = Problem("no-such-model", 404, "There is no such model")
NO_ROUTE = Problem("no-such-route", 404, "There is nothing at this address")
WRONG_METHOD = Problem("wrong-method", 405, "This address does not take this method")
THREAD_BUSY = Problem(
    "thread-busy", 409, "The last question is still being answered", headers={"Retry-After": BUSY_SECONDS}
)
REQUEST_RUNNING = Problem(
    "request-running", 409, "The same request is still running", headers={"Retry-After": BUSY_SECONDS}
)
TOO_SLOW = Problem("body-too-slow", 408, "The body did not come in time", headers={"Connection": "close"})
CONFLICT = Problem("conflict", 409, "It is no longer as you saw it")
TOO_LARGE = Problem("body-too-large", 413, "The body is too large")
TOO_LONG = Problem("message-too-long", 413, "The message is too long")
NOT_JSON = Problem("not-json", 415, "The body must be sent as application/json")
WRONG_HOST = Problem("wrong-host", 421, "This desk does not serve that host name")
INVALID_FIELDS = Problem("invalid-fields", 422, "Some fields are not as they must be")
KEY_REUSED = Problem("idempotency-key-reused", 422, "This Idempotency-Key was sent with another body")
TOO_MANY = Problem("too-many-requests", 429, "Too many questions in a short time")
INTERNAL = Problem("internal-error", 500, "Something went wrong on our side")
OVERLOADED = Problem("overloaded", 503, "The desk is busy", headers={"Retry-After": OVERLOADED_SECONDS})
NOT_READY = Problem("not-ready", 503, "The desk cannot answer now", headers={"Retry-After": OVERLOADED_SECONDS})

BY_ERROR: Sequence[tuple[type[FrontdeskError], Problem]] = (
    (UsageError, WRONG_REQUEST),
    (NotFoundError, NOT_FOUND),
    (ThreadBusyError, THREAD_BUSY),
    (ConflictError, CONFLICT),
    (OverloadedError, OVERLOADED),
)
OPERATORS_MATTER = (DeskError, SettingsError, KnowledgeError)
"""Errors whose sentence names files and settings: nothing for a customer."""
BY_STATUS = {problem.status: problem for problem in (UNREADABLE, NO_ROUTE, WRONG_METHOD, TOO_SLOW, TOO_LARGE)}


class ProblemError(Exception):
    """A problem that this door itself has found."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        super().__init__(problem.kind)


def problem_of(fault: BaseException, *, trusted: bool = False) -> Problem:
    """What a caller is told of a failure. `trusted`: the caller is the owner, who may read our own sentences."""
    if isinstance(fault, ProblemError):
        return fault.problem
    if isinstance(fault, RequestValidationError):
        return _of_fields(fault)
    if isinstance(fault, HTTPException):
        return _of_status(fault)
    return _of_ours(fault, trusted=trusted) if isinstance(fault, FrontdeskError) else INTERNAL


def _of_ours(fault: FrontdeskError, *, trusted: bool) -> Problem:
    if not trusted and isinstance(fault, OPERATORS_MATTER):
        return INTERNAL
    if not trusted and isinstance(fault, StoreError):
        return NOT_READY  # it may be back in a moment; its sentence names servers and files
    for kind, problem in BY_ERROR:
        if isinstance(fault, kind):
            return problem.saying(str(fault))
    return INTERNAL.saying(str(fault)) if trusted else INTERNAL


def openai_error(problem: Problem) -> dict[str, Any]:
    """The same for clients of OpenAI's, which look for a member `error`."""
    ours = problem.status >= HTTPStatus.INTERNAL_SERVER_ERROR
    kind = "server_error" if ours else "invalid_request_error"
    code = "model_not_found" if problem.kind == NO_MODEL.kind else problem.kind.replace("-", "_")
    return {"message": problem.detail or problem.title, "type": kind, "param": None, "code": code}


def respond(problem: Problem, occurrence: str, path: str = "") -> Response:
    """The response to a request for `path` that ended in `problem`."""
    body = {
        "type": problem.type,
        "title": problem.title,
        "status": problem.status,
        "detail": problem.detail or problem.title,
        "instance": f"urn:uuid:{occurrence}",
        **problem.extra,
        **({"error": openai_error(problem)} if path.startswith(OPENAI) else {}),
    }
    # ASCII: a field's name that the caller made up may hold half a surrogate pair.
    return Response(json.dumps(body), problem.status, problem.headers, MEDIA_TYPE)


def report(fault: BaseException, problem: Problem, occurrence: str) -> None:
    """Log what was our fault: where it was raised, never its text."""
    foreseen = isinstance(fault, ProblemError | OverloadedError)
    if problem.status >= HTTPStatus.INTERNAL_SERVER_ERROR and not foreseen:
        structlog.get_logger().error(
            "request failed", kind=problem.kind, http_status=problem.status, trace_id=occurrence, exc_info=fault
        )


async def on_error(request: Request, fault: Exception) -> Response:
    """Answer a request that ended in a failure that was foreseen."""
    problem = problem_of(fault, trusted=request.url.path.startswith("/admin/"))
    occurrence = request.app.state.doors.ids.new()
    report(fault, problem, occurrence)
    return respond(problem, occurrence, request.url.path)


def _of_fields(fault: RequestValidationError) -> Problem:
    """Which fields are wrong and why; what was sent is not repeated."""
    errors = fault.errors()
    if any(error["type"] == "json_invalid" for error in errors):
        return UNREADABLE
    wrong = [
        {"field": _name(error["loc"]), "problem": error["msg"].removeprefix("Value error, ")}
        for error in errors[:SHOWN_FIELDS]
    ]
    problem = replace(INVALID_FIELDS, extra={"errors": wrong})
    return problem.saying(f"{wrong[0]['field']}: {wrong[0]['problem']}")


def _name(location: Sequence[int | str]) -> str:
    """A field's place in the body or query, as `context.0.title`."""
    parts = [str(part) for part in location[1:]] or [str(location[0])]
    return ".".join(parts)[:LONGEST_NAME]


def _of_status(fault: HTTPException) -> Problem:
    """An error of the framework's, by its status alone: its text is for developers."""
    known = BY_STATUS.get(fault.status_code)
    if known is None:
        title = HTTPStatus(fault.status_code).phrase
        known = Problem(title.lower().replace(" ", "-"), fault.status_code, title)
    return replace(known, headers={**known.headers, **(fault.headers or {})})


def documented(*problems: Problem) -> dict[int | str, dict[str, Any]]:
    """The responses of a route that fails so, for OpenAPI."""
    kinds: dict[int | str, dict[str, Any]] = {}
    for problem in problems:
        example = {"type": problem.type, "title": problem.title, "status": problem.status}
        row = kinds.setdefault(
            problem.status, {"description": problem.title, "content": {MEDIA_TYPE: {"examples": {}}}}
        )
        row["content"][MEDIA_TYPE]["examples"][problem.kind] = {"value": example}
    return kinds
