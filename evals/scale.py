"""What one turn costs and leaves behind, and what many of them come to: `python -m evals.scale [--turns 200]`.

The real `frontdesk serve` on an English desk (evals/bench_desk.py), asked by one customer at a time, once by quotation and
once over a model's API that recites (evals/counting_upstream.py). Processor time, memory, rows and bytes are differences;
spans and tokens are counted. Prices are those of models/catalog.yaml on the day. What is printed goes to docs/scale.md.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path

import httpx

from domain.errors import NotMeasuredError
from domain.receipt import MICRO
from evals.bench_desk import furnish, questions
from evals.running import processor_seconds, resident, serving
from evals.upstream import MODEL, program
from graph.system import SystemClock
from graph.threads import FILE as THREADS
from graph.timeline import trace_of
from models.catalog import load_catalog
from store import Store
from store.db import FILE
from store.move import count_rows

ARTICLES = 100
WARM = 20
LOOKED_AT = 100
"""Receipts whose spans are counted."""
JUDGED = "0.1"
"""Share of answers that the judge rates: the default over a paid model."""
DAYS = 30
MS = 1_000.0
OPEN_DOOR = {"FRONTDESK_RATE_LIMIT_USER": "", "FRONTDESK_RATE_LIMIT_ADDRESS": "", "FRONTDESK_JUDGE_SAMPLE": JUDGED}


@dataclass(frozen=True, slots=True)
class Turn:
    """What one turn comes to, on average. Bytes are those of the files; `model_calls` counts judges."""

    turns: int
    answered: float
    cpu_ms: float
    rss_mb: float
    rss_kb: float
    rows: float
    store_bytes: float
    thread_bytes: float
    spans: float
    span_bytes: float
    model_calls: float = 0.0
    input_tokens: float = 0.0
    output_tokens: float = 0.0


@dataclass(frozen=True, slots=True)
class Left:
    """What lies in a desk's folder."""

    rows: Mapping[str, int]
    store: int
    threads: int


@dataclass(frozen=True, slots=True)
class Bill:
    """What a model would cost for a month. `most`: were every answer as long as its tier lets it be, thinking included."""

    model: str
    usd: float
    most: float


def measure(folder: Path, desk: Path, turns: int, *, model: bool) -> tuple[Turn, Mapping[str, float]]:
    """One mode; and the rows of a turn by table. Raises NotMeasuredError."""
    with ExitStack() as opened:
        settings, upstream = dict(OPEN_DOOR), ""
        if model:
            upstream, _ = opened.enter_context(program("evals.counting_upstream"))
            settings |= {
                "FRONTDESK_LLM": "auto",
                "FRONTDESK_LLM_BASE_URL": f"{upstream}/v1",
                "FRONTDESK_LLM_MODEL": MODEL,
            }
        state, asked = folder / desk.name, questions(ARTICLES)
        with serving(str(folder), desk=str(desk), **settings) as (_, _, base):
            ask(base, asked, WARM)
        before = left_in(state)
        with serving(str(folder), desk=str(desk), **settings) as (_, process, base):
            ask(base, asked, WARM)
            said, used, held = tokens(upstream), processor_seconds(process), resident(process)
            answered = ask(base, asked, turns)
            spent, grown = processor_seconds(process) - used, resident(process) - held
            told = {name: (count - said[name]) / turns for name, count in tokens(upstream).items()}
            size = resident(process)
        after, all_turns = left_in(state), turns + WARM
        rows = {name: (count - before.rows[name]) / all_turns for name, count in after.rows.items()}
        spans, span_bytes = traced(state)
        turn = Turn(
            turns, answered / turns, spent / turns * MS, size, grown / turns * MS, sum(rows.values()),
            (after.store - before.store) / all_turns, (after.threads - before.threads) / all_turns, spans, span_bytes,
            told.get("calls", 0.0), told.get("input_tokens", 0.0), told.get("output_tokens", 0.0),
        )  # fmt: skip
        return turn, {name: count for name, count in rows.items() if count}


def ask(base: str, asked: Iterator[str], turns: int) -> int:
    """So many turns, one after the other, each of a new customer; how many were answered. Raises NotMeasuredError."""
    answered = 0
    with httpx.Client(base_url=base, timeout=120, trust_env=False) as http:
        for number in range(turns):
            answer = http.post("/v1/chat", json={"message": next(asked), "user_id": f"user-{number}"})
            if not answer.is_success:
                raise NotMeasuredError(f"the desk answered {answer.status_code}", where=base)
            answered += answer.json()["outcome"] == "answer"
    return answered


