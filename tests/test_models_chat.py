"""The model client against a real HTTP server on loopback that can answer, refuse, hang, lie and hang up."""

import asyncio
import json
import math
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from fakes import FrozenClock, PurseBudget

from domain.errors import BudgetError, ModelDownError, ModelGarbageError
from domain.ports import ChatReply, ChatRequest
from domain.turn import Message, Payer
from models.canary import marking
from models.catalog import Catalog, Endpoint, ModelRow, Prices, Route, load_catalog
from models.chat import ModelClient
from models.tokens import estimate_request

PRICES = Prices(input=2_000_000, cached_input=500_000, output=8_000_000)
MESSAGES = [Message("system", "Answer from the passages."), Message("user", "How long do refunds take?")]
USAGE = {
    "prompt_tokens": 30,
    "completion_tokens": 7,
    "total_tokens": 37,
    "prompt_tokens_details": {"cached_tokens": 10},
}
COST_OF_USAGE = 20 * 2 + 5 + 7 * 8
MOST = PRICES.cost(estimate_request(MESSAGES), 50)
"""An upper bound of what one request can cost."""


def said(text: str, usage: dict[str, Any] | None = USAGE, **choice: Any) -> dict[str, Any]:
    body = {
        "id": "1",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [
            {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}, **choice},
        ],
    }
    return body if usage is None else body | {"usage": usage}


def token(**probabilities: float) -> dict[str, Any]:
    top = [{"token": name, "logprob": math.log(value)} for name, value in probabilities.items()]
    return {"content": [{**top[0], "top_logprobs": top}]}


@dataclass(frozen=True)
class Status:
    code: int
    headers: dict[str, str] = field(default_factory=dict)


class Upstream:
    """An OpenAI-shaped server. `script` is what it does next, one entry a request; then it answers "fine"."""

    def __init__(self) -> None:
        self.script: list[Any] = []
        self.requests: list[dict[str, Any]] = []
        self.keys: list[str] = []
        self.cookies: list[str | None] = []
        self.arrived, self.released = threading.Event(), threading.Event()
        upstream = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = int(self.headers["content-length"])
                upstream.requests.append(json.loads(self.rfile.read(length)))
                upstream.keys.append(self.headers["authorization"])
                upstream.cookies.append(self.headers["cookie"])
                upstream.arrived.set()
                upstream.act(self, upstream.script.pop(0) if upstream.script else said("fine"))

            def log_message(self, *_: Any) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,))
        self.thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}/v1"

    def act(self, handler: BaseHTTPRequestHandler, what: Any) -> None:
        if what == "hang":
            self.released.wait(5)
            what = "cut"
        if what == "cut":
            handler.close_connection = True
            handler.connection.shutdown(socket.SHUT_RDWR)
            return
        if what == "half":
            body = b'{"choices": ['
            length = 5000
        else:
            status = what if isinstance(what, Status) else Status(200)
            body = what.encode() if isinstance(what, str) else json.dumps({} if what is status else what).encode()
            length = len(body)
        handler.send_response(what.code if isinstance(what, Status) else 200)
        for name, value in (what.headers if isinstance(what, Status) else {}).items():
            handler.send_header(name, value)
        handler.send_header("content-type", "application/json")
        handler.send_header("content-length", str(length))
        handler.end_headers()
        handler.wfile.write(body)
        handler.close_connection = what == "half"

    def close(self) -> None:
        self.released.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    server = Upstream()
    yield server
    server.close()


def row(name: str = "m", tier: Any = "simple", **more: Any) -> ModelRow:
    values = {
        "endpoint": "custom",
        "prices": PRICES,
        "effective_from": date(2026, 1, 1),
        "context": 1000,
        "max_output": 500,
        "abilities": ["temperature", "logprobs"],
    }
    return ModelRow(name=name, tier=tier, **values | more)


class LockedPurse(PurseBudget):
    """The client reserves and settles from threads. `cost_of_nothing` is what others spend meanwhile."""

    cost_of_nothing = 0

    def __init__(self, limit: int) -> None:
        super().__init__(limit)
        self.lock = threading.Lock()
        self.made = 0

    def reserve(self, model: str, amount: int, payer: Payer | None = None) -> str:
        with self.lock:
            self.made += 1
            hold = super().reserve(model, amount, payer)
            self.holds[f"{self.made}"] = self.holds.pop(hold)
            return f"{self.made}"

    def settle(self, hold: str, amount: int) -> None:
        with self.lock:
            super().settle(hold, amount)
            self.settled += self.cost_of_nothing


