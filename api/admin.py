"""The operators' routes: what the terminal asks of the server that owns the desk's state.

Each operation of graph/operations.py is `POST /admin/<its name>`, dots as slashes; those that change nothing
answer GET too. Bodies and results are the CLI's `--json` objects. The gate lets nobody in without a key for
operators, or the token that only the owner's files hold; each operation says which scope it takes.
"""

from collections.abc import Awaitable, Callable
from dataclasses import asdict, replace
from functools import cache
from inspect import Parameter, signature
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request, Response
from pydantic import BaseModel, ConfigDict, create_model

from api import problems
from api.chat import accepts_events, told, whole
from api.doors import Here
from api.identity import identity_of
from api.problems import ProblemError
from api.responses import streamed
from api.schemas import AgentReply, AskBody
from graph.operations import OPERATIONS, Json, Operation, OperatorScope, run


@cache
def make_router() -> APIRouter:
    """A route for every operation, and one for a turn. Made once: no service is in it, and it takes 150 ms."""
    router = APIRouter(prefix="/admin", include_in_schema=False)
    router.add_api_route("/ask", ask, methods=["POST"])
    router.add_api_route("/progress", progress, methods=["GET"])
    router.add_api_route("/handoffs/{ticket}/reply", reply_to_ticket, methods=["POST"])
    for name, operation in OPERATIONS.items():
        path = f"/{name.replace('.', '/')}"
        router.add_api_route(path, _posted(name, operation), methods=["POST"], name=name)
        if operation.reads:
            router.add_api_route(path, _fetched(name, operation), methods=["GET"], name=name)
    return router


async def ask(request: Request, body: AskBody, doors: Here, accept: Annotated[str, Header()] = "") -> Response:
    """One turn, as `POST /v1/chat`; a long message ends in the typed refusal, as in the terminal."""
    _operator(request, "admin")
    live = accepts_events(accept)
    turn = doors.turns.start(doors.service.desk.stream(replace(body.question(), live=live)))
    if not live:
        return await whole(turn, request)
    return await streamed(turn, doors.heartbeat, lambda first: told(turn, first, doors))


async def progress(request: Request, doors: Here) -> Json:
    """How far the long operation that runs now, or ran last, has come: {done, total, what}; `what` it counts, empty where that has no name."""
    _operator(request, "admin")
    return asdict(doors.gauge)


async def reply_to_ticket(request: Request, ticket: str, body: AgentReply, doors: Here) -> Json:
    """The operation handoffs.reply, with the ticket in the path."""
    who = _operator(request, OPERATIONS["handoffs.reply"].scope)
    return await run(doors.service, "handoffs.reply", {"ticket": ticket, "text": body.text}, who=who)


def _operator(request: Request, scope: OperatorScope) -> str:
    """Who asks, as the audit log names it. Raises ProblemError for a key without this scope."""
    identity = identity_of(request)
    if not identity.may(scope):
        raise ProblemError(problems.WRONG_SCOPE.saying(f"this needs a key with the scope {scope} or admin"))
    return identity.who


def _posted(name: str, operation: Operation) -> Callable[..., Awaitable[Json]]:
    fields = _fields(name, operation, strict=True)

    async def work(request: Request, body: fields, doors: Here) -> Json:  # type: ignore[valid-type]  # made from the operation's signature
        who = _operator(request, operation.scope)
        if "progress" in signature(operation.work).parameters:
            doors.gauge(0, 0)
        return await run(doors.service, name, _given(body), who=who, progress=doors.gauge)

    return work


def _fetched(name: str, operation: Operation) -> Callable[..., Awaitable[Json]]:
    # Not strict: in a query everything is a string.
    fields = _fields(name, operation, strict=False)

    async def work(request: Request, query: Annotated[fields, Query()], doors: Here) -> Json:  # type: ignore[valid-type]  # as above
        return await run(doors.service, name, _given(query), who=_operator(request, operation.scope))

    return work


def _fields(name: str, operation: Operation, *, strict: bool) -> type[BaseModel]:
    """What a request may say: the operation's parameters, and nothing else."""
    fields: dict[str, Any] = {
        each.name: (each.annotation, ... if each.default is Parameter.empty else each.default)
        for each in operation.fields.values()
    }
    return create_model(name, __config__=ConfigDict(extra="forbid", strict=strict), **fields)


def _given(request: BaseModel) -> Json:
    """What a request says, values as they are; what it leaves out keeps the operation's own default."""
    return {name: getattr(request, name) for name in request.model_fields_set}
