"""Turns on their way to Langfuse: nothing is lost, nothing comes twice, and nobody waits."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import structlog
from fakes import FrozenClock, ScriptedChat
from house import open_house
from langfuse import LangfuseOtelSpanAttributes as Names
from langfuse_double import BASIC, Double, langfuse
from places import open_store
from sqlalchemy import text

from domain.receipt import Receipt
from domain.turn import Call, Passage, Pins, Score, Step, TraceParent, Verdict
from graph.exporting import Exporter
from graph.record import Question
from tracing import Metrics
from tracing.server import LangfuseServer

ASKED = "How many days do I have to return a lamp?"
LEASE = 16.0


def receipt(number: int, **changes: Any) -> Receipt:
    """A turn like most: five steps, two calls, one of which failed."""
    turn_id = f"01900000-0000-7000-8000-{number:012x}"
    made = Receipt(
        turn_id=turn_id,
        thread_id=f"thread-{number}",
        trace_id=turn_id.replace("-", ""),
        desk="lamps",
        user="hash-1",
        at="2026-11-21T09:00:00+00:00",
        language="en",
        outcome="answer",
        reason=None,
        question="where is <ORDER_1>?",
        answer="It is on its way.",
        release="built-in",
        rag_config="test@1",
        knowledge="k1",
        latency_ms=100.0,
        mode="remote",
        model="large",
        prompt="answer@3",
        confidence=0.8,
        passages=[Passage("p#0", "p", "Parcels", "Parcels take two days.", 1.0)],
        verdicts=[Verdict("pii", "mask", "ORDER", 1.0), Verdict("pii", "pass"), Verdict("scope", "pass")],
        steps=[Step("guard_input", 5.0, 0.0), Step("retrieve", 15.0, 6.0), Step("generate", 60.0, 21.5)],
        calls=[
            Call("answer", "small", ok=False, input_tokens=50, ms=20.0, error="timed out", step="generate"),
            Call(
                "answer",
                "large",
                ok=True,
                input_tokens=100,
                cached_tokens=40,
                output_tokens=7,
                cost_microusd=1234,
                ms=30.0,
                began=1795251600.05,
                first_ms=12.5,
                max_tokens=300,
                temperature=0.0,
                prompt="answer@3",
                step="generate",
            ),
        ],
    )
    return replace(made, **changes)


class Sending:
    """A store, its exporter, and the metrics it writes."""

    def __init__(self, folder: Path, url: str, *, backlog: int = 1000, seconds: float = 1.0, key: str = "sk-test"):
        self.clock = FrozenClock()
        self.store = open_store(folder, self.clock, exports=True)
        self.metrics = Metrics()
        self.waited: list[float] = []
        self.exporter = Exporter(
            self.store,
            LangfuseServer(url, "pk-test", key, seconds=seconds),
            self.metrics,
            environment="staging",
            backlog=backlog,
            holder=str(id(self)),
            jitter=lambda: 1.0,
            sleep=self._sleep,
        )

    async def _sleep(self, seconds: float) -> None:
        self.waited.append(seconds)
        await asyncio.sleep(0.01)

    @property
    def waiting(self) -> int:
        return self.store.outbox.state()[0]

    @property
    def dropped(self) -> int:
        return self.store.outbox.state()[1]


@asynccontextmanager
async def sending(folder: Path, url: str, **options: Any) -> AsyncIterator[Sending]:
    one = Sending(folder, url, **options)
    try:
        yield one
    finally:
        await one.exporter.close()
        one.store.close()


def attribute(span: dict[str, Any], name: str) -> Any:
    value = span["attributes"].get(f"langfuse.observation.{name}")
    return json.loads(value) if isinstance(value, str) and value[:1] in '[{"' else value


def test_a_receipt_is_one_trace_with_its_recorded_times(tmp_path: Path) -> None:
    async def run(server: Double) -> None:
        async with sending(tmp_path, server.url) as one:
            one.store.ledger.save(receipt(1))
            assert await one.exporter.drain(5)

    with langfuse() as server:
        asyncio.run(run(server))
    root = server.named("turn")
    began = round(datetime.fromisoformat(receipt(1).at).timestamp()) * 10**9
    assert {span["trace"] for span in server.spans} == {receipt(1).trace_id}
    assert [span["name"] for span in server.spans if not span["parent"]] == ["turn"]
    assert (root["start"], root["end"]) == (began, began + 100_000_000)
    assert (attribute(root, "type"), attribute(root, "input")) == ("agent", "where is <ORDER_1>?")
    for span in server.spans:
        said = span["attributes"]
        assert (said["user.id"], said["session.id"]) == ("hash-1", "thread-1")
        assert (said["langfuse.environment"], said["langfuse.release"]) == ("staging", "built-in")
        assert said["langfuse.trace.tags"] == ["lamps", "en", "answer"]
        assert said["langfuse.trace.metadata.desk"] == "lamps"
    kinds = {span["name"]: attribute(span, "type") for span in server.spans}
    assert kinds["guard_input"] == "guardrail"
    assert kinds["retrieve"] == "retriever"
    retrieve, generate = server.named("retrieve"), server.named("generate")
    assert retrieve["start"] == began + 6_000_000
    assert retrieve["end"] == began + 21_000_000
    assert attribute(retrieve, "output")["passages"][0]["text"] == "Parcels take two days."
    failed, good = [span for span in server.spans if span["name"] == "answer"]
    assert failed["parent"] == good["parent"] == generate["id"]
    assert (attribute(failed, "level"), attribute(failed, "status_message")) == ("ERROR", "timed out")
    assert failed["start"] == generate["start"]
    assert good["start"] == began + 50_000_000
    assert attribute(good, "usage_details") == {"input": 60, "cache_read_input_tokens": 40, "output": 7}
    assert attribute(good, "cost_details") == {"total": 0.001234}
    assert attribute(good, "model.parameters") == {"max_tokens": 300, "temperature": 0.0}
    assert (attribute(good, "prompt.name"), attribute(good, "prompt.version")) == ("answer", 3)
    assert attribute(good, "completion_start_time").startswith("2026-11-21T09:00:00.0625")
    assert {score["name"]: score["value"] for score in server.scores} == {
        "outcome": "answer", "retrieval_confidence": 0.8, "guard_pii": 1,
    }  # fmt: skip


def test_names_are_those_of_the_sdk() -> None:
    ours = Path("tracing/spans.py").read_text(encoding="utf-8")
    for name in (
        Names.TRACE_NAME, Names.TRACE_USER_ID, Names.TRACE_SESSION_ID, Names.TRACE_TAGS, Names.TRACE_METADATA,
        Names.ENVIRONMENT, Names.RELEASE, Names.AS_ROOT, Names.OBSERVATION_TYPE, Names.OBSERVATION_LEVEL,
        Names.OBSERVATION_STATUS_MESSAGE, Names.OBSERVATION_INPUT, Names.OBSERVATION_OUTPUT,
        Names.OBSERVATION_METADATA, Names.OBSERVATION_MODEL, Names.OBSERVATION_MODEL_PARAMETERS,
        Names.OBSERVATION_USAGE_DETAILS, Names.OBSERVATION_COST_DETAILS, Names.OBSERVATION_PROMPT_NAME,
        Names.OBSERVATION_PROMPT_VERSION, Names.OBSERVATION_COMPLETION_START_TIME,
    ):  # fmt: skip
        assert f'"{name}' in ours, name


def test_a_turn_of_the_desk_its_judge_and_its_thumb_are_one_trace_whose_cost_is_the_ledgers(tmp_path: Path) -> None:
    async def run(server: Double) -> Receipt:
        chat = ScriptedChat(["You have 30 days to return an unused lamp."])
        async with open_house(tmp_path, chat=chat, exports=True) as house:
            exporter = Exporter(
                house.store, LangfuseServer(server.url, "pk", "sk"), house.metrics,
                environment="dev", backlog=100, holder="here", jitter=lambda: 0.0,
            )  # fmt: skip
            reply = await house.desk.ask(Question(ASKED, user_id="ann"))
            assert await exporter.drain(5)
            first = len(server.spans)
            assert first >= 6
            await house.judging.drain()
            await house.desk.rate(reply.turn_id, "ann", "up", "thanks, write to me@x.example")
            assert await exporter.drain(5)
            assert len(server.spans) > first
            await exporter.close()
            return house.store.ledger.get(reply.turn_id)

    with langfuse() as server:
        kept = asyncio.run(run(server))
    assert [span["name"] for span in server.spans if not span["parent"]] == ["turn"]
    assert {span["trace"] for span in server.spans} == {kept.trace_id}
    assert server.twice() == []
    (judge,) = [span for span in server.spans if attribute(span, "type") == "evaluator"]
    assert judge["name"] == "judge"
    assert judge["parent"] == server.named("turn")["id"]
    judging = [span for span in server.spans if span["parent"] == judge["id"]]
    assert [attribute(span, "prompt.name") for span in judging] == ["judge"]
    cost = sum(json.loads(span["attributes"].get("langfuse.observation.cost_details", "{}")).get("total", 0)
               for span in server.spans)  # fmt: skip
    assert round(cost * 1_000_000) == kept.cost_microusd > 0
    scores = {score["name"]: score for score in server.scores}
    assert {"grounding", "relevance", "helpful", "outcome", "retrieval_confidence"} <= set(scores)
    assert scores["feedback"]["value"] == 1.0
    assert "me@x.example" not in json.dumps(server.scores)
    assert "thanks" in scores["feedback"]["comment"]


@pytest.mark.parametrize("trouble", ["away", "500", "503", "401", "hang", "404"])
def test_nothing_is_lost_while_langfuse_takes_nothing_and_it_is_told_once(tmp_path: Path, trouble: str) -> None:
    async def run(server: Double) -> None:
        url = server.url if trouble != "away" else unused()
        async with sending(tmp_path, url, seconds=0.2) as one:
            spoil(server, trouble)
            with structlog.testing.capture_logs() as lines:
                for number in range(3):
                    one.store.ledger.save(receipt(number))
                    assert not await one.exporter.send()
            assert one.waiting == 3
            assert one.dropped == 0
            assert [line["event"] for line in lines] == ["traces wait for Langfuse"]
            assert b"frontdesk_traces_undelivered 3.0" in one.metrics.render()
        async with sending(tmp_path, server.url) as one:
            spoil(server, "")
            assert await one.exporter.drain(5)

    with langfuse() as server:
        asyncio.run(run(server))
    assert [span["session"] for span in roots(server)] == ["thread-0", "thread-1", "thread-2"]
    assert server.twice() == []


@pytest.mark.parametrize(
    ("version", "key", "said"),
    [("4.58.9", "sk-test", "will refuse our scores"), ("4.61.0", "sk-other", "refuses the keys")],
)
def test_the_start_says_what_is_wrong_with_the_server(tmp_path: Path, version: str, key: str, said: str) -> None:
    async def run(server: Double) -> list[Any]:
        server.version, server.authorization = version, BASIC
        async with sending(tmp_path, server.url, key=key) as one:
            with structlog.testing.capture_logs() as lines:
                await one.exporter.start()
                await until(lambda: bool(one.waited))
            return lines

    with langfuse() as server:
        (line,) = asyncio.run(run(server))
    assert said in line["reason"]


def test_a_server_that_starts_again_gets_what_it_missed_and_pauses_grow_and_end(tmp_path: Path) -> None:
    async def run() -> Double:
        with langfuse() as first:
            port = first.server_port
        async with sending(tmp_path, f"http://127.0.0.1:{port}", seconds=0.5) as one:
            one.store.ledger.save(receipt(1))
            await one.exporter.start()
            await until(lambda: len(one.waited) >= 8)
            assert one.waited[:8] == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0]
            with langfuse(port) as second:
                await until(lambda: one.waiting == 0)
                return second

    assert [span["session"] for span in roots(asyncio.run(run()))] == ["thread-1"]


def test_what_langfuse_refuses_is_counted_and_does_not_hold_up_the_rest(tmp_path: Path) -> None:
    async def run(server: Double) -> tuple[int, int]:
        server.bad_text = "poison"
        async with sending(tmp_path, server.url) as one:
            for number in range(8):
                one.store.ledger.save(receipt(number, answer="poison" if number == 5 else "fine"))
            with structlog.testing.capture_logs() as lines:
                assert await one.exporter.drain(5)
            assert [line["event"] for line in lines] == ["traces are given up"]
            return one.store.outbox.state()

    with langfuse() as server:
        assert asyncio.run(run(server)) == (0, 1)
    assert [span["session"] for span in roots(server)] == [f"thread-{number}" for number in range(8) if number != 5]


def test_of_scores_that_are_taken_in_part_some_are_tried_again_and_some_are_given_up(tmp_path: Path) -> None:
    async def run(server: Double) -> None:
        server.refused_names = {"outcome": 500, "guard_pii": 400}
        async with sending(tmp_path, server.url) as one:
            one.store.ledger.save(receipt(1))
            assert not await one.exporter.drain(1)
            assert one.waiting == 1
            server.refused_names = {"guard_pii": 400}
            assert await one.exporter.drain(5)
            assert (one.waiting, one.dropped) == (0, 1)

    with langfuse() as server:
        asyncio.run(run(server))
    assert server.twice() == []
    assert "outcome" in {score["name"] for score in server.scores}


def test_two_processes_on_one_outbox_send_everything_once(tmp_path: Path) -> None:
    async def run(server: Double) -> None:
        async with sending(tmp_path, server.url) as one, sending(tmp_path, server.url) as two:
            for number in range(90):
                one.store.ledger.save(receipt(number))
            await asyncio.gather(one.exporter.send(), two.exporter.send())
            await asyncio.gather(one.exporter.drain(10), two.exporter.drain(10))
            one.clock.advance(LEASE)
            two.clock.advance(LEASE)
            assert await one.exporter.drain(10)

    with langfuse() as server:
        asyncio.run(run(server))
    assert len(roots(server)) == 90
    assert server.twice() == []


def test_a_sender_that_was_killed_is_followed_when_its_lease_ends(tmp_path: Path) -> None:
    async def run(server: Double) -> None:
        async with sending(tmp_path, server.url) as killed, sending(tmp_path, server.url) as next_one:
            killed.store.ledger.save(receipt(1))
            assert killed.store.leases.take("traces", "killed")
            assert not await next_one.exporter.drain(1)
            next_one.clock.advance(LEASE)
            assert await next_one.exporter.drain(5)

    with langfuse() as server:
        asyncio.run(run(server))
    assert len(roots(server)) == 1


def test_a_clock_that_went_back_neither_blocks_the_outbox_nor_spoils_a_trace(tmp_path: Path) -> None:
    async def run(server: Double) -> None:
        async with sending(tmp_path, server.url) as ahead, sending(tmp_path, server.url) as now:
            ahead.clock.advance(86_400)
            assert ahead.store.leases.take("traces", "ahead")
            now.store.ledger.save(receipt(1, at="2031-01-01T00:00:00+07:00", latency_ms=-5.0))
            assert await now.exporter.drain(5)

    with langfuse() as server:
        asyncio.run(run(server))
    root = server.named("turn")
    assert root["end"] >= root["start"]
    assert root["start"] == round(datetime.fromisoformat("2030-12-31T17:00:00+00:00").timestamp()) * 10**9


def test_a_receipt_that_cannot_be_read_is_counted_and_the_others_go(tmp_path: Path) -> None:
    async def run(server: Double) -> tuple[int, int]:
        async with sending(tmp_path, server.url) as one:
            for number in range(5):
                one.store.ledger.save(receipt(number, trace_id="no trace" if number == 3 else receipt(number).trace_id))
            with one.store._database.write() as connection:
                connection.execute(text("UPDATE receipts SET body = '{torn' WHERE thread_id = 'thread-1'"))
                connection.execute(text("UPDATE receipts SET body = '{}' WHERE thread_id = 'thread-2'"))
            assert await one.exporter.drain(5)
            return one.store.outbox.state()

    with langfuse() as server:
        assert asyncio.run(run(server)) == (0, 3)
    assert [span["session"] for span in roots(server)] == ["thread-0", "thread-4"]


def test_strange_ids_and_long_texts_arrive_as_langfuse_takes_them(tmp_path: Path) -> None:
    async def run(server: Double) -> None:
        async with sending(tmp_path, server.url) as one:
            one.store.ledger.save(
                receipt(1, user="Nguyễn", thread_id="t" * 300, answer="ă" * 150_000, question="half \ud800 pair")
            )
            assert await one.exporter.drain(5)

    with langfuse() as server:
        asyncio.run(run(server))
    root = server.named("turn")
    for name in ("user.id", "session.id"):
        assert root["attributes"][name].isascii()
        assert len(root["attributes"][name]) == 32
    assert attribute(root, "output").endswith("[cut: 150,000 characters in all]")
    assert len(attribute(root, "output")) < 100_100
    assert attribute(root, "input") == "half ? pair"


def test_an_outbox_that_is_full_gives_up_the_oldest_and_counts_them(tmp_path: Path) -> None:
    async def run(server: Double) -> None:
        async with sending(tmp_path, unused(), backlog=4, seconds=0.2) as one:
            with structlog.testing.capture_logs() as lines:
                for number in range(10):
                    one.store.ledger.save(receipt(number))
                    await one.exporter.send()
            assert (one.waiting, one.dropped) == (4, 6)
            assert sum(line["event"] == "traces are given up" for line in lines) == 1
            assert b"frontdesk_traces_dropped 6.0" in one.metrics.render()
        async with sending(tmp_path, server.url) as one:
            assert await one.exporter.drain(5)

    with langfuse() as server:
        asyncio.run(run(server))
    assert [span["session"] for span in roots(server)] == [f"thread-{number}" for number in range(6, 10)]


def test_retention_counts_what_was_never_delivered(tmp_path: Path) -> None:
    with_one = Sending(tmp_path, unused())
    with_one.store.ledger.save(receipt(1))
    with_one.store.purge(datetime.fromisoformat("2027-01-01T00:00:00+00:00"))
    assert (with_one.waiting, with_one.dropped) == (0, 1)
    with_one.store.close()


def test_without_exports_nothing_is_put_down(tmp_path: Path) -> None:
    store = open_store(tmp_path, FrozenClock())
    store.ledger.save(receipt(1))
    store.ledger.add_scores(receipt(1).turn_id, [Score("grounding", 1.0)], (), Step("judge", 3.0, 120.0))
    store.feedback.add(receipt(1).turn_id, "up")
    assert store.outbox.state() == (0, 0)
    assert store.ledger.get(receipt(1).turn_id).steps[-1] == Step("judge", 3.0, 120.0)
    store.close()


def test_a_step_that_failed_is_a_box_with_its_error(tmp_path: Path) -> None:
    async def run(server: Double) -> None:
        async with sending(tmp_path, server.url) as one:
            steps = [Step("guard_input", 5.0, 0.0), Step("refuse", 1.0, 40.0)]
            one.store.ledger.save(
                receipt(1, steps=steps, calls=[], outcome="dont_know", reason="model_down", error="retrieve: OSError")
            )
            assert await one.exporter.drain(5)

    with langfuse() as server:
        asyncio.run(run(server))
    failed, root = server.named("retrieve"), server.named("turn")
    assert failed["end"] - failed["start"] == 35_000_000
    assert (attribute(failed, "level"), attribute(failed, "status_message")) == ("ERROR", "OSError")
    assert attribute(root, "level") == "ERROR"


@pytest.mark.parametrize("sampled", [True, False])
def test_a_turn_below_a_callers_span_is_in_the_callers_trace(tmp_path: Path, *, sampled: bool) -> None:
    parent = TraceParent("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7", sampled=sampled)

    async def run(server: Double) -> str:
        async with open_house(tmp_path, exports=True) as house:
            reply = await house.desk.ask(Question(ASKED, parent=parent), Pins(judge=False))
            exporter = Exporter(
                house.store, LangfuseServer(server.url, "pk", "sk"), house.metrics,
                environment="dev", backlog=100, holder="here", jitter=lambda: 0.0,
            )  # fmt: skip
            assert await exporter.drain(5)
            await exporter.close()
            return reply.trace_id

    with langfuse() as server:
        assert asyncio.run(run(server)) == parent.trace_id
    if sampled:
        assert {span["trace"] for span in server.spans} == {parent.trace_id}
        assert server.named("turn")["parent"] == parent.span_id
        assert server.named("turn")["attributes"]["langfuse.internal.as_root"] is True
    else:
        assert server.spans == server.scores == []


def test_closing_is_bounded_while_langfuse_hangs(tmp_path: Path) -> None:
    async def run(server: Double) -> float:
        server.hang.clear()
        one = Sending(tmp_path, server.url, seconds=60.0)
        one.store.ledger.save(receipt(1))
        await one.exporter.start()
        await asyncio.sleep(0.1)
        began = time.monotonic()
        await one.exporter.close()
        one.store.close()
        return time.monotonic() - began

    with langfuse() as server:
        assert asyncio.run(run(server)) < 5.0


KILLED = """
import asyncio, sys
sys.path[:0] = [{tests!r}, "."]
from pathlib import Path
from test_tracing_exporting import Sending, receipt

