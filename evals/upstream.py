"""An OpenAI-compatible server of fixed latency: `python -m evals.upstream DELAY_MS` prints its port and serves loopback.

It recites the first passage that a prompt holds, as a model would that keeps to what it was given, so that an answer passes
the output guards and a turn is a whole one. Raw ASGI: it shall cost next to nothing beside what is measured.
"""

import asyncio
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psutil

WORDS = 40
"""Longest answer."""
FIRST_PASSAGE = re.compile(r"\[1\] [^\n]*\n(.+)")
OTHERWISE = "Thank you for asking."
MODEL = "fixed-latency"
MS = 1000.0
BACKLOG = 256

Receive = Any
Send = Any


class Upstream:
    """Answers every call after `delay` seconds: the whole text at once, or its words as a stream."""

    def __init__(self, delay: float) -> None:
        self._delay = delay
        self._calls = 0

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["path"] == "/calls":
            await _send(send, json.dumps({"calls": self._calls}).encode())
            return
        request = json.loads(await _body(receive) or b"{}")
        self._calls += 1
        text = recited(request)
        await asyncio.sleep(self._delay)
        if request.get("stream"):
            await _send(send, _streamed(text), kind=b"text/event-stream")
        else:
            await _send(send, _whole(text))


def recited(request: dict[str, Any]) -> str:
    """The first words of the first passage in the last message."""
    content = str(request.get("messages", [{}])[-1].get("content", ""))
    passages = FIRST_PASSAGE.findall(content)
    return " ".join(passages[0].split()[:WORDS]) if passages else OTHERWISE


def _whole(text: str) -> bytes:
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    told = json.dumps(_same("chat.completion") | {"choices": [choice], "usage": _usage(text)})
    return told.encode()


def _streamed(text: str) -> bytes:
    deltas = [{"role": "assistant", "content": ""}, *({"content": f"{word} "} for word in text.split())]
    told: list[dict[str, Any]] = [{"choices": [_choice(delta, None)]} for delta in deltas]
    told += [{"choices": [_choice({}, "stop")]}, {"choices": [], "usage": _usage(text)}]
    same = _same("chat.completion.chunk")
    return "".join(f"data: {json.dumps(same | one)}\n\n" for one in told).encode() + b"data: [DONE]\n\n"


def _choice(delta: dict[str, str], finish: str | None) -> dict[str, object]:
    return {"index": 0, "delta": delta, "finish_reason": finish}


def _same(kind: str) -> dict[str, Any]:
    return {"id": "chatcmpl-1", "object": kind, "created": 1, "model": MODEL}


def _usage(text: str) -> dict[str, int]:
    words = len(text.split())
    return {"prompt_tokens": 1_000, "completion_tokens": words, "total_tokens": 1_000 + words}


async def _body(receive: Receive) -> bytes:
    body: bytes = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            return body


async def _send(send: Send, body: bytes, *, kind: bytes = b"application/json") -> None:
    headers = [(b"content-type", kind), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@contextmanager
def program(module: str, *args: str) -> Iterator[tuple[str, psutil.Process]]:
    """A module of ours that prints its port and serves, in a process of its own; its address, and the process."""
    command = [sys.executable, "-m", module, *args]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603  # our own module
        try:
            port = process.stdout.readline().strip() if process.stdout else ""
            yield f"http://127.0.0.1:{port}", psutil.Process(process.pid)
        finally:
            process.kill()


def serve(app: Any) -> None:
    """Serve an ASGI application at a free port of loopback, which is printed, until this process is ended."""
    import socket  # noqa: PLC0415  # the program's alone

    import uvicorn  # noqa: PLC0415

    # The protocol is named so that asyncio switches Nagle's algorithm off: a response else waits 40 ms for its second half.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(BACKLOG)
        sys.stdout.write(f"{listener.getsockname()[1]}\n")
        sys.stdout.flush()
        config = uvicorn.Config(app, log_level="warning", access_log=False, lifespan="off", ws="none")
        asyncio.run(uvicorn.Server(config).serve([listener]))


if __name__ == "__main__":
    serve(Upstream(float(sys.argv[1]) / MS))
