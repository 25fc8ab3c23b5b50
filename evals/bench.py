"""What the desk adds to a model call: time, processor, memory, and how each grows. `frontdesk bench`.

The real `frontdesk serve` over an upstream of fixed latency (evals/upstream.py), asked over HTTP by clients in a closed loop
(evals/clients.py), on a desk of its own (evals/bench_desk.py) and, beside it, on a desk of yours. A turn counts when a model's
answer passed: what was refused, quoted or failed is left out, counted, and told.
"""

import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil

from domain.errors import NotMeasuredError
from evals.bench_desk import furnish, questions
from evals.clients import MS, Line, Load, closed_loop, quantile
from evals.running import processor_seconds, resident, serving
from evals.upstream import MODEL, program

Figures = dict[str, float | int | str]
Body = Mapping[str, object]

OWN = 100
"""Articles of the desk that the first figures are of."""
FEW, SOME, MANY = 1, 8, 32
MOST_CLIENTS = 128
JUDGED = "0.1"
"""Of the turns, as with a paid model: a private address would have every one of them judged."""
FLAME_SECONDS = 20
LONG, ENDS = 20, 3
"""Turns of a long conversation, and of them those at its start and at its end."""


@dataclass(frozen=True, slots=True)
class Size:
    """How much is asked."""

    one: int
    many: int
    starts: int
    threads: int
    articles: tuple[int, ...]


FULL = Size(one=200, many=640, starts=3, threads=5, articles=(1_000, 10_000))
QUICK = Size(one=60, many=200, starts=1, threads=2, articles=(1_000,))


@dataclass(frozen=True, slots=True)
class Plan:
    """What to measure. `servers`: settings of the server's own stores; `beside`: a desk by name or folder, or nothing."""

    size: Size
    delay_ms: float
    workers: int = 1
    servers: Mapping[str, str] = field(default_factory=dict)
    beside: str = ""
    beside_questions: tuple[str, ...] = ()
    flame: Path | None = None
    say: Callable[[str], None] = lambda _line: None


@dataclass(slots=True)
class Seen:
    """What has been counted over all loads of a run."""

    counted: int = 0
    left_out: Counter[str] = field(default_factory=Counter)

    def take(self, load: Load) -> Load:
        """Count a load. Raises NotMeasuredError where no turn of it was whole."""
        self.counted += len(load.answers)
        self.left_out += load.left_out
        if not load.answers:
            raise NotMeasuredError(f"no turn was answered by the model: {dict(load.left_out)}", where="bench")
        return load


@dataclass(frozen=True, slots=True)
class Running:
    """A server under measurement, and its questions without end."""

    base: str
    process: psutil.Process
    bodies: Iterator[Body]

    def load(self, path: str, clients: int, requests: int) -> Load:
        """Ask so many questions by so many clients."""
        return asyncio.run(closed_loop(f"{self.base}{path}", self.bodies, clients=clients, requests=requests))


