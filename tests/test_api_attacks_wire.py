"""Attacks on the socket: clients that dawdle, flood, smuggle or just hang up; and a webhook that leads elsewhere."""

import asyncio
import json
import os
import resource
import signal
import subprocess
import sys
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import httpx
import psutil
import pytest
from api_fakes import FakeService, served
from fakes import FrozenClock
from openapi_fuzz import Description, check_answer, made_requests

from api.connections import HEAD_BYTES, SPARE_FILES, allow_files
from domain.settings import Settings
from graph.operations import OPERATIONS
from graph.webhook import Webhook, WebhookError, public
from store import read_owner

QUESTION = {"message": "How long do I have?"}
TIMEOUT = 10.0
SOON = 0.4
HEAD = b"POST /v1/chat HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"


def on_socket(work, **options):
    async def run():
        service = FakeService(settings=Settings(llm="off", request_timeout=SOON))
        async with asyncio.timeout(TIMEOUT), served(service, patience=SOON, **options) as (http, _):
            found = await work(http.base_url.host, http.base_url.port, service.desk)
            assert (await http.post("/v1/chat", json=QUESTION)).status_code == 200
            return found

    return asyncio.run(run())


async def said(host, port, *pieces, pause=0.0):
    """What the desk says to these bytes until it hangs up, and after how many seconds."""
    loop = asyncio.get_running_loop()
    reader, writer = await asyncio.open_connection(host, port)
    began = loop.time()
    heard = bytearray()

    async def listen():
        with suppress(ConnectionError):
            while piece := await reader.read(65_536):
                heard.extend(piece)

    listening = asyncio.create_task(listen())
    for piece in pieces:
        if listening.done() or writer.is_closing():
            break
        writer.write(piece)
        with suppress(ConnectionError):
            await writer.drain()
        await asyncio.sleep(pause)
    await listening
    writer.close()
    return bytes(heard), loop.time() - began


# ---- slow and large


@pytest.mark.parametrize(
    ("pieces", "status"),
    [
        ([], b""),
        ([b"POST /v1/chat HTTP/1.1\r\n", *[b"x-slow: 1\r\n"] * 30], b"408"),
        ([b"\r\n"] * 30, b"408"),
        ([HEAD + b"content-length: 40\r\n\r\n", *[b" "] * 30], b"408"),
        ([HEAD + b"transfer-encoding: chunked\r\n\r\n", *[b"1\r\n \r\n"] * 30], b"408"),
    ],
    ids=["silent", "head by bytes", "no head at all", "body by bytes", "chunks by bytes"],
)
def test_a_client_that_takes_its_time_is_hung_up_on(pieces, status):
    async def work(host, port, desk):
        answer, seconds = await said(host, port, *pieces, pause=0.05)
        return answer, seconds, len(desk.asked)

    answer, seconds, asked = on_socket(work)
    assert answer.split(b" ")[1:2] == ([status] if status else [])
    assert seconds < 4
    assert asked == 0


def test_a_connection_that_is_kept_open_must_go_on_in_time():
    async def work(host, port, desk):
        del desk
        first = b"GET /healthz HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n"
        return await said(host, port, first, b"GET /healthz HTTP/1.1\r\n", *[b"x: 1\r\n"] * 30, pause=0.05)

    answer, seconds = on_socket(work)
    assert answer.startswith(b"HTTP/1.1 200")
    assert b"HTTP/1.1 408" in answer
    assert seconds < 4


def test_a_connection_at_rest_is_not_hung_up_on_and_its_next_head_must_come_in_time():
    async def work(host, port, desk):
        del desk
        first = b"GET /healthz HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n"
        return await said(host, port, first, first, b"GET /healthz HTTP/1.1\r\n", pause=SOON * 2)

    answer, seconds = on_socket(work)
    assert [part[:3] for part in answer.split(b"HTTP/1.1 ")[1:]] == [b"200", b"200", b"408"]
    assert SOON * 4 < seconds < SOON * 8


