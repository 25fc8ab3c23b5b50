"""Measure how soon a reader sees what a model writes: `python -m evals.streaming` fills the table of docs/http.md.

Starts the real `frontdesk serve` on the shop, over an upstream of its own that recites the first passage of each prompt, one
word every 30 ms; then, for one reader at a time, on a desk in English alone, whose embedder is a third as dear. The delay of a sentence: from the moment in which the upstream has sent the blank behind it, that is when
it is known to be one, to its token event at the client. One reader at a time hears three sentences. Many are let in one
after the other, and when all are there the upstream begins to speak to all of them, WORDS words to each. From the number
on at which the server's core is full, more streams only wait longer: there the command stops.
`python -m evals.streaming 50` measures 50 open streams and writes nothing.
"""

import asyncio
import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil

from evals.bench_desk import furnish
from evals.bench_desk import questions as questions_of
from evals.performance import QUESTIONS
from evals.reciting import Upstream
from evals.running import FRONTDESK

HOUSE = Path(__file__).resolve().parent.parent
PAGE = HOUSE / "docs" / "http.md"
BEGIN, END = "<!-- streaming -->", "<!-- /streaming -->"
WORDS = 150
"""A long answer of a support desk: 900 characters."""
ENTER = 0.15
"""Seconds from one reader's question to the next one's."""
LATE = 40.0
"""Seconds after the last question in which all are to be there."""
ROUNDS = 32
ENGLISH, ARTICLES = "english", 100
OPEN = (10, 50, 100, 200)
HOPELESS = 1.0
"""Seconds that the latest sentences (p95) wait where the server takes in more words than it can do: there no more are tried."""
READY_SECONDS = 300.0


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
    """One line of the table; seconds. Processor time from the first word to the end of the first answer: of the server a sentence, of all a second."""

    name: str
    open: int
    asked: int
    first: Sequence[float]
    sentence: Sequence[float]
    later: Sequence[float]
    work: float
    cores: float
    clients: float


@dataclass(slots=True)
class Bench:
    """A desk that serves, the upstream behind it, and a client in front."""

    upstream: Upstream
    http: httpx.AsyncClient
    server: psutil.Process
    questions: Sequence[str]
    name: str = ""
    asked: int = 10_000

    async def warm(self) -> None:
        """Ask everything once, and keep the questions whose recital has several sentences and stands."""
        stood = [question for question in self.questions if self._delays(await self._ask(question))]
        self.questions = [question for question in self.questions if question in stood]
        if not self.questions:
            sys.exit("no recital was told: nothing to measure")

    async def measure(self, streams: int) -> Row:
        """One after the other, or `streams` open together."""
        together = streams > 1
        self.upstream.words, self.upstream.most_open = (WORDS if together else 0), 0
        if together:
            self.upstream.speak.clear()
            self.upstream.there = asyncio.Semaphore(0)
            pauses = [ENTER * place for place in range(streams)]
            readers = [asyncio.create_task(_after(pause, lambda: self._ask(self._next()))) for pause in pauses]
            with suppress(TimeoutError):  # a turn that asks no model is not waited for
                async with asyncio.timeout(ENTER * streams + LATE):
                    for _ in readers:
                        await self.upstream.there.acquire()
            clock = _Clock(self.server, self.upstream.said)
            self.upstream.fading.clear()
            self.upstream.speak.set()
            await self.upstream.fading.wait()
            work, server, clients = clock.stop(self.upstream.said)
            heard = [await reader for reader in readers]
        else:
            clock = _Clock(self.server, self.upstream.said)
            heard = [await self._ask(self._next()) for _ in range(ROUNDS)]
            work, server, clients = clock.stop(self.upstream.said)
        delays = [found for one in heard if (found := self._delays(one))]
        firsts = [one.first for one in heard]
        later = [delay for found in delays for delay in found]
        opened = self.upstream.most_open
        first = [found[0] for found in delays]
        name = f"{self.name}{streams if together else 'one after the other'}"
        return Row(name, opened, len(heard), firsts, first, later, work, server, clients)

    def _next(self) -> str:
        return self.questions[self.asked % len(self.questions)]

    async def _ask(self, question: str) -> Heard:
        self.asked += 1
        return await ask(self.http, question, str(self.asked))

    def _delays(self, heard: Heard) -> list[float]:
        """How late each sentence came; none of an answer that was not the model's, or was taken back."""
        ended = self.upstream.ended[heard.number]
        return [told - known for told, known in zip(heard.tokens, ended, strict=False)] if heard.stood else []


