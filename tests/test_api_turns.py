"""A turn at the door: over with its reply, whatever it does behind that."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, cast

from structlog.testing import capture_logs

from api.turns import Turns
from graph.desk import Done, Event, Token

REPLY = cast("Any", object())


async def told(until: asyncio.Event, done: list[str], fault: Exception | None = None) -> AsyncIterator[Event]:
    """A turn that has something to do behind its reply."""
    yield Token("Yes.")
    yield Done(REPLY)
    await until.wait()
    if fault:
        raise fault
    done.append("kept")


def test_a_listener_has_the_reply_while_the_turn_goes_on_and_cannot_stop_that() -> None:
    async def story() -> tuple[Any, ...]:
        until, done, turns = asyncio.Event(), list[str](), Turns()
        turn = turns.start(told(until, done))
        async with asyncio.timeout(60):
            heard = [await turn.next(60), await turn.next(60)]
            await turn.over
        assert (turn.ended, turn.task.done(), done) == (True, False, [])
        turn.stop()
        until.set()
        await turns.settled()
        return heard, turn.reply, turn.fault, done

    heard, reply, fault, done = asyncio.run(story())
    assert heard == [Token("Yes."), Done(REPLY)]
    assert (reply, fault, done) == (REPLY, None, ["kept"])


def test_a_fault_behind_the_reply_is_logged_and_no_fault_of_the_turn() -> None:
    async def story() -> Any:
        until, turns = asyncio.Event(), Turns()
        until.set()
        turn = turns.start(told(until, [], ValueError("Anna's lamp")))
        await turns.settled()
        await asyncio.sleep(0)
        return turn

    with capture_logs() as logs:
        turn = asyncio.run(story())
    assert (turn.reply, turn.fault) == (REPLY, None)
    assert [(one["event"], one["error"]) for one in logs] == [("behind a reply", "ValueError")]


def test_a_turn_without_a_reply_is_stopped() -> None:
    async def waiting(until: asyncio.Event) -> AsyncIterator[Event]:
        yield Token("Yes.")
        await until.wait()

    async def story() -> Any:
        turns = Turns()
        turn = turns.start(waiting(asyncio.Event()))
        await turn.next(60)
        turn.stop()
        await turn.over
        return turn

    turn = asyncio.run(story())
    assert (turn.reply, turn.fault, turn.ended, turn.task.cancelled()) == (None, None, True, True)