@pytest.mark.parametrize(
    ("flood", "statuses"),
    [
        ([HEAD, *[b"x-large: " + b"a" * 8_000 + b"\r\n"] * 40], {b"431"}),
        ([b"GET /" + b"a" * 8_000, *[b"a" * 8_000] * 40], {b"431"}),
        ([HEAD + b"content-length: 99999999999\r\n\r\n", *[b"a" * 60_000] * 40], {b"413"}),
        ([HEAD + b"transfer-encoding: chunked\r\n\r\n", *[b"ea60\r\n" + b"a" * 60_000 + b"\r\n"] * 40], {b"413"}),
        ([HEAD + b"content-length: -1\r\n\r\n"], {b"400"}),
        ([HEAD + b"content-length: 9\r\ncontent-length: 8\r\n\r\n{}"], {b"400"}),
        ([HEAD + b"content-length: 9\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"], {b"400"}),
        ([HEAD + b"x: a\0b\r\n\r\n"], {b"400"}),
        ([HEAD + b"x\r\n : folded\r\n\r\n"], {b"400"}),
        ([b"GET /healthz HTTP/1.1\r\nhost: 127.0.0.1\rSet-Cookie: a=b\r\n\r\n"], {b"400", b"421"}),
        ([b"GET /v1/threads/x%0d%0aSet-Cookie:a=b HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n"], {b"404"}),
        ([b"GET /\xff\xfe HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n"], {b"400", b"404"}),
        ([b"CONNECT evil.example:443 HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n"], {b"400", b"404", b"405"}),
        ([b"GET http://evil.example/ HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n"], {b"200", b"404"}),
    ],
    ids=["headers", "address", "length", "chunks", "no length", "two lengths", "length and chunks", "nul", "folded",
         "cr in a header", "crlf in a path", "no ascii", "tunnel", "another's address"],
)  # fmt: skip
def test_what_is_too_large_or_no_http_is_refused_and_says_nothing_back(flood, statuses):
    async def work(host, port, desk):
        return *await said(host, port, *flood), len(desk.asked)

    answer, seconds, asked = on_socket(work)
    # Who floods may be hung up on before it has read why.
    assert not answer or answer.split(b" ")[1] in statuses
    assert b"a=b" not in answer.split(b"\r\n\r\n")[0]
    assert seconds < 4
    assert asked == 0


def test_a_head_just_within_bounds_is_taken():
    async def work(host, port, desk):
        del desk
        large = b"x: " + b"a" * (HEAD_BYTES - 200) + b"\r\n"
        return await said(
            host, port, b"GET /healthz HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n" + large + b"\r\n"
        )

    answer, _ = on_socket(work)
    assert answer.startswith(b"HTTP/1.1 200")


# ---- webhooks


