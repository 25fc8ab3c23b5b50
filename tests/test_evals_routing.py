"""The suites router and cache, and the arithmetic of the curve."""

import asyncio
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from domain.errors import UsageError
from domain.settings import Settings
from evals.routing import curve, held_back
from evals.run import Result, Run, find_suite

CASES = Path(__file__).resolve().parent.parent / "desks" / "shop" / "cases"


def run(suite: str, data: Path | None, **more: Any) -> Result:
    given = Run(Settings(), data=data, say=lambda _: None, progress=lambda _done, _total: None, **more)
    return asyncio.run(find_suite(suite)(given))


def rows(path: Path, *these: dict[str, Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in these), encoding="utf-8")
    return path


def figures(result: Result) -> dict[str, Any]:
    return {one.name: one.value for one in result.figures}


def test_a_router_that_knows_has_the_best_curve_and_one_that_knows_nothing_half():
    weak = [False] * 30 + [True] * 70
    strong = [True] * 100
    knows = curve([1.0 if not ok else 0.0 for ok in weak], weak, strong)
    guesses = curve([0.5] * 100, weak, strong)
    wrong = curve([0.0 if not ok else 1.0 for ok in weak], weak, strong)
    assert knows.apgr > 0.8 > guesses.apgr > 0.2 > wrong.apgr
    assert guesses.apgr == pytest.approx(0.5, abs=0.001)
    assert knows.cost_at_95_quality == pytest.approx(0.25)
    assert wrong.cost_at_95_quality == pytest.approx(0.95)
    assert knows.apgr_ci[0] <= knows.apgr <= knows.apgr_ci[1]
    assert curve([1.0], [True], [True]) is None


def test_what_is_learned_is_judged_on_groups_that_were_never_seen():
    draws = np.random.default_rng(1)
    groups = [str(number // 10) for number in range(200)]
    labels = [int(value) for value in draws.integers(0, 2, 200)]
    telling = np.array(labels)[:, None] + draws.normal(0, 0.1, (200, 1))
    said = held_back(telling, labels, groups, 2)
    assert said.shape == (200, 2)
    assert np.mean(said.argmax(1) == labels) > 0.95
    by_group = np.eye(20)[[int(group) for group in groups]]
    constant = [int(int(group) % 2) for group in groups]
    assert np.mean(held_back(by_group, constant, groups, 2).argmax(1) == constant) < 0.8, (
        "a group tells nothing of another"
    )


def test_tiers_are_counted_by_language_and_pair(tmp_path):
    data = rows(
        tmp_path / "r.jsonl",
        {"text": "Do you accept cards?", "tier": "simple", "language": "en", "pair": "a"},
        {"text": "Shop có nhận thẻ không?", "tier": "simple", "language": "vi", "pair": "a"},
        {"text": "Do you accept cards?", "tier": "complex"},
        {"text": "no label"},
    )
    result = run("router", data)
    found = figures(result)
    assert (found["accuracy"], found["pairs_same_tier"]) == (pytest.approx(2 / 3), 1.0)
    assert (found["regret"], found["routed_too_low"]) == (pytest.approx(2 / 3), pytest.approx(1 / 3))
    assert found["saved"] > found["saved_by_the_labels"] > 0
    assert result.about["unscored"] == 1
    assert [miss.kind for miss in result.misses] == ["complex"]


def test_two_models_make_a_curve(tmp_path):
    easy = [{"text": "Do you accept cards?", "weak_ok": True, "strong_ok": True} for _ in range(20)]
    hard = [
        {
            "text": "Compare both plans and work out which costs less after 3 months.",
            "weak_ok": False,
            "strong_ok": True,
        }
        for _ in range(10)
    ]
    found = figures(run("router", rows(tmp_path / "r.jsonl", *easy, *hard)))
    assert found["apgr"] > 0.75
    assert found["weak_right"] == pytest.approx(2 / 3)
    with pytest.raises(UsageError, match="no row has a tier"):
        run("router", rows(tmp_path / "none.jsonl", {"text": "x"}))


def test_the_shops_questions_hold_every_tier_in_both_languages_and_no_pair_in_both_halves():
    names = ("router.jsonl", "router_held_out.jsonl")
    halves = [list(map(json.loads, (CASES / name).read_text("utf-8").strip().split("\n"))) for name in names]
    every = [row for half in halves for row in half]
    assert len(every) >= 120
    for language in ("en", "vi"):
        assert {row["tier"] for row in every if row["language"] == language} == {"simple", "medium", "complex"}
    assert not {row["pair"] for row in halves[0]} & {row["pair"] for row in halves[1]}


def test_the_questions_to_other_businesses_hold_every_tier_of_each_in_both_languages():
    others = list(map(json.loads, (CASES / "router_others.jsonl").read_text("utf-8").strip().split("\n")))
    businesses = {row["pair"].rstrip("0123456789") for row in others}
    assert len(businesses) == 5
    for business in businesses:
        for language in ("en", "vi"):
            mine = [row for row in others if row["pair"].startswith(business) and row["language"] == language]
            assert sorted(row["tier"] for row in mine) == sorted(["simple", "medium", "complex"] * 2)


def test_the_cache_is_measured_on_hits_that_are_right_and_wrong(tmp_path):
    data = rows(
        tmp_path / "c.jsonl",
        {"a": "How do I return it?", "b": "how do i return it", "same": 1},
        {"a": "How do I return it?", "b": "Where is the showroom?", "same": 0},
        {"a": "How do I return it?", "b": "how do I return it?", "same": 0},
        {"a": "", "b": "x", "same": 1},
    )
    result = run("cache", data)
    assert figures(result) == {"true_hit_rate": 1.0, "false_hit_rate": 0.5}
    assert (result.about["unscored"], len(result.misses)) == (1, 1)


def test_a_labelled_log_is_made_into_pairs_and_replayed_as_a_stream(tmp_path):
    texts = {
        "return": ("How do I return it?", "I want to return it", "I don't know how to send it back", "my fan is noisy"),
        "where": ("Where is the showroom?", "tell me where the showroom is", "i want to return it!"),
    }
    said = [{"text": text, "intent": intent} for intent, these in texts.items() for text in these]
    result = run("cache", rows(tmp_path / "log.jsonl", *said, {"text": "", "intent": "return"}))
    found = figures(result)
    assert result.about["unscored"] == 1
    assert 0 < found["true_hit_rate"] < 1
    assert 0 < found["false_hit_rate"] < 1, "the same words stand under two intents"
    assert 2 / 7 <= found["stream_hit_rate"] <= 4 / 7
    assert found["stream_wrong_hit_rate"] >= 1 / 7
    assert {"return", "where"} <= set(result.by_kind)


def test_the_generated_near_misses_all_miss():
    found = figures(run("cache", None))
    assert (found["true_hit_rate"], found["false_hit_rate"]) == (None, 0.0)
