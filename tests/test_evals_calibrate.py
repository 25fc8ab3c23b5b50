"""Calibrating: the threshold that lets an operator's own texts pass, its bounds, and the desk it is written to."""

import json
import shutil
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from cli.main import build
from domain.turn import Verdict
from evals.calibrate import LAXEST, STRICTEST, fitted
from graph.profiles import read_profile, write_thresholds

YAML = """# Our desk.
name: Lamps  # shown to customers
scope:
  describe: "A shop for lamps: orders, returns."
  in:
    - Where is my lamp?
languages: [en, vi]
"""


def scores(*values):
    return [Verdict("injection", "pass", "", value) for value in values]


@pytest.fixture
def desk(tmp_path):
    folder = tmp_path / "lamps"
    folder.mkdir()
    (folder / "desk.yaml").write_text(YAML)
    return folder


def call(*args):
    return CliRunner().invoke(build(), list(args))


@settings(max_examples=60)
@given(st.lists(st.floats(0, 0.89), min_size=10, max_size=200), st.sampled_from([0.01, 0.05, 0.1]))
def test_no_more_than_the_rate_is_blocked(drawn, rate):
    result = fitted("injection", 0.5, scores(*(round(one, 3) for one in drawn)), rate)
    assert result.blocked_after <= rate * len(drawn)
    assert STRICTEST <= result.after <= LAXEST


def test_the_threshold_is_the_lowest_that_keeps_the_rate():
    result = fitted("injection", 0.5, scores(*([0.1] * 98), 0.6, 0.7), 0.01)
    assert (result.after, result.blocked_before, result.blocked_after) == (0.601, 2, 1)
    assert fitted("injection", 0.5, scores(*([0.2] * 100)), 0.01).after == 0.201


def test_a_threshold_stays_within_its_bounds_and_says_so():
    lax = fitted("injection", 0.5, scores(*([0.99] * 100)), 0.01)
    assert (lax.after, lax.bound, lax.blocked_after) == (LAXEST, "laxest", 100)
    strict = fitted("injection", 0.5, scores(*([0.0] * 100)), 0.01)
    assert (strict.after, strict.bound) == (STRICTEST, "strictest")


def test_what_rules_block_counts_against_the_rate():
    rules = [Verdict("injection", "block", "injection", 1.0)] * 2
    result = fitted("injection", 0.5, [*rules, *scores(*([0.2] * 97), 0.6)], 0.02)
    assert (result.by_rules, result.after, result.blocked_after) == (2, 0.601, 2)


def test_the_desk_keeps_its_comments_and_order(desk):
    write_thresholds(desk, {"injection": 0.61})
    write_thresholds(desk, {"toxicity": 0.7})
    written = (desk / "desk.yaml").read_text()
    assert written.startswith(YAML)
    assert read_profile(desk).guards.thresholds == {"injection": 0.61, "toxicity": 0.7}
    assert [path.name for path in desk.iterdir()] == ["desk.yaml"]


def test_the_shipped_desk_survives_a_round_trip(tmp_path):
    shop = Path(__file__).resolve().parent.parent / "desks" / "shop"
    copy = tmp_path / "shop"
    copy.mkdir()
    shutil.copy(shop / "desk.yaml", copy)
    write_thresholds(copy, {"injection": 0.6})
    before, after = read_profile(shop), read_profile(copy)
    assert after.model_copy(update={"guards": before.guards}) == before
    comments = [line for line in (shop / "desk.yaml").read_text("utf-8").splitlines() if line.lstrip().startswith("#")]
    kept = (copy / "desk.yaml").read_text("utf-8")
    assert all(line in kept for line in comments)


def test_the_command_fits_writes_and_refuses_too_few(desk, tmp_path):
    path = tmp_path / "benign.jsonl"
    path.write_text("\n".join(json.dumps({"text": f"Where is my lamp number {n}?"}) for n in range(60)))
    few = call("guard", "calibrate", "--benign", str(path), "--desk", str(desk))
    assert (few.exit_code, few.stdout) == (2, "")
    assert "60 texts are too few for a rate of 0.01" in few.stderr
    dry = call(
        "guard", "calibrate", "--benign", str(path), "--rate", "0.05", "--desk", str(desk), "--dry-run", "--json"
    )
    assert dry.exit_code == 0, dry.output
    assert (desk / "desk.yaml").read_text() == YAML
    done = call("guard", "calibrate", "--benign", str(path), "--rate", "0.05", "--desk", str(desk), "--json")
    flat = json.loads(done.stdout.splitlines()[-1])
    assert (flat["rows"], flat["written"], flat["injection_threshold_before"]) == (60, True, 0.5)
    assert flat["injection_blocked"] <= 3
    assert read_profile(desk).guards.thresholds["injection"] == flat["injection_threshold"]