@pytest.mark.parametrize(
    "address",
    ["64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "2002:7f00:1::", "::ffff:169.254.169.254", "::7f00:1", "fe80::1"],
)
def test_an_inner_address_in_ipv6s_clothes_is_not_public(address):
    assert not public(address)
    assert public("2606:4700:4700::1111")


def test_a_redirect_of_a_webhook_is_not_followed():
    hits = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            hits.append(self.path)
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(307)
            self.send_header("Location", f"http://127.0.0.1:{self.server.server_port}/inner")
            self.end_headers()

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        hook = Webhook(f"http://127.0.0.1:{server.server_port}/hook?token=XYZZY", FrozenClock(), private=True)
        with pytest.raises(WebhookError, match="answers 307") as told:
            asyncio.run(hook.send({"text": "hello"}))
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
    assert hits == ["/hook?token=XYZZY"]
    assert "XYZZY" not in str(told.value)


@pytest.mark.parametrize("host", ["0x7f.1", "2130706433", "127.1", "localhost", "[::ffff:127.0.0.1]", "0"])
def test_no_spelling_of_this_machine_gets_past(host):
    with pytest.raises(WebhookError, match=r"not public|no address"):
        asyncio.run(Webhook(f"http://{host}:9/x", FrozenClock()).send({}))


# ---- many, and the whole service


def test_connections_leave_files_for_the_desk_itself():
    room = allow_files()
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert 0 < room <= soft - min(SPARE_FILES, soft // 2)


DESK = """\
name: Lamp Shop
scope:
  describe: An online shop for lamps. Orders, delivery, returns, refunds, warranty.
  in: ["How do I return a lamp?", "How long is the warranty?"]
"""
ARTICLE = (
    "---\nid: returns\ntitle: Returning a lamp\naudience: public\nlanguage: en\n---\n"
    "# Returning a lamp\n\nYou can return a lamp within 30 days of delivery.\n"
)
MANY = 10_000
HEALED = 30.0


@pytest.fixture
def desk_process(tmp_path, monkeypatch):
    """A real `frontdesk serve`: its address, process and the owner's token."""
    monkeypatch.setenv("FRONTDESK_RATE_LIMIT_USER", "")
    folder = tmp_path / "lamps"
    (folder / "knowledge").mkdir(parents=True)
    (folder / "desk.yaml").write_text(DESK, "utf-8")
    (folder / "knowledge" / "returns.md").write_text(ARTICLE, "utf-8")
    command = [sys.executable, "-c", "from cli.main import run; run()", "serve", "--port", "0", "--desk", str(folder)]
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as process:
        try:
            address = next(line.split(" answers at ")[1].strip() for line in process.stderr if " answers at " in line)
            Thread(target=process.stderr.read, daemon=True).start()
            yield address, process, read_owner(Path(os.environ["FRONTDESK_HOME"]) / "lamps").token
            process.send_signal(signal.SIGTERM)
            assert process.wait(TIMEOUT) == 0
        finally:
            process.kill()


@pytest.mark.slow
@pytest.mark.timeout(400)  # on a machine that does much else
def test_ten_thousand_connections_that_are_dropped_leave_nothing_behind(desk_process):
    address, process, _ = desk_process
    url = httpx.URL(address)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    at_once = min(MANY, hard - 500)
    watched = psutil.Process(process.pid)

    async def flood():
        left = MANY
        while left > 0:
            wave = min(left, at_once)
            opened = await asyncio.gather(*(asyncio.open_connection(url.host, url.port) for _ in range(wave)))
            for number, (_, writer) in enumerate(opened):
                if number % 3 == 1:
                    writer.write(HEAD)
                elif number % 3 == 2:
                    writer.write(b"GET /healthz HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n")
            async with httpx.AsyncClient(base_url=address, trust_env=False, timeout=TIMEOUT) as http:
                assert (await http.get("/healthz")).status_code == 200
            for _, writer in opened:
                writer.transport.abort()
            left -= wave

    with httpx.Client(base_url=address, trust_env=False, timeout=TIMEOUT) as http:
        assert http.post("/v1/chat", json=QUESTION).status_code == 200
        asyncio.run(flood())  # once over, so that what is kept for use again is there
        files, size = watched.num_fds(), watched.memory_info().rss
        asyncio.run(flood())
        for _ in range(int(HEALED / 0.2)):
            if watched.num_fds() <= files + 5:
                break
            http.get("/healthz")
            signal.sigtimedwait([], 0.2)
        assert watched.num_fds() <= files + 5
        assert watched.memory_info().rss - size < 30_000_000
        assert http.post("/v1/chat", json=QUESTION).json()["outcome"]
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.slow
@pytest.mark.timeout(400)  # on a machine that does much else
def test_nothing_that_can_be_made_from_the_description_breaks_the_whole_service(desk_process):
    address, _, token = desk_process
    with httpx.Client(base_url=address, trust_env=False, timeout=60) as http:
        openapi = http.get("/openapi.json").json()
        description = Description(openapi)
        for method, path in description.operations():
            for request in made_requests(description, method, path, examples=8):
                check_answer(http.request(**request), request, description.statuses(method, path))
        tried, broken = 0, []
        for name in OPERATIONS:
            at = f"/admin/{name.replace('.', '/')}"
            for fields in odd_fields(name):
                answer = http.post(at, json=fields, headers={"Authorization": f"Bearer {token}"})
                broken += [(name, fields, answer.text)] if answer.status_code >= 500 else []
                tried += 1
    assert not broken, sorted({(name, str(fields)[:80]) for name, fields, _ in broken})
    assert tried > 200


ODD = ["", " ", "\0", "../../x", "x" * 3000, "9" * 400 + "d", "99999999999h", "-1h", "NaN", -1, 10**30, 1e308, True,
       None, [], {}, "ế", "%s", "' OR 1=1 --"]  # fmt: skip
"""What a field of an operation is not."""


def odd_fields(name):
    """Fields of an operation, one after the other odd, the others as they may be."""
    known = {"question": "How long?", "side": "input", "text": "x", "since": "24h", "scope": "chat", "by": "day"}
    fields = {each: known.get(each, "x") for each in OPERATIONS[name].fields}
    yield {}
    for field in fields:
        for odd in ODD:
            yield json.loads(json.dumps(fields | {field: odd}))
