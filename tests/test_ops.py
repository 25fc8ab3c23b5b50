"""The operators' page: every figure is the ledger's own, in one answer that is quick over ten thousand turns."""

import asyncio
import re
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from api_fakes import PROFILE, FakeService, Guarded, Model, Released, Shelf, at_door
from fakes import FrozenClock
from places import open_store
from synthetic import keep_turns
from test_figures import BASE

from api.pages import FOLDER
from domain.errors import UsageError
from domain.settings import Settings
from domain.turn import Call
from graph.operations import OPERATIONS, run
from graph.panels import ops, turns
from store import Store

NOW = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
BUDGET = 1_000_000


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = open_store(tmp_path, FrozenClock(NOW), daily_limit=BUDGET)
    yield made
    made.close()


def service(store: Store) -> Any:
    return SimpleNamespace(
        releases=Released(),
        store=store,
        clock=FrozenClock(NOW),
        profile=PROFILE,
        guards=Guarded(),
        knowledge=Shelf(),
        chat=Model(),
        local=None,
        exporter=None,
        settings=Settings(llm="off"),
    )


def keep(store: Store, number: int, ago: timedelta = timedelta(), **fields: Any) -> None:
    names = {"turn_id": f"turn-{number}", "thread_id": f"thread-{number}"}
    store.ledger.save(replace(BASE, at=(NOW - ago).isoformat(), **names, **fields))


def seen(store: Store, since: str = "24h") -> dict[str, Any]:
    return asyncio.run(ops(service(store), since))


def test_each_hour_has_its_own_turns_times_and_money(store: Store) -> None:
    call = Call("answer", "m", ok=True, cost_microusd=70)
    keep(store, 1, latency_ms=10.0, calls=[call], mode="remote", model="m", prompt="answer@1")
    keep(store, 2, latency_ms=30.0, outcome="refuse", reason="injection")
    keep(store, 3, timedelta(hours=2), latency_ms=7.0, outcome="dont_know", reason="low_confidence")
    keep(store, 4, timedelta(days=3), latency_ms=99.0)
    found = seen(store)
    assert found["unit"] == "hour"
    assert [(one["at"], one["requests"]) for one in found["series"]] == [("2026-11-21T07", 1), ("2026-11-21T09", 2)]
    early, late = found["series"]
    assert (early["unsure"], early["guarded"], early["cost_usd"]) == (1, 0, {})
    assert (late["unsure"], late["guarded"], late["cost_usd"]) == (0, 1, {"m": 0.00007})
    assert (late["p50_ms"], late["p95_ms"], early["p50_ms"]) == (10.0, 30.0, 7.0)
    assert late["outcomes"] == {"answer": 1, "refuse": 1}
    assert [one["turn_id"] for one in found["turns"]] == ["turn-2", "turn-1", "turn-3"]
    week = seen(store, "7d")
    assert (week["unit"], [one["at"] for one in week["series"]]) == ("day", ["2026-11-18", "2026-11-21"])


def test_what_answered_is_counted_by_version(store: Store) -> None:
    keep(store, 1, release="a", prompt="answer@1", model="m")
    keep(store, 2, release="b", prompt="answer@2", model="m")
    keep(store, 3, release="b")
    found = {(one["kind"], one["name"]): one["turns"] for one in seen(store)["in_use"]}
    assert found == {
        ("release", "b"): 2,
        ("release", "a"): 1,
        ("prompt", "answer@1"): 1,
        ("prompt", "answer@2"): 1,
        ("rag_config", "c1"): 3,
        ("knowledge", "k1"): 3,
        ("model", "m"): 2,
    }


def test_unanswered_questions_and_ratings_lead_to_their_turns(store: Store) -> None:
    for number in (1, 2, 3):
        question = "Do you sell kites?" if number < 3 else "do you  sell KITES?"
        keep(store, number, question=question, outcome="dont_know", reason="low_confidence")
    keep(store, 4, question="Where is it?", outcome="dont_know", reason="ungrounded")
    keep(store, 5, question="Is it <b>new</b>?", answer="Yes.")
    store.feedback.add("turn-5", "down", "It is not")
    found = seen(store)
    assert [(one["question"], one["count"]) for one in found["unanswered"]] == [
        ("do you sell KITES?", 3),
        ("Where is it?", 1),
    ]
    (bad,) = found["rated_down"]
    assert (bad["turn_id"], bad["question"], bad["answer"]) == ("turn-5", "Is it <b>new</b>?", "Yes.")
    assert (bad["rating"], bad["comment"], found["rated_up"]) == ("down", "It is not", [])


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("", ["turn-5", "turn-4", "turn-3", "turn-2", "turn-1"]),
        ("dont_know", ["turn-4", "turn-2"]),
        ("guarded", ["turn-3"]),
        ("handoff", ["turn-4"]),
        ("failed", ["turn-5"]),
        ("thumbs_up", ["turn-1"]),
        ("thumbs_down", []),
    ],
)
def test_turns_are_listed_by_kind(store: Store, kind: str, expected: list[str]) -> None:
    keep(store, 1)
    keep(store, 2, outcome="dont_know", reason="ungrounded")
    keep(store, 3, outcome="refuse", reason="toxicity")
    keep(store, 4, outcome="handoff", reason="repeated_dont_know")
    keep(store, 5, outcome="dont_know", reason="model_down")
    store.feedback.add("turn-1", "up")
    found = asyncio.run(run(service(store), "turns", {"kind": kind}))
    assert [one["turn_id"] for one in found["turns"]] == expected
    assert len(asyncio.run(run(service(store), "turns", {"kind": kind, "count": 1}))["turns"]) == min(1, len(expected))


