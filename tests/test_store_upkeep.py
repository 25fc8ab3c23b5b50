"""Rounds of upkeep: a clock that was set wrong for a while must not cost anybody's conversations."""

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest
from fakes import FrozenClock
from house import open_house
from places import Place

from domain.errors import NotFoundError
from graph.record import Question
from graph.upkeep import tidy
from store.upkeep import GRACE, LEAP

HOUR = timedelta(hours=1)


def test_a_round_waits_only_after_a_leap(place: Place) -> None:
    clock = FrozenClock()
    rounds = place.open(clock).rounds
    now = clock.moment
    assert [rounds.begin(now), rounds.begin(now + HOUR), rounds.begin(now + HOUR + LEAP)] == [None] * 3
    leapt = now + 2 * HOUR + 2 * LEAP
    assert rounds.begin(leapt) == leapt + GRACE


def test_a_wait_ends_after_a_day_or_when_the_clock_is_set_back(place: Place) -> None:
    clock = FrozenClock()
    rounds = place.open(clock).rounds
    now, wrong = clock.moment, clock.moment + 365 * GRACE
    assert rounds.begin(now) is None
    until = wrong + GRACE
    assert [rounds.begin(wrong), rounds.begin(wrong + HOUR), rounds.begin(until - HOUR)] == [until] * 3
    assert rounds.begin(until) is None
    assert rounds.begin(until + HOUR) is None
    assert rounds.begin(until + 2 * LEAP) is not None
    # Another process whose clock is right, or the same one set right.
    assert rounds.begin(now + HOUR) is None
    assert rounds.begin(now + 2 * HOUR) is None
    assert rounds.begin(wrong) == until


def test_after_a_leap_of_the_clock_nothing_is_removed_for_a_day(tmp_path: Path) -> None:
    async def story() -> None:
        async with open_house(tmp_path) as house:
            reply = await house.desk.ask(Question("How many days do I have to return a lamp?", user_id="mai"))

            async def tidied(moment: timedelta) -> bool:
                clock = FrozenClock()
                clock.moment = house.clock.moment + moment
                return await tidy(house.store, house.saver, clock, days=90, holder="one")

            assert await tidied(HOUR)
            for wrong in (timedelta(days=200), timedelta(days=200, hours=23)):
                assert not await tidied(wrong)
                assert await house.desk.thread(reply.thread_id, "mai")
            assert await tidied(timedelta(days=201))
            with pytest.raises(NotFoundError):
                house.store.ledger.get(reply.turn_id)

    asyncio.run(story())
