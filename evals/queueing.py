"""How long customers wait at a load: a queueing model of measured services, held against a load test of our own.

    python -m evals.queueing [--seconds 20]

The model is M/G/c with shared servers: questions come at random (Poisson), each needs what one customer alone was seen to
wait, and those that are there share what the process can do. Two things are measured: the service times S of one customer
alone, and the most answers a second X under many. From these follow c = X * mean(S), how many turns go on truly at once
(by Little's law, at a full load), and everything else. Beside it stands M/M/c by Erlang's formula, which needs no
simulation. Then the same server gets the same loads, and what it did stands beside what was foretold.
"""

import argparse
import asyncio
import heapq
import json
import math
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import httpx
import numpy as np

from domain.errors import NotMeasuredError
from evals.performance import QUESTIONS
from evals.running import serving
from evals.stats import percentile

LOADS = (0.3, 0.5, 0.7, 0.85)
"""Shares of the most answers a second at which the model is held against the server."""
CLIENTS = 8
ALONE = 60
WARM = 12
SEED = 20261121
STEADY = 0.2
"""By how much the most answers a second may change while it is measured: more says that others were at work."""
ARRIVALS = 20_000
MS = 1_000.0


@dataclass(frozen=True, slots=True)
class Desk:
    """What was measured of a server: seconds that one customer alone waits, and the most answers a second."""

    services: list[float]
    capacity: float

    @property
    def at_once(self) -> float:
        """How many turns truly go on at once at a full load (c)."""
        return max(1.0, self.capacity * statistics.fmean(self.services))


@dataclass(frozen=True, slots=True)
class Waits:
    """Answers a second, and seconds until an answer, at one load."""

    rate: float
    p50: float
    p95: float
    mean: float

    @classmethod
    def of(cls, seconds: Sequence[float], rate: float) -> "Waits":
        """Raises NotMeasuredError of nothing."""
        middle, late = percentile(seconds, 50), percentile(seconds, 95)
        if middle is None or late is None:
            raise NotMeasuredError("not one question was answered", where="evals.queueing")
        return cls(rate, middle, late, statistics.fmean(seconds))


@dataclass(slots=True)
class Row:
    """One load: what was asked, foretold and seen. `erlang`: the mean by M/M/c."""

    load: float
    asked: float
    foretold: Waits
    erlang: float
    seen: Waits
    failed: int = 0


@dataclass(slots=True)
class Seen:
    """Answers of a trial."""

    seconds: list[float] = field(default_factory=list)
    failed: int = 0


def erlang_mean(rate: float, service: float, servers: int) -> float:
    """Mean seconds in an M/M/c system: `rate` a second, `service` seconds each. Infinite where it cannot keep up."""
    offered = rate * service
    if offered >= servers:
        return math.inf
    below = sum(offered**n / math.factorial(n) for n in range(servers))
    full = offered**servers / math.factorial(servers) * servers / (servers - offered)
    return service + full / (below + full) * service / (servers - offered)


def shared(
    rate: float, services: Sequence[float], at_once: float, *, arrivals: int = ARRIVALS, seed: int = SEED
) -> list[float]:
    """Seconds until an answer in an M/G/c system whose servers are shared by those who are there (simulated).

    With n turns under way each goes on at min(1, `at_once` / n) of its speed. Service times are drawn from `services`.
    """
    draw = np.random.default_rng(seed)
    gaps, needs = draw.exponential(1 / rate, arrivals).tolist(), draw.choice(services, arrivals).tolist()
    # Served: how far a turn that has been there from the beginning would be. Each ends at its arrival's plus its service.
    now = served = 0.0
    ends: list[tuple[float, float]] = []
    took: list[float] = []
    for gap, need in zip(gaps, needs, strict=True):
        coming = now + gap
        while ends:
            speed = min(1.0, at_once / len(ends))
            end, came = ends[0]
            if now + (end - served) / speed > coming:
                served += (coming - now) * speed
                break
            now, served = now + (end - served) / speed, end
            heapq.heappop(ends)
            took.append(now - came)
        now = coming
        heapq.heappush(ends, (served + need, now))
    return took


def foretell(desk: Desk, rate: float) -> Waits:
    """What the model says of a load."""
    return Waits.of(shared(rate, desk.services, desk.at_once), rate)


