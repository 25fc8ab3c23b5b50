"""Ledger, budgets, Prometheus and Langfuse say the same, to the micro-dollar, whatever became of the calls."""

import asyncio
import json
import re
import threading
from collections.abc import Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from house import House, open_house
from langfuse_double import Double
from test_tracing import tracer_to

from domain.receipt import MICRO
from domain.turn import Payer
from graph import money
from graph.record import Question
from models.catalog import Endpoint, ModelRow, Prices, Route
from models.chat import ModelClient

USAGE = {
    "prompt_tokens": 203,
    "completion_tokens": 57,
    "total_tokens": 260,
    "prompt_tokens_details": {"cached_tokens": 21},
}


class Upstream(ThreadingHTTPServer):
    """An OpenAI-compatible server that answers with what a test has lined up: a usage, a status, or silence."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.script: list[Any] = []
        self.asked = threading.Event()
        self.let_go = threading.Event()


class _Handler(BaseHTTPRequestHandler):
    server: Upstream

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        most = asked.get("max_completion_tokens") or asked.get("max_tokens") or 1
        next_one = self.server.script.pop(0) if self.server.script else USAGE
        if next_one == "silence":
            self.server.asked.set()
            self.server.let_go.wait(10)
            return
        status = next_one if isinstance(next_one, int) else 200
        choice = {
            "index": 0,
            "finish_reason": "stop",
            "message": {"role": "assistant", "content": "You can return a lamp within 30 days."},
        }
        body = {"id": "x", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]}
        if status != 200:
            body = {"error": {"message": "no", "code": "server_error"}}
        elif next_one is not None:
            body["usage"] = next_one | {"completion_tokens": min(most, next_one["completion_tokens"])}
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_request(self, code: object = "-", size: object = "-") -> None:
        """Quietly."""


@contextmanager
def serving(server: ThreadingHTTPServer) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@dataclass
class Client:
    """The real client, made when the house's budget is there."""

    real: Any = None

    def choose(self, tier, confidence):
        return self.real.choose(tier, confidence)

    async def complete(self, request):
        return await self.real.complete(request)


@dataclass
class Books:
    house: House
    upstream: Upstream
    langfuse: Double

    async def ask(self, question: str = "How do I return a lamp?", user: str = "ann", key: str = ""):
        reply = await self.house.desk.ask(Question(question, user, key=key))
        await self.house.judging.drain()
        return reply

    def service(self) -> Any:
        house = self.house
        return SimpleNamespace(store=house.store, metrics=house.metrics, clock=house.clock, desk_folder=Path("lamps"))

    async def costs(self, **fields: Any) -> dict[str, Any]:
        return await money.costs(self.service(), **fields)

    def prometheus(self) -> int:
        lines = re.findall(
            r"^frontdesk_model_cost_usd_total\{.*\} (\S+)$", self.house.metrics.render().decode(), re.MULTILINE
        )
        return round(sum(float(line) for line in lines) * MICRO)

    def traced(self) -> int:
        """Langfuse's sum, once it has all."""
        found = [span["attributes"].get("langfuse.observation.cost_details") for span in self.langfuse.spans]
        return sum(round(json.loads(one)["total"] * MICRO) for one in found if one)


@asynccontextmanager
async def books_of(folder: Path, *, traced: bool = False):
    """A desk whose model costs money, with its Langfuse; that has everything once this is closed."""
    upstream, langfuse = Upstream(), Double()
    row = ModelRow(
        name="dear-model",
        endpoint="openai",
        tier="medium",
        prices=Prices(input=2_500_000, cached_input=1_250_000, output=10_000_000),
        effective_from=date(2026, 1, 1),
        context=100_000,
        max_output=1_000,
    )
    with ExitStack() as running:
        running.enter_context(serving(upstream))
        running.enter_context(serving(langfuse))
        tracer = running.enter_context(tracer_to(langfuse.url)) if traced else None
        client = Client()
        async with open_house(folder, chat=client, tracer=tracer) as house:
            endpoint = Endpoint("openai", f"http://127.0.0.1:{upstream.server_port}/v1", "remote", "key")
            client.real = ModelClient(
                [Route(row, endpoint)],
                budget=house.store.budget,
                clock=house.clock,
                jitter=lambda: 0.0,
                timeout=20,
                sleep=lambda _seconds: asyncio.sleep(0),
            )
            yield Books(house, upstream, langfuse)
            upstream.let_go.set()
            await client.real.aclose()


@pytest.mark.parametrize("script", [[], [500, USAGE]], ids=["good", "failed once"])
def test_ledger_budgets_prometheus_and_langfuse_agree(tmp_path: Path, script: list[Any]) -> None:
    async def run():
        async with books_of(tmp_path, traced=True) as books:
            books.upstream.script = list(script)
            await books.ask()
            await books.ask(user="bob", key="key-7")
            found, paid, counted = await books.costs(), books.house.store.budget.state(), books.prometheus()
        return found, paid, counted, books.traced()

    found, paid, counted, traced = asyncio.run(run())
    assert found["cost_microusd"] == paid.settled == counted == traced
    assert found["cost_microusd"] > 2 * 500
    assert (paid.reserved, found["unreported_microusd"]) == (0, 0)
    assert sum(row["cost_microusd"] for row in found["rows"]) == found["cost_microusd"]