@dataclass(frozen=True, slots=True)
class Bench:
    """One run: the plan, a folder for state, the upstream's address, what is counted, and the upstream's own times."""

    plan: Plan
    home: Path
    upstream: str
    seen: Seen = field(default_factory=Seen)
    direct: Figures = field(default_factory=dict)

    @property
    def desks(self) -> Path:
        """Where desks of our own are written: beside their state, which lies in `home` under their names."""
        return self.home / "desks"

    @contextmanager
    def running(self, desk: str, asked: Iterator[Body]) -> Iterator[tuple[float, Running]]:
        """`frontdesk serve` over the upstream: seconds until it was ready, and the server."""
        settings = {
            "FRONTDESK_LLM": "auto",
            "FRONTDESK_LLM_BASE_URL": f"{self.upstream}/v1",
            "FRONTDESK_LLM_MODEL": MODEL,
            "FRONTDESK_JUDGE_SAMPLE": JUDGED,
            "FRONTDESK_RATE_LIMIT_USER": "",
            "FRONTDESK_RATE_LIMIT_ADDRESS": "",
            "FRONTDESK_MAX_TURNS": str(MOST_CLIENTS),
            **self.plan.servers,
        }
        options = ("--workers", str(self.plan.workers)) if self.plan.workers > 1 else ()
        with serving(str(self.home), *options, desk=desk, **settings) as (ready, process, base):
            yield ready, Running(base, process, asked)

    def measure_direct(self) -> Figures:
        """The upstream without a desk, by the same clients: what is taken off."""
        url, size = f"{self.upstream}/v1/chat/completions", self.plan.size
        body = {"messages": [{"role": "user", "content": "Hello"}]}

        def load(clients: int, requests: int) -> Load:
            return asyncio.run(closed_loop(url, [body] * requests, clients=clients, requests=requests, bare=True))

        load(FEW, 10)
        one, many = load(FEW, min(size.one, 100)), load(MANY, size.many)
        self.direct["direct_ms_p50"] = round(one.ms(0.5), 2)
        self.direct["direct_ms_p95"] = round(one.ms(0.95), 2)
        self.direct[f"direct_requests_per_s_{MANY}"] = round(many.per_second, 1)
        return self.direct

    def desk(self, desk: str, asked: Iterator[Body], *, whole: bool = True) -> Figures:
        """All figures of one desk; `whole` adds growth with conversations and the flame graph."""
        name, plan, starts = Path(desk).name, self.plan, list[float]()
        plan.say(f"{name}: first start, reading its articles")
        with self.running(desk, asked) as (first, _):
            pass
        for _ in range(plan.size.starts - 1):
            plan.say(f"{name}: a start")
            with self.running(desk, asked) as (ready, _):
                starts.append(ready)
        with self.running(desk, asked) as (ready, running):
            starts.append(ready)
            found: Figures = {"ready_first_s": round(first, 2), "ready_s": round(quantile(starts, 0.5), 2)}
            found |= self._alone(running, name) | self._together(running, name) | self._streams(running, name)
            if whole:
                plan.say(f"{name}: conversations of {LONG} turns")
                found |= asyncio.run(self._conversations(running))
            found["rss_mb"] = round(resident(running.process), 1)
            if whole and plan.flame:
                plan.say(f"{name}: flame graph")
                found["flame"] = _flame(running, plan.flame)
        return found

    def grown(self, articles: int) -> Figures:
        """What changes with the number of articles."""
        desk, plan = str(furnish(self.desks / f"bench-{articles}", articles)), self.plan
        asked = bodies(questions(articles))
        plan.say(f"{articles} articles: first start, reading them")
        with self.running(desk, asked) as (first, _):
            pass
        with self.running(desk, asked) as (ready, running):
            found: Figures = {"ready_first_s": round(first, 2), "ready_s": round(ready, 2)}
            found |= self._alone(running, f"{articles} articles")
            found |= self._many(running, MANY)
            found["rss_mb"] = round(resident(running.process), 1)
        kept = {name: value for name, value in found.items() if not name.startswith(("step_", "upstream_"))}
        return {f"articles_{articles}_{name}": value for name, value in kept.items()}

    def _alone(self, running: Running, name: str) -> Figures:
        """One client, after a warm-up: added time, processor, each step."""
        requests = self.plan.size.one
        self.plan.say(f"{name}: warming up, then 1 client")
        self.seen.take(running.load("/v1/chat", 4, 40))
        calls, used = _calls(self.upstream), processor_seconds(running.process)
        load = self.seen.take(running.load("/v1/chat", FEW, requests))
        found = self._added(load, "")
        found["cpu_ms"] = round((processor_seconds(running.process) - used) / requests * MS, 2)
        found["upstream_calls_per_turn"] = round((_calls(self.upstream) - calls) / requests, 2)
        for step, ms in load.step_ms().items():
            waited = float(self.direct["direct_ms_p50"]) if step == "generate" else 0.0
            found[f"step_{step}_ms"] = round(ms - waited, 2)
        return found

    def _together(self, running: Running, name: str) -> Figures:
        """More and more clients."""
        found: Figures = {}
        for clients in (SOME, MANY, 2 * MANY):
            self.plan.say(f"{name}: {clients} clients")
            found |= self._many(running, clients)
        return found

    def _many(self, running: Running, clients: int, path: str = "/v1/chat", prefix: str = "") -> Figures:
        requests, used = self.plan.size.many, processor_seconds(running.process)
        load = self.seen.take(running.load(path, clients, requests))
        return {
            f"{prefix}requests_per_s_{clients}": round(load.per_second, 1),
            f"{prefix}ms_p50_{clients}": round(load.ms(0.5), 1),
            f"{prefix}ms_p95_{clients}": round(load.ms(0.95), 1),
            f"{prefix}cpu_ms_{clients}": round((processor_seconds(running.process) - used) / requests * MS, 2),
        }

    def _streams(self, running: Running, name: str) -> Figures:
        """The same as events: to the last one, and to the first word."""
        self.plan.say(f"{name}: streams, 1 and {MANY} clients")
        path = "/v1/chat/stream"
        alone = self.seen.take(running.load(path, FEW, self.plan.size.one))
        found = self._added(alone, "stream_")
        found["stream_first_added_ms_p50"] = round(alone.first_ms(0.5) - float(self.direct["direct_ms_p50"]), 2)
        found["stream_first_added_ms_p95"] = round(alone.first_ms(0.95) - float(self.direct["direct_ms_p95"]), 2)
        return found | self._many(running, MANY, path, "stream_")

    def _added(self, load: Load, prefix: str) -> Figures:
        return {
            f"{prefix}added_ms_p50": round(load.ms(0.5) - float(self.direct["direct_ms_p50"]), 2),
            f"{prefix}added_ms_p95": round(load.ms(0.95) - float(self.direct["direct_ms_p95"]), 2),
        }

    async def _conversations(self, running: Running) -> Figures:
        """The added time of the first turns and of the last ones of long conversations."""
        early, late = list[float](), list[float]()
        for _ in range(self.plan.size.threads):
            line, thread, load = Line(f"{running.base}/v1/chat"), "", Load(FEW)
            for body, _ in zip(running.bodies, range(LONG), strict=False):
                same = {"user_id": "bench-talks"} | ({"thread_id": thread} if thread else {})
                answered = await line.post({**body, **same})
                thread = thread or str(answered.reply.get("thread_id", ""))
                load.take(answered, bare=False)
            line.hang_up()
            times = [one.ms for one in self.seen.take(load).answers]
            early, late = early + times[:ENDS], late + times[-ENDS:]
        direct = float(self.direct["direct_ms_p50"])
        return {
            "thread_start_added_ms_p50": round(quantile(early, 0.5) - direct, 2),
            f"thread_{LONG}_turns_added_ms_p50": round(quantile(late, 0.5) - direct, 2),
        }