def servers_for(rate: float, desk: Desk, most_p95: float) -> int:
    """The fewest processes like this one, each with an even share of `rate`, whose p95 stays below `most_p95` seconds.

    Raises NotMeasuredError where one customer alone already waits longer.
    """
    if Waits.of(desk.services, 0.0).p95 >= most_p95:
        raise NotMeasuredError("a turn alone takes longer than that", where=f"p95 below {most_p95} s")
    count = max(1, math.ceil(rate / desk.capacity))
    while rate / count >= desk.capacity or foretell(desk, rate / count).p95 > most_p95:
        count = count + max(1, count // 50)
    return count


async def ask(http: httpx.AsyncClient, number: int, seen: Seen) -> None:
    """One question as a new customer; each holds a number of its own, so that no vector is remembered."""
    text = f"{QUESTIONS[number % len(QUESTIONS)].format(number=10_000 + number)} ({number})"
    began = time.perf_counter()
    try:
        answer = await http.post("/v1/chat", json={"message": text, "user_id": f"user-{number}"})
    except httpx.HTTPError:
        seen.failed += 1
        return
    if answer.is_success:
        seen.seconds.append(time.perf_counter() - began)
    else:
        seen.failed += 1


async def alone(http: httpx.AsyncClient, count: int, first: int) -> Seen:
    """One customer after the other."""
    seen = Seen()
    for number in range(count):
        await ask(http, first + number, seen)
    return seen


async def full(http: httpx.AsyncClient, seconds: float, first: int) -> float:
    """Answers a second while `CLIENTS` ask without a pause."""
    seen, until = Seen(), time.perf_counter() + seconds

    async def go_on(number: int) -> None:
        while time.perf_counter() < until:
            await ask(http, number, seen)
            number += CLIENTS

    began = time.perf_counter()
    await asyncio.gather(*(go_on(first + number) for number in range(CLIENTS)))
    return len(seen.seconds) / (time.perf_counter() - began)


async def at_rate(http: httpx.AsyncClient, rate: float, seconds: float, first: int) -> tuple[Waits, int]:
    """Questions that come at random, `rate` a second, whether or not the last are answered; and how many failed."""
    draw, seen, running = np.random.default_rng(SEED + first), Seen(), list[asyncio.Task[None]]()
    began = time.perf_counter()
    due, number = float(draw.exponential(1 / rate)), first
    while due < seconds:
        await asyncio.sleep(max(0.0, due - (time.perf_counter() - began)))
        running.append(asyncio.create_task(ask(http, number, seen)))
        due, number = due + float(draw.exponential(1 / rate)), number + 1
    await asyncio.gather(*running)
    return Waits.of(seen.seconds, len(seen.seconds) / (time.perf_counter() - began)), seen.failed


async def measured(http: httpx.AsyncClient, seconds: float) -> Desk:
    """One customer alone, then as many as it can take."""
    await alone(http, WARM, 0)
    services = (await alone(http, ALONE, 1_000)).seconds
    capacity = await full(http, seconds, 10_000)
    if not services or not capacity:
        raise NotMeasuredError("not one question was answered", where=str(http.base_url))
    return Desk(services, capacity)


async def compared(base: str, seconds: float) -> tuple[Desk, list[Row], float]:
    """Measure a server, foretell four loads, and see what becomes of them; and the most it can do afterwards."""
    async with httpx.AsyncClient(base_url=base, timeout=120, trust_env=False) as http:
        desk = await measured(http, seconds)
        _say(
            f"alone {statistics.fmean(desk.services) * MS:.0f} ms, at most {desk.capacity:.1f}/s, c = {desk.at_once:.2f}"
        )
        rows = []
        for place, load in enumerate(LOADS):
            rate = load * desk.capacity
            seen, failed = await at_rate(http, rate, seconds, 100_000 * (place + 1))
            mean = statistics.fmean(desk.services)
            rows.append(
                Row(load, rate, foretell(desk, rate), erlang_mean(rate, mean, round(desk.at_once)), seen, failed)
            )
            _say(f"load {load:.0%}: seen p50 {seen.p50 * MS:.0f} ms, p95 {seen.p95 * MS:.0f} ms")
        again = await full(http, seconds, 20_000)
    return desk, rows, again


def table(rows: Sequence[Row]) -> str:
    """The rows for a page."""
    head = "| load | asked /s | answered /s | p50 foretold | p50 seen | p95 foretold | p95 seen | mean by M/M/c | mean seen |"
    lines = [head, "|---|---|---|---|---|---|---|---|---|"]
    for row in rows:
        cells = [row.foretold.p50, row.seen.p50, row.foretold.p95, row.seen.p95, row.erlang, row.seen.mean]
        shown = " | ".join(f"{cell * MS:.0f} ms" for cell in cells)
        lines.append(f"| {row.load:.0%} | {row.asked:.1f} | {row.seen.rate:.1f} | {shown} |")
    return "\n".join(lines)


def main() -> int:
    """Measure and print: the table, then one JSON object; 1 when a question failed or the machine was not at rest."""
    parser = argparse.ArgumentParser(description="A queueing model of a desk, held against a load test of it.")
    parser.add_argument("--seconds", type=float, default=20.0, help="of each load (default 20)")
    seconds = parser.parse_args().seconds
    open_door = {"FRONTDESK_RATE_LIMIT_USER": "", "FRONTDESK_RATE_LIMIT_ADDRESS": "", "FRONTDESK_MAX_TURNS": "1000"}
    with tempfile.TemporaryDirectory() as home, serving(home, **open_door) as (_, _, base):
        desk, rows, again = asyncio.run(compared(base, seconds))
    _say(table(rows))
    steady = abs(again / desk.capacity - 1) < STEADY
    if not steady:
        _say(
            f"the machine was not at rest: {desk.capacity:.1f}/s at the beginning, {again:.1f}/s at the end: measure again"
        )
    told = {"capacity_per_s": round(desk.capacity, 2), "at_once": round(desk.at_once, 2)}
    told |= {"capacity_again_per_s": round(again, 2), "alone_ms": round(statistics.fmean(desk.services) * MS, 1)}
    for row in rows:
        name = f"load_{row.load * 100:.0f}"
        told |= {f"{name}_p50_ratio": round(row.seen.p50 / row.foretold.p50, 2)}
        told |= {f"{name}_p95_ratio": round(row.seen.p95 / row.foretold.p95, 2), f"{name}_failed": row.failed}
    sys.stdout.write(json.dumps(told) + "\n")
    return 1 if any(row.failed for row in rows) or not steady else 0


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")


if __name__ == "__main__":
    sys.exit(main())
