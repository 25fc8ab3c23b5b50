"""The customers' routes: chat, threads, feedback, and what the page shows of the desk."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from dataclasses import asdict, replace
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.sse import format_sse_event

from api import problems
from api.doors import Doors, Here
from api.identity import identity_of
from api.limits import callers
from api.responses import EVENT_HEADERS, HEARTBEAT, events, finished, reply_response, streamed
from api.schemas import ANONYMOUS, USER_CHARS, ChatBody, DeskOut, FeedbackBody, MessageOut, ThreadOut, WithdrawnOut
from api.traceparent import traceparent_of
from api.turns import RunningTurn
from domain.errors import NotFoundError
from domain.receipt import Reply
from graph import handoffs
from graph.desk import Done, Event, Retract, Sources, StepDone, Token
from graph.health import mode
from graph.operations import run

SESSION_COOKIE = "frontdesk_session"
SESSION = re.compile(r"session-[A-Za-z0-9_-]{43}")
"""A name made by `Doors.new_session`: it is its own proof, since nobody can guess it."""
KEY_CHARS = 255
THEMSELVES = "the user, or their server"
"""How the audit log names whoever asks for what is a user's own."""
EVENTS = "text/event-stream"

STREAM_EXAMPLE = (
    'event: step\ndata: {"name": "guard_input", "ms": 3.1}\n\n'
    'event: token\ndata: {"text": "You can return a lamp within 30 days. "}\n\n'
    'event: sources\ndata: [{"id": "returns", "title": "Returns", "quote": "…", "url": null}]\n\n'
    'event: done\ndata: {"answer": "…", "outcome": "answer", "…": "the whole Reply"}\n\n'
)
EVENT_SCHEMA = {
    "type": "object",
    "required": ["event", "data"],
    "properties": {
        "event": {"enum": ["step", "token", "retract", "sources", "done", "error"]},
        "data": {"type": "string", "description": "JSON"},
    },
}
STREAM_CONTENT = {EVENTS: {"schema": EVENT_SCHEMA, "example": STREAM_EXAMPLE}}
REPLY_HEADERS = {"X-Trace-Id": {"schema": {"type": "string"}, "description": "The turn's trace."}}

Key = Annotated[str | None, Header(alias="Idempotency-Key", min_length=1, max_length=KEY_CHARS)]
User = Annotated[str | None, Query(min_length=1, max_length=USER_CHARS, description="Left out: the page's session.")]

router = APIRouter(prefix="/v1")


def _owned(*more: problems.Problem) -> dict[int | str, dict[str, Any]]:
    """What may speak against a request about something that belongs to a user."""
    return problems.documented(
        problems.WRONG_REQUEST,
        problems.KEY_NEEDED,
        problems.UNKNOWN_KEY,
        problems.UNKNOWN_TOKEN,
        problems.WRONG_SCOPE,
        problems.NOT_FOUND,
        problems.INVALID_FIELDS,
        *more,
    )


def _chat_problems() -> dict[int | str, dict[str, Any]]:
    return problems.documented(
        problems.UNREADABLE,
        problems.WRONG_REQUEST,
        problems.KEY_NEEDED,
        problems.UNKNOWN_KEY,
        problems.UNKNOWN_TOKEN,
        problems.WRONG_SCOPE,
        problems.NOT_FOUND,
        problems.THREAD_BUSY,
        problems.REQUEST_RUNNING,
        problems.TOO_SLOW,
        problems.TOO_LARGE,
        problems.TOO_LONG,
        problems.INVALID_FIELDS,
        problems.KEY_REUSED,
        problems.TOO_MANY,
        problems.OVERLOADED,
    )


@router.post(
    "/chat",
    summary="Ask a question",
    response_model=Reply,
    responses={200: {"content": STREAM_CONTENT, "headers": REPLY_HEADERS}, **_chat_problems()},
)
async def chat(
    request: Request, body: ChatBody, doors: Here, accept: Annotated[str, Header()] = "", key: Key = None
) -> Response:
    """One turn. Every outcome is a 200: see `outcome` and `reason`.

    With `Accept: text/event-stream` it comes as events: `step`, `token`, `retract` (forget the tokens so far; others
    follow), `sources`, then `done` with the whole Reply, or `error`. A client that leaves stops the work. A request with the same `Idempotency-Key` and body
    is answered once: for ten minutes it gets the same reply again, at any replica.
    """
    return await _answer(request, body, doors, key, as_events=accepts_events(accept))


