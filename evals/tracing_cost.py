"""Measure what docs/tracing.md says of Langfuse on this machine: `python -m evals.tracing_cost [--json]`.

Synthetic receipts of a full turn (8 observations, 5 passages of 800 characters) go through the real ledger, outbox
and exporter to a stand-in for Langfuse in a process of its own, which decodes them. Takes about a minute. Three things:

- the processor time that tracing adds to a turn: its row in the outbox, reading it back, making, packing and sending
  the spans and scores, removing the row;
- what a turn waits for, at 50 turns a second: the delay of the event loop plus the writing of its receipt, while
  Langfuse is off, up, dead (every connection is cut) or hanging;
- 10,000 turns and 10,000 judgements written through an outage (cut off, 500s, hanging): how many arrive afterwards, how
  many twice, and how far the memory grew. The outage is as long as the writing takes, faster than 50 turns a second.
"""

import asyncio
import json
import multiprocessing
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import suppress
from dataclasses import replace
from gzip import decompress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import psutil

from domain.receipt import Receipt
from domain.turn import Call, Passage, Score, Source, Step, Verdict
from graph.exporting import Exporter
from graph.system import SystemClock, Uuid7
from store import Store
from tracing import Metrics
from tracing.server import LangfuseServer

COST_TURNS = 1_000
OUTAGE_TURNS = 10_000
RATE = 50
SECONDS = 8
MODES = ("off", "up", "dead", "hanging")
ROUNDS = 2
MEGABYTE = 1e6
MS = 1000.0
DRAIN_SECONDS = 300.0
REQUEST_SECONDS = 1.0


def main() -> int:
    """Measure and print."""
    figures = asyncio.run(_measure())
    text = json.dumps(figures) if "--json" in sys.argv else "\n".join(f"{name}: {one}" for name, one in figures.items())
    sys.stdout.write(text + "\n")
    return 0 if figures["turns_lost"] == 0 else 1


async def _measure() -> dict[str, float]:
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    stand_in = context.Process(target=_serve, args=(there,), daemon=True)
    stand_in.start()
    try:
        port = await asyncio.to_thread(here.recv)
        url = f"http://127.0.0.1:{port}"
        with tempfile.TemporaryDirectory() as folder:
            figures = await _cost(Path(folder) / "cost", url)
            _progress("processor time measured")
            figures |= await _waits(Path(folder), url, here)
            _progress("waiting measured")
            figures |= await _outage(Path(folder) / "outage", url, here)
        return figures
    finally:
        stand_in.terminate()
        stand_in.join()


def _open(folder: Path, url: str, *, exports: bool = True) -> tuple[Store, Exporter]:
    store = Store.open(folder, SystemClock(), exports=exports)
    server = LangfuseServer(url, "pk", "sk", seconds=REQUEST_SECONDS)
    exporter = Exporter(
        store,
        server,
        Metrics(),
        environment="eval",
        backlog=10 * OUTAGE_TURNS,
        holder=Uuid7().new(),
        jitter=lambda: 0.0,
    )
    return store, exporter


async def _cost(folder: Path, url: str) -> dict[str, float]:
    """Processor time a turn; the same receipts are written without an outbox first."""
    plain, none = _open(folder / "off", url, exports=False)
    store, exporter = _open(folder / "on", url)
    receipts = [_receipt() for _ in range(COST_TURNS)]
    for one in receipts[:50]:
        plain.ledger.save(one)
        store.ledger.save(one)
    await exporter.drain(DRAIN_SECONDS)
    before = time.process_time()
    for one in receipts:
        plain.ledger.save(replace(one, turn_id=f"{one.turn_id}x"))
    off = time.process_time() - before
    before = time.process_time()
    for one in receipts:
        store.ledger.save(replace(one, turn_id=f"{one.turn_id}x"))
    on = time.process_time() - before
    before = time.process_time()
    delivered = await exporter.drain(DRAIN_SECONDS)
    sending = time.process_time() - before
    for sender, opened in ((none, plain), (exporter, store)):
        await sender.close()
        opened.close()
    return {
        "cpu_ms_per_turn": round((max(0.0, on - off) + sending) / COST_TURNS * MS, 2) if delivered else float("nan"),
        "cpu_ms_in_the_turn": round((on - off) / COST_TURNS * MS, 3),
    }


