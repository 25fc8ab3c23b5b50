"""Three replicas on one Postgres, Redis and Chroma, under load, killed and started again: nothing that ended is lost."""

import asyncio
import random
import signal
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import AsyncExitStack, ExitStack, closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import psutil
import pytest
from cluster import ASKED, KEY, Proxy, Replica, Upstream, furnish, running_chroma, until
from fakes import FrozenClock
from places import PostgresServer, running_redis

from store import Store
from store.budget import LEASE, BudgetState

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]
REPLICAS = 3
USERS = 6
PATIENCE = 60.0
PAUSE = 0.2
"""Seconds between an answer and the next question: a replica that starts needs some of the machine, too."""


@dataclass(frozen=True)
class Ground:
    """What all replicas share, and the desk that they serve."""

    desk: Path
    folder: Path
    env: dict[str, str]

    def replica(self, name: str, *options: str, **env: str) -> Replica:
        return Replica(self.desk, self.folder / name, self.env | env, options)

    def store(self, ahead: timedelta = timedelta()) -> Store:
        """The desk's books, as they will be seen in a while."""
        clock = FrozenClock(datetime.now(UTC) + ahead)
        return Store.open(self.folder / "look", clock, url=self.env["FRONTDESK_DATABASE_URL"], vault_key=KEY)

    def budget(self, ahead: timedelta = timedelta()) -> BudgetState:
        with closing(self.store(ahead)) as store:
            store.costs.compare("lamps")
            return store.budget.state()


@pytest.fixture
def ground(tmp_path: Path, postgres: PostgresServer) -> Iterator[Ground]:
    """Postgres, Redis and a Chroma server, all real."""
    with ExitStack() as running:
        chroma = running.enter_context(running_chroma(tmp_path / "chroma"))
        redis = running.enter_context(running_redis())
        url = postgres.empty()
        env = {
            "FRONTDESK_DATABASE_URL": url,
            "FRONTDESK_REDIS_URL": redis,
            "FRONTDESK_CHROMA_URL": chroma,
            "FRONTDESK_VAULT_KEY": KEY,
            "FRONTDESK_NER": "off",
            "FRONTDESK_LLM": "off",
            "FRONTDESK_RATE_LIMIT_USER": "",
        }
        yield Ground(furnish(tmp_path), tmp_path, env)
        postgres.drop(url)


@dataclass
class Customer:
    """Asks one question after the other in one thread; a request that is not answered is sent again, with its key."""

    name: str
    http: httpx.AsyncClient
    thread: str = ""
    turns: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    troubles: Counter[str] = field(default_factory=Counter)

    async def ask_until(self, over: asyncio.Event) -> None:
        while not over.is_set():
            await self.ask(f"{ASKED[len(self.asked) % len(ASKED)]} ({len(self.asked)})")
            await asyncio.sleep(PAUSE)

    async def ask(self, question: str) -> None:
        body = {"message": question, "user_id": self.name} | ({"thread_id": self.thread} if self.thread else {})
        key = {"Idempotency-Key": f"{self.name}-{len(self.asked)}"}
        deadline = time.monotonic() + PATIENCE
        while True:
            assert time.monotonic() < deadline, (self.name, question, self.troubles)
            try:
                answer = await self.http.post("/v1/chat", json=body, headers=key)
            except httpx.TransportError as fault:
                self.troubles[type(fault).__name__] += 1
            else:
                if answer.status_code == 200:
                    break
                self.troubles[answer.json()["type"]] += 1
            await asyncio.sleep(0.3)
        reply = answer.json()
        assert reply["outcome"] == "answer", reply
        self.asked.append(question)
        self.turns.append(reply["turn_id"])
        self.thread = self.thread or reply["thread_id"]


async def load_and_kill(base: str, replicas: list[Replica]) -> list[Customer]:
    over, dice = asyncio.Event(), random.Random(9)  # noqa: S311  # no secret
    limits = httpx.Limits(max_keepalive_connections=0)
    async with httpx.AsyncClient(base_url=base, timeout=30, trust_env=False, limits=limits) as http:
        customers = [Customer(f"user-{number}", http) for number in range(USERS)]
        working = [asyncio.create_task(customer.ask_until(over)) for customer in customers]
        try:
            for replica in replicas:
                await asyncio.sleep(1 + dice.random())
                replica.kill()
                replica.start()
                await replica.until_ready()
            await asyncio.sleep(1)
        finally:
            over.set()
        await asyncio.gather(*working)
        for customer in customers:
            thread = await http.get(f"/v1/threads/{customer.thread}", params={"user_id": customer.name})
            said = [message["text"] for message in thread.json()["messages"] if message["role"] == "user"]
            # The thread keeps the last turns. A replica that is killed behind the last step and before the ledger
            # leaves a question there that is asked once more.
            kept = list(dict.fromkeys(said))
            assert kept == customer.asked[-len(kept) :]
            assert min(len(customer.asked), 10) <= len(kept) <= len(said) <= len(kept) + REPLICAS
    return customers