@router.post(
    "/chat/stream",
    summary="Ask a question, and read the answer as it comes",
    response_class=Response,  # FastAPI takes an EventSourceResponse here to mean a generator
    responses={200: {"content": STREAM_CONTENT}, **_chat_problems()},
)
async def chat_stream(request: Request, body: ChatBody, doors: Here, key: Key = None) -> Response:
    """`POST /v1/chat` for clients that cannot set `Accept`."""
    return await _answer(request, body, doors, key, as_events=True)


@router.get("/threads/{thread_id}", summary="Read a conversation", responses=_owned())
async def read_thread(request: Request, thread_id: str, doors: Here, user_id: User = None) -> ThreadOut:
    """What was said in a thread of this user; 404 for anyone else's."""
    messages = await doors.service.desk.thread(thread_id, caller(request, user_id))
    ticket = await asyncio.to_thread(doors.service.store.tickets.of_thread, thread_id)
    return ThreadOut(
        thread_id=thread_id,
        messages=[MessageOut(**asdict(message)) for message in messages],
        ticket=ticket.id if ticket else None,
    )


@router.delete(
    "/threads/{thread_id}",
    status_code=204,
    response_class=Response,
    summary="Delete a conversation",
    responses=_owned(problems.THREAD_BUSY),
)
async def delete_thread(request: Request, thread_id: str, doors: Here, user_id: User = None) -> Response:
    """Remove a thread of this user, and the personal data kept for it."""
    await doors.service.desk.forget(thread_id, caller(request, user_id))
    return Response(status_code=204)


@router.post("/threads/{thread_id}/withdraw", summary="Withdraw a request for a person", responses=_owned())
async def withdraw(request: Request, thread_id: str, doors: Here, user_id: User = None) -> WithdrawnOut:
    """Close the open ticket of this user's thread: no person answers in it any more, and the assistant goes on.

    May be sent again: `ticket` is null where none is open.
    """
    user = caller(request, user_id)
    ticket = await handoffs.withdraw(doors.service, thread=thread_id, user=user, who=THEMSELVES)
    return WithdrawnOut(ticket=ticket)


@router.get(
    "/users/{user_id}/data",
    summary="Take all that is kept about a user",
    responses=_owned(),
)
async def export_user(request: Request, user_id: str, doors: Here) -> dict[str, Any]:
    """Conversations, turns, ratings and tickets of this user, their own data in place; 404 for anyone else."""
    _themselves(request, user_id)
    return await run(doors.service, "data.export", {"user": user_id})


@router.delete(
    "/users/{user_id}/data",
    status_code=204,
    response_class=Response,
    summary="Delete all that is kept about a user",
    responses=_owned(problems.THREAD_BUSY),
)
async def delete_user(request: Request, user_id: str, doors: Here) -> Response:
    """Remove this user from every store, and from Langfuse; cost rows stay, as nobody's."""
    _themselves(request, user_id)
    await run(doors.service, "data.delete", {"user": user_id}, who=THEMSELVES)
    return Response(status_code=204)


@router.post(
    "/feedback",
    status_code=204,
    response_class=Response,
    summary="Rate an answer",
    responses=_owned(problems.UNREADABLE, problems.TOO_SLOW, problems.TOO_LARGE),
)
async def feedback(request: Request, body: FeedbackBody, doors: Here) -> Response:
    """A thumb on a turn of this user, with a comment if they like; the last one counts."""
    await doors.service.desk.rate(body.turn_id, caller(request, body.user_id), body.rating, body.comment or "")
    return Response(status_code=204)


@router.get("/desk", summary="What the chat page shows of the desk")
async def desk(doors: Here) -> DeskOut:
    """Name, languages, greeting, questions to begin with, contact, and how answers are made now."""
    profile = doors.service.profile
    return DeskOut.model_validate(
        {
            "name": profile.name,
            "languages": profile.languages,
            "greeting": {language: profile.texts.greeting.in_language(language) for language in profile.languages},
            "suggestions": {
                language: [text for each in profile.suggestions if (text := getattr(each, language))]
                for language in profile.languages
            },
            "departments": {
                language: {each.id: each.name.in_language(language) for each in profile.departments}
                for language in profile.languages
            },
            "mode": mode(doors.service),
            "contact": profile.contact.model_dump(exclude={"hours"})
            | {"hours": {language: profile.contact.hours.in_language(language) for language in profile.languages}},
        }
    )


def caller(request: Request, named: str | None) -> str:
    """Whose request it is: a signed user, who a trusted server says, the page's anonymous session, or a key itself.

    On a desk without keys the caller is believed. Raises ProblemError where a key is needed, or another one.
    """
    identity = identity_of(request)
    cookie = request.cookies.get(SESSION_COOKIE, "")
    session = cookie if SESSION.fullmatch(cookie) else ""
    if identity.kind == "token":
        return identity.user
    if identity.open:
        return named or session or ANONYMOUS
    if identity.may("server"):
        return named or ANONYMOUS
    if identity.key and identity.may("chat"):
        return session or f"key-{identity.key.id}"
    if session and identity.kind == "nobody":
        return session
    raise problems.ProblemError(problems.WRONG_SCOPE if identity.scope else problems.KEY_NEEDED)


