"""Half of a desk's load for a long time, with flat memory, handles and threads: `make soak [MINUTES=30]`.

Starts the real `frontdesk serve` on the shop with the LLM off, finds out how many questions a second it answers, then
asks half as many: customers in threads of ten turns, some with personal data, some rated. Prints one JSON object and
exits with 1 when a request failed or when memory, handles or threads still grow in the last third.
"""

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import httpx
import psutil

from domain.errors import NotMeasuredError
from evals.performance import QUESTIONS
from evals.running import MEGABYTE, serving

CLIENTS = 16
TRIAL_SECONDS = 15.0
SAMPLE_SECONDS = 2.0
TURNS_A_THREAD = 10
RATED = 5
"""One turn in so many gets a thumb."""
MOST_GROWTH = 0.03
"""Of memory, from the second third to the last."""
MOST_MORE = 8
"""Handles and threads more in the last third than in the second: connections come and go."""
PERSONAL = "My e-mail is customer{number}@example.com. "


@dataclass(slots=True)
class Seen:
    """What was measured. `samples`: (RSS bytes, handles, threads) of the server."""

    statuses: Counter[str] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    samples: list[tuple[int, int, int]] = field(default_factory=list)

    @property
    def failed(self) -> int:
        """Requests that got no answer of the desk."""
        return sum(count for status, count in self.statuses.items() if status != "200")


@dataclass(slots=True)
class Customer:
    """Asks in one thread, then in the next."""

    http: httpx.AsyncClient
    name: str
    thread: str = ""
    turns: int = 0

    async def ask(self, number: int, seen: Seen) -> None:
        """One question, and sometimes a thumb."""
        text = QUESTIONS[number % len(QUESTIONS)].format(number=10_000 + number)
        text = PERSONAL.format(number=number) + text if number % RATED == 0 else f"{text} ({number})"
        body = {"message": text, "user_id": self.name} | ({"thread_id": self.thread} if self.thread else {})
        began = time.perf_counter()
        try:
            answer = await self.http.post("/v1/chat", json=body)
        except httpx.HTTPError as fault:
            seen.statuses[type(fault).__name__] += 1
            return
        seen.statuses[str(answer.status_code)] += 1
        seen.seconds.append(time.perf_counter() - began)
        if answer.is_success:
            reply = answer.json()
            self.turns += 1
            self.thread = reply["thread_id"] if self.turns % TURNS_A_THREAD else ""
            if number % RATED == 0:
                rating = {"turn_id": reply["turn_id"], "rating": "up", "user_id": self.name}
                await self.http.post("/v1/feedback", json=rating)


async def trial(http: httpx.AsyncClient, seconds: float) -> float:
    """Answers a second under as many clients as it can serve."""
    seen, until = Seen(), time.perf_counter() + seconds

    async def without_pause(customer: Customer, number: int) -> None:
        while time.perf_counter() < until:
            await customer.ask(number, seen)
            number += CLIENTS

    await asyncio.gather(*(without_pause(Customer(http, f"trial-{one}"), one) for one in range(CLIENTS)))
    return seen.statuses["200"] / seconds


async def steady(http: httpx.AsyncClient, server: psutil.Process, rate: float, seconds: float) -> Seen:
    """`rate` questions a second, whether or not the last are answered."""
    seen, began = Seen(), time.perf_counter()
    free = [Customer(http, f"customer-{one}") for one in range(CLIENTS)]
    running = set[asyncio.Task[None]]()
    sampling = asyncio.create_task(_sample(server, seen))
    number = 0
    while (now := time.perf_counter() - began) < seconds:
        while number < now * rate:
            customer = free.pop() if free else Customer(http, f"late-{number}")
            task = asyncio.create_task(_one(customer, number, seen, free))
            running.add(task)
            task.add_done_callback(running.discard)
            number += 1
        await asyncio.sleep(1 / rate)
    await asyncio.gather(*running)
    sampling.cancel()
    return seen


async def _one(customer: Customer, number: int, seen: Seen, free: list[Customer]) -> None:
    await customer.ask(number, seen)
    free.append(customer)


async def _sample(server: psutil.Process, seen: Seen) -> None:
    while True:
        with server.oneshot():
            seen.samples.append((server.memory_info().rss, server.num_fds(), server.num_threads()))
        await asyncio.sleep(SAMPLE_SECONDS)


def figures(seen: Seen, rate: float, capacity: float, seconds: float) -> dict[str, float | bool | str]:
    """The flat object that is printed. Middle and end are medians of the second and of the last third."""
    third = max(1, len(seen.samples) // 3)
    middle, end = seen.samples[third : 2 * third], seen.samples[-third:]
    found: dict[str, float | bool | str] = {"seconds": round(seconds), "capacity_per_s": round(capacity, 1)}
    found |= {"asked_per_s": round(rate, 1), "answered": seen.statuses["200"], "failed": seen.failed}
    if seen.failed:
        found["failed_why"] = "; ".join(f"{count} {why}" for why, count in seen.statuses.items() if why != "200")
    cut = statistics.quantiles(seen.seconds, n=20)
    found |= {"p50_ms": round(cut[9] * 1_000, 1), "p95_ms": round(cut[18] * 1_000, 1)}
    for place, name, unit in ((0, "rss_mb", MEGABYTE), (1, "handles", 1.0), (2, "threads", 1.0)):
        found[f"{name}_middle"] = round(_median(middle, place) / unit, 1)
        found[f"{name}_end"] = round(_median(end, place) / unit, 1)
    grown = _median(end, 0) / _median(middle, 0) - 1
    more = max(_median(end, place) - _median(middle, place) for place in (1, 2))
    found["rss_growth"] = round(grown, 4)
    found["flat"] = grown <= MOST_GROWTH and more <= MOST_MORE
    return found


def _median(samples: Sequence[tuple[int, int, int]], place: int) -> float:
    return statistics.median(sample[place] for sample in samples)


async def soak(base: str, server: psutil.Process, seconds: float) -> dict[str, float | bool | str]:
    """Trial, then half of it."""
    async with httpx.AsyncClient(base_url=base, timeout=60, trust_env=False) as http:
        await trial(http, TRIAL_SECONDS / 3)  # models are loaded
        capacity = await trial(http, TRIAL_SECONDS)
        if not capacity:
            raise NotMeasuredError("not one question was answered", where=base)
        rate = capacity / 2
        _say(f"{capacity:.1f} answers a second; asking {rate:.1f} for {seconds:.0f} s")
        seen = await steady(http, server, rate, seconds)
    return figures(seen, rate, capacity, seconds)


def main() -> int:
    """Measure and print; 1 when something failed or grows."""
    parser = argparse.ArgumentParser(description="Half load for a long time, with flat memory, handles and threads.")
    parser.add_argument("minutes", nargs="?", type=float, default=30.0, help="how long (default 30)")
    seconds = parser.parse_args().minutes * 60
    with tempfile.TemporaryDirectory() as home, serving(home, FRONTDESK_RATE_LIMIT_USER="") as (_, server, base):
        found = asyncio.run(soak(base, server, seconds))
    sys.stdout.write(json.dumps(found) + "\n")
    return 0 if found["flat"] and not found["failed"] else 1


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")


if __name__ == "__main__":
    sys.exit(main())