@dataclass
class Bench:
    """A client over one server, its books, and the pauses that it made (nobody waits)."""

    client: ModelClient
    budget: PurseBudget
    clock: FrozenClock
    pauses: list[float]

    def ask(self, *choices: str, max_tokens: int = 50, model: str = "m", temperature: float = 0.0) -> ChatReply:
        return self.complete(ChatRequest("answer", model, MESSAGES, max_tokens, choices, temperature=temperature))

    def complete(self, request: ChatRequest) -> ChatReply:
        """The reply; the client's connections are closed behind it."""

        async def once() -> ChatReply:
            try:
                return await self.client.complete(request)
            finally:
                await self.client.aclose()

        return asyncio.run(once())

    def balanced(self, calls: Any) -> bool:
        """No hold is left, and what was settled is what the calls say."""
        return not self.budget.holds and self.budget.settled == sum(call.cost_microusd for call in calls)


def bench(
    url: str,
    *rows: ModelRow,
    timeout: float = 5.0,
    limit: int = 1_000_000,
    routes: list[Route] | None = None,
    canary: str = "",
) -> Bench:
    clock, budget, pauses = FrozenClock(), LockedPurse(limit), []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)
        clock.advance(seconds)

    endpoint = Endpoint("custom", url, "remote", "key-1", private=True)
    client = ModelClient(
        [Route(each, endpoint) for each in rows or (row(),)] if routes is None else routes,
        budget=budget,
        clock=clock,
        jitter=lambda: 0.5,
        timeout=timeout,
        local=row("small", endpoint="local", prices=Prices(input=0, cached_input=0, output=0), weak=True),
        sleep=sleep,
        **({"mark": marking(canary)} if canary else {}),
    )
    return Bench(client, budget, clock, pauses)


def test_an_answer_is_paid_at_the_servers_count_with_cached_tokens_cheaper(upstream):
    upstream.script = [said("In five days.")]
    made = bench(upstream.url)
    reply = made.ask()
    (call,) = reply.calls
    assert reply.text == "In five days."
    assert (call.ok, call.input_tokens, call.cached_tokens, call.output_tokens) == (True, 30, 10, 7)
    assert call.cost_microusd == COST_OF_USAGE
    assert (call.purpose, call.model, call.error) == ("answer", "m", "")
    assert made.balanced(reply.calls)
    (sent,) = upstream.requests
    assert sent["messages"][1] == {"role": "user", "content": "How long do refunds take?"}
    assert (sent["max_tokens"], sent["max_completion_tokens"], sent["temperature"]) == (50, 50, 0)
    assert upstream.keys == ["Bearer key-1"]


@pytest.mark.parametrize("trouble", [Status(500), Status(503), Status(429), "cut", "half"])
def test_what_may_pass_is_tried_again_and_every_attempt_is_booked(upstream, trouble):
    upstream.script = [trouble, trouble, said("At last.")]
    made = bench(upstream.url)
    reply = made.ask()
    assert reply.text == "At last."
    assert [call.ok for call in reply.calls] == [False, False, True]
    # A server that says no charges nothing; one that was lost may have answered in full.
    lost = MOST if isinstance(trouble, str) else 0
    assert [(bool(call.error), call.cost_microusd) for call in reply.calls[:2]] == [(True, lost)] * 2
    assert made.pauses == [0.25 * 1.5, 0.5 * 1.5]
    assert made.balanced(reply.calls)


def test_a_server_that_asks_to_wait_is_waited_for_or_given_up(upstream):
    upstream.script = [Status(429, {"retry-after": "2"}), said("Now.")]
    made = bench(upstream.url)
    assert made.ask().text == "Now."
    assert made.pauses == [2.0]
    upstream.script = [Status(429, {"retry-after": "60"})]
    impatient = bench(upstream.url)
    with pytest.raises(ModelDownError, match="no time for another attempt") as fault:
        impatient.ask()
    assert len(fault.value.calls) == 1
    assert impatient.pauses == []


