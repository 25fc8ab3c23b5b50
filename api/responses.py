"""How a turn becomes a response: waited for, or told as it happens; a client that leaves stops it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack

from fastapi import Request, Response
from fastapi.sse import EventSourceResponse
from starlette.types import Receive, Scope, Send

from api.turns import RunningTurn
from domain.receipt import Reply
from graph.desk import Event

JSON = "application/json"
CLIENT_LEFT = 499
HEARTBEAT = b": heartbeat\n\n"
NO_STORE = {"Cache-Control": "no-store"}
EVENT_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}

Tell = Callable[[Event | None], AsyncIterator[bytes]]
"""Turns a turn, whose first event was taken already, into bytes for its client."""


async def finished(turn: RunningTurn, request: Request) -> Reply | None:
    """The reply when it is there; None when the client left, which stops the turn. Raises what the turn raised."""
    left = asyncio.create_task(_left(request))
    try:
        await asyncio.wait({turn.over, left}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        left.cancel()
        turn.stop()
    if turn.fault:
        raise turn.fault
    return turn.reply


def reply_response(reply: Reply | None, body: str) -> Response:
    """`body` as JSON, with the turn's trace; nothing for a client that has gone."""
    if reply is None:
        return Response(status_code=CLIENT_LEFT)
    return Response(body, headers={"X-Trace-Id": reply.trace_id, **NO_STORE}, media_type=JSON)


async def streamed(turn: RunningTurn, silence: float, tell: Tell) -> Response:
    """The turn as events, once it has begun: what speaks against it has its proper status until then."""
    with ExitStack() as cancelled:
        cancelled.callback(turn.stop)
        first = await turn.next(silence)
        if first is None and turn.fault:
            raise turn.fault
        cancelled.pop_all()
    return _TurnResponse(turn, tell(first))


async def events(turn: RunningTurn, first: Event | None, silence: float) -> AsyncIterator[Event | None]:
    """Every event of a turn, the first included; None where it is only to be said that the desk is at work."""
    yield first
    while not turn.ended:
        event = await turn.next(silence)
        if event or not turn.ended:
            yield event


class _TurnResponse(EventSourceResponse):
    """A turn as events; it is stopped when the response ends, however that comes about."""

    def __init__(self, turn: RunningTurn, content: AsyncIterator[bytes]) -> None:
        self._turn = turn
        super().__init__(content, headers=EVENT_HEADERS)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # Not by starlette's group of tasks: to say who ended it, that writes out the task with all it holds, 30 ms of work.
        # The telling is no task of its own: its first event goes out in the round of the loop in which it is heard.
        del scope
        leaving = asyncio.create_task(self.listen_for_disconnect(receive))
        leaving.add_done_callback(lambda _left: self._turn.stop())  # then the telling ends too
        try:
            await self.stream_response(send)
        finally:
            self._turn.stop()
            leaving.cancel()
            await asyncio.wait({leaving})


async def _left(request: Request) -> None:
    """Return when the client has gone."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