def measure(plan: Plan) -> Figures:
    """Everything, as one flat object. Raises NotMeasuredError, UsageError."""
    found: Figures = {
        "cores": os.cpu_count() or 1,
        "load_before": round(os.getloadavg()[0], 1),
        "workers": plan.workers,
    }
    with tempfile.TemporaryDirectory() as home, program("evals.upstream", str(plan.delay_ms)) as (upstream, _):
        bench = Bench(plan, Path(home), upstream)
        found |= bench.measure_direct()
        own = furnish(bench.desks / f"bench-{OWN}", OWN)
        found |= bench.desk(str(own), bodies(questions(OWN)))
        for articles in plan.size.articles if plan.workers == 1 else ():
            found |= bench.grown(articles)
        if plan.beside:
            beside = bench.desk(plan.beside, bodies(numbered(plan.beside_questions)), whole=False)
            found |= {"beside": plan.beside} | {f"beside_{name}": value for name, value in beside.items()}
    seen = bench.seen
    found |= {"counted": seen.counted, "left_out": seen.left_out.total()}
    if seen.left_out:
        found["left_out_why"] = "; ".join(f"{count} {why}" for why, count in seen.left_out.most_common())
    return found


def bodies(texts: Iterator[str]) -> Iterator[Body]:
    """Each question from another customer, in a thread of its own."""
    return ({"message": text, "user_id": f"bench-{number}"} for number, text in enumerate(texts))


def numbered(texts: tuple[str, ...]) -> Iterator[str]:
    """The questions again and again, each time with another number, so that no cache answers."""
    number = 20
    while texts:
        for text in texts:
            number += 1
            yield f"{text} ({number})"


def _flame(running: Running, picture: Path) -> str:
    """A flame graph of the server under load, by py-spy where it is at hand; the file, or why there is none."""
    beside = Path(sys.executable).parent / "py-spy"
    spy = str(beside) if beside.is_file() else shutil.which("py-spy")
    if not spy:
        return "none: py-spy is not installed (pip install py-spy)"
    command = [spy, "record", "--pid", str(running.process.pid), "--subprocesses", "--duration", str(FLAME_SECONDS)]
    with subprocess.Popen(  # noqa: S603  # the tool that was asked for
        [*command, "--output", str(picture)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as recording:
        while recording.poll() is None:
            running.load("/v1/chat", SOME, SOME * 4)
        said = recording.stderr.read().strip() if recording.stderr else ""
    return str(picture) if recording.returncode == 0 else f"none: {said.splitlines()[-1] if said else 'py-spy failed'}"


def _calls(upstream: str) -> int:
    counted: Any = httpx.get(f"{upstream}/calls", trust_env=False).json()
    return int(counted["calls"])