@pytest.mark.parametrize(
    "usage",
    [
        None,
        {**USAGE, "completion_tokens": -5},
        {**USAGE, "prompt_tokens": 10**12},
        {**USAGE, "prompt_tokens_details": {"cached_tokens": 5_000}},
    ],
    ids=["none", "negative", "absurd", "more cached than sent"],
)
def test_a_usage_that_cannot_be_is_booked_at_the_upper_bound_and_the_books_add_up(tmp_path: Path, usage: Any) -> None:
    async def run():
        async with books_of(tmp_path) as books:
            books.upstream.script = [usage] * 4
            await books.ask()
            return await books.costs(), books.house.store.budget.state(), books.prometheus()

    found, state, counted = asyncio.run(run())
    assert found["cost_microusd"] == state.settled == counted
    assert 0 < found["cost_microusd"] < 100_000
    assert (state.reserved, state.closed) == (0, False)


def test_every_view_adds_up_to_the_same_and_names_who_and_what(tmp_path: Path) -> None:
    async def run():
        async with books_of(tmp_path) as books:
            await books.ask()
            await books.ask(user="bob", key="key-7")
            await books.ask("Write a poem about the sea", user="bob")
            views = {by: await books.costs(by=by) for by in ("model", "user", "key", "day", "desk")}
            hashes = {name: books.house.store.vault.user_hash(name) for name in ("ann", "bob")}
            return views, hashes

    views, hashes = asyncio.run(run())
    total = views["model"]["cost_microusd"]
    for view in views.values():
        assert sum(row["cost_microusd"] for row in view["rows"]) == total > 0
    requests = {by: {row["name"]: row["requests"] for row in view["rows"]} for by, view in views.items()}
    assert requests["user"] == {hashes["ann"]: 1, hashes["bob"]: 2}
    assert requests["key"] == {"key-7": 1, "": 2}
    assert requests["day"] == {"2026-11-21": 3}
    assert requests["desk"] == {"lamps": 3}
    assert requests["model"] == {"dear-model": 2}
    view = views["model"]
    assert (view["requests"], view["resolved"]) == (3, 2)
    assert view["cost_per_request_usd"] == pytest.approx(total / 3 / MICRO, abs=1e-8)
    assert view["cost_per_resolved_usd"] == pytest.approx(total / 2 / MICRO, abs=1e-8)
    assert view["projection_month_usd"] == pytest.approx(total * 30 / MICRO)


def test_a_thumb_down_and_a_handoff_unresolve_a_question(tmp_path: Path) -> None:
    async def run():
        async with books_of(tmp_path) as books:
            first = await books.ask()
            second = await books.ask(user="bob")
            counts = [(await books.costs())["resolved"]]
            await books.house.desk.rate(first.turn_id, "ann", "down")
            counts.append((await books.costs())["resolved"])
            await books.house.desk.ask(Question("I want to talk to a person", "bob", second.thread_id))
            return [*counts, (await books.costs())["resolved"]]

    assert asyncio.run(run()) == [2, 1, 0]


def test_what_a_turn_that_was_cut_off_had_paid_is_booked_all_the_same(tmp_path: Path) -> None:
    async def run():
        async with books_of(tmp_path) as books:
            hold = books.house.store.budget.reserve("dear-model", 9_000, Payer("u", "key-1", "turn-lost"))
            books.house.store.budget.settle(hold, 4_321)  # and then its process is killed
            await books.ask()
            at_once = await books.costs()
            books.house.clock.advance(timedelta(minutes=11).total_seconds())
            later = [await books.costs(), await books.costs(by="key")]
            return at_once, later, books.house.store.budget.state().settled, books.prometheus()

    at_once, (later, by_key), settled, counted = asyncio.run(run())
    assert at_once["cost_microusd"] == settled - 4_321
    assert later["cost_microusd"] == settled == counted
    assert later["unreported_microusd"] == 4_321
    assert {row["name"]: row["cost_microusd"] for row in by_key["rows"]}["key-1"] == 4_321


def test_a_client_that_leaves_in_the_middle_leaves_no_hold_and_equal_books(tmp_path: Path) -> None:
    async def run():
        async with books_of(tmp_path) as books:
            books.upstream.script = ["silence"]
            turn = asyncio.create_task(books.ask())
            await asyncio.to_thread(books.upstream.asked.wait, 10)
            turn.cancel()
            await asyncio.gather(turn, return_exceptions=True)
            await books.ask(user="bob")
            books.house.clock.advance(timedelta(minutes=11).total_seconds())
            found = await books.costs()
            return found, books.house.store.budget.state(), books.prometheus()

    found, state, counted = asyncio.run(run())
    assert state.reserved == 0
    assert found["cost_microusd"] == state.settled == counted > 0
