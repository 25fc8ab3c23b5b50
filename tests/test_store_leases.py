"""Leases: one holder at a time, in any database and in Redis, and none that outlives a killed holder."""

import itertools
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from fakes import FrozenClock
from places import Place, running_redis

from domain.errors import SettingsError
from store import Store
from store.leases import SECONDS, RedisLeases, connect_redis


@pytest.fixture
def clock() -> FrozenClock:
    return FrozenClock()


@pytest.fixture
def store(place: Place, clock: FrozenClock) -> Store:
    return place.open(clock)


@pytest.fixture(scope="module")
def redis_url() -> Iterator[str]:
    with running_redis() as url:
        yield url


@pytest.fixture(params=["database", "redis"])
def leases(request: pytest.FixtureRequest, store: Store) -> object:
    if request.param == "database":
        return store.leases
    client = connect_redis(request.getfixturevalue("redis_url"))
    client.flushdb()
    return RedisLeases(client, store.leases)


def test_a_name_has_one_holder_until_it_is_released(leases: object) -> None:
    assert leases.take("thread 1", "a")
    assert leases.take("thread 1", "a")
    assert not leases.take("thread 1", "b")
    assert leases.take("thread 2", "b")
    leases.release("thread 1", "b")
    assert not leases.take("thread 1", "b")
    leases.release("thread 1", "a")
    assert leases.take("thread 1", "b")


def test_of_many_at_once_one_becomes_the_holder(leases: object) -> None:
    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(lambda holder: leases.take("upkeep", f"holder {holder}"), range(24)))
    assert sum(won) == 1


def test_a_killed_holder_is_followed_after_its_lease(store: Store, clock: FrozenClock) -> None:
    assert store.leases.take("thread", "killed")
    clock.moment += timedelta(seconds=SECONDS - 1)
    assert not store.leases.take("thread", "next")
    clock.moment += timedelta(seconds=1)
    assert store.leases.take("thread", "next")
    assert not store.leases.take("thread", "killed")


def test_a_lease_in_redis_ends_by_itself(redis_url: str, store: Store) -> None:
    client = connect_redis(redis_url)
    client.flushdb()
    leases = RedisLeases(client, store.leases)
    assert leases.take("thread", "killed")
    (key,) = client.keys()
    assert 0 < client.pttl(key) <= SECONDS * 1000
    client.pexpire(key, 500)
    assert leases.take("thread", "killed")
    assert client.pttl(key) > 500


@pytest.mark.slow
def test_while_redis_is_away_the_database_keeps_leases(store: Store) -> None:
    with running_redis() as url:
        one, other = (RedisLeases(connect_redis(url), store.leases) for _ in range(2))
        assert one.take("before", "a")
    assert one.take("thread", "a")
    assert not other.take("thread", "b")
    one.release("thread", "a")
    assert other.take("thread", "b")


@pytest.mark.parametrize("url", ["http://127.0.0.1", "nonsense"])
def test_an_address_of_no_redis_is_refused(url: str) -> None:
    with pytest.raises(SettingsError, match="FRONTDESK_REDIS_URL"):
        connect_redis(url)


def test_redis_is_chosen_by_its_address(place: Place, redis_url: str) -> None:
    names = itertools.count()
    client = connect_redis(redis_url)
    client.flushdb()
    store = place.open(redis_url=redis_url)
    assert store.leases.take(f"thread {next(names)}", "a")
    assert len(client.keys()) == 1
