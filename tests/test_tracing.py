"""Tracing against a small real server that decodes what Langfuse's would be sent."""

import asyncio
import json
import socket
import threading
import time
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
import structlog
from langfuse_double import BASIC, Double
from opentelemetry import trace as global_trace

from domain.ports import TurnContext
from domain.turn import Call, Passage, Score
from tracing import LangfuseTracer, NoTracer, check_server, open_tracer

TRACE = "0190000000007000800000000000abcd"
ABOUT = TurnContext(
    trace_id=TRACE, thread="thread-1", user="hash-1", desk="shop", release="r1", environment="dev", tags=("shop", "en")
)


@pytest.fixture
def server() -> Iterator[Double]:
    double = Double()
    thread = threading.Thread(target=double.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield double
    double.shutdown()
    double.server_close()
    thread.join()


@contextmanager
def tracer_to(url: str, *, seconds: float = 5.0) -> Iterator[LangfuseTracer]:
    tracer = open_tracer(
        host=url,
        public_key="pk-test",
        secret_key="sk-test",
        environment="dev",
        release="r1",
        close_seconds=seconds,
        request_seconds=seconds,
    )
    assert isinstance(tracer, LangfuseTracer)
    yield tracer
    tracer.close()


@pytest.fixture
def dead_url() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}"


def attribute(span: dict[str, Any], name: str) -> Any:
    value = span["attributes"].get(f"langfuse.observation.{name}")
    return json.loads(value) if isinstance(value, str) and value[:1] in "[{" else value


def test_a_turn_of_several_stretches_is_one_trace_of_its_steps(server: Double) -> None:
    parts = replace(ABOUT, whole=False, environment="studio")
    call = Call("answer", "small", ok=True, input_tokens=5, ms=3.0)
    with tracer_to(server.url) as tracer:
        for name in ("route", "generate"):
            with tracer.turn(parts), tracer.step(name, "chain", {}) as step:
                step.record({"mode": "quote"}, calls=[call] if name == "generate" else [])
        with tracer.step("alone", "chain", {}):
            pass
    route, generate, answer, alone = (server.named(name) for name in ("route", "generate", "answer", "alone"))
    assert [one["trace"] for one in (route, generate, answer)] == [TRACE] * 3
    assert alone["trace"] != TRACE
    assert answer["parent"] == generate["id"]
    assert "turn" not in [span["name"] for span in server.spans]
    assert route["attributes"]["langfuse.environment"] == "studio"
    assert route["attributes"]["session.id"] == "thread-1"


def test_a_turn_is_one_trace_with_its_steps_and_model_calls(server: Double) -> None:
    calls = [
        Call("answer", "small", ok=False, input_tokens=50, ms=30.0, error="TimeoutError"),
        Call(
            "answer", "large", ok=True, input_tokens=100, cached_tokens=40, output_tokens=7, cost_microusd=1234, ms=20
        ),
    ]
    with tracer_to(server.url) as tracer:
        with tracer.turn(ABOUT) as turn:
            with tracer.step("guard_input", "guardrail", {}) as step:
                step.record({"masked": "where is <ORDER_1>?"})
            with tracer.step("retrieve", "retriever", {"standalone": "where is <ORDER_1>?"}) as step:
                step.record({"passages": [Passage("a#0", "a", "Title", "Text", 0.5)]})
            with tracer.step("generate", "chain", {"tier": "simple"}) as step:
                step.record({"draft": "On its way."}, calls=calls)
            turn.record({"outcome": "answer"})
        assert tracer.undelivered > 0
    assert tracer.undelivered == 0
    root = server.named("turn")
    kinds = {span["name"]: attribute(span, "type") for span in server.spans if span["name"] != "answer"}
    assert kinds == {"turn": "agent", "guard_input": "guardrail", "retrieve": "retriever", "generate": "chain"}
    assert {span["trace"] for span in server.spans} == {TRACE}
    assert {server.named(name)["parent"] for name in ("guard_input", "retrieve", "generate")} == {root["id"]}
    assert attribute(root, "output") == {"outcome": "answer"}
    assert attribute(server.named("retrieve"), "input") == {"standalone": "where is <ORDER_1>?"}
    assert attribute(server.named("retrieve"), "output")["passages"][0]["article"] == "a"

    failed, answered = sorted((s for s in server.spans if s["name"] == "answer"), key=lambda span: span["start"])
    generate = server.named("generate")
    assert failed["parent"] == answered["parent"] == generate["id"]
    assert attribute(answered, "type") == "generation"
    assert attribute(answered, "model.name") == "large"
    assert attribute(answered, "usage_details") == {"input": 60, "cache_read_input_tokens": 40, "output": 7}
    assert attribute(answered, "cost_details") == {"total": 0.001234}
    assert attribute(failed, "level") == "ERROR"
    assert attribute(failed, "status_message") == "TimeoutError"
    assert failed["start"] == generate["start"]
    assert answered["start"] == failed["end"] == failed["start"] + 30_000_000
    assert answered["end"] == answered["start"] + 20_000_000