async def run():
    one = Sending(Path({folder!r}), {url!r}, seconds=5.0)
    for number in range(100):
        one.store.ledger.save(receipt(number))
    await one.exporter.start()
    print("saved", flush=True)
    await asyncio.sleep(60)

asyncio.run(run())
"""


@pytest.mark.slow
def test_after_kill_9_in_the_middle_the_next_process_sends_the_rest(tmp_path: Path) -> None:
    with langfuse() as server:
        code = KILLED.format(tests=str(Path(__file__).parent), folder=str(tmp_path), url=server.url)
        with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
            assert process.stdout
            process.stdout.readline()
            while not server.spans:
                time.sleep(0.005)
            os.kill(process.pid, signal.SIGKILL)
        before = len(roots(server))

        async def rest() -> None:
            async with sending(tmp_path, server.url) as one:
                one.clock.advance(LEASE)
                assert await one.exporter.drain(20)

        asyncio.run(rest())
    assert 0 < before < 100
    # A request that was taken just before the kill is sent again, under the same ids.
    assert {span["session"] for span in roots(server)} == {f"thread-{number}" for number in range(100)}
    assert len({span["id"] for span in roots(server)}) == 100


async def until(true: Callable[[], bool]) -> None:
    for _ in range(2_000):
        if true():
            return
        await asyncio.sleep(0.01)
    raise TimeoutError


def roots(server: Double) -> list[dict[str, Any]]:
    return [span | {"session": span["attributes"]["session.id"]} for span in server.spans if span["name"] == "turn"]


def spoil(server: Double, trouble: str) -> None:
    server.status = int(trouble) if trouble.isdecimal() and trouble != "401" else 200
    server.authorization = "Basic other" if trouble == "401" else BASIC
    if trouble == "hang":
        server.hang.clear()
    else:
        server.hang.set()


def unused() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}"
