"""A desk moves from files to Postgres whole: rows, numbers, secrets, conversations."""

import asyncio
from pathlib import Path

import pytest
from fakes import FrozenClock
from house import open_house
from places import Place, PostgresServer
from sqlalchemy import select

from domain.errors import BudgetError, HomeInUseError, StoreError
from domain.settings import read_settings
from domain.turn import Payer
from graph.moving import CONVERSATIONS, migrate_desk, move_desk
from graph.record import Question
from graph.system import Uuid7
from store import HomeLock
from store.migrate import HEAD
from store.tables import meta, metadata

ASKED = "How many days do I have to return a lamp?"
WHOLE = 1_000_000


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """The state folder of the desk `shop`, in which two users have spoken."""
    folder = tmp_path / "home" / "shop"

    async def talk() -> None:
        async with open_house(folder, ids=Uuid7()) as house:
            first = await house.desk.ask(Question(f"I am mai@example.com. {ASKED}", user_id="mai"))
            await house.desk.ask(Question("And a used one?", user_id="mai", thread_id=first.thread_id))
            await house.desk.ask(Question("I want to talk to a person", user_id="lan"))
            await house.desk.rate(first.turn_id, "mai", "up", "thanks")
            house.store.budget.settle(house.store.budget.reserve("m", 900, Payer()), 400)
            house.store.audit.record("owner", "budget.set", None, 1)

    asyncio.run(talk())
    return folder


def content(place: Place) -> dict[str, list[tuple]]:
    store = place.open()
    with store._database.read() as connection:
        return {
            table.name: sorted(map(repr, connection.execute(select(table))))
            for table in metadata.sorted_tables
            if table is not meta
        }


def test_everything_comes_along(files: Path, postgres: PostgresServer, tmp_path: Path) -> None:
    url, told = postgres.empty(), dict[str, int]()
    settings = read_settings(home=tmp_path / "home", desk="shop")
    before = content(Place(files))
    moved = asyncio.run(move_desk(settings, url, told.__setitem__))
    key = "base64:" + (files / "vault.key").read_text()

    async def go_on() -> None:
        async with open_house(tmp_path / "new", url=url, vault_key=key, ids=Uuid7()) as house:
            newest = house.store.ledger.recent(10)
            old = next(one for one in newest if one.question.startswith("And"))
            said = await house.desk.thread(old.thread_id, "mai")
            assert "mai@example.com" in said[0].text
            assert len(said) == 4
            assert (await house.desk.ask(Question(ASKED, user_id="mai", thread_id=old.thread_id))).outcome == "answer"
            hold = house.store.budget.reserve("m", 1, Payer())
            assert hold.partition(".")[0] == "2"
            with pytest.raises(BudgetError):
                house.store.budget.reserve("m", WHOLE, Payer())
            house.store.audit.record("owner", "after", None, None)

    assert moved == told
    assert moved["receipts"] == 3
    assert moved[CONVERSATIONS] >= 3
    target = Place(tmp_path / "other", url)
    target.open = lambda: Place.open(target, FrozenClock(), vault_key=key)  # type: ignore[method-assign]  # its key
    assert {name: rows for name, rows in content(target).items() if name != "leases"} == {
        name: rows for name, rows in before.items() if name != "leases"
    }
    target.close()
    asyncio.run(go_on())


@pytest.mark.usefixtures("files")
def test_a_target_that_holds_anything_is_left_alone(postgres: PostgresServer, tmp_path: Path) -> None:
    url = postgres.empty()
    settings = read_settings(home=tmp_path / "home", desk="shop")
    asyncio.run(move_desk(settings, url, lambda _name, _rows: None))
    with pytest.raises(StoreError, match="not empty"):
        asyncio.run(move_desk(settings, url, lambda _name, _rows: None))


def test_a_desk_that_is_served_and_one_that_is_not_there_are_not_moved(files: Path, tmp_path: Path) -> None:
    url = "postgresql://nobody@127.0.0.1:1/none"
    with HomeLock.acquire(files), pytest.raises(HomeInUseError):
        asyncio.run(move_desk(read_settings(home=tmp_path / "home", desk="shop"), url, lambda _name, _rows: None))
    with pytest.raises(StoreError, match="no desk in files"):
        asyncio.run(move_desk(read_settings(home=tmp_path / "none", desk="shop"), url, lambda _name, _rows: None))


def test_migrate_says_from_where_to_where(tmp_path: Path, postgres: PostgresServer) -> None:
    for url in ("", postgres.empty()):
        settings = read_settings(home=tmp_path, desk="shop", database_url=url, vault_key="a key of all replicas")
        assert asyncio.run(migrate_desk(settings)) == ("", HEAD)
        assert asyncio.run(migrate_desk(settings)) == (HEAD, HEAD)


def test_replicas_without_a_common_key_do_not_start() -> None:
    with pytest.raises(Exception, match="FRONTDESK_VAULT_KEY is missing"):
        read_settings(database_url="postgresql://nobody@127.0.0.1/none")
    with pytest.raises(Exception, match="FRONTDESK_DATABASE_URL"):
        read_settings(database_url="mysql://nobody@127.0.0.1/none")
    with pytest.raises(Exception, match="FRONTDESK_REDIS_URL"):
        read_settings(redis_url="http://127.0.0.1")
