"""Measure how soon a reader sees what a model writes: `python -m evals.streaming [STREAMS [SECONDS]]`.

Starts the real `frontdesk serve` on the shop, over an upstream of its own that recites the first passage of each prompt, one
word every 30 ms. Prints milliseconds (p50 / p95) from the moment in which the upstream has sent the blank behind the first
sentence, that is when it is known to be one, to its token event at the client; and from the request to the first event.
STREAMS begin at once, or spread over SECONDS: then the upstream recites every passage, so that streams are open together.
"""

import asyncio
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import httpx

from evals.performance import QUESTIONS
from evals.running import FRONTDESK

PAUSE = 0.03
ROUNDS = 15
WARM_UP = 3
READY_SECONDS = 300.0
FIRST_PASSAGE = re.compile(r"\[1\] [^\n]*\n(.+)")
PASSAGE = re.compile(r"^\[\d+\] [^\n]*\n(.+)", re.MULTILINE)
SENTENCE = re.compile(r"(?<=[.!?])\s")
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"


class Upstream:
    """Speaks OpenAI's streaming dialect. `ended`: when each question's first sentence was whole, by its number."""

    def __init__(self, *, long: bool = False) -> None:
        self.ended: dict[str, float] = {}
        self.open = self.most_open = 0
        self._long = long

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request, then goodbye."""
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            found = re.search(r"content-length: (\d+)", head)
            body = json.loads(await reader.readexactly(int(found[1]) if found else 0))
            prompt = body["messages"][-1]["content"]
            numbers = re.findall(r"\((\d+)\)", prompt)
            self.open += 1
            self.most_open = max(self.open, self.most_open)
            try:
                await self._recite(writer, prompt, numbers[-1] if numbers else "")
            finally:
                self.open -= 1
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the desk has left
        finally:
            writer.close()

    async def _recite(self, writer: asyncio.StreamWriter, prompt: str, number: str) -> None:
        match = FIRST_PASSAGE.search(prompt)
        sentences = SENTENCE.split(match[1])[:3] if match else ["Nothing here."]
        if self._long:
            sentences = [one for passage in PASSAGE.findall(prompt) for one in SENTENCE.split(passage)] or sentences
        writer.write(HEAD)
        for sentence in sentences:
            for word in sentence.split():
                _say(writer, {"content": f"{word} "})
                await writer.drain()
                last = time.perf_counter()
                await asyncio.sleep(PAUSE)
            if len(sentences) > 1:  # of one alone only the end of the stream says that it is over
                self.ended.setdefault(number, last)
        _say(writer, {}, "stop")
        writer.write(b"data: [DONE]\n\n")
        await writer.drain()


def _say(writer: asyncio.StreamWriter, delta: dict[str, str], finish: str | None = None) -> None:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    chunk = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "reciter", "choices": [choice]}
    writer.write(f"data: {json.dumps(chunk)}\n\n".encode())


async def ask(http: httpx.AsyncClient, number: int) -> tuple[float, float, bool]:
    """Seconds to the first event, the moment of the first text, and whether it was a model's and stood."""
    question = f"{QUESTIONS[number % 4]} ({10_000 + number})"
    began, first, text, stood = time.perf_counter(), 0.0, 0.0, True
    async with http.stream("POST", "/v1/chat/stream", json={"message": question}) as answer:
        async for line in answer.aiter_lines():
            first = first or time.perf_counter() - began
            text = text or (time.perf_counter() if line == "event: token" else 0.0)
            stood = stood and line != "event: retract"
            if line.startswith("data: ") and '"receipt"' in line:
                stood = stood and json.loads(line[6:])["receipt"]["mode"] in ("local", "remote")
    return first, text, stood


async def measure(streams: int, seconds: float = 0.0) -> int:
    """One after the other, or `streams` at a time, which begin within `seconds`; printed."""
    upstream = Upstream(long=seconds > 0)
    server = await asyncio.start_server(upstream.answer, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    with tempfile.TemporaryDirectory() as home:
        environment = _environment(home, url)
        command = [str(FRONTDESK), "serve", "--desk", "shop", "--port", "0"]
        desk = await asyncio.create_subprocess_exec(
            *command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            base = await _address(Path(home) / "shop" / "lock.json")
            limits = httpx.Limits(max_connections=None)
            async with httpx.AsyncClient(base_url=base, timeout=120, limits=limits, trust_env=False) as http:
                for number in range(WARM_UP):
                    await ask(http, number)
                numbers = range(WARM_UP, WARM_UP + max(ROUNDS, streams))
                if streams > 1:
                    pause = seconds / streams
                    answers = await asyncio.gather(
                        *(_after(pause * place, ask(http, number)) for place, number in enumerate(numbers))
                    )
                else:
                    answers = [await ask(http, number) for number in numbers]
        finally:
            desk.terminate()
            await desk.wait()
    server.close()
    good = [
        (first, text - upstream.ended[str(10_000 + number)])
        for number, (first, text, stood) in zip(numbers, answers, strict=True)
        if stood and str(10_000 + number) in upstream.ended
    ]
    spread = f" begun over {seconds:.0f} s, at most {upstream.most_open} open" if seconds else " at a time"
    _print(f"{streams}{spread}, {len(good)} of {len(answers)} answers by the model and not taken back")
    if not good:
        return 1
    _print(f"first event {_ms([first for first, _ in good])} · first sentence {_ms([late for _, late in good])}")
    _print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    return 0


async def _after(seconds: float, asking: Coroutine[Any, Any, tuple[float, float, bool]]) -> tuple[float, float, bool]:
    await asyncio.sleep(seconds)
    return await asking


async def _address(lock: Path) -> str:
    until = time.perf_counter() + READY_SECONDS
    async with httpx.AsyncClient(trust_env=False) as http:
        while time.perf_counter() < until:
            try:
                base = json.loads((await asyncio.to_thread(lock.read_text, "utf-8")).strip("\0 \n"))["address"]
                if base and (await http.get(f"{base}/readyz")).is_success:
                    return str(base)
            except (OSError, ValueError, httpx.HTTPError):
                pass
            await asyncio.sleep(0.05)
    sys.exit("frontdesk serve was not ready")


def _environment(home: str, url: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("FRONTDESK_", "LANGFUSE_"))}
    own = {
        "HOME": home,
        "LLM_BASE_URL": url,
        "LLM_MODEL": "reciter",
        "CACHE_HOURS": "0",
        "RATE_LIMIT_USER": "",
        "MAX_TURNS": "500",
    }
    return {**kept, **{f"FRONTDESK_{name}": value for name, value in own.items()}, "OPENAI_API_KEY": ""}


def _ms(seconds: list[float]) -> str:
    ordered = sorted(seconds)
    p50, p95 = (1000 * ordered[int(len(ordered) * share)] for share in (0.5, 0.95))
    return f"{p50:.0f} / {p95:.0f} ms"


def _print(text: str) -> None:
    sys.stdout.write(text + "\n")


if __name__ == "__main__":
    given = sys.argv[1:]
    sys.exit(asyncio.run(measure(int(given[0]) if given else 1, float(given[1]) if given[1:] else 0.0)))