@pytest.mark.parametrize(("code", "said_so"), [(400, "answered 400"), (401, "check the key"), (404, "check the key")])
def test_what_will_not_pass_is_not_tried_again(upstream, code, said_so):
    upstream.script = [Status(code)]
    made = bench(upstream.url)
    with pytest.raises(ModelDownError, match=said_so) as fault:
        made.ask()
    assert len(upstream.requests) == len(fault.value.calls) == 1
    assert made.balanced(fault.value.calls)


def test_out_of_retries_carries_every_attempt(upstream):
    upstream.script = [Status(500)] * 5
    made = bench(upstream.url)
    with pytest.raises(ModelDownError, match="answered 500, 3 attempts") as fault:
        made.ask()
    assert [call.error for call in fault.value.calls] == ["answered 500"] * 3
    assert made.balanced(fault.value.calls)


def test_a_server_that_hangs_is_left_at_the_deadline(upstream):
    upstream.script = ["hang"]
    made = bench(upstream.url, timeout=0.3)
    with pytest.raises(ModelDownError, match=r"no answer within 0\.3 s") as fault:
        made.ask()
    (call,) = fault.value.calls
    # It may have written all of it by then, and charge for it.
    assert (call.ok, call.error, call.cost_microusd) == (False, "timed out", MOST)
    assert made.balanced(fault.value.calls)


def test_a_turn_that_goes_away_pays_what_it_may_have_cost_and_leaves_no_hold(upstream):
    upstream.script = ["hang"]
    made = bench(upstream.url)

    async def leave() -> None:
        asking = asyncio.create_task(made.client.complete(ChatRequest("answer", "m", MESSAGES, 50)))
        assert await asyncio.to_thread(upstream.arrived.wait, 5)
        assert made.budget.holds
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        await made.client.aclose()

    asyncio.run(leave())
    assert (made.budget.holds, made.budget.settled) == ({}, MOST)


@pytest.mark.parametrize(
    "body",
    [
        "<html>Welcome</html>",
        '"text"',
        "[]",
        "{}",
        '{"choices": null}',
        '{"choices": []}',
        '{"choices": [{"index": 0}]}',
    ],
)
def test_what_is_no_chat_completion_is_garbage(upstream, body):
    upstream.script = [body]
    made = bench(upstream.url)
    with pytest.raises(ModelGarbageError) as fault:
        made.ask()
    assert [(call.ok, call.cost_microusd) for call in fault.value.calls] == [(False, MOST)]
    assert made.balanced(fault.value.calls)


def test_an_empty_answer_is_garbage_that_is_paid_for(upstream):
    upstream.script = [said("  \n")]
    made = bench(upstream.url)
    with pytest.raises(ModelGarbageError, match="no text") as fault:
        made.ask()
    (call,) = fault.value.calls
    assert (call.ok, call.cost_microusd) == (False, COST_OF_USAGE)
    assert made.balanced(fault.value.calls)


@pytest.mark.parametrize(
    "usage",
    [
        None,
        {"prompt_tokens": -5, "completion_tokens": 1, "total_tokens": -4},
        {"prompt_tokens": 10**9, "completion_tokens": 1, "total_tokens": 10**9},
        {"prompt_tokens": 5, "completion_tokens": 1, "total_tokens": 6, "prompt_tokens_details": {"cached_tokens": 9}},
    ],
)
def test_usage_that_is_missing_or_absurd_is_replaced_by_an_upper_bound(upstream, usage):
    upstream.script = [said("In five days.", usage)]
    made = bench(upstream.url)
    (call,) = made.ask().calls
    assert call.input_tokens == estimate_request(MESSAGES)
    assert 3 <= call.output_tokens <= 50
    assert 0 < call.cost_microusd <= PRICES.cost(estimate_request(MESSAGES), 50)
    assert made.balanced([call])


def test_no_room_in_the_budget_means_no_request(upstream):
    made = bench(upstream.url, limit=PRICES.cost(estimate_request(MESSAGES), 50) - 1)
    with pytest.raises(BudgetError) as fault:
        made.ask()
    assert upstream.requests == []
    assert fault.value.calls == []
    assert made.client.choose("simple", 1.0) is not None, "a full budget says nothing about the endpoint"


