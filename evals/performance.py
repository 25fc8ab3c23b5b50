"""Measure what docs/performance.md says, on this machine: `make figures`.

Starts the real `frontdesk serve` with the LLM off on a folder of its own, asks it over HTTP, and
writes the table between the markers of the page. Medians; the machine's load is printed beside them.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import httpx

from evals.running import FRONTDESK, environment, resident, serving

HOUSE = Path(__file__).resolve().parent.parent
PAGE = HOUSE / "docs" / "performance.md"
BEGIN, END = "<!-- figures -->", "<!-- /figures -->"
ROUNDS = 100
STARTS = 3
QUESTIONS = (
    "How many days do I have to return an unused pan?",
    "What does express delivery cost?",
    "How long is the warranty on an air fryer?",
    "Which cards can I pay with?",
    "How do I change the address of order {number}?",
    "My parcel {number} arrived damaged, what now?",
)


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table."""

    what: str
    aim: str
    measured: str


def main() -> int:
    """Measure, print, and write the page's table."""
    with tempfile.TemporaryDirectory() as home:
        rows = [*_served(home), *_cases(home, "dev"), *_cases(home, "held_out")]
    lines = ["| what | aim | measured |", "|---|---|---|", *(f"| {r.what} | {r.aim} | {r.measured} |" for r in rows)]
    load = os.getloadavg()[0]
    lines += ["", f"Measured with `make figures` on {os.cpu_count()} cores at a load of {load:.1f}."]
    _say("\n".join(lines))
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{BEGIN}\n{chr(10).join(lines)}\n{END}{after}", encoding="utf-8")
    return 0


def _served(home: str) -> list[Row]:
    """A first start, later starts, memory, and a quoted answer over HTTP."""
    with serving(home) as (first, _, _):
        pass
    starts, memory, times = [], 0.0, list[float]()
    for number in range(STARTS):
        with serving(home) as (ready, process, base):
            starts.append(ready)
            if number == STARTS - 1:
                times = _asked(base)
                memory = resident(process)
    times.sort()
    p95 = times[int(len(times) * 0.95)]
    return [
        Row("first start, reading the shop's articles", "-", f"{first:.1f} s"),
        Row("`frontdesk serve`, LLM off: ready", "≤ 6 s", f"{statistics.median(starts):.1f} s"),
        Row(f"RSS after {len(times)} answers", "≤ 500 MB", f"{memory:.0f} MB"),
        Row(
            "a quoted answer over HTTP, p50 / p95",
            "≤ 60 ms p50",
            f"{statistics.median(times):.0f} / {p95:.0f} ms",
        ),
    ]


def _asked(base: str) -> list[float]:
    """Milliseconds of quoted answers, after a few to warm up; other outcomes do not count."""
    times = []
    with httpx.Client(base_url=base, timeout=30) as client:
        for number in range(ROUNDS + 10):
            question = QUESTIONS[number % len(QUESTIONS)].format(number=10_000 + number)
            # A number in every question: none comes from the embedder's cache.
            message = f"{question} ({number})" if "{" not in question else question
            started = time.perf_counter()
            reply = client.post("/v1/chat", json={"message": message}).raise_for_status().json()
            if number >= 10 and reply["outcome"] == "answer":  # noqa: PLR2004  # the warm-up
                times.append((time.perf_counter() - started) * 1000)
    return times


def _cases(home: str, split: str) -> list[Row]:
    """The desk suite on one split of the shop's cases, by quotation."""
    command = [str(FRONTDESK), "eval", "desk", "--desk", "shop", "--split", split, "--json"]
    done = subprocess.run(  # noqa: S603  # our own command
        command, env=environment(home), capture_output=True, text=True, check=False
    )
    figures = json.loads(done.stdout.splitlines()[-1])
    return [
        Row(
            f"shop cases, {split}: right outcome",
            "≥ 85 %",
            f"{figures['outcome_right']:.1%} of {figures['scored']}",
        ),
        Row(f"shop cases, {split}: answered right (outcome and facts)", "-", f"{figures['answered_right']:.1%}"),
        Row(f"shop cases, {split}: internal articles shown", "0", str(figures["internal_shown"])),
    ]


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")


if __name__ == "__main__":
    sys.exit(main())