class _Clock:
    """The processor time of the server, and of this process, from now on."""

    def __init__(self, server: psutil.Process, said: int) -> None:
        """`said`: sentences so far."""
        self._server, self._own, self._said, self._began = server, psutil.Process(), said, time.perf_counter()
        self._before = (_processor(server), _processor(self._own))

    def stop(self, said: int) -> tuple[float, float, float]:
        """Seconds of the server's for each sentence, then of both as a share of a core."""
        wall = time.perf_counter() - self._began
        server, own = _processor(self._server) - self._before[0], _processor(self._own) - self._before[1]
        return server / max(1, said - self._said), server / wall, own / wall


async def main(streams: Sequence[int], *, write: bool) -> int:
    """Measure each number of streams, print, and write the page's table if told to; 1 if nothing was told."""
    rows = list[Row]()

    def told(row: Row) -> None:
        rows.append(row)
        _print(_line(row))
        if write:  # row by row: the last ones take a while on a busy machine
            _write(rows)

    if 1 in streams:
        async with bench(ENGLISH) as made:
            await made.warm()
            told(await made.measure(1))
    async with bench() as made:
        await made.warm()
        for number in streams:
            told(await made.measure(number))
            if number != streams[-1] and _percentiles(rows[-1].later)[1] > HOPELESS:
                _print(
                    f"at {number} streams the server falls behind: more would only wait longer, so none are measured"
                )
                break
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
    "| streams | open at once | told while written | first event p50 / p95 | first sentence p50 / p95 | every sentence p50 / p95 | server's processor a sentence | its cores | those of upstream and readers |",
    "|---|---|---|---|---|---|---|---|---|",
)


def _line(row: Row) -> str:
    told = f"{len(row.sentence)} of {row.asked}"
    figures = " | ".join(_ms(found) for found in (row.first, row.sentence, row.later))
    return f"| {row.name} | {row.open} | {told} | {figures} | {1000 * row.work:.1f} ms | {row.cores:.2f} | {row.clients:.2f} |"


@asynccontextmanager
async def bench(desk: str = "shop") -> AsyncIterator[Bench]:
    """Start all three, and end them. `desk`: the shop, or ENGLISH, which is written for it."""
    upstream = Upstream()
    upstream.speak.set()
    conductor = asyncio.create_task(upstream.conduct())
    server = await asyncio.start_server(upstream.answer, "127.0.0.1", 0, backlog=1024)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    with tempfile.TemporaryDirectory() as home:
        english = desk == ENGLISH
        folder = furnish(Path(home) / "desks" / ENGLISH, ARTICLES) if english else desk
        command = [str(FRONTDESK), "serve", "--desk", str(folder), "--port", "0"]
        serving = await asyncio.create_subprocess_exec(
            *command, env=_environment(home, url), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            base = await _address(Path(home) / desk / "lock.json")
            limits = httpx.Limits(max_connections=None)
            async with httpx.AsyncClient(base_url=base, timeout=300, limits=limits, trust_env=False) as http:
                asked = list(itertools.islice(questions_of(ARTICLES), 4)) if english else QUESTIONS[:4]
                name = "an English desk, " if english else ""
                yield Bench(upstream, http, psutil.Process(serving.pid), asked, name)
        finally:
            serving.terminate()
            await serving.wait()
            conductor.cancel()
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
    p50, p95 = (1000 * each for each in _percentiles(seconds))
    return f"{p50:,.0f} / {p95:,.0f} ms" if seconds else "–"


def _percentiles(seconds: Sequence[float]) -> tuple[float, float]:
    """The median and the 95th of a hundred; without any, endless."""
    ordered = sorted(seconds) or [float("inf")]
    return ordered[int(len(ordered) * 0.5)], ordered[int(len(ordered) * 0.95)]


def _print(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    given = [int(each) for each in sys.argv[1:]]
    sys.exit(asyncio.run(main(given or (1, *OPEN), write=not given)))