def tokens(upstream: str) -> dict[str, int]:
    """What the upstream has counted so far; nothing without one."""
    if not upstream:
        return {}
    told: dict[str, int] = httpx.get(f"{upstream}/tokens", timeout=10, trust_env=False).json()
    return told


def left_in(state: Path) -> Left:
    """Rows and bytes of a desk that is not served: its logs are in its files."""
    return Left(count_rows(state / FILE), _size(state / FILE), _size(state / THREADS))


def traced(state: Path) -> tuple[float, float]:
    """Spans a turn, and their bytes as JSON, of the newest receipts."""
    store = Store.open(state, SystemClock())
    try:
        kept = store.ledger.recent(LOOKED_AT)
    finally:
        store.close()
    traces = [trace for receipt in kept if (trace := trace_of(receipt, {"turn", "judge"}, "dev"))]
    count = sum(len(trace.observations) for trace in traces)
    size = sum(len(json.dumps(asdict(trace), default=str)) for trace in traces)
    return count / len(kept), size / len(kept)


def bills(turn: Turn, a_day: int, today: date) -> list[Bill]:
    """What each priced model would cost for a month of so many such turns a day, the cheapest first."""
    catalog, found = load_catalog(), []
    calls = turn.model_calls * a_day * DAYS
    for row in catalog.models:
        prices = row.prices_on(today)
        if calls and prices.output:
            sent, said = (round(one / turn.model_calls) for one in (turn.input_tokens, turn.output_tokens))
            longest = catalog.answer_tokens[row.tier] + row.thinking_tokens
            usd, most = (prices.cost(sent, written) * calls / MICRO for written in (said, longest))
            found.append(Bill(row.name, usd, most))
    return sorted(found, key=lambda bill: bill.most)


def main() -> int:
    """Measure and print two tables, and one JSON object at the end."""
    parser = argparse.ArgumentParser(description="What a turn costs and leaves behind, and what many come to.")
    parser.add_argument("--turns", type=int, default=200, help="turns of each mode (default 200)")
    parser.add_argument("--a-day", type=int, default=10_000, help="questions a day of the bill (default 10000)")
    asked = parser.parse_args()
    found: dict[str, Turn] = {}
    told: dict[str, object] = {}
    with tempfile.TemporaryDirectory() as folder:
        desk = furnish(Path(folder) / "english", ARTICLES)
        for mode in ("quote", "model"):
            home = Path(folder) / mode
            home.mkdir()
            found[mode], by_table = measure(home, desk, asked.turns, model=mode == "model")
            told |= {f"{mode}_{name}": round(value, 3) for name, value in asdict(found[mode]).items()}
            told[f"{mode}_rows_by_table"] = {name: round(count, 2) for name, count in by_table.items()}
    _say(turn_table(found))
    for bill in bills(found["model"], asked.a_day, SystemClock().now().date()):
        _say(f"| {bill.model} | ${bill.usd:,.0f} | ${bill.most:,.0f} |")
    sys.stdout.write(json.dumps(told) + "\n")
    return 0


def turn_table(found: Mapping[str, Turn]) -> str:
    """A row for each thing that is measured."""
    rows = [
        ("processor time", "cpu_ms", "{:.0f} ms"),
        ("memory of the process", "rss_mb", "{:.0f} MB"),
        ("rows in the database", "rows", "{:.1f}"),
        ("bytes in the database", "store_bytes", "{:,.0f}"),
        ("bytes of conversations", "thread_bytes", "{:,.0f}"),
        ("spans", "spans", "{:.1f}"),
        ("bytes of spans, as JSON", "span_bytes", "{:,.0f}"),
        ("calls of a model", "model_calls", "{:.2f}"),
        ("tokens in", "input_tokens", "{:,.0f}"),
        ("tokens out", "output_tokens", "{:,.0f}"),
    ]
    return _table(
        ["one turn", *found],
        [[what, *(shape.format(getattr(one, name)) for one in found.values())] for what, name, shape in rows],
    )


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "\n".join(
        [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|", *(f"| {' | '.join(row)} |" for row in rows)]
    )


def _size(path: Path) -> int:
    return sum(each.stat().st_size for each in (path, path.with_name(f"{path.name}-wal")) if each.exists())


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")


if __name__ == "__main__":
    sys.exit(main())
