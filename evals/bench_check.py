"""Ratios that hold on any machine: `frontdesk bench --check`.

A turn's processor time against the least that FastAPI and LangGraph can do, and on ten times as many articles. Absolute times say more about the machine than about a change; these say that a change has made every turn dearer.
"""

import asyncio
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import psutil

from evals.bench import QUICK, Bench, Body, Figures, Plan, Running, bodies
from evals.bench_desk import furnish, questions
from evals.clients import MS, closed_loop
from evals.running import processor_seconds
from evals.upstream import program

SIZES = {"small": 20, "large": 200}
"""Articles."""
ROUNDS = 5
TURNS = 24
BARE_TURNS = 5 * TURNS
"""A bare turn is so short that the processor's clock of 10 ms would be seven hundredths of fewer."""
CLIENTS = 4
DELAY_MS = 5.0
LIMITS = {"cpu_over_bare": 13.0, "cpu_by_articles": 1.7}
"""What each ratio may be; measured from 6.0 (other programs running) to 9.8 (none, when the bare turn is cheapest), and 1.1.

A turn's native code and a bare turn's Python do not slow down alike: a limit nearer than a third refused sound changes.
"""


@dataclass(frozen=True, slots=True)
class Check:
    """The ratios, and those above their limits."""

    figures: Figures
    above: list[str]


def check(say: Callable[[str], None], desk: Path | None = None, asked: Iterator[Body] | None = None) -> Check:
    """Measure the ratios, taking turns between what is compared. Raises NotMeasuredError.

    `desk`: this one and what is `asked` there, instead of a small one of our own; then nothing is said of more articles.
    """
    with ExitStack() as opened:
        home = opened.enter_context(tempfile.TemporaryDirectory())
        upstream, _ = opened.enter_context(program("evals.upstream", str(DELAY_MS)))
        bench = Bench(Plan(QUICK, DELAY_MS, say=say), Path(home), upstream)
        desks = {"small": (desk, asked)} if desk and asked else {name: _own(bench, name) for name in SIZES}
        running = dict[str, Running]()
        for name, (folder, questions_there) in desks.items():
            say(f"a start: {folder}")
            running[name] = opened.enter_context(bench.running(str(folder), questions_there))[1]
            # Each article once: what is remembered of passages would else be compared with what is read for the first time.
            bench.seen.take(running[name].load("/v1/chat", CLIENTS, max(TURNS, SIZES.get(name, 0))))
        (bare, process), texts = (
            opened.enter_context(program("evals.bare", upstream)),
            bodies(questions(SIZES["small"])),
        )
        _bare(bare, process, texts)
        used: dict[str, list[float]] = {"bare": [], **{name: [] for name in running}}
        for number in range(ROUNDS):
            say(f"round {number + 1} of {ROUNDS}")
            used["bare"].append(_bare(bare, process, texts))
            for name, server in running.items():
                used[name].append(_turn(bench, server))
    # The least of the rounds: whatever else the machine did can only have added to the others.
    return _judged({name: min(each) for name, each in used.items()}, bench)


def _own(bench: Bench, name: str) -> tuple[Path, Iterator[Body]]:
    return furnish(bench.desks / f"bench-{SIZES[name]}", SIZES[name]), bodies(questions(SIZES[name]))


def _judged(cpu: dict[str, float], bench: Bench) -> Check:
    ratios = {"cpu_over_bare": cpu["small"] / cpu["bare"]}
    if "large" in cpu:
        ratios["cpu_by_articles"] = cpu["large"] / cpu["small"]
    figures: Figures = {f"cpu_ms_{name}": round(ms, 2) for name, ms in cpu.items()}
    figures |= {name: round(ratio, 2) for name, ratio in ratios.items()}
    figures |= {"counted": bench.seen.counted, "left_out": bench.seen.left_out.total()}
    return Check(figures, [name for name, ratio in ratios.items() if ratio > LIMITS[name]])


def _turn(bench: Bench, running: Running) -> float:
    """Processor milliseconds of the server a turn."""
    before = processor_seconds(running.process)
    bench.seen.take(running.load("/v1/chat", CLIENTS, TURNS))
    return (processor_seconds(running.process) - before) / TURNS * MS


def _bare(url: str, process: psutil.Process, asked: Iterator[Body]) -> float:
    """The same of the bare turn."""
    before = processor_seconds(process)
    asyncio.run(closed_loop(f"{url}/v1/chat", asked, clients=CLIENTS, requests=BARE_TURNS, bare=True))
    return (processor_seconds(process) - before) / BARE_TURNS * MS
