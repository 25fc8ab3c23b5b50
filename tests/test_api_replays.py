"""A request that is sent again to another replica gets the reply of the first, made from what is kept."""

import asyncio
from contextlib import aclosing
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
from fakes import FrozenClock
from house import House, open_house
from places import Place, PostgresServer

from api.problems import REQUEST_RUNNING, ProblemError
from api.replays import Begun, Replays
from domain.receipt import Reply
from graph.desk import CANCELLED, Done
from graph.recall import recall
from graph.record import Question
from graph.system import Uuid7
from store.replays import RUNNING

ASKED = "I am mai@example.com. How many days do I have to return a lamp?"
KEY = "one key of all replicas"


def door(house: House) -> Replays:
    return Replays(house.store, partial(recall, SimpleNamespace(store=house.store)), Uuid7())  # type: ignore[arg-type]  # all it reads


async def asked(house: House, begun: Begun) -> Reply:
    stream = house.desk.stream(Question(ASKED, "mai", turn_id=begun.turn_id))
    ends = [event async for event in door(house).keeping(begun, stream) if isinstance(event, Done)]
    return ends[-1].reply


def at_replicas(work, tmp_path: Path, url: str = ""):
    async def run():
        async with (
            open_house(tmp_path / "one", url=url, vault_key=KEY, ids=Uuid7()) as one,
            open_house(tmp_path / ("two" if url else "one"), url=url, vault_key=KEY, ids=Uuid7()) as two,
        ):
            return await work(one, two)

    return asyncio.run(run())


def test_another_replica_gives_the_same_reply_with_the_customers_own_data(
    tmp_path: Path, postgres: PostgresServer
) -> None:
    async def work(one: House, two: House) -> None:
        begun = await door(one).begin("mai", "k", ASKED)
        assert isinstance(begun, Begun)
        with pytest.raises(ProblemError) as running:
            await door(two).begin("mai", "k", ASKED)
        assert running.value.problem is REQUEST_RUNNING
        first = await asked(one, begun)
        assert await door(two).begin("mai", "k", ASKED) == first
        assert isinstance(await door(two).begin("lan", "k", ASKED), Begun)

    place = Place(tmp_path, postgres.migrated())
    at_replicas(work, tmp_path, place.url)
    kept = place.content()
    assert b"return a lamp" in kept
    assert b"mai@example.com" not in kept


def test_a_turn_that_a_killed_replica_had_ended_is_delivered_and_not_asked_again(tmp_path: Path) -> None:
    async def work(one: House, two: House) -> None:
        begun = await door(one).begin("mai", "k", ASKED)
        # Killed between the ledger and the word that the request is answered.
        said = await one.desk.ask(Question(ASKED, "mai", turn_id=begun.turn_id))
        with pytest.raises(ProblemError):
            await door(two).begin("mai", "k", ASKED)
        later(two.clock)
        assert await door(two).begin("mai", "k", ASKED) == said
        assert len(two.store.ledger.recent(10)) == 1

    at_replicas(work, tmp_path)


def test_a_turn_that_was_cut_off_is_asked_again(tmp_path: Path) -> None:
    async def work(one: House, two: House) -> None:
        begun = await door(one).begin("mai", "k", ASKED)
        async with aclosing(one.desk.stream(Question(ASKED, "mai", turn_id=begun.turn_id))) as running:
            await anext(running)
        assert one.store.ledger.get(begun.turn_id).error == CANCELLED
        later(two.clock)
        again = await door(two).begin("mai", "k", ASKED)
        assert isinstance(again, Begun)
        assert (await asked(two, again)).turn_id == again.turn_id != begun.turn_id

    at_replicas(work, tmp_path)


def test_a_long_turn_goes_on_holding_its_request_and_a_reader_who_leaves_frees_it(tmp_path: Path) -> None:
    async def work(one: House, two: House) -> None:
        begun = await door(one).begin("mai", "k", ASKED)
        stream = one.desk.stream(Question(ASKED, "mai", turn_id=begun.turn_id))
        async with aclosing(door(one).keeping(begun, stream)) as running:
            await anext(running)
            with pytest.raises(ProblemError):
                await door(two).begin("mai", "k", ASKED)
        assert isinstance(await door(two).begin("mai", "k", ASKED), Begun)

    at_replicas(work, tmp_path)


def test_a_reply_that_its_user_removed_is_not_given_again(tmp_path: Path) -> None:
    async def work(one: House, two: House) -> None:
        first = await asked(one, await door(one).begin("mai", "k", ASKED))
        await one.desk.forget(first.thread_id, "mai")
        assert isinstance(await door(two).begin("mai", "k", ASKED), Begun)

    at_replicas(work, tmp_path)


def later(clock: FrozenClock) -> None:
    clock.advance(RUNNING.total_seconds() + 1)