def _themselves(request: Request, user_id: str) -> None:
    """Raises NotFoundError where a request does not come from, or for, this user."""
    if caller(request, user_id) != user_id:
        raise NotFoundError("no such user", where="user_id")


async def whole(turn: RunningTurn, request: Request) -> Response:
    """The reply to a turn when it is there. The turn is stopped when the client leaves. Raises what it raised."""
    reply = await finished(turn, request)
    return _reply(reply) if reply else reply_response(None, "")


def check_length(message: str, doors: Doors) -> None:
    """Refuse a message over the desk's limit. Raises ProblemError."""
    limit = doors.service.settings.max_message_chars
    if len(message) > limit:
        detail = f"the message has {len(message):,} characters, the most is {limit:,}"
        raise problems.ProblemError(problems.TOO_LONG.saying(detail))


async def admit(request: Request, user: str, doors: Doors) -> str:
    """Count a turn against its caller's limits; the id of the key that it came with. Raises ProblemError (429)."""
    identity = identity_of(request)
    key = identity.key.id if identity.key else ""
    nobody = user in (ANONYMOUS, f"key-{key}") or SESSION.fullmatch(user)
    whose = callers(request, user="" if nobody else user, key=key, vouched=identity.may("server"))
    await doors.limits.admit(request, whose)
    return key


async def _answer(request: Request, body: ChatBody, doors: Doors, key: str | None, *, as_events: bool) -> Response:
    check_length(body.message, doors)
    user = caller(request, body.user_id)
    api_key = await admit(request, user, doors)
    begun = await doors.replays.begin(user, key, body.model_dump_json()) if key else None
    if isinstance(begun, Reply):
        return _replayed(begun, as_events=as_events)
    question = replace(body.question(user), key=api_key, live=as_events, parent=traceparent_of(request))
    if begun:
        happening = doors.service.desk.stream(replace(question, turn_id=begun.turn_id))
        turn = doors.turns.start(doors.replays.keeping(begun, happening))
    else:
        turn = doors.turns.start(doors.service.desk.stream(question))
    if not as_events:
        return await whole(turn, request)
    return await streamed(turn, doors.heartbeat, lambda first: told(turn, first, doors))


async def told(turn: RunningTurn, first: Event | None, doors: Doors) -> AsyncIterator[bytes]:
    """A turn as server-sent events; `first` was taken from it already."""
    async for event in events(turn, first, doors.heartbeat):
        yield _wire(event)
    if turn.fault:
        problem, occurrence = problems.problem_of(turn.fault), doors.ids.new()
        problems.report(turn.fault, problem, occurrence)
        told = {"status": problem.status, "type": problem.type, "title": problem.title}
        yield _event("error", told | {"instance": f"urn:uuid:{occurrence}"})


def _wire(event: Event | None) -> bytes:
    match event:
        case StepDone(step):
            return _event("step", {"name": step.name, "ms": step.ms})
        case Token(text):
            return _event("token", {"text": text})
        case Retract():
            return _event("retract", {})
        case Sources(sources):
            return _event("sources", [asdict(source) for source in sources])
        case Done(reply):
            return format_sse_event(event="done", data_str=reply.model_dump_json())
        case None:
            return HEARTBEAT


def _event(name: str, data: Any) -> bytes:
    return format_sse_event(event=name, data_str=json.dumps(data, ensure_ascii=False))


def _replayed(reply: Reply, *, as_events: bool) -> Response:
    """A reply that was given before, in the form that is asked for now."""
    replayed = {"Idempotent-Replayed": "true"}
    if not as_events:
        response = _reply(reply)
        response.headers.update(replayed)
        return response
    sources = [Sources(reply.sources)] if reply.sources else []
    told: list[Event] = [Token(reply.answer), *sources, Done(reply)]
    return Response(b"".join(_wire(event) for event in told), headers=EVENT_HEADERS | replayed, media_type=EVENTS)


def _reply(reply: Reply) -> Response:
    return reply_response(reply, reply.model_dump_json())


def accepts_events(accept: str) -> bool:
    """Whether `Accept` names the event stream, and not with q=0."""
    for part in accept.lower().split(","):
        media, *parameters = (piece.strip() for piece in part.split(";"))
        if media == EVENTS:
            return not any(re.fullmatch(r"q=0(\.0*)?", parameter) for parameter in parameters)
    return False