def test_three_replicas_under_load_lose_nothing_when_they_are_killed(ground: Ground) -> None:
    upstream = Upstream()

    async def run() -> list[Customer]:
        async with AsyncExitStack() as running:
            url = await running.enter_async_context(upstream.serving())
            model = {"FRONTDESK_LLM": "auto", "FRONTDESK_LLM_BASE_URL": url, "FRONTDESK_JUDGE_SAMPLE": "0"}
            model |= {"FRONTDESK_CACHE_HOURS": "0", "FRONTDESK_BUDGET_USD_PER_DAY": "50"}
            replicas = [ground.replica(f"replica-{number}", **model) for number in range(REPLICAS)]
            for replica in replicas:
                running.callback(replica.kill)
                replica.start()
            for replica in replicas:
                await replica.until_ready()
            base = await running.enter_async_context(Proxy([replica.port for replica in replicas]).serving())
            return await load_and_kill(base, replicas)

    customers = asyncio.run(run())
    replies = [turn for customer in customers for turn in customer.turns]
    troubles = sum((customer.troubles for customer in customers), Counter[str]())
    held = ground.budget()
    # When nobody can still be at it: what the killed held is free, and what they had paid is in the books.
    later = ground.budget(2 * LEASE)
    with closing(ground.store()) as store:
        receipts = [receipt for receipt in store.ledger.recent(10_000) if not receipt.error]
        booked = store.costs.spent(datetime(2026, 1, 1, tzinfo=UTC)).cost_microusd
    unknown = upstream.served - sum(len(receipt.calls) for receipt in receipts)
    print(  # noqa: T201  # the figures
        f"{len(replies)} turns, {upstream.served} calls billed, {unknown} of them in no receipt,"
        f" {held.reserved} micro-dollars held by the killed, trouble: {dict(troubles)}"
    )
    # Every question has one reply, every reply its receipt, and no turn ended that nobody was told of.
    assert len(replies) == len(set(replies)) > USERS * REPLICAS
    assert {receipt.turn_id for receipt in receipts} == set(replies)
    assert held.settled == booked > 0
    assert later.reserved == 0
    # A call whose replica was killed while it waited for the answer is the only thing that nobody can know of.
    assert 0 <= unknown <= REPLICAS * USERS


def test_workers_behind_one_port_count_together_and_follow_each_other(ground: Ground) -> None:
    async def run() -> None:
        replica = ground.replica("workers", "--workers", "2")
        replica.start()
        try:
            await replica.until_ready()
            assert replica.process is not None
            parent = psutil.Process(replica.process.pid)
            limits = httpx.Limits(max_keepalive_connections=0)
            base = f"http://127.0.0.1:{replica.port}"
            async with httpx.AsyncClient(base_url=base, timeout=30, trust_env=False, limits=limits) as http:
                lan = Customer("lan", http)
                await asyncio.gather(*(Customer(f"user-{number}", http).ask(ASKED[0]) for number in range(10)))
                await lan.ask(ASKED[0])
                assert {await turns(http) for _ in range(10)} == {11.0}
                killed = workers(parent)[0]
                killed.kill()
                await lan.ask(ASKED[1])
                await until(lambda: len(workers(parent)) == 2 and killed not in workers(parent))
                await lan.ask(ASKED[2])
                assert {await turns(http) for _ in range(10)} == {13.0}
                thread = await http.get(f"/v1/threads/{lan.thread}", params={"user_id": "lan"})
                assert len(thread.json()["messages"]) == 6
            children = workers(parent)
            replica.process.send_signal(signal.SIGTERM)
            assert await asyncio.to_thread(replica.process.wait, 30) == 0
            assert not any(child.is_running() for child in children)
        finally:
            replica.kill()
            print(replica.log)  # noqa: T201  # shown where it fails

    asyncio.run(run())


def workers(parent: psutil.Process) -> list[psutil.Process]:
    living = [child for child in parent.children() if child.status() != psutil.STATUS_ZOMBIE]
    return [child for child in living if "spawn_main" in " ".join(child.cmdline())]


async def turns(http: httpx.AsyncClient) -> float:
    """All turns that ended, as Prometheus is told by whichever worker it meets."""
    told = (await http.get("/metrics")).text
    return sum(float(line.rpartition(" ")[2]) for line in told.splitlines() if line.startswith("frontdesk_turns_total"))
