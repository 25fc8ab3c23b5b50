"""The weekly report: whom it judges, whom it asks for a look, how judge and people agree, and its page."""

import asyncio
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fakes import FrozenClock, WordEmbedder
from hypothesis import given, settings
from hypothesis import strategies as st
from places import open_store
from synthetic import keep_turns, turn

from domain.errors import UsageError
from domain.profile import DeskProfile
from domain.settings import Settings
from domain.turn import Passage, Score
from evals.weekly import ENOUGH, agreement, page, verdict, write_page
from graph.operations import run
from graph.weekly import WEEK, drawn, mean_of
from retrieval.articles import ArticleInfo
from scoring import LocalJudge
from scoring.aspects import aspects
from store import Store

GOOD = [Score("grounding", 1.0), Score("numbers", 1.0), Score("relevance", 0.9)]
POOR = [Score("grounding", 0.3), Score("numbers", 1.0), Score("relevance", 0.9)]
TITLES = ["returning a lamp", "shipping times abroad", "warranty claims", "paying by card", "opening hours"]


@dataclass
class Bench:
    store: Store
    clock: FrozenClock
    service: Any

    def keep(self, number: int, scores: list[Score], **fields: Any) -> str:
        dice = random.Random(number)  # noqa: S311  # turns, not secrets
        plain = turn(dice, number, self.clock.now() - timedelta(hours=number + 1))
        told = {
            "outcome": "answer",
            "reason": None,
            "passages": plain.passages or [PASSAGE],
            "scores": scores,
            **fields,
        }
        self.store.ledger.save(replace(plain, **told))
        return plain.turn_id

    def report(self, **fields: Any) -> Any:
        found = asyncio.run(run(self.service, "monitor.report", fields, who="key k1"))
        return found | agreement(found["pairs"])

    def causes(self) -> dict[str, int]:
        return asyncio.run(run(self.service, "review", {}))["causes"]  # type: ignore[no-any-return]


PASSAGE = Passage("returns#0", "returns", "Returning a lamp", "You may return it within 30 days.", 0.9, language="en")


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    clock = FrozenClock()
    store = open_store(tmp_path, clock, daily_limit=1_000_000)
    infos = [ArticleInfo(f"a{n}", title, "public", "en", "", "") for n, title in enumerate(TITLES)]
    service = SimpleNamespace(
        store=store,
        clock=clock,
        embedder=WordEmbedder(),
        judge=LocalJudge(WordEmbedder()),
        knowledge=SimpleNamespace(articles=lambda: infos),
        profile=DeskProfile.model_validate({"name": "Lamps & more", "scope": {"describe": "lamps"}}),
        settings=Settings(llm="off"),
        desk_folder=Path("lamps"),
    )
    yield Bench(store, clock, service)
    store.close()


@settings(max_examples=20, deadline=None)
@given(st.sets(st.uuids().map(str), min_size=5, max_size=40), st.integers(0, 99))
def test_a_seed_draws_the_same_sample_and_newcomers_only_take_places(ids: set[str], seed: int) -> None:
    sample = drawn(sorted(ids), 5, seed)
    assert sample == drawn(sorted(ids, reverse=True), 5, seed)
    assert len(set(sample)) == 5
    more = drawn([*ids, "newcomer"], 5, seed)
    assert set(more) <= {*sample, "newcomer"}
    assert any(drawn(sorted(ids), 5, seed + place) != sample for place in range(1, 9))


def test_what_falls_below_the_line_waits_and_five_in_a_hundred_are_to_be_rated(bench: Bench) -> None:
    for number in range(39):
        bench.keep(number, GOOD)
    poor = bench.keep(39, POOR)
    found = bench.report()
    assert (found["sampled"], found["eligible"], found["unscored"]) == (40, 40, 0)
    assert [one["turn_id"] for one in found["below"]] == [poor]
    assert (found["below"][0]["accuracy"], found["below"][0]["relevance"]) == (2.2, 4.6)
    assert found["safety"] == pytest.approx((39 * 5 + 1 + 4 * 0.65) / 40, abs=0.06)
    assert found["safety_ci"][0] < found["safety"] < found["safety_ci"][1]
    assert (found["asks_review"], found["alerted"], len(found["to_rate"])) == (False, False, 2)
    assert bench.causes()["below_line"] == 1
    assert bench.causes()["rate"] == 2
    again = bench.report()
    assert (again["to_rate"], again["seed"]) == (found["to_rate"], found["seed"])
    assert bench.report(sample=5, seed=1)["sampled"] == 5
    assert [(entry.who, entry.what) for entry in bench.store.audit.recent(1)] == [("key k1", "monitor.report")]