async def _waits(folder: Path, url: str, control: Connection) -> dict[str, float]:
    """p95 of what a turn waits for, in each state of Langfuse; the median of the rounds, which take turns."""
    found: dict[str, list[float]] = {mode: [] for mode in MODES}
    for number in range(ROUNDS):
        for mode in MODES:
            control.send("up" if mode == "off" else mode)
            store, exporter = _open(folder / f"{mode}{number}", url, exports=mode != "off")
            await exporter.start()
            found[mode].append(await _p95(store))
            await exporter.close()
            store.close()
    control.send("up")
    medians = {mode: statistics.median(times) for mode, times in found.items()}
    return {f"wait_ms_p95_{mode}": round(one, 2) for mode, one in medians.items()} | {
        f"wait_ms_p95_{mode}_against_off": round(medians[mode] - medians["off"], 2) for mode in MODES[1:]
    }


async def _p95(store: Store) -> float:
    times: list[float] = []
    receipts = [_receipt() for _ in range(RATE * SECONDS // 2)]
    for one in receipts:
        began = time.perf_counter()
        await asyncio.sleep(1 / RATE)
        late = time.perf_counter() - began - 1 / RATE
        began = time.perf_counter()
        await asyncio.to_thread(store.ledger.save, one)
        times.append((late + time.perf_counter() - began) * MS)
    return statistics.quantiles(times, n=20)[-1]


async def _outage(folder: Path, url: str, control: Connection) -> dict[str, float]:
    """Turns and their judgements through every kind of trouble; then the stand-in says what it has."""
    control.send("clear")
    store, exporter = _open(folder, url)
    await exporter.start()
    process, receipts = psutil.Process(), [_receipt() for _ in range(100)]
    before = peak = process.memory_info().rss
    began = time.perf_counter()
    for number in range(OUTAGE_TURNS):
        if number % (OUTAGE_TURNS // 6) == 0:
            mode = ("dead", "500", "hanging")[number // (OUTAGE_TURNS // 6) % 3]
            control.send(mode)
            _progress(f"{number} of {OUTAGE_TURNS} turns written, Langfuse is {mode}")
        one = replace(receipts[number % 100], turn_id=f"turn-{number}", trace_id=f"{number + 1:032x}")
        await asyncio.to_thread(store.ledger.save, one)
        await asyncio.to_thread(
            store.ledger.add_scores, one.turn_id, [Score("grounding", 0.9)], (), Step("judge", 9.0, 150.0)
        )
        if number % 100 == 0:
            peak = max(peak, process.memory_info().rss)
    writing = time.perf_counter() - began
    control.send("up")
    # The pause that an outage has led to may be a minute: another process would not wait for it either.
    await exporter.close()
    store.close()
    store, exporter = _open(folder, url)
    began = time.perf_counter()
    await exporter.drain(DRAIN_SECONDS)
    sending, peak = time.perf_counter() - began, max(peak, process.memory_info().rss)
    waiting, dropped = store.outbox.state()
    await exporter.close()
    store.close()
    control.send("tell")
    turns, judged, scores, twice = await asyncio.to_thread(control.recv)
    return {
        "turns": OUTAGE_TURNS,
        "turns_lost": OUTAGE_TURNS - turns,
        "judgements_lost": OUTAGE_TURNS - judged,
        "scores": scores,
        "spans_twice": twice,
        "waiting": waiting,
        "dropped": dropped,
        "turns_per_second_written": round(OUTAGE_TURNS / writing),
        "turns_per_second_sent": round(OUTAGE_TURNS / sending),
        "memory_grew_mb": round((peak - before) / MEGABYTE, 1),
    }


def _receipt() -> Receipt:
    """A turn in full: five steps, five passages, eight verdicts, two calls."""
    turn_id = Uuid7().new()
    text = "Parcels leave within two working days, and a lamp may be sent back within thirty days of its arrival. " * 8
    answer = Call("answer", "large", ok=True, input_tokens=900, output_tokens=80, cost_microusd=1234, ms=400.0)
    names = ("guard_input", "route", "retrieve", "generate", "guard_output")
    return Receipt(
        turn_id=turn_id,
        thread_id=turn_id,
        trace_id=turn_id.replace("-", ""),
        desk="shop",
        user="5f" * 16,
        at=SystemClock().now().isoformat(),
        language="en",
        outcome="answer",
        reason=None,
        question="How many days do I have to return a lamp from order <ORDER_1>?",
        answer="You have 30 days to return an unused lamp. Return shipping costs USD 4.50.",
        release="built-in",
        rag_config="hybrid@1",
        knowledge="k1",
        latency_ms=520.0,
        mode="remote",
        model="large",
        prompt="answer@3",
        confidence=0.8,
        passages=[Passage(f"p#{n}", "p", "Returns", text[:800], 1.0, "How long", "en") for n in range(5)],
        sources=[Source("p", "Returns", "You have 30 days.")],
        verdicts=[Verdict(f"guard{n}", "pass") for n in range(7)] + [Verdict("pii", "mask", "ORDER", 1.0)],
        steps=[Step(name, 90.0, 100.0 * number) for number, name in enumerate(names)],
        calls=[
            replace(answer, ok=False, error="it answers 503", step="generate"),
            replace(answer, prompt="answer@3", max_tokens=300, temperature=0.0, step="generate"),
        ],
    )


def _progress(what: str) -> None:
    if "--json" not in sys.argv:
        sys.stderr.write(what + "\n")


class _StandIn(ThreadingHTTPServer):
    """Decodes and counts what it takes."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.mode = "up"
        self.go_on = threading.Event()
        self.clear()

    def clear(self) -> None:
        """Forget what came."""
        self.spans: Counter[tuple[str, str]] = Counter()
        self.scores: set[str] = set()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Whoever was held has gone: nothing to say."""


class _Handler(BaseHTTPRequestHandler):
    server: _StandIn
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """Take spans or scores, or not."""
        from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (  # noqa: PLC0415  # the stand-in's alone
            ExportTraceServiceRequest,
        )

        body = self.rfile.read(int(self.headers["Content-Length"]))
        mode = self.server.mode
        if mode == "hanging":
            self.server.go_on.wait(REQUEST_SECONDS * 2)
        if mode in ("hanging", "dead"):
            self.close_connection = True
            return
        if mode == "up" and self.path.endswith("/traces"):
            for resource in ExportTraceServiceRequest.FromString(decompress(body)).resource_spans:
                self.server.spans.update(
                    (span.name, span.span_id.hex()) for scoped in resource.scope_spans for span in scoped.spans
                )
        elif mode == "up":
            self.server.scores.update(score["id"] for score in json.loads(body))
        self.send_response(200 if mode == "up" else 500)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_request(self, code: object = "-", size: object = "-") -> None:
        """Quietly."""


def _serve(control: Connection) -> None:
    """The stand-in's process: it does what `control` says, and tells what came."""
    server = _StandIn()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    control.send(server.server_port)
    with suppress(EOFError):
        while True:
            said = control.recv()
            if said == "clear":
                server.clear()
            elif said == "tell":
                turns = sum(name == "turn" for name, _ in server.spans)
                judged = sum(name == "judge" for name, _ in server.spans)
                twice = sum(count - 1 for count in server.spans.values())
                control.send((turns, judged, len(server.scores), twice))
            else:
                server.mode = said


if __name__ == "__main__":
    sys.exit(main())
