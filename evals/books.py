"""Measure what the books cost a turn, and how quick the figures are: `python -m evals.books [postgresql://…]`.

Medians of rounds, as other work on the machine comes and goes; what is printed goes to docs/money.md: p50 and p95 in
milliseconds, and what of them this process worked itself, which other work on the machine hardly changes.
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from domain.turn import Payer
from graph.figures import overview
from graph.system import SystemClock
from store import Store
from store.limits import EACH, Slot

ROUNDS, TURNS = 5, 400
NINETY_FIVE = 0.95
MS = 1_000
PLENTY = 10**12


def main() -> None:
    """Print the rows of docs/money.md: SQLite in a folder of its own, and Postgres where a URL is given."""
    url = sys.argv[1] if len(sys.argv) > 1 else ""
    for name, where in (("SQLite", ""), *((("Postgres", url),) if url else ())):
        with tempfile.TemporaryDirectory() as folder:
            store = Store.open(Path(folder), SystemClock(), url=where, daily_limit=PLENTY)
            try:
                _measure(name, store)
            finally:
                store.close()


def _measure(name: str, store: Store) -> None:
    _say(f"{name}: reserve and settle, the daily total alone", lambda number: _turn(store, number))
    store.budget.change(Slot("user", EACH), PLENTY, "bench")
    store.budget.change(Slot("model", EACH, "month"), PLENTY, "bench")
    _say(f"{name}: the same with budgets for each user and model", lambda number: _turn(store, number))
    clock = SystemClock()
    moment = clock.now().replace(hour=0)
    _say(f"{name}: every figure of a day", lambda _number: overview(store, moment, clock.now()), turns=20)


def _turn(store: Store, number: int) -> None:
    hold = store.budget.reserve("a-model", 5_000, Payer(f"{number % 50:032x}", "", f"turn-{number}"))
    store.budget.settle(hold, 2_500)


def _say(what: str, work: Callable[[int], object], *, turns: int = TURNS) -> None:
    p50s, p95s, worked = [], [], []
    for _ in range(ROUNDS):
        took = []
        busy = time.process_time()
        for number in range(turns):
            begun = time.perf_counter()
            work(number)
            took.append((time.perf_counter() - begun) * MS)
        worked.append((time.process_time() - busy) * MS / turns)
        took.sort()
        p50s.append(statistics.median(took))
        p95s.append(took[int(len(took) * NINETY_FIVE)])
    row = (
        f"| {what} | {statistics.median(p50s):.2f} | {statistics.median(p95s):.2f} | {statistics.median(worked):.2f} |"
    )
    sys.stdout.write(f"{row}\n")


if __name__ == "__main__":
    main()
