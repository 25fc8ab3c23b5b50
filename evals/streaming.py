"""Measure how soon a reader sees what a model writes: `python -m evals.streaming` fills the table of docs/http.md.

Starts the real `frontdesk serve` on the shop, over an upstream of its own that recites the first passage of each prompt, one
word every 30 ms. The delay of a sentence: from the moment in which the upstream has sent the blank behind it, that is when
it is known to be one, to its token event at the client. One reader at a time hears three sentences; of many at a time each
hears the passage again and again for SECONDS, and they begin spread over SECONDS, so that at the end all are open together.
`python -m evals.streaming 50` measures 50 open streams and writes nothing.
"""

import asyncio
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil

from evals.performance import QUESTIONS
from evals.running import FRONTDESK

HOUSE = Path(__file__).resolve().parent.parent
PAGE = HOUSE / "docs" / "http.md"
BEGIN, END = "<!-- streaming -->", "<!-- /streaming -->"
PAUSE = 0.03
SECONDS = 12.0
"""About 400 words: longer than nearly any answer of a support desk."""
ROUNDS = 32
OPEN = (10, 25, 50, 100, 200)
READY_SECONDS = 300.0
FIRST_PASSAGE = re.compile(r"\[1\] [^\n]*\n(.+)")
SENTENCE = re.compile(r"(?<=[.!?])\s")
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"


class Upstream:
    """Speaks OpenAI's streaming dialect. `ended`: when each sentence was whole, by its question's number."""

    def __init__(self) -> None:
        self.ended: dict[str, list[float]] = defaultdict(list)
        self.seconds = 0.0
        self.open = self.most_open = 0

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request, then goodbye."""
        self.open += 1
        self.most_open = max(self.open, self.most_open)
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            found = re.search(r"content-length: (\d+)", head)
            body = json.loads(await reader.readexactly(int(found[1]) if found else 0))
            prompt = body["messages"][-1]["content"]
            numbers = re.findall(r"\((\d+)\)", prompt)
            await self._recite(writer, prompt, numbers[-1] if numbers else "")
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the desk has left
        finally:
            self.open -= 1
            writer.close()

    async def _recite(self, writer: asyncio.StreamWriter, prompt: str, number: str) -> None:
        match = FIRST_PASSAGE.search(prompt)
        sentences = SENTENCE.split(match[1])[:3] if match else ["Nothing here."]
        writer.write(HEAD)
        began, again = time.perf_counter(), True
        while again:
            for sentence in sentences:
                for word in sentence.split():
                    _say(writer, {"content": f"{word} "})
                    await writer.drain()
                    last = time.perf_counter()
                    await asyncio.sleep(PAUSE)
                self.ended[number].append(last)
            again = time.perf_counter() - began < self.seconds
        self.ended[number].pop()  # of the last one only the end of the stream says that it is over
        _say(writer, {}, "stop")
        writer.write(b"data: [DONE]\n\n")
        await writer.drain()


def _say(writer: asyncio.StreamWriter, delta: dict[str, str], finish: str | None = None) -> None:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    chunk = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "reciter", "choices": [choice]}
    writer.write(f"data: {json.dumps(chunk)}\n\n".encode())


@dataclass(slots=True)
class Heard:
    """One answer: seconds to its first event, the moments of its tokens, whether it was a model's and stood."""

    number: str
    first: float = 0.0
    tokens: list[float] = field(default_factory=list)
    stood: bool = False


async def ask(http: httpx.AsyncClient, question: str, number: str) -> Heard:
    """Put one question and listen to the end."""
    heard, began, retracted = Heard(number), time.perf_counter(), False
    async with http.stream("POST", "/v1/chat/stream", json={"message": f"{question} ({number})"}) as answer:
        async for line in answer.aiter_lines():
            heard.first = heard.first or time.perf_counter() - began
            if line == "event: token":
                heard.tokens.append(time.perf_counter())
            retracted = retracted or line == "event: retract"
            if line.startswith("data: ") and '"receipt"' in line:
                heard.stood = not retracted and json.loads(line[6:])["receipt"]["mode"] in ("local", "remote")
    return heard


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table; seconds, `cores` as the server's own processor time a second."""

    streams: int
    open: int
    asked: int
    first: Sequence[float]
    sentence: Sequence[float]
    later: Sequence[float]
    cores: float


