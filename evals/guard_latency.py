"""How long the guards of a desk take, on one core: `python -m evals.guard_latency [--desk D] [--json]`.

All input guards on texts of 100 characters, without and with the model of names, and all output guards on a
sentence. Guards compare no meanings, so no embedding is in it. Every text is new: nothing comes from a memory.
"""

import argparse
import asyncio
import json
import os
import sys
import time
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import asdict, dataclass
from itertools import cycle, islice
from typing import Any

from domain.profile import DeskProfile
from domain.turn import Passage
from evals.stats import percentile
from graph.profiles import find_desk, read_profile
from guards import Guards

ROUNDS, WARM_UP = 400, 20
LENGTH = 100
MS = 1000.0
QUESTIONS = (
    "Order {n}: how many days do I have to return an unused pan that I bought online, and who pays for it?",
    "My order {n} was due on Tuesday. I am Zorica Petkova, please call me at +49 170 55{n} about it today.",
    "Do you ship to Huế or Đà Nẵng? Tôi muốn hỏi phí giao hàng cho đơn {n} và thời gian nhận hàng bao lâu ạ",
    "Tên tôi là Nguyễn Văn An, số điện thoại 09012{n}, tôi muốn đổi địa chỉ giao hàng của đơn hàng này gấp",
    "I talked to Samantha Rhiner about invoice {n} and she told me that the refund is on its way to me now",
)
SENTENCES = (
    "You can return an unused pan within 30 days for order {n}.",
    "Delivery costs 25,000 VND and takes 3 to 5 working days, {n} times out of ten.",
    "Bạn có 30 ngày để đổi trả đơn hàng {n}, phí giao hàng là 25.000đ.",
)
SHELF = [
    Passage("p", "a", "Returns", "Unused goods can be returned within 30 days. The parcel must be paid by the customer.", 1.0),
    Passage("q", "b", "Delivery", "Delivery takes 3 to 5 working days and costs 25,000 VND, 500,000 VND and more are free. " * 4, 0.8),
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Latency:
    """Milliseconds of all guards of a side on one text: `p50` and `p95` of a clock, `cpu_*` of the core itself.

    On a machine at rest the two agree; beside other work only the second tells of the guards.
    """

    what: str
    p50: float
    p95: float
    cpu_p50: float
    cpu_p95: float
    texts: int


def measure_latency(profile: DeskProfile, *, rounds: int = ROUNDS) -> list[Latency]:
    """Input guards without and with the model of names, output guards with it. Takes seconds; blocking."""
    rows = []
    for ner in (False, True):
        guards = Guards.load(profile, ner=ner)
        name = f"input guards, {LENGTH} characters, {'with' if ner else 'without'} names' model"
        rows.append(_timed(name, _texts(QUESTIONS, rounds, LENGTH), _input(guards)))
        if ner:
            rows.append(_timed("output guards, a sentence", _texts(SENTENCES, rounds, 0), _output(guards)))
    return rows


def _input(guards: Guards) -> Callable[[str], Coroutine[Any, Any, object]]:
    return lambda text: guards.check_input(text, {})


def _output(guards: Guards) -> Callable[[str], Coroutine[Any, Any, object]]:
    def check(text: str) -> Coroutine[Any, Any, object]:
        question = f"How long for order {''.join(filter(str.isdigit, text))}?"
        return guards.check_output(text, question=question, passages=SHELF, facts=[], own={}, language="en")

    return check


def _texts(templates: Sequence[str], rounds: int, length: int) -> list[str]:
    """Texts that differ, cut or filled to `length` characters (0: as they are)."""
    made = (
        template.format(n=10_000 + number) for number, template in enumerate(islice(cycle(templates), rounds + WARM_UP))
    )
    return [text[:length].ljust(length, ".") if length else text for text in made]


def _timed(what: str, texts: Sequence[str], check: Callable[[str], Coroutine[Any, Any, object]]) -> Latency:

    async def run() -> tuple[list[float], list[float]]:
        wall, cpu = [], []
        for text in texts:
            started, worked = time.perf_counter(), time.process_time()
            await check(text)
            wall.append((time.perf_counter() - started) * MS)
            cpu.append((time.process_time() - worked) * MS)
        return wall[WARM_UP:], cpu[WARM_UP:]

    wall, cpu = asyncio.run(run())
    p50, p95, cpu_p50, cpu_p95 = (percentile(times, at) or 0.0 for times in (wall, cpu) for at in (50, 95))
    return Latency(what, p50, p95, cpu_p50, cpu_p95, len(wall))


def one_core() -> None:
    """Keep this process on one core, where the system can; the thread pools of libraries follow."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


def main() -> int:
    """Measure, print a table or one line of JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--desk", default="shop", help="a name or a folder")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    given = parser.parse_args()
    one_core()
    rows = measure_latency(read_profile(find_desk(given.desk)))
    if given.json:
        out = json.dumps([asdict(row) for row in rows])
    else:
        lines = [f"| {r.what} | {r.p50:.1f} / {r.p95:.1f} | {r.cpu_p50:.1f} / {r.cpu_p95:.1f} |" for r in rows]
        out = "\n".join(["| what | p50 / p95 ms | of them CPU |", "|---|---|---|", *lines])
    sys.stdout.write(out + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
