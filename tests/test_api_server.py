"""The door on a real socket: clients that leave, signals, ports, and the whole service in a process of its own."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
from api_fakes import FakeService, events_of, served

from api import create_app, run_server
from api.server import address_of, listen, open_listener
from domain.errors import UsageError
from domain.settings import Settings
from store import read_owner

ROOT = Path(__file__).resolve().parent.parent
QUESTION = {"message": "How long do I have?"}
EVENTS = {"Accept": "text/event-stream"}
PATIENCE = 10.0


def on_socket(work, **options):
    async def run():
        service = FakeService()
        service.desk.wait = asyncio.Event()
        async with asyncio.timeout(PATIENCE), served(service, **options) as (http, serving):
            return await work(http, service.desk, serving)

    return asyncio.run(run())


@pytest.mark.parametrize("headers", [EVENTS, {}], ids=["events", "whole"])
def test_a_client_that_leaves_stops_the_turn(headers):
    async def work(http, desk, serving):
        del serving
        asking = asyncio.create_task(http.post("/v1/chat", json=QUESTION, headers=headers))
        await desk.begun.wait()
        await asyncio.sleep(0.05)
        assert not desk.stopped.is_set()
        asking.cancel()
        await desk.stopped.wait()
        return desk.finished

    assert on_socket(work) == 0


def test_a_reader_who_leaves_in_mid_stream_stops_the_turn_and_may_ask_again():
    async def work(http, desk, serving):
        del serving
        headers = EVENTS | {"Idempotency-Key": "k"}
        async with http.stream("POST", "/v1/chat", json=QUESTION, headers=headers) as answer:
            async for line in answer.aiter_lines():
                if line.startswith("event: step"):
                    break
        await desk.stopped.wait()
        desk.wait.set()
        return await http.post("/v1/chat", json=QUESTION, headers={"Idempotency-Key": "k"})

    assert on_socket(work).json()["trace_id"].endswith("2")


def test_a_signal_lets_a_running_turn_finish():
    async def work(http, desk, serving):
        asking = asyncio.create_task(http.post("/v1/chat", json=QUESTION, headers=EVENTS))
        await desk.begun.wait()
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.sleep(0.3)
        assert not serving.done()
        refused = False
        try:
            await httpx.AsyncClient(base_url=http.base_url).get("/healthz")
        except httpx.ConnectError:
            refused = True
        desk.wait.set()
        answer = await asking
        await serving
        return answer, refused

    answer, refused = on_socket(work)
    assert events_of(answer.text)[-1][0] == "done"
    assert refused


def test_a_turn_that_never_ends_is_stopped_when_the_time_is_up():
    async def work(http, desk, serving):
        asking = asyncio.create_task(http.post("/v1/chat", json=QUESTION, headers=EVENTS))
        await desk.begun.wait()
        started = time.monotonic()
        os.kill(os.getpid(), signal.SIGTERM)
        await serving
        with suppress(httpx.HTTPError):
            await asking
        await desk.stopped.wait()
        return time.monotonic() - started

    assert 0.9 < on_socket(work, grace=0.5) < 4


def test_raw_nonsense_is_refused_and_the_next_client_served():
    async def work(http, desk, serving):
        del serving
        desk.wait.set()
        said = []
        for bytes_ in (b"\x16\x03\x01\x02\n\r\n\r\n", b"POST /v1/chat HTTP/1.1\r\n\r\n", b"GET / HTTP/1.0\r\n\r\n"):
            reader, writer = await asyncio.open_connection(http.base_url.host, http.base_url.port)
            writer.write(bytes_)
            said.append((await reader.readline()).split()[1])
            writer.close()
            await writer.wait_closed()
        return said, await http.post("/v1/chat", json=QUESTION)

    said, answer = on_socket(work)
    assert said[0] == b"400"
    assert set(said[1:]) <= {b"400", b"421"}
    assert answer.status_code == 200


# ---- where it may listen


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])  # noqa: S104  # refused
def test_other_machines_are_not_served_without_keys(host, tmp_path):
    with pytest.raises(UsageError, match=r"no API key yet.*frontdesk keys create"):
        run_server(Settings(host=host, port=0, llm="off", home=tmp_path))
    assert not list(tmp_path.rglob("chroma*"))


def test_a_port_in_use_is_named(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(UsageError, match=f"port {port} is in use.*--port"):
            run_server(Settings(port=port, llm="off", home=tmp_path))
    assert not list(tmp_path.iterdir())


def test_a_port_taken_while_the_desk_was_opened_is_named():
    async def run():
        with open_listener("127.0.0.1", 0) as listener, socket.socket() as other:
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            other.bind(listener.getsockname())
            other.listen()
            await listen(create_app(FakeService()), listener, grace=1, ready=lambda: None)

    with pytest.raises(UsageError, match=r"port \d+ is in use"):
        asyncio.run(run())


def test_ipv6_loopback_has_an_address_of_its_own():
    try:
        listener = open_listener("::1", 0)
    except UsageError:
        pytest.skip("this machine has no IPv6")
    with listener:
        assert address_of(listener, "::1") == f"http://[::1]:{listener.getsockname()[1]}"


# ---- the whole service, as `frontdesk serve` starts it

DESK = """\
name: Lamp Shop
scope:
  describe: An online shop for lamps. Orders, delivery, returns, refunds, warranty.
  in: ["How do I return a lamp?", "How long is the warranty?"]