@dataclass(slots=True)
class Bench:
    """A desk that serves, the upstream behind it, and a client in front."""

    upstream: Upstream
    http: httpx.AsyncClient
    server: psutil.Process
    questions: Sequence[str] = QUESTIONS[:4]
    asked: int = 10_000

    async def warm(self) -> None:
        """Ask everything once, and keep the questions whose recital has several sentences and stands."""
        stood = [question for question in self.questions if self._delays(await self._ask(question))]
        self.questions = [question for question in self.questions if question in stood]
        if not self.questions:
            sys.exit("no recital was told: nothing to measure")

    async def measure(self, streams: int) -> Row:
        """One after the other, or `streams` open together."""
        self.upstream.seconds, self.upstream.most_open = (SECONDS if streams > 1 else 0.0), 0
        before, began = _processor(self.server), time.perf_counter()
        if streams == 1:
            heard = [await self._ask(self._next()) for _ in range(ROUNDS)]
        else:
            pauses = [SECONDS * place / streams for place in range(streams)]
            heard = await asyncio.gather(*(_after(pause, lambda: self._ask(self._next())) for pause in pauses))
        cores = (_processor(self.server) - before) / (time.perf_counter() - began)
        delays = [found for one in heard if (found := self._delays(one))]
        firsts = [one.first for one in heard]
        later = [delay for found in delays for delay in found]
        return Row(streams, self.upstream.most_open, len(heard), firsts, [found[0] for found in delays], later, cores)

    def _next(self) -> str:
        return self.questions[self.asked % len(self.questions)]

    async def _ask(self, question: str) -> Heard:
        self.asked += 1
        return await ask(self.http, question, str(self.asked))

    def _delays(self, heard: Heard) -> list[float]:
        """How late each sentence came; none of an answer that was not the model's, or was taken back."""
        ended = self.upstream.ended[heard.number]
        return [told - known for told, known in zip(heard.tokens, ended, strict=False)] if heard.stood else []


async def main(streams: Sequence[int], *, write: bool) -> int:
    """Measure each number of streams, print, and write the page's table if told to; 1 if nothing was told."""
    async with bench() as made:
        await made.warm()
        rows = list[Row]()
        for number in streams:
            rows.append(await made.measure(number))
            _print(_line(rows[-1]))
            if write:  # row by row: the last ones take a while on a busy machine
                _write(rows)
    _print(_load())
    return 0 if all(row.sentence for row in rows) else 1


def _write(rows: Sequence[Row]) -> None:
    table = "\n".join([*HEADING, *map(_line, rows), "", _load()])
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{BEGIN}\n{table}\n{END}{after}", encoding="utf-8")


def _load() -> str:
    who = f"{os.cpu_count()} cores, which the server shared with upstream and readers"
    return f"Measured with `python -m evals.streaming` on {who}, at a load of {os.getloadavg()[0]:.1f}."


HEADING = (
    "| streams | open at once | told while written | first event p50 / p95 | first sentence p50 / p95 | every sentence p50 / p95 | server's cores |",
    "|---|---|---|---|---|---|---|",
)


def _line(row: Row) -> str:
    name = "one after the other" if row.streams == 1 else str(row.streams)
    told = f"{len(row.sentence)} of {row.asked}"
    figures = " | ".join(_ms(found) for found in (row.first, row.sentence, row.later))
    return f"| {name} | {row.open} | {told} | {figures} | {row.cores:.2f} |"


@asynccontextmanager
async def bench() -> AsyncIterator[Bench]:
    """Start all three, and end them."""
    upstream = Upstream()
    server = await asyncio.start_server(upstream.answer, "127.0.0.1", 0, backlog=1024)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    with tempfile.TemporaryDirectory() as home:
        command = [str(FRONTDESK), "serve", "--desk", "shop", "--port", "0"]
        desk = await asyncio.create_subprocess_exec(
            *command, env=_environment(home, url), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            base = await _address(Path(home) / "shop" / "lock.json")
            limits = httpx.Limits(max_connections=None)
            async with httpx.AsyncClient(base_url=base, timeout=300, limits=limits, trust_env=False) as http:
                yield Bench(upstream, http, psutil.Process(desk.pid))
        finally:
            desk.terminate()
            await desk.wait()
    server.close()


async def _after(seconds: float, work: Callable[[], Awaitable[Heard]]) -> Heard:
    await asyncio.sleep(seconds)
    return await work()


def _processor(process: psutil.Process) -> float:
    spent = process.cpu_times()
    return float(spent.user + spent.system)


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
        "TURN_TIMEOUT": "120",
        "LLM_TIMEOUT": "120",
    }
    return {**kept, **{f"FRONTDESK_{name}": value for name, value in own.items()}, "OPENAI_API_KEY": ""}


def _ms(seconds: Sequence[float]) -> str:
    if not seconds:
        return "–"
    ordered = sorted(seconds)
    p50, p95 = (1000 * ordered[int(len(ordered) * share)] for share in (0.5, 0.95))
    return f"{p50:,.0f} / {p95:,.0f} ms"


def _print(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    given = [int(each) for each in sys.argv[1:]]
    sys.exit(asyncio.run(main(given or (1, *OPEN), write=not given)))
