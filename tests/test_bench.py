"""`frontdesk bench`: what counts as a turn, what comes out as a table, and ratios that a slow-down breaks."""

import asyncio
import itertools
import json

import pytest
import yaml
from cluster import listening
from typer.testing import CliRunner

from cli.main import app
from domain.errors import UsageError
from evals.bench import Figures, bodies, numbered
from evals.bench_check import check
from evals.bench_desk import furnish, questions
from evals.bench_tables import tables, write_into
from evals.clients import Answered, Load, closed_loop, quantile
from evals.upstream import FIRST_PASSAGE, Upstream, recited
from graph.profiles import read_profile
from retrieval.reading import public_titles

ANSWER = {"outcome": "answer", "receipt": {"mode": "local", "steps": [{"name": "route", "ms": 2.0}]}}


def test_only_a_turn_that_a_model_answered_counts():
    load = Load(clients=1, seconds=2.0)
    told = [
        (200, ANSWER),
        (200, ANSWER | {"receipt": {"mode": "quote", "steps": []}}),
        (200, {"outcome": "refuse", "reason": "injection"}),
        (503, {}),
        (200, ANSWER),
    ]
    for status, reply in told:
        load.take(Answered(10.0, 10.0, status, reply), bare=False)
    assert (len(load.answers), load.per_second) == (2, 1.0)
    assert dict(load.left_out) == {"by quote": 1, "refuse: injection": 1, "status 503": 1}
    assert load.step_ms() == {"route": 2.0}


def test_clients_ask_in_turn_and_time_the_first_word():
    open_at_once, most = 0, 0

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal open_at_once, most
        open_at_once += 1
        most = max(most, open_at_once)
        try:
            while True:
                await reader.readuntil(b'"}')
                done = f"event: done\ndata: {json.dumps(ANSWER)}\n\n".encode()
                writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
                for piece in (b"event: token\ndata: {}\n\n", done, b""):
                    writer.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
        except asyncio.IncompleteReadError:
            open_at_once -= 1

    async def run() -> Load:
        async with listening(answer) as url:
            bodies = ({"message": str(number)} for number in itertools.count())
            return await closed_loop(f"{url}/v1/chat/stream", bodies, clients=3, requests=12)

    load = asyncio.run(run())
    assert (len(load.answers), load.left_out.total(), most) == (12, 0, 3)
    assert all(0 < one.first_ms <= one.ms for one in load.answers)


def test_a_server_that_is_not_there_is_counted_not_raised():
    load = asyncio.run(closed_loop("http://127.0.0.1:1/v1/chat", [{}] * 3, clients=2, requests=3))
    assert dict(load.left_out) == {"status 0": 3}


def test_quantiles_are_interpolated():
    assert [quantile([1.0, 2.0, 3.0, 4.0], share) for share in (0.0, 0.5, 1.0)] == [1.0, 2.5, 4.0]
    assert quantile([], 0.5) != quantile([], 0.5)


def test_the_upstream_recites_the_first_passage_of_the_last_message():
    asked = {
        "messages": [
            {"content": "[1] Old\nnot this"},
            {"content": "<passages>\n[1] Kettle\nIt has a lid.\n\n[2] B\nNo"},
        ]
    }
    assert recited(asked) == "It has a lid."
    assert FIRST_PASSAGE.search("no passage") is None
    assert recited({"messages": [{"content": "Hello"}]}) == "Thank you for asking."


@pytest.mark.parametrize("stream", [False, True])
def test_the_upstream_speaks_as_openai_does(stream):
    sent = []

    async def receive():
        return {"body": json.dumps({"stream": stream, "messages": [{"content": "[1] A\nOne two."}]}).encode()}

    async def send(message):
        sent.append(message)

    asyncio.run(Upstream(0.0)({"path": "/v1/chat/completions"}, receive, send))
    body = sent[-1]["body"].decode()
    if not stream:
        assert json.loads(body)["choices"][0]["message"]["content"] == "One two."
        return
    events = [json.loads(line[6:]) for line in body.splitlines() if line.startswith("data: {")]
    words = [one["choices"][0]["delta"].get("content", "") for one in events if one["choices"]]
    assert "".join(words).split() == ["One", "two."]
    assert events[-1]["usage"]["completion_tokens"] == 2
    assert body.endswith("data: [DONE]\n\n")


