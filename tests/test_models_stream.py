"""Words as they come, and the models that stand in, against a real HTTP server on loopback."""

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import aclosing, suppress
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any

import pytest
from test_models_chat import COST_OF_USAGE, MESSAGES, PRICES, USAGE, Bench, Status, Upstream, bench, row, said

from domain.errors import BudgetError, ModelDownError, ModelError, ModelGarbageError
from domain.ports import ChatRequest
from models.catalog import Endpoint, Route
from models.tokens import estimate_request

if TYPE_CHECKING:
    from domain.turn import Call


def chunk(text: str | None = None, finish: str | None = None, usage: dict[str, Any] | None = None) -> dict[str, Any]:
    """One event of a stream; without a text and an end it is the one that carries the usage."""
    choices = (
        [] if text is None and finish is None else [{"index": 0, "delta": {"content": text}, "finish_reason": finish}]
    )
    shape = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": choices}
    return shape if usage is None else shape | {"usage": usage}


WORDS = [chunk("In "), chunk("five "), chunk("days.")]
WHOLE = [*WORDS, chunk(finish="stop"), chunk(usage=USAGE), "[DONE]"]


class Streaming(Upstream):
    """As Upstream; a list in its script is streamed, one event an entry. "wait" holds the stream, "cut" ends it."""

    def act(self, handler: BaseHTTPRequestHandler, what: Any) -> None:
        if not isinstance(what, list):
            super().act(handler, what)
            return
        handler.send_response(200)
        handler.send_header("content-type", "text/event-stream")
        handler.send_header("transfer-encoding", "chunked")
        handler.end_headers()
        for event in what:
            if event == "wait":
                self.released.wait(5)
            elif event == "cut":
                super().act(handler, "cut")
                return
            else:
                text = event if isinstance(event, str) else json.dumps(event)
                self._send(handler, f"data: {text}\n\n".encode())
        self._send(handler, b"")

    @staticmethod
    def _send(handler: BaseHTTPRequestHandler, data: bytes) -> None:
        try:
            handler.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
            handler.wfile.flush()
        except OSError:
            return


