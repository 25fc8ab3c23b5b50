"""Two replicas of a desk on one Postgres: threads, refusals and books are the same at both."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from fakes import FrozenClock, ScriptedChat
from house import House, open_house
from places import Place, PostgresServer

from domain.errors import NotFoundError, ThreadBusyError
from graph.desk import CANCELLED, StepDone
from graph.record import ANONYMOUS, Question
from graph.system import Uuid7
from graph.upkeep import keep_tidy, tidy

ASKED = "How many days do I have to return a lamp?"
SECRET = "mai.nguyen@example.com"  # a customer's, not ours


@pytest.fixture
def shared(tmp_path: Path, postgres: PostgresServer) -> Place:
    return Place(tmp_path, postgres.migrated())


@asynccontextmanager
async def replicas(place: Place) -> AsyncIterator[tuple[House, House]]:
    key = "one key of all replicas"
    async with (
        open_house(place.folder / "one", url=place.url, vault_key=key, ids=Uuid7()) as one,
        open_house(place.folder / "two", url=place.url, vault_key=key, ids=Uuid7()) as two,
    ):
        yield one, two


def test_a_thread_continues_on_another_replica(shared: Place) -> None:
    async def talk() -> None:
        async with replicas(shared) as (one, two):
            first = await one.desk.ask(Question(f"My address is {SECRET}. {ASKED}", user_id="mai"))
            second = await two.desk.ask(Question("And a used one?", user_id="mai", thread_id=first.thread_id))
            said = await one.desk.thread(first.thread_id, "mai")
            assert [message.role for message in said] == ["user", "assistant"] * 2
            assert SECRET in said[0].text
            assert two.store.ledger.get(first.turn_id).question == one.store.ledger.get(first.turn_id).question
            for house in (one, two):
                with pytest.raises(NotFoundError):
                    await house.desk.thread(first.thread_id, "lan")
            await two.desk.forget(first.thread_id, "mai")
            with pytest.raises(NotFoundError):
                await one.desk.thread(first.thread_id, "mai")
            assert second.outcome in ("answer", "dont_know")

    asyncio.run(talk())


def test_one_turn_at_a_time_per_thread_whichever_replica_is_asked(shared: Place) -> None:
    async def talk() -> None:
        async with replicas(shared) as (one, two):
            first = await one.desk.ask(Question(ASKED))
            again = Question(ASKED, thread_id=first.thread_id)
            running = one.desk.stream(again)
            assert isinstance(await anext(running), StepDone)
            with pytest.raises(ThreadBusyError):
                await two.desk.ask(again)
            async for _ in running:
                pass
            assert (await two.desk.ask(again)).outcome == "answer"

    asyncio.run(talk())


def test_a_reader_that_leaves_frees_the_thread_everywhere_and_is_named(shared: Place) -> None:
    async def talk() -> None:
        async with replicas(shared) as (one, two):
            first = await one.desk.ask(Question(ASKED))
            again = Question(ASKED, thread_id=first.thread_id)
            running = one.desk.stream(again)
            await anext(running)
            await running.aclose()
            assert one.store.ledger.recent(1)[0].error == CANCELLED
            assert (await two.desk.ask(again)).outcome == "answer"

    asyncio.run(talk())


def test_no_personal_data_reaches_the_database(shared: Place) -> None:
    async def talk() -> None:
        async with open_house(shared.folder, url=shared.url, chat=ScriptedChat(["Thanks, <EMAIL_1>."])) as house:
            await house.desk.ask(Question(f"I am {SECRET}. {ASKED} \0 \ud800 \\u0000"))

    asyncio.run(talk())
    kept = shared.content()
    assert b"return a lamp" in kept
    assert SECRET.encode() not in kept


def test_upkeep_is_done_by_one_process_and_takes_checkpoints_along(shared: Place) -> None:
    async def talk() -> None:
        async with replicas(shared) as (one, two):
            first = await one.desk.ask(Question(ASKED))
            config = {"configurable": {"thread_id": first.thread_id}}
            assert await two.saver.aget_tuple(config)
            later = FrozenClock(one.clock.moment)
            later.moment = one.clock.moment.replace(year=one.clock.moment.year + 1)
            assert one.store.leases.take("upkeep", "another process")
            assert not await tidy(two.store, two.saver, later, days=90, holder="two")
            one.store.leases.release("upkeep", "another process")
            work = asyncio.create_task(keep_tidy(two.store, two.saver, later, days=90, holder="two", period=0.01))
            user = one.store.vault.user_hash(ANONYMOUS)
            for _ in itertools.takewhile(lambda _: one.store.threads.belongs(first.thread_id, user), range(500)):
                await asyncio.sleep(0.01)
            work.cancel()
            assert await two.saver.aget_tuple(config) is None
            assert not one.store.threads.belongs(first.thread_id, user)

    asyncio.run(talk())
