"""The connections to servers of models: real sockets on loopback that count, hang up, and stand in for a proxy."""

import asyncio
import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import httpx
import pytest

from models.catalog import Endpoint
from models.connection import GONE, connections

OUTSIDE = "http://models.example.test/v1"
BODY = json.dumps({"messages": [{"role": "user", "content": "x" * 50_000}]}).encode()


class Listener:
    """An HTTP/1.1 server: the targets of its requests, and the client's port of each."""

    def __init__(self) -> None:
        self.targets: list[str] = []
        self.ports: list[int] = []
        self.hangs_up = False
        listener = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["content-length"]))
                listener.targets.append(self.path)
                listener.ports.append(self.client_address[1])
                self.send_response(200)
                self.send_header("content-length", "2")
                self.end_headers()
                self.wfile.write(b"{}")
                self.close_connection = listener.hangs_up  # unsaid, as by a server whose patience has ended

            def log_message(self, *_: Any) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.thread = Thread(target=self.server.serve_forever, args=(0.02,))
        self.thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture
def listener() -> Iterator[Listener]:
    made = Listener()
    yield made
    made.server.shutdown()
    made.server.server_close()
    made.thread.join()


@pytest.fixture(autouse=True)
def no_proxy_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def post(endpoint: Endpoint, times: int = 1, pause: float = 0.0) -> list[str]:
    """Ask so many times, one after another; for each request "gone" once it was out, and what became of it."""
    told = list[str]()

    async def story() -> None:
        async with connections(endpoint) as client:
            for _ in range(times):
                GONE.set(lambda: told.append("gone"))
                try:
                    answer = await client.post(f"{endpoint.base_url}/chat/completions", content=BODY)
                    told.append(str(answer.status_code))
                except httpx.TransportError as fault:
                    told.append(type(fault).__name__)
                await asyncio.sleep(pause)

    asyncio.run(story())
    return told


def at(url: str, *, private: bool) -> Endpoint:
    return Endpoint("custom", url, "api", "k", private=private)


def test_requests_follow_each_other_on_one_connection(listener):
    assert post(at(f"{listener.url}/v1", private=True), times=4) == ["gone", "200"] * 4
    assert len(set(listener.ports)) == 1


def test_a_server_that_hangs_up_between_two_requests_is_asked_over_a_new_connection(listener):
    listener.hangs_up = True
    assert post(at(f"{listener.url}/v1", private=True), times=3, pause=0.05) == ["gone", "200"] * 3
    assert len(set(listener.ports)) == 3


def test_a_request_that_never_went_out_is_not_said_to_have_gone(listener):
    listener.server.server_close()
    (what,) = post(at(f"{listener.url}/v1", private=True))
    assert what.startswith("Connect")


@pytest.mark.parametrize("name", ["http_proxy", "ALL_PROXY"])
def test_the_environments_proxy_is_for_the_outside_alone(listener, monkeypatch, name):
    monkeypatch.setenv(name, listener.url.removeprefix("http://") if name == "ALL_PROXY" else listener.url)
    assert post(at(OUTSIDE, private=False)) == ["gone", "200"]
    assert listener.targets == [f"{OUTSIDE}/chat/completions"]
    assert post(at(f"{listener.url}/v1", private=True)) == ["gone", "200"]
    assert listener.targets[1] == "/v1/chat/completions"


def test_what_no_proxy_names_is_asked_without_one(listener, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "localhost,127.0.0.1")
    assert post(at(f"{listener.url}/v1", private=False)) == ["gone", "200"]
    assert listener.targets == ["/v1/chat/completions"]