"""
ARTICLE = """\
---
id: {id}
title: {title}
audience: public
language: en
---
# {title}

{text}
"""
ARTICLES = {
    "returns": (
        "Returning a lamp",
        "You can return a lamp within 30 days of delivery. It must be unused and in its box.",
    ),
    "delivery": ("Delivery times", "We ship within two working days. A parcel takes three to five days to arrive."),
    "warranty": ("Warranty", "Every lamp has a warranty of two years. It covers broken switches and cables."),
    "payment": ("Ways to pay", "You can pay by card, by bank transfer or with a voucher."),
    "bulbs": ("Choosing a bulb", "A reading lamp wants a bulb of 400 to 800 lumen with an E27 socket."),
}
START = "from cli.main import run; run()"


@pytest.fixture
def desk_folder(tmp_path):
    folder = tmp_path / "lamps"
    (folder / "knowledge").mkdir(parents=True)
    (folder / "desk.yaml").write_text(DESK, "utf-8")
    for name, (title, text) in ARTICLES.items():
        (folder / "knowledge" / f"{name}.md").write_text(ARTICLE.format(id=name, title=title, text=text), "utf-8")
    return folder


def start(desk_folder, port=0):
    command = [sys.executable, "-c", START, "serve", "--port", str(port), "--desk", str(desk_folder)]
    return subprocess.Popen(command, cwd=desk_folder.parent, stderr=subprocess.PIPE, text=True)


def address_said_by(process):
    for line in process.stderr:
        if " answers at " in line:
            return line.split(" answers at ")[1].strip()
    raise AssertionError(process.wait())


@pytest.mark.slow
def test_a_real_desk_is_served_and_stops_when_told(desk_folder):
    with start(desk_folder) as process:
        try:
            with httpx.Client(base_url=address_said_by(process), trust_env=False, timeout=30) as http:
                asked = http.post(
                    "/v1/chat", json={"message": "How many days do I have to return a lamp?", "user_id": "lan"}
                )
                reply = asked.json()
                streamed = http.post("/v1/chat/stream", json={"message": "How long is the warranty on a lamp?"})
                thread = http.get(f"/v1/threads/{reply['thread_id']}", params={"user_id": "lan"})
                foreign = http.get(f"/v1/threads/{reply['thread_id']}", params={"user_id": "minh"})
                rated = {"turn_id": reply["turn_id"], "rating": "up", "user_id": "lan"}
                feedback = http.post("/v1/feedback", json=rated)
                ready, metrics = http.get("/readyz"), http.get("/metrics")
            owner = read_owner(Path(os.environ["FRONTDESK_HOME"]) / "lamps")
            with httpx.Client(
                base_url=owner.address, headers={"Authorization": f"Bearer {owner.token}"}, trust_env=False
            ) as http:
                receipt = http.get("/admin/receipt", params={"turn_id": reply["turn_id"]})
                found = http.post("/admin/search", json={"question": "return a lamp"})
            second = start(desk_folder)
            refused = second.communicate(timeout=60)[1]
            process.send_signal(signal.SIGTERM)
            assert process.wait(PATIENCE) == 0
        finally:
            process.kill()
    assert (asked.status_code, reply["outcome"], [source["id"] for source in reply["sources"]]) == (
        200,
        "answer",
        ["returns"],
    )
    assert "30 days" in reply["answer"]
    assert [name for name, _ in events_of(streamed.text)][-2:] == ["sources", "done"]
    assert [message["role"] for message in thread.json()["messages"]] == ["user", "assistant"]
    assert (foreign.status_code, feedback.status_code, ready.json()["ready"]) == (404, 204, True)
    assert 'frontdesk_turns_total{language="en",mode="quote",outcome="answer"' in metrics.text
    assert receipt.json()["steps"][0]["name"] == "guard_input"
    assert found.json()["results"][0]["id"] == "returns"
    assert second.returncode == 1
    assert owner.address in refused.strip().splitlines()[-1]
    assert "Traceback" not in refused