def test_a_week_that_is_not_safe_asks_for_people_and_is_told_once(bench: Bench) -> None:
    for number in range(10):
        bench.keep(number, [Score("safety", 0.7), Score("relevance", 0.9)])
    bench.keep(11, GOOD)
    found = bench.report()
    assert (found["asks_review"], found["alerted"], found["queued"]) == (True, True, 10)
    assert "below 4.0: people must look at the 10 answers" in verdict(found)[0]
    assert bench.report()["alerted"] is False
    assert bench.causes()["below_line"] == 10


def test_what_nobody_has_judged_is_judged_now_and_what_cannot_be_is_unscored(bench: Bench) -> None:
    fresh = bench.keep(0, [], answer="You may return it within 30 days.", mode="quote", passages=[PASSAGE])
    mute = bench.keep(1, [], answer="...", question="?", standalone="", passages=[PASSAGE])
    bench.keep(2, [], outcome="dont_know", reason="low_confidence")
    bench.keep(3, [], reason="small_talk")
    heard: list[tuple[int, int]] = []
    found = asyncio.run(
        run(bench.service, "monitor.report", {}, who="x", progress=lambda done, total: heard.append((done, total)))
    )
    assert (found["sampled"], found["unscored"], found["safety_n"]) == (2, 1, 1)
    assert heard == [(1, 2), (2, 2)]
    kept = aspects(bench.store.ledger.get(fresh).scores)
    assert kept["accuracy"] == 5.0
    assert aspects(bench.store.ledger.get(mute).scores)["accuracy"] is None
    assert found["unanswered"] == 1
    assert found["gaps"][0]["count"] == 1


def test_an_empty_week_says_so_and_wrong_use_is_named(bench: Bench, tmp_path: Path) -> None:
    found = bench.report()
    assert (found["requests"], found["safety"], found["asks_review"], found["to_rate"]) == (0, None, False, [])
    assert verdict(found) == ["No turn in this week."]
    words = page(found)
    for line in ("nothing to judge", "too few to tell", "No question was left", "No model was called"):
        assert line in words
    for wrong in (0, 2_001):
        with pytest.raises(UsageError):
            bench.report(sample=wrong)
    with pytest.raises(UsageError, match="cannot be written"):
        write_page(found, tmp_path)


def test_people_and_judge_are_held_against_each_other(bench: Bench) -> None:
    for number in range(ENOUGH):
        each = bench.keep(number, GOOD if number % 2 else POOR)
        bench.store.reviews.rate(each, "linh", {"accuracy": 5 if number % 2 else 2})
    bench.store.reviews.rate(each, "linh", {"safety": 1})
    bench.store.reviews.rate(each, "mai", {"safety": 4})
    found = bench.report()
    assert (found["agreement_accuracy"], found["agreement_accuracy_n"]) == (1.0, ENOUGH)
    assert found["agreement_accuracy_ci"][1] == 1.0
    assert found["agreement_accuracy_ci"][0] < 0.9
    assert found["bias_accuracy"] == pytest.approx(0.1)
    assert found["spearman_accuracy"] == 1.0
    assert (found["agreement_safety"], found["agreement_safety_n"], found["bias_safety"]) == (None, 1, None)
    (both,) = [one for one in found["pairs"] if one["aspect"] == "safety"]
    assert both["people"] == 2.5
    assert "too few to tell" in page(found)


def test_a_judge_that_says_the_opposite_does_not_agree() -> None:
    pairs = [
        {"turn_id": str(n), "aspect": "safety", "judge": 1.0 + n % 5, "people": 5.0 - n % 5} for n in range(ENOUGH + 5)
    ]
    found = agreement(pairs)
    assert found["agreement_safety"] == 0.2
    assert found["spearman_safety"] == -1.0
    assert found["agreement_relevance"] is None


def test_a_mean_has_an_interval_only_of_two_values_or_more() -> None:
    assert mean_of("x", []) == {"x": None, "x_n": 0, "x_ci": None}
    assert mean_of("x", [4.0]) == {"x": 4.0, "x_n": 1, "x_ci": None}
    assert mean_of("x", [5.0, 4.0] * 50)["x_ci"] == [4.4015, 4.5985]


def test_a_busy_week_is_one_page_that_fetches_nothing_and_takes_no_markup(bench: Bench, tmp_path: Path) -> None:
    keep_turns(bench.store, 700, bench.clock.now(), 5 * WEEK)
    found = bench.report(sample=60)
    assert [one["turns"] for one in found["weeks"]] == [140] * 5
    assert sum(one["requests"] for one in found["days"]) == found["requests"] == 140
    assert sum(found["confidence_histogram"]) == found["searches"]
    json.dumps(found)
    write_page(found, tmp_path / "week.html")
    words = (tmp_path / "week.html").read_text("utf-8")
    assert "What does &lt;b&gt;bold&lt;/b&gt; mean?" in words
    assert "<b>" not in words
    for foreign in ("http", "<script", "src=", "@import", "url("):
        assert foreign not in words
    assert "Lamps &amp; more" in words
    assert "no drift" in words.lower() or "have changed" in words