def test_every_observation_says_whose_turn_it_was(server: Double) -> None:
    with tracer_to(server.url) as tracer, tracer.turn(ABOUT), tracer.step("route", "chain", {}):
        pass
    for span in server.spans:
        given = span["attributes"]
        assert given["user.id"] == "hash-1"
        assert given["session.id"] == "thread-1"
        assert given["langfuse.trace.tags"] == ["shop", "en"]
        assert given["langfuse.environment"] == "dev"
        assert given["langfuse.release"] == "r1"
        assert json.loads(given["langfuse.trace.metadata.desk"]) == "shop"


def test_steps_that_run_in_tasks_of_their_own_stand_below_their_own_turn(server: Double) -> None:
    async def step(tracer: LangfuseTracer, name: str) -> None:
        with tracer.step(name, "chain", {}):
            await asyncio.sleep(0.001)

    async def turn(tracer: LangfuseTracer, number: int) -> None:
        with tracer.turn(TurnContext(f"{number:032x}", "t", "u", "d", "r", "dev")):
            await asyncio.create_task(step(tracer, f"step-{number}"))

    async def both(tracer: LangfuseTracer) -> None:
        await asyncio.gather(turn(tracer, 1), turn(tracer, 2))

    with tracer_to(server.url) as tracer:
        asyncio.run(both(tracer))
    for number in (1, 2):
        assert server.named(f"step-{number}")["trace"] == f"{number:032x}"


def test_an_exception_passes_through_and_leaves_its_kind_but_not_its_text(server: Double) -> None:
    secret = "lan@mailbox.example"
    with (
        tracer_to(server.url) as tracer,
        pytest.raises(ValueError, match=secret),
        tracer.turn(ABOUT),
        tracer.step("route", "chain", {}),
    ):
        raise ValueError(secret)
    step = server.named("route")
    assert attribute(step, "level") == "ERROR"
    assert attribute(step, "status_message") == "ValueError"
    assert step["events"] == 0
    assert secret not in json.dumps(server.spans)


def test_a_stream_that_its_reader_abandons_breaks_nothing(server: Double) -> None:
    async def stream(tracer: LangfuseTracer) -> AsyncGenerator[int, None]:
        with tracer.turn(ABOUT):
            for number in range(9):
                yield number

    async def first(numbers: AsyncGenerator[int, None]) -> int:
        return await anext(numbers)

    async def abandoned(tracer: LangfuseTracer) -> None:
        numbers = stream(tracer)
        assert await asyncio.create_task(first(numbers)) == 0
        await numbers.aclose()

    with tracer_to(server.url) as tracer:
        asyncio.run(abandoned(tracer))
    assert attribute(server.named("turn"), "status_message") == "GeneratorExit"


def test_scores_arrive_by_trace_id_and_unscored_ones_are_not_sent(server: Double) -> None:
    with tracer_to(server.url) as tracer:
        tracer.score(TRACE, Score("grounding", 0.75, "three of four sentences"))
        tracer.score(TRACE, Score("helpful", None, "no model is up"))
    assert tracer.undelivered == 0
    (score,) = server.scores
    assert (score["traceId"], score["name"], score["value"]) == (TRACE, "grounding", 0.75)
    assert score["comment"] == "three of four sentences"