def test_the_budget_running_out_between_attempts_keeps_the_calls(upstream):
    made = bench(upstream.url)
    upstream.script = [Status(500)]
    made.budget.limit = PRICES.cost(estimate_request(MESSAGES), 50)

    made.budget.cost_of_nothing = 1
    with pytest.raises(BudgetError) as fault:
        made.ask()
    assert [call.error for call in fault.value.calls] == ["answered 500"]


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ({"logprobs": token(Yes=0.6, No=0.2, yes=0.1)}, 0.7 / 0.9),
        ({"logprobs": token(No=0.9, Water=0.1)}, 0.0),
    ],
)
def test_choices_become_probabilities(upstream, choice, expected):
    upstream.script = [said("Yes", **choice)]
    reply = bench(upstream.url).ask("yes", "no")
    assert reply.probabilities["yes"] == pytest.approx(expected)
    assert sum(reply.probabilities.values()) == pytest.approx(1)
    (sent,) = upstream.requests
    assert (sent["max_tokens"], sent["logprobs"], sent["top_logprobs"]) == (1, True, 10)


def test_choices_are_read_from_the_text_of_a_server_without_probabilities(upstream):
    upstream.script = [said("Không."), said("No, never")]
    assert bench(upstream.url).ask("có", "không").probabilities == {"có": 0.0, "không": 1.0}
    assert bench(upstream.url).ask("yes", "no").probabilities == {"yes": 0.0, "no": 1.0}


def test_a_server_that_refuses_probabilities_is_asked_in_words(upstream):
    upstream.script = [Status(400), said("yes")]
    made = bench(upstream.url)
    reply = made.ask("yes", "no")
    assert reply.probabilities == {"yes": 1.0, "no": 0.0}
    assert ["logprobs" in sent for sent in upstream.requests] == [True, False]
    assert made.pauses == [0.0]
    assert made.balanced(reply.calls)


def shaped(upstream, *abilities):
    made = bench(upstream.url, row(abilities=list(abilities)))
    request = ChatRequest("judge", "m", MESSAGES, 50, schema='{"type": "object"}')
    return made, made.complete(request)


def test_a_schema_goes_to_a_model_that_can_and_is_left_out_where_it_is_refused(upstream):
    upstream.script = [said('{"a": 1}')]
    assert shaped(upstream, "json_schema")[1].text == '{"a": 1}'
    shape = upstream.requests[0]["response_format"]
    assert (shape["type"], shape["json_schema"]["schema"]) == ("json_schema", {"type": "object"})
    assert upstream.requests[0]["max_tokens"] == 50
    shaped(upstream, "temperature")
    upstream.script = [Status(400), said("in words")]
    made, reply = shaped(upstream, "json_schema")
    assert ["response_format" in sent for sent in upstream.requests[1:]] == [False, True, False]
    assert (reply.text, made.pauses) == ("in words", [0.0])


@pytest.mark.parametrize(
    "choice", [said("Perhaps"), said(""), said("Water", logprobs=token(Water=0.98, Yes=0.02)), said("Nothing of it")]
)
def test_no_choice_is_garbage(upstream, choice):
    upstream.script = [choice]
    with pytest.raises(ModelGarbageError, match="none of the choices"):
        bench(upstream.url).ask("yes", "no")


def test_an_endpoint_that_keeps_failing_is_left_alone_then_tried_once(upstream):
    made = bench(upstream.url)
    upstream.script = [Status(500)] * 6

    async def story() -> None:
        request = ChatRequest("answer", "m", MESSAGES, 50)
        for _ in range(2):
            with pytest.raises(ModelDownError):
                await made.client.complete(request)
        assert len(upstream.requests) == 5, "the circuit opens in the middle of the second request"
        assert made.client.choose("simple", 1.0) is None
        with pytest.raises(ModelDownError, match="left alone"):
            await made.client.complete(request)
        assert len(upstream.requests) == 5
        made.clock.advance(31)
        assert made.client.choose("simple", 1.0) is not None
        with pytest.raises(ModelDownError):
            await made.client.complete(request)
        assert len(upstream.requests) == 6, "half-open: one trial, and it failed"
        made.clock.advance(31)
        assert (await made.client.complete(request)).text == "fine"
        assert made.client.choose("simple", 1.0) is not None
        await made.client.aclose()

    asyncio.run(story())
    assert not made.budget.holds


def test_nobody_listening_is_down():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
    made = bench(url)
    with pytest.raises(ModelDownError, match="no connection: Connect") as fault:
        made.ask()
    assert len(fault.value.calls) == 3
    assert made.balanced(fault.value.calls)
    assert made.budget.settled == 0, "what never went out costs nothing"


