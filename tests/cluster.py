"""Many real processes of one desk: servers from wheels, replicas of `frontdesk serve`, a proxy, an upstream that bills."""

import asyncio
import itertools
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil

from store import read_owner

PROGRAM = Path(sys.executable).with_name("frontdesk")
START_SECONDS = 100.0
KEY = "one vault key for all replicas"
DESK = """\
name: Lamp Shop
scope:
  describe: An online shop for lamps. Orders, delivery, returns, refunds, warranty.
  in: ["How do I return a lamp?", "How long is the warranty?", "Where is my order?"]
"""
ARTICLES = {
    "returns": (
        "Returning a lamp",
        "You can return a lamp within 30 days of delivery. It must be unused and in its box.",
    ),
    "delivery": ("Delivery times", "We ship within two working days. A parcel takes three to five days to arrive."),
    "warranty": ("Warranty", "Every lamp has a warranty of two years. It covers broken switches and cables."),
    "payment": ("Ways to pay", "You can pay by card, by bank transfer or with a voucher."),
}
ASKED = (
    "How many days do I have to return a lamp?",
    "How long is the warranty on a lamp?",
    "How many days does a parcel take to arrive?",
    "Which ways to pay do you take?",
)
FIRST_PASSAGE = re.compile(r"\[1\] [^\n]*\n(.+)")
USAGE = {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120}


def furnish(folder: Path) -> Path:
    """A small desk on disk."""
    desk = folder / "lamps"
    (desk / "knowledge").mkdir(parents=True)
    (desk / "desk.yaml").write_text(DESK, "utf-8")
    for name, (title, text) in ARTICLES.items():
        page = f"---\nid: {name}\ntitle: {title}\naudience: public\nlanguage: en\n---\n# {title}\n\n{text}\n"
        (desk / "knowledge" / f"{name}.md").write_text(page, "utf-8")
    return desk


def free_port() -> int:
    """A port of loopback that nobody listens at now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def running_chroma(folder: Path) -> Iterator[str]:
    """`chroma run` over a folder; its URL."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [PROGRAM.with_name("chroma"), "run", "--path", folder, "--host", "127.0.0.1", "--port", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + START_SECONDS
        while True:
            with suppress(httpx.TransportError):
                httpx.get(f"{url}/api/v2/heartbeat", trust_env=False)
                break
            assert time.monotonic() < deadline
            time.sleep(0.1)
        yield url
    finally:
        process.kill()
        process.wait()


Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def listening(answer: Answer) -> AsyncIterator[str]:
    """Answer connections on a free port; the URL. All are closed in the end."""
    working = set[asyncio.Task[None]]()

    async def handled(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        working.add(task)
        try:
            await answer(reader, writer)
        finally:
            await _closed(writer)
            working.discard(task)

    server = await asyncio.start_server(handled, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for task in working:
            task.cancel()
        await asyncio.gather(*working, return_exceptions=True)


async def _closed(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()


@dataclass
class Upstream:
    """An OpenAI-compatible server that recites the first passage, and counts what it has billed."""

    pause: float = 0.15
    served: int = 0

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request, then goodbye."""
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            length = re.search(r"content-length: (\d+)", head)
            body = json.loads(await reader.readexactly(int(length[1]) if length else 0))
            await asyncio.sleep(self.pause)
            found = FIRST_PASSAGE.search(body["messages"][-1]["content"])
            self.served += 1
            writer.write(_completion(found[1] if found else "Nothing here.", stream=bool(body.get("stream"))))
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the desk was killed

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        """Listen; the URL."""
        async with listening(self.answer) as url:
            yield f"{url}/v1"


def _completion(text: str, *, stream: bool) -> bytes:
    same: dict[str, Any] = {"id": "1", "created": 1, "model": "reciter"}
    if not stream:
        choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
        data = json.dumps({**same, "object": "chat.completion", "choices": [choice], "usage": USAGE}).encode()
        kind = "application/json"
    else:
        kind, same = "text/event-stream", {**same, "object": "chat.completion.chunk"}
        told = [
            {"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}]},
            {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
            {"choices": [], "usage": USAGE},
        ]
        data = b"".join(f"data: {json.dumps(same | one)}\n\n".encode() for one in told) + b"data: [DONE]\n\n"
    head = f"HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {len(data)}\r\nconnection: close\r\n\r\n"
    return head.encode() + data


@dataclass
class Replica:
    """`frontdesk serve` in a process and a home of its own, as on a machine of its own."""

    desk: Path
    home: Path
    env: dict[str, str]
    options: tuple[str, ...] = ()
    port: int = field(default_factory=free_port)
    process: "subprocess.Popen[bytes] | None" = None

    def start(self) -> None:
        """Start it; it serves when `ready`."""
        self.home.mkdir(exist_ok=True)
        command = [str(PROGRAM), "serve", "--port", str(self.port), "--desk", str(self.desk), *self.options]
        env = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), "FRONTDESK_HOME": str(self.home)}
        log = (self.home / "log").open("ab")
        self.process = subprocess.Popen(command, env=env | self.env, cwd=self.home, stdout=log, stderr=log)
        log.close()

    @property
    def ready(self) -> bool:
        """Whether it serves."""
        assert self.process is not None
        assert self.process.poll() is None, self.log
        owner = read_owner(self.home / self.desk.name)
        return bool(owner and owner.pid == self.process.pid and owner.address)

    @property
    def log(self) -> str:
        """What it has said."""
        return (self.home / "log").read_text("utf-8")

    def kill(self) -> None:
        """kill -9, its children too."""
        if self.process and self.process.poll() is None:
            for child in psutil.Process(self.process.pid).children(recursive=True):
                with suppress(psutil.NoSuchProcess):
                    child.kill()
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()

    async def until_ready(self) -> None:
        """Return when it serves."""
        await until(lambda: self.ready)


@dataclass
class Proxy:
    """Passes each connection to the next replica that takes one: sticky to nothing."""

    ports: list[int]
    _turn: Iterator[int] = field(default_factory=itertools.count)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            behind, ahead = await self._open()
        except OSError:
            return
        try:
            await asyncio.gather(_pump(reader, ahead), _pump(behind, writer))
        finally:
            await _closed(ahead)

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        fault: OSError = ConnectionRefusedError()
        for _ in self.ports:
            try:
                return await asyncio.open_connection("127.0.0.1", self.ports[next(self._turn) % len(self.ports)])
            except OSError as refused:
                fault = refused
        raise fault

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        """Listen; the URL."""
        async with listening(self._pass) as url:
            yield url


async def until(true: Callable[[], bool], seconds: float = START_SECONDS) -> None:
    """Look until it is."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.1)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while piece := await reader.read(65_536):
            writer.write(piece)
            await writer.drain()
    writer.close()