def test_a_desk_of_any_size_is_a_valid_one_in_english(tmp_path):
    desk = furnish(tmp_path / "bench-30", 30)
    assert read_profile(desk).languages == ["en"]
    assert len(set(public_titles(desk / "knowledge"))) == 30
    assert len(set(itertools.islice(questions(30), 300))) == 300
    assert len(set(itertools.islice(numbered(("One?", "Two?")), 20))) == 20


FIGURES: Figures = {
    "workers": 1, "cores": 2, "load_before": 0.1, "direct_ms_p50": 50.2, "direct_ms_p95": 51.0, "counted": 900, "left_out": 3,
    "left_out_why": "3 by quote", "added_ms_p50": 21.4, "added_ms_p95": 38.0, "stream_first_added_ms_p50": 20.0,
    "stream_first_added_ms_p95": 30.0, "stream_added_ms_p50": 25.0, "stream_added_ms_p95": 41.0, "stream_requests_per_s_32": 55.0,
    "cpu_ms": 17.0, "rss_mb": 480.0, "ready_first_s": 9.0, "ready_s": 3.0, "thread_start_added_ms_p50": 22.0,
    "thread_20_turns_added_ms_p50": 30.0,
    **{f"step_{name}_ms": 4.0 for name in ("guard_input", "route", "retrieve", "generate", "guard_output")},
    **{f"{name}_{count}": 61.0 + count for name in ("requests_per_s", "ms_p50", "ms_p95", "cpu_ms") for count in (8, 32, 64)},
}  # fmt: skip


def test_tables_say_what_was_measured_and_what_was_left_out(tmp_path):
    text = tables(FIGURES)
    assert "| added at 1 client, p50 / p95 | 21 / 38 ms |" in text
    assert "| 32 | 93 | 93 | 93 | 93 |" in text
    assert "900 turns counted, 3 left out (3 by quote)" in text
    grown = {f"articles_1000_{name}": value for name, value in FIGURES.items() if isinstance(value, float)}
    assert "| 1,000 articles | 21 / 38 ms | 17.0 ms | 93 | 93 ms | 480 MB | 3.0 s |" in tables(FIGURES | grown)
    beside = {f"beside_{name}": value for name, value in FIGURES.items() if isinstance(value, float)}
    assert "| RSS after all that | 480 MB | 480 MB |" in tables(FIGURES | beside | {"beside": "shop"})
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- bench -->\nold\n<!-- /bench -->\nafter", "utf-8")
    write_into(page, FIGURES)
    assert page.read_text("utf-8") == f"before\n<!-- bench -->\n{text}\n<!-- /bench -->\nafter"
    with pytest.raises(UsageError, match="bench-2"):
        write_into(page, FIGURES | {"workers": 2})


def test_two_processes_need_servers_and_a_desk_beside_needs_cases(tmp_path):
    said = CliRunner().invoke(app, ["bench", "--workers", "2"])
    assert (said.exit_code, "FRONTDESK_DATABASE_URL" in said.output) == (2, True)
    said = CliRunner().invoke(app, ["bench", "--desk", str(furnish(tmp_path / "caseless", 1))])
    assert (said.exit_code, "dev.jsonl" in said.output) == (2, True)


SLOW = ["[aeiou].*[#~]"] * 4_000


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_ratios_hold_and_a_slow_down_breaks_them(tmp_path):
    held = check(lambda _line: None)
    assert held.above == []
    assert int(held.figures["counted"]) > 10 * int(held.figures["left_out"])
    slow = furnish(tmp_path / "slow", 20)
    profile = yaml.safe_load((slow / "desk.yaml").read_text("utf-8"))
    # A rule of many patterns that find nothing: every turn pays for them.
    told = {"id": "slow", "side": "input", "kind": "forbid", "patterns": SLOW, "text": {"en": "No."}}
    (slow / "desk.yaml").write_text(yaml.safe_dump(profile | {"rules": [told]}), "utf-8")
    broken = check(lambda _line: None, slow, bodies(questions(20)))
    assert "cpu_over_bare" in broken.above
