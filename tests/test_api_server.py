"""The door on a real socket: clients that leave, signals, ports, and the whole service in a process of its own."""

import asyncio
import os
import signal
import socket
import time
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import httpx
import pytest
from api_fakes import TOKEN, FakeService, events_of

from api import create_app, run_server
from api.server import address_of, listen, open_listener
from domain.errors import UsageError
from domain.settings import Settings

ROOT = Path(__file__).resolve().parent.parent
QUESTION = {"message": "How long do I have?"}
EVENTS = {"Accept": "text/event-stream"}
PATIENCE = 10.0


@asynccontextmanager
async def served(service, *, grace=5.0):
    """The application on a free port of loopback; its address, and the task that ends when serving does."""
    listener, ready = open_listener("127.0.0.1", 0), asyncio.Event()
    app = create_app(service, owner_token=TOKEN, heartbeat=0.05)
    serving = asyncio.create_task(listen(app, listener, grace=grace, ready=ready.set))
    await asyncio.wait({asyncio.create_task(ready.wait()), serving}, return_when=asyncio.FIRST_COMPLETED)
    async with httpx.AsyncClient(base_url=address_of(listener, "127.0.0.1"), trust_env=False) as http:
        yield http, serving
    if not serving.done():
        os.kill(os.getpid(), signal.SIGTERM)
    async with asyncio.timeout(PATIENCE):
        await serving
        await app.state.doors.turns.settled()


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

    assert on_socket(work).json()["turn_id"] == "turn-2"


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


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.4", "desk.example"])  # noqa: S104  # refused
def test_other_machines_are_not_served_without_keys(host):
    with pytest.raises(UsageError, match="API keys"):
        run_server(Settings(host=host, llm="off"))


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