def test_a_kind_or_a_number_that_cannot_be_is_named(store: Store) -> None:
    with pytest.raises(UsageError, match="'all'"):
        asyncio.run(turns(service(store), kind="all"))  # type: ignore[arg-type]  # what a caller may send
    for count in (0, 501):
        with pytest.raises(UsageError, match="cannot be listed"):
            asyncio.run(turns(service(store), count=count))


def test_an_empty_ledger_has_no_figure_and_no_fault(store: Store) -> None:
    found = seen(store, "30d")
    assert (found["requests"], found["series"], found["turns"], found["in_use"], found["unanswered"]) == (
        0,
        [],
        [],
        [],
        [],
    )
    assert found["costs"]["cost_per_request_usd"] is None
    assert [one["name"] for one in found["health"]] == ["knowledge", "guards", "model", "release"]
    assert found["budgets"][0]["limit_usd"] == BUDGET / 1e6


@pytest.mark.slow
def test_ten_thousand_turns_take_no_half_second(store: Store) -> None:
    keep_turns(store, 10_000, NOW, timedelta(days=30))
    # Computing time of all threads: at rest no answer takes longer, and a busy machine does not stretch it.
    took = []
    for _ in range(5):
        begun = time.process_time()
        found = seen(store, "30d")
        took.append(time.process_time() - begun)
    assert sum(one["requests"] for one in found["series"]) == found["requests"] == 10_000
    assert sum(sum(one["cost_usd"].values()) for one in found["series"]) == pytest.approx(found["cost_usd"])
    assert min(took) < 0.5


def test_the_page_is_an_empty_shell_and_its_figures_need_a_key() -> None:
    async def work(door: Any) -> tuple[Any, ...]:
        page = await door.http.get("/ops")
        files = [await door.http.get(f"/web/{name}") for name in ("ops.js", "ops.css", "uplot.js", "uplot.css")]
        return page, files, await door.http.get("/admin/ops")

    page, files, refused = at_door(work, FakeService())
    assert page.status_code == 200
    assert "set-cookie" not in page.headers
    assert "script-src 'self'" in page.headers["content-security-policy"]
    assert "<style" not in page.text
    assert " style=" not in page.text
    assert "<script>" not in page.text
    assert [one.status_code for one in files] == [200] * 4
    assert refused.status_code == 401
    assert (OPERATIONS["ops"].scope, OPERATIONS["turns"].scope) == ("analyst", "analyst")


def test_the_chart_library_ships_with_its_licence_and_is_the_one_that_was_weighed() -> None:
    import hashlib  # noqa: PLC0415

    record = next((Path(__file__).parent.parent / "docs" / "decisions").glob("*operators-page.md")).read_text("utf-8")
    for name in ("uplot.js", "uplot.css"):
        assert hashlib.sha256((FOLDER / name).read_bytes()).hexdigest() in record
    assert "MIT License" in (FOLDER / "uplot.LICENSE.txt").read_text("utf-8")


def test_the_pages_say_everything_in_both_languages() -> None:
    web = Path(__file__).parent.parent / "api" / "web"
    known: dict[str, set[str]] = {"en": set(), "vi": set()}
    for name in ("strings.js", "inbox-strings.js", "ops-strings.js"):
        english, _, vietnamese = (web / name).read_text("utf-8").partition("\n  vi: {\n")
        for language, words in (("en", english), ("vi", vietnamese)):
            known[language] |= set(re.findall(r'^    (\w+): "', words, re.MULTILINE))
    assert len(known["en"]) > 200
    assert known["en"] <= known["vi"]
    scripts = [path.read_text("utf-8") for path in (*web.glob("*.js"), *web.glob("*.html"))]
    said = {
        word for text in scripts for word in re.findall(r'\bsay\("(\w+)"|data-(?:text|label|placeholder)="(\w+)"', text)
    }
    assert {name for pair in said for name in pair if name} <= known["en"]
