"""What happened, in figures: right over a handful of turns, quick over ten thousand, simulated where nothing is known."""

import asyncio
import random
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fakes import FrozenClock
from places import open_store
from sqlalchemy import insert

from domain.errors import UsageError
from domain.receipt import Receipt
from domain.turn import Call, Score
from graph import figures, money
from models.catalog import load_catalog
from store import Store
from store.costs import Tokens
from store.tables import calls, receipts, scores
from tracing import Metrics

NOW = datetime(2026, 11, 21, 9, tzinfo=UTC)
BASE = Receipt(
    turn_id="turn-0",
    thread_id="thread-0",
    trace_id="trace",
    desk="shop",
    user="ab" * 16,
    at=NOW.isoformat(),
    language="en",
    outcome="answer",
    reason=None,
    question="?",
    answer="!",
    release="r1",
    rag_config="c1",
    knowledge="k1",
    latency_ms=10.0,
)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = open_store(tmp_path, FrozenClock(NOW), daily_limit=1_000_000)
    yield made
    made.close()


def service(store: Store) -> Any:
    return SimpleNamespace(store=store, clock=FrozenClock(NOW), metrics=Metrics(), desk_folder=Path("shop"))


def stats(store: Store, since: str = "24h") -> dict[str, Any]:
    return asyncio.run(figures.stats(service(store), since))


def keep(store: Store, number: int, **fields: Any) -> None:
    store.ledger.save(replace(BASE, turn_id=f"turn-{number}", thread_id=f"thread-{number}", **fields))


def test_every_figure_is_the_turns_own(store: Store) -> None:
    call = Call("answer", "m", ok=True, input_tokens=100, cached_tokens=40, output_tokens=20, cost_microusd=70)
    keep(store, 1, latency_ms=100.0, mode="remote", calls=[call, replace(call, ok=False, cost_microusd=5)])
    keep(store, 2, latency_ms=20.0, mode="cache")
    keep(store, 3, latency_ms=30.0, outcome="refuse", reason="injection")
    keep(store, 4, latency_ms=40.0, outcome="dont_know", reason="low_confidence")
    keep(store, 5, latency_ms=50.0, outcome="handoff", reason="repeated_dont_know")
    keep(store, 6, latency_ms=60.0, outcome="dont_know", reason="model_down")
    keep(store, 7, latency_ms=70.0, outcome="refuse", reason="out_of_scope")
    keep(store, 8, latency_ms=80.0, outcome="handoff", reason="customer_asked")
    keep(store, 9, latency_ms=9_000.0, at=(NOW - timedelta(days=2)).isoformat())
    store.ledger.add_scores("turn-1", [Score("grounding", 0.5), Score("helpful", None)])
    store.ledger.add_scores("turn-2", [Score("grounding", 1.0), Score("helpful", 0.25)])
    store.feedback.add("turn-1", "down")
    store.feedback.add("turn-2", "up")
    found = stats(store)
    assert (found["requests"], found["resolved"]) == (8, 1)
    assert found["outcomes"] == {"answer": 2, "dont_know": 2, "handoff": 2, "refuse": 2}
    assert found["modes"] == {"quote": 6, "cache": 1, "remote": 1}
    assert (found["p50_ms"], found["p95_ms"]) == (50.0, 100.0)
    rates = ("guard_rate", "dont_know_rate", "error_rate", "cache_hit_rate")
    assert [found[name] for name in rates] == [0.125, 0.25, 0.125, 0.125]
    assert (found["calls"], found["failed_calls"], found["cost_microusd"], found["tokens"]) == (2, 1, 75, 240)
    assert (found["thumbs_up"], found["thumbs_down"]) == (1, 1)
    assert found["judge"] == [
        {"dimension": "grounding", "mean": 0.75, "scored": 2, "unscored": 0},
        {"dimension": "helpful", "mean": 0.25, "scored": 1, "unscored": 1},
    ]
    assert stats(store, "3d")["requests"] == 9


def test_nothing_happened_is_no_rate_of_zero(store: Store) -> None:
    found = stats(store)
    assert found["requests"] == 0
    assert [found[name] for name in ("guard_rate", "p50_ms", "p95_ms", "dont_know_rate")] == [None] * 4


@pytest.mark.parametrize("wrong", ["", "yesterday", "5y", "2027-01-01", "-1d"])
def test_a_span_that_cannot_be_read_is_named(store: Store, wrong: str) -> None:
    with pytest.raises(UsageError):
        stats(store, wrong)