def test_scores_that_the_server_rejects_are_counted(server: Double) -> None:
    server.refused = 1
    with tracer_to(server.url) as tracer:
        tracer.score(TRACE, Score("grounding", 0.5))
        tracer.score(TRACE, Score("relevance", 0.5))
    assert len(server.scores) == 1
    assert tracer.undelivered == 1


def test_a_dead_server_costs_a_step_under_two_milliseconds_and_a_bounded_shutdown(dead_url: str) -> None:
    with tracer_to(dead_url, seconds=0.4) as tracer:
        best = 1.0
        for _ in range(50):
            start = time.perf_counter()
            with tracer.step("route", "chain", {"masked": "x" * 200}) as step:
                step.record({"scope": "in"})
            best = min(best, time.perf_counter() - start)
        tracer.score(TRACE, Score("grounding", 1.0))
        start = time.perf_counter()
        tracer.close()
        took = time.perf_counter() - start
    assert best < 0.002
    assert took < 1.5
    assert tracer.undelivered == 51


def test_a_hanging_server_does_not_hold_the_shutdown() -> None:
    with socket.create_server(("127.0.0.1", 0)) as hanging:
        with tracer_to(f"http://127.0.0.1:{hanging.getsockname()[1]}", seconds=0.4) as tracer:
            with tracer.turn(ABOUT):
                pass
            start = time.perf_counter()
            tracer.close()
        assert time.perf_counter() - start < 1.5
        assert tracer.undelivered == 1


def test_what_the_sdk_cannot_take_never_reaches_the_turn(server: Double) -> None:
    with tracer_to(server.url) as tracer:
        with tracer.turn(TurnContext("not hexadecimal", "ü" * 300, "u", "d", "r", "NOT AN ENVIRONMENT")) as span:
            span.record({"outcome": "answer"})
        assert tracer.undelivered == 1


def test_a_closed_tracer_can_be_opened_again(server: Double, dead_url: str) -> None:
    with tracer_to(dead_url, seconds=0.2):
        pass
    with tracer_to(server.url) as tracer, tracer.turn(ABOUT):
        pass
    assert server.named("turn")["trace"] == TRACE


def test_nothing_global_is_set(server: Double) -> None:
    before = global_trace.get_tracer_provider()
    with tracer_to(server.url), global_trace.get_tracer("another library").start_as_current_span("foreign"):
        pass
    assert global_trace.get_tracer_provider() is before
    assert server.spans == []


def test_log_lines_of_a_turn_carry_its_trace_id(server: Double) -> None:
    with tracer_to(server.url) as tracer:
        for one in (tracer, NoTracer()):
            with one.turn(ABOUT):
                assert structlog.contextvars.get_contextvars() == {"trace_id": TRACE}
            assert structlog.contextvars.get_contextvars() == {}


def test_without_keys_nothing_is_traced() -> None:
    tracer = open_tracer(host="http://127.0.0.1:1", public_key="pk", secret_key="", environment="dev", release="r")
    with tracer.turn(ABOUT) as turn, tracer.step("route", "chain", {}) as step:
        step.record({"scope": "in"})
        turn.record({})
    tracer.score(TRACE, Score("grounding", 1.0))
    tracer.close()
    assert isinstance(tracer, NoTracer)
    assert tracer.undelivered == 0


@pytest.mark.parametrize(
    ("version", "usable"), [("4.59.0", True), ("5.0.1", True), ("4.58.9", False), ("3.120.0", False)]
)
def test_check_server_says_when_scores_will_be_refused(server: Double, version: str, *, usable: bool) -> None:
    server.version = version
    check = asyncio.run(check_server(server.url))
    assert check.version == version
    assert (check.fault == "") is usable
    if not usable:
        assert "4.59" in check.fault


def test_check_server_says_when_nobody_answers(dead_url: str) -> None:
    check = asyncio.run(check_server(dead_url, seconds=0.5))
    assert check.version == ""
    assert dead_url in check.fault


def test_check_server_says_when_the_keys_are_refused(server: Double) -> None:
    server.authorization = BASIC
    assert asyncio.run(check_server(server.url, ("pk-test", "sk-test"))).fault == ""
    assert "refuses the keys" in asyncio.run(check_server(server.url, ("pk-test", "sk-other"))).fault