def test_the_tier_decides_and_unsure_retrieval_takes_a_better_reader():
    made = bench("http://127.0.0.1:9/v1", row("s"), row("m", "medium"), row("c", "complex"), row("c2", "complex"))

    def name(tier: Any, confidence: float) -> str:
        card = made.client.choose(tier, confidence)
        return card.name if card else "none"

    assert [name("simple", 0.9), name("medium", 0.9), name("complex", 0.9)] == ["s", "m", "c"]
    assert name("simple", 0.2) == "m"


def test_the_nearest_lower_tier_stands_in_and_the_embedded_model_comes_last():
    made = bench("http://127.0.0.1:9/v1", row("s"), row("c", "complex"))
    assert made.client.choose("medium", 1.0).name == "s"
    made.client.attach_local("http://127.0.0.1:10/v1", "k")
    assert made.client.choose("simple", 1.0).name == "s"
    lonely = bench("http://127.0.0.1:9/v1", row("c", "complex"))
    lonely.client.attach_local("http://127.0.0.1:10/v1", "k")
    assert lonely.client.choose("simple", 1.0).name == "c", "a configured model before the embedded one"


def test_the_embedded_model_comes_and_goes(upstream):
    made = bench(upstream.url, routes=[])
    assert made.client.choose("complex", 1.0) is None
    with pytest.raises(ModelDownError, match="'small'"):
        made.ask(model="small")
    made.client.attach_local(upstream.url, "secret")
    card = made.client.choose("complex", 1.0)
    assert (card.name, card.mode, card.weak) == ("small", "local", True)
    upstream.script = [said("Hello.")]
    reply = made.ask(model="small")
    assert (reply.text, reply.calls[0].cost_microusd) == ("Hello.", 0)
    assert upstream.keys == ["Bearer secret"]
    made.client.attach_local("", "")
    assert made.client.choose("simple", 1.0) is None


def test_requests_at_once_never_pass_the_limit(upstream):
    bound = PRICES.cost(estimate_request(MESSAGES), 50)
    made = bench(upstream.url, limit=bound * 3)

    async def many() -> list[Any]:
        requests = [made.client.complete(ChatRequest("answer", "m", MESSAGES, 50)) for _ in range(12)]
        done = await asyncio.gather(*requests, return_exceptions=True)
        await made.client.aclose()
        return done

    done = asyncio.run(many())
    replies = [reply for reply in done if isinstance(reply, ChatReply)]
    assert {type(reply) for reply in done} <= {ChatReply, BudgetError}
    assert replies
    assert not made.budget.holds
    assert made.budget.settled == COST_OF_USAGE * len(replies) <= made.budget.limit


def test_who_is_to_have_ideas_is_asked_at_a_temperature_that_the_books_keep(upstream):
    upstream.script = [said("Perhaps.")]
    (call,) = bench(upstream.url).ask(temperature=0.7).calls
    assert upstream.requests[0]["temperature"] == call.temperature == 0.7


def test_reasoning_models_are_sent_no_temperature_and_openai_one_limit(upstream):
    catalog = load_catalog()
    picked = next(each for each in catalog.models if "temperature" not in each.abilities)
    endpoint = Endpoint("openai", upstream.url, "remote", "k", private=True)
    made = bench(upstream.url, routes=[Route(picked, endpoint)])
    made.ask(model=picked.name, temperature=1.0)
    (sent,) = upstream.requests
    assert "temperature" not in sent
    assert "max_tokens" not in sent
    assert sent["max_completion_tokens"] == 50 + picked.thinking_tokens > 50, "thinking has room of its own"


def test_the_catalog_routes_reach_a_custom_server(upstream):
    catalog: Catalog = load_catalog()
    made = bench(upstream.url, routes=catalog.routes(base_url=upstream.url, model="my-model"))
    reply = made.ask(model="my-model")
    assert (reply.text, reply.calls[0].cost_microusd) == ("fine", 0)
    assert upstream.requests[0]["model"] == "my-model"
    assert upstream.keys == ["Bearer not-needed"]


def test_no_cookie_of_a_server_is_sent_along_with_a_later_request(upstream):
    upstream.script = [Status(503, {"Set-Cookie": "customer=7; Path=/"})]
    assert bench(upstream.url).ask().text == "fine"
    assert upstream.cookies == [None, None]