@pytest.mark.parametrize("wrong", ["", "five", "-1", "nan", "1e99", "5 dollars"])
def test_an_amount_that_cannot_be_is_named(store: Store, wrong: str) -> None:
    with pytest.raises(UsageError):
        asyncio.run(money.set_budget(service(store), wrong))
    with pytest.raises(UsageError, match="cannot be without"):
        asyncio.run(money.set_budget(service(store), "off"))


def test_a_budget_is_set_for_a_users_name_and_shown(store: Store) -> None:
    found = asyncio.run(money.set_budget(service(store), "0.05", "user", "lan", period="month", kind="soft"))
    (mine,) = [one for one in found["budgets"] if one["scope"] == "user"]
    assert mine == {
        "scope": "user",
        "name": store.vault.user_hash("lan"),
        "for": store.vault.user_hash("lan"),
        "period": "month",
        "kind": "soft",
        "limit_usd": 0.05,
        "settled_usd": 0.0,
        "reserved_usd": 0.0,
        "share": 0.0,
        "closed": False,
        "resets_at": "2026-12-01T00:00:00+00:00",
    }


def test_a_simulation_states_its_tokens_and_prices_them_by_the_catalog() -> None:
    catalog = load_catalog()
    assumed = money.simulated(catalog, [], 1_000, 12.0)
    assert (assumed["requests_per_day"], assumed["profile"][:7]) == (1_000, "assumed")
    assert [row["tier"] for row in assumed["models"]] == ["simple", "medium", "complex"]
    own = money.simulated(catalog, [Tokens(1_000, 200, 100), Tokens(500, 0, 50)] * 30, 1_000, 12.0)
    for row in own["models"]:
        prices = catalog.find(row["model"]).prices
        cost = 500 * (prices.cost(1_000, 100, 200) + prices.cost(500, 50))
        assert row["cost_microusd"] == cost
        assert row["projection_month_usd"] == pytest.approx(cost / 1_000 * 12 * 30 / 1e6, abs=1e-6)
    assert (own["input_tokens"], own["cached_tokens"], own["output_tokens"]) == (750, 100, 75)


def ten_thousand_turns(store: Store) -> None:
    dice = random.Random(7)  # noqa: S311  # figures, not secrets
    body = "x" * 5_000
    outcomes = [("answer", None), ("answer", None), ("refuse", "injection"), ("dont_know", "low_confidence")]
    turns, made, judged = [], [], []
    for number in range(10_000):
        outcome, reason = dice.choice(outcomes)
        at = NOW - timedelta(seconds=number)
        turn = f"01900000-0000-7000-8000-{number:012x}"
        shared = {"turn_id": turn, "at": at, "desk": "shop", "user_hash": f"{number % 500:032x}", "key": None}
        plain = dict.fromkeys(("trace_id", "prompt", "release", "rag_config", "knowledge"), "x")
        turns.append(
            shared
            | plain
            | {"thread_id": f"t{number // 2}", "outcome": outcome, "reason": reason, "mode": "remote", "language": "en"}
            | {"tier": "simple", "model": "m", "confidence": 0.5, "latency_ms": dice.random() * 1_000}
            | {"tokens": 10, "cost_microusd": 3, "body": body}
        )
        call = {"purpose": "answer", "model": f"m{number % 3}", "ok": True, "ms": 1.0, "error": ""}
        tokens = {"input_tokens": 9, "cached_tokens": 0, "output_tokens": 1, "cost_microusd": 3}
        made.append(shared | call | tokens)
        judged += [{"turn_id": turn, "name": name, "value": 0.5, "comment": ""} for name in ("grounding", "helpful")]
    with store._database.write() as connection:
        connection.execute(insert(receipts), turns)
        connection.execute(insert(calls), made)
        connection.execute(insert(scores), judged)


def test_figures_over_ten_thousand_turns_take_no_half_second(store: Store) -> None:
    ten_thousand_turns(store)
    took = []
    for _ in range(3):
        begun = time.process_time()
        found = stats(store)
        took.append(time.process_time() - begun)
    assert (found["requests"], found["cost_microusd"], len(found["models"])) == (10_000, 30_000, 3)
    assert min(took) < 0.5
    begun = time.process_time()
    for by in ("model", "user", "key", "day", "desk"):
        view = asyncio.run(money.costs(service(store), by=by))
        assert sum(row["cost_microusd"] for row in view["rows"]) == 30_000
        assert sum(row["requests"] for row in view["rows"]) == 10_000
    assert time.process_time() - begun < 5 * 0.5