class Crowd(Streaming):
    """Answers nobody before so many have asked."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.server.socket.listen(size)
        self.full = threading.Barrier(size)

    def act(self, handler: BaseHTTPRequestHandler, what: Any) -> None:
        with suppress(threading.BrokenBarrierError):
            self.full.wait(20)
        super().act(handler, what)


@pytest.fixture
def server() -> Iterator[Streaming]:
    upstream = Streaming()
    yield upstream
    upstream.close()


def listen(
    made: Bench, model: str = "m", max_tokens: int = 50, words: int = 99, told: Callable[[], None] = lambda: None
) -> tuple[list[str], Any]:
    """The words, up to that many, and the stream. What was raised stands in the stream's place, with its calls.

    `told` is called at each word.
    """
    heard: list[str] = []

    async def once() -> Any:
        said = made.client.stream(ChatRequest("answer", model, MESSAGES, max_tokens))
        try:
            async with aclosing(said):
                async for word in said:
                    heard.append(word)
                    told()
                    if len(heard) == words:
                        break
        except ModelError as fault:
            return fault
        finally:
            await made.client.aclose()
        return said

    return heard, asyncio.run(once())


def test_the_first_word_comes_then_sentences_and_a_reply_at_the_servers_count(server):
    server.script = [[WORDS[0], "wait", *WHOLE[1:]]]  # words that come together pass together
    made = bench(server.url)
    heard, said = listen(made, told=server.released.set)
    assert heard == ["In ", "five days."]
    assert said.reply.text == "In five days."
    assert said.reply.card.name == "m"
    (call,) = said.calls
    assert (call.ok, call.input_tokens, call.cached_tokens, call.output_tokens) == (True, 30, 10, 7)
    assert call.cost_microusd == COST_OF_USAGE
    assert made.balanced(said.calls)
    (sent,) = server.requests
    assert (sent["stream"], sent["stream_options"]) == (True, {"include_usage": True})


@pytest.mark.slow
def test_more_than_a_hundred_answers_are_written_at_a_time():
    crowd = Crowd(size := 110)
    crowd.script = [WHOLE] * size
    made = bench(crowd.url, timeout=30.0)

    async def ask() -> str:
        said = made.client.stream(ChatRequest("answer", "m", MESSAGES, 50))
        return "".join([word async for word in said])

    async def everybody() -> list[str]:
        try:
            return await asyncio.gather(*(ask() for _ in range(size)))
        finally:
            await made.client.aclose()

    try:
        assert asyncio.run(everybody()) == ["In five days."] * size
    finally:
        crowd.close()
    assert not crowd.full.broken


def test_a_word_is_handed_on_before_the_next_is_written(server):
    server.script = [[chunk("First"), "wait", *WHOLE]]
    made = bench(server.url)

    async def first() -> str:
        said = made.client.stream(ChatRequest("answer", "m", MESSAGES, 50))
        async with aclosing(said):
            async for word in said:
                assert not server.released.is_set()
                assert said.reply is None
                return word
        return ""

    async def story() -> None:
        assert await first() == "First"
        await made.client.aclose()

    asyncio.run(story())


@pytest.mark.parametrize("end", [[], ["cut"]], ids=["ended without an end", "connection cut"])
def test_a_stream_cut_in_the_middle_is_booked_for_what_was_written_and_not_tried_again(server, end):
    server.script = [[WORDS[0], "wait", WORDS[1], *end]]
    made = bench(server.url)
    heard, fault = listen(made, told=server.released.set)
    assert heard == ["In ", "five "]
    assert isinstance(fault, ModelDownError)
    assert "in the middle of its answer" in str(fault)
    (call,) = fault.calls
    assert (call.ok, call.input_tokens) == (False, estimate_request(MESSAGES))
    assert 0 < call.output_tokens < 50
    assert 0 < call.cost_microusd <= PRICES.cost(estimate_request(MESSAGES), 50)
    assert made.balanced(fault.calls)
    assert len(server.requests) == 1


def test_a_stream_cut_before_its_first_word_is_tried_again(server):
    server.script = [["cut"], Status(503), WHOLE]
    made = bench(server.url)
    heard, said = listen(made)
    assert "".join(heard) == "In five days."
    assert [call.ok for call in said.calls] == [False, False, True]
    assert made.balanced(said.calls)


def test_usage_that_never_comes_is_replaced_by_an_upper_bound(server):
    server.script = [[*WORDS, chunk(finish="stop"), "[DONE]"]]
    made = bench(server.url)
    _, said = listen(made)
    (call,) = said.calls
    assert (call.ok, call.input_tokens) == (True, estimate_request(MESSAGES))
    assert 3 <= call.output_tokens <= 50
    assert made.balanced(said.calls)


@pytest.mark.parametrize(
    "usage",
    [
        {"prompt_tokens": -1, "completion_tokens": 1, "total_tokens": 0},
        {"prompt_tokens": 10**12, "completion_tokens": 1, "total_tokens": 10**12},
    ],
)
def test_absurd_usage_of_a_stream_is_not_believed(server, usage):
    server.script = [[*WORDS, chunk(finish="stop"), chunk(usage=usage), "[DONE]"]]
    made = bench(server.url)
    _, said = listen(made)
    assert said.calls[0].input_tokens == estimate_request(MESSAGES)
    assert made.balanced(said.calls)


def test_who_leaves_early_pays_for_what_was_written(server):
    server.script = [[*WORDS[:1], "wait", *WHOLE]]
    made = bench(server.url)
    heard, said = listen(made, words=1)
    assert heard == ["In "]
    assert said.reply is None
    (call,) = said.calls
    assert (call.ok, call.error) == (False, "cancelled")
    assert 0 < call.cost_microusd <= PRICES.cost(estimate_request(MESSAGES), 50)
    assert made.balanced(said.calls)


def test_a_turn_that_is_cancelled_settles_before_it_is_gone(server):
    server.script = [[*WORDS[:1], "wait", *WHOLE]]
    made = bench(server.url)
    calls: list[Call] = []

    async def story() -> None:
        said = made.client.stream(ChatRequest("answer", "m", MESSAGES, 50))

        async def read() -> None:
            async with aclosing(said):
                async for _ in said:
                    begun.set()

        begun = asyncio.Event()
        reading = asyncio.create_task(read())
        await asyncio.wait_for(begun.wait(), 5)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        calls.extend(said.calls)
        await made.client.aclose()

    asyncio.run(story())
    assert [call.error for call in calls] == ["cancelled"]
    assert made.balanced(calls)


def test_a_stream_that_stalls_is_left_at_the_deadline(server):
    server.script = [[*WORDS[:1], "wait"]]
    made = bench(server.url, timeout=0.4)
    heard, fault = listen(made)
    assert heard == ["In "]
    assert isinstance(fault, ModelDownError)
    assert fault.calls[0].error == "timed out"
    assert made.balanced(fault.calls)


def test_a_stream_of_nothing_is_garbage_that_is_paid_for(server):
    server.script = [[chunk(finish="stop"), chunk(usage=USAGE), "[DONE]"]]
    made = bench(server.url)
    _, fault = listen(made)
    assert isinstance(fault, ModelGarbageError)
    assert [call.cost_microusd for call in fault.calls] == [COST_OF_USAGE]
    assert made.balanced(fault.calls)


def routes(one: str, two: str, *rows: Any) -> list[Route]:
    """The rows in turn at the first and the second server."""
    places = [Endpoint("custom", url, "remote", "k", private=True) for url in (one, two)]
    return [Route(each, places[number % 2]) for number, each in enumerate(rows)]


@pytest.fixture
def other() -> Iterator[Streaming]:
    upstream = Streaming()
    yield upstream
    upstream.close()


def test_a_model_of_the_same_tier_stands_in_then_one_of_a_lower_tier(server, other):
    rows = [row("a", "complex"), row("b", "complex"), row("c", "medium"), row("d", "simple")]
    server.script = [Status(500)] * 9
    made = bench(server.url, routes=routes(server.url, other.url, *rows))
    reply = made.ask(model="a")
    assert reply.card.name == "b"
    assert [(call.model, call.ok) for call in reply.calls] == [("a", False)] * 3 + [("b", True)]
    assert made.balanced(reply.calls)

    server.script, other.script = [Status(500)] * 9, [Status(404), said("From below.")]
    made = bench(server.url, routes=routes(server.url, other.url, *rows))
    reply = made.ask(model="a")
    assert (reply.text, reply.card.name, reply.card.tier) == ("From below.", "d", "simple")
    assert [call.model for call in reply.calls] == ["a", "a", "a", "b", "d"], "c is at the server that is down"
    assert made.balanced(reply.calls)


def test_nothing_stands_in_from_above_and_a_refused_budget_is_nobodys_failure(server, other):
    rows = [row("a", "simple"), row("b", "complex")]
    server.script = [Status(401)]
    made = bench(server.url, routes=routes(server.url, other.url, *rows))
    with pytest.raises(ModelDownError):
        made.ask(model="a")
    assert other.requests == []
    poor = bench(server.url, routes=routes(server.url, other.url, row("a"), row("b")), limit=1)
    with pytest.raises(BudgetError):
        poor.ask(model="a")
    assert other.requests == []


def test_a_storm_of_429_is_waited_out_within_the_deadline_and_then_another_model_is_asked(server):
    storm = Status(429, {"retry-after": "1"})
    server.script = [storm] * 3 + [said("Lucky.")]
    made = bench(server.url, row("a"), row("b"))
    reply = made.ask(model="a")
    assert reply.text == "Lucky."
    assert made.pauses == [1.0, 1.0]
    assert [call.model for call in reply.calls] == ["a", "a", "a", "b"], "busy is the model, not its server"
    server.script = [Status(429, {"retry-after": "600"}), Status(429, {"retry-after": "600"})]
    patient = bench(server.url, row("a"), row("b"))
    with pytest.raises(ModelDownError, match="no time for another attempt"):
        patient.ask(model="a")
    assert patient.pauses == []


def test_a_full_minute_makes_the_next_model_of_the_tier_the_first_choice(server):
    made = bench(server.url, row("a", requests_per_minute=2), row("b"))

    async def story() -> list[str]:
        asked = []
        for _ in range(3):
            card = made.client.choose("simple", 1.0)
            asked.append(card.name)
            await made.client.complete(ChatRequest("answer", card.name, MESSAGES, 50))
        made.clock.advance(61)
        asked.append(made.client.choose("simple", 1.0).name)
        await made.client.aclose()
        return asked

    assert asyncio.run(story()) == ["a", "a", "b", "a"]
