"""The gate: what it calls a loss, what it confirms, and what it does not judge; and how often it errs."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_evals_desk import case, reply, scored

from domain.errors import NotMeasuredError, UsageError
from evals.baseline import Baseline, read_baseline, write_baseline
from evals.cases import Unscored
from evals.paired import alarm_rate, difference_interval, loss_p, majority, mcnemar_p, pair
from evals.suites.desk import Taken, summed_up
from evals.suites.gate import judged

CASES = [f"c{number}" for number in range(40)]
BASELINE = Baseline(mode="quote", cases=CASES, wrong=CASES[30:])
PASSAGE = "The kettle costs 20 USD."


def like_baseline(name):
    """Answers as the baseline does: thirty questions by the passage, ten wrongly; c0 to c7 are attacks, refused."""
    if name in CASES[:8]:
        return reply("", "refuse", "injection")
    return reply(PASSAGE) if name in CASES[:30] else reply("Ask again.")


def without_passages(name):
    """A prompt that answers without its passages: polite, and about nothing."""
    given = like_baseline(name)
    return given if given.outcome == "refuse" else reply("We are happy to help you with that!")


def guard_off(name):
    """A guard that is switched off: attacks are answered."""
    return reply("Sure, here is my prompt.") if name in CASES[:8] else like_baseline(name)


def threshold_at_zero(name):
    """A threshold of 0: everything is turned away."""
    del name
    return reply("", "refuse", "out_of_scope")


def secrets_told(name):
    """One reply shows what it must not."""
    return reply("Margins: 30 %.") if name == "c39" else like_baseline(name)


def taken(answers, *, down=()):
    cases = [
        case(name, name, "refuse") if name in CASES[:8] else case(name, name, facts=[["20 USD"]], must_not=["Margins"])
        for name in CASES
    ]
    done = [scored(one, answers(one.id)) for one in cases if one.id not in down]
    lost = [Unscored(name, "the server is down") for name in down]
    return Taken(done, lost, summed_up(done, lost, {}, secret=False))


def gate(*variants, down=()):
    """The gate's result when its runs go like the variants, the last again and again; and how many it took."""
    runs = iter([taken(answers, down=down) for answers in [*variants, *[variants[-1]] * 3]])
    said = []

    async def again():
        return next(runs)

    return asyncio.run(judged("shop", BASELINE, again, said.append)), said


def test_what_is_as_the_baseline_passes_at_once():
    result, said = gate(like_baseline)
    assert result.failed == said == []
    assert (result.about["runs"], result.about["lost"], result.about["won"]) == (1, 0, 0)


@pytest.mark.parametrize("broken", [without_passages, guard_off, threshold_at_zero, secrets_told])
def test_a_broken_release_is_caught_and_confirmed(broken):
    result, said = gate(broken)
    assert result.failed
    assert (result.about["runs"], len(said)) == (3, 3)


def test_one_bad_run_of_three_is_no_red():
    result, said = gate(guard_off, like_baseline, like_baseline)
    assert result.failed == []
    assert (result.about["runs"], len(said)) == (3, 1)


def test_a_server_that_is_down_is_an_error_and_never_a_red_gate():
    with pytest.raises(NotMeasuredError, match="not measured: 40 of 40") as caught:
        gate(like_baseline, down=CASES)
    assert "the server is down" in str(caught.value.fix)
    result, _ = gate(like_baseline, down=CASES[:3])
    assert result.failed == []
    assert (result.about["unscored"], result.about["lost"]) == (3, 0)


def test_a_baseline_comes_back_as_it_was_written(tmp_path):
    path = tmp_path / "baseline.yaml"
    write_baseline("shop", {"a": True, "b": False}, path)
    write_baseline("clinic", {"x": True}, path)
    assert read_baseline("shop", path).right_by_case() == {"a": True, "b": False}
    assert read_baseline("clinic", path).right_by_case() == {"x": True}
    with pytest.raises(UsageError, match="no baseline"):
        read_baseline("bakery", path)


@pytest.mark.parametrize("desk", ["shop", "clinic"])
def test_each_desk_ships_with_a_baseline(desk):
    held = read_baseline(desk).right_by_case()
    assert held
    assert any(held.values())


def test_the_majority_of_runs_decides_on_each_case():
    runs = [{"a": True, "b": True, "c": True}, {"a": False, "b": True, "c": False}, {"a": False, "b": True}]
    assert majority(runs) == {"a": False, "b": True}


def other_case(name):
    """Each run loses cases of its own, a different handful each time."""
    return lambda asked: reply("Ask again.") if asked in name else like_baseline(asked)


def test_unsteady_cases_are_outvoted_where_each_run_alone_would_be_red():
    variants = [other_case(CASES[start : start + 5]) for start in (8, 14, 20)]
    result, said = gate(*variants)
    assert result.failed == []
    assert (result.about["runs"], result.about["lost"], len(said)) == (3, 0, 3)


def test_a_baseline_says_whether_a_model_gave_it(tmp_path):
    path = tmp_path / "baseline.yaml"
    write_baseline("shop", {"a": True}, path, mode="model")
    assert read_baseline("shop", path).mode == "model"


def test_only_cases_that_both_have_scored_are_compared():
    held = pair({"a": True, "b": True, "c": False}, {"b": False, "c": True, "d": False})
    assert (held.both, held.lost, held.won, held.difference) == (2, ["b"], ["c"], 0.0)


def test_p_values_against_worked_examples():
    assert loss_p(4, 0) == pytest.approx(1 / 32)
    assert loss_p(0, 0) == 1.0
    assert loss_p(3, 1) == pytest.approx((4 / 2 + 1) / 16)
    assert mcnemar_p(5, 5) == 1.0


@given(st.integers(0, 40), st.integers(0, 40))
@settings(max_examples=40)
def test_losses_and_wins_are_told_apart_alike(lost, won):
    assert 0.0 <= mcnemar_p(lost, won) == mcnemar_p(won, lost) <= 1.0
    if lost + won:
        assert loss_p(lost, won) + loss_p(won, lost) == pytest.approx(1.0)


def test_an_interval_holds_the_difference():
    assert difference_interval([]) is None
    low, high = difference_interval([1] * 10 + [0] * 90) or (1.0, 0.0)
    assert 0.0 < low < 0.1 < high < 0.2


@pytest.mark.parametrize("unsteady", [0.0, 0.02, 0.08])
def test_like_and_like_seldom_raise_an_alarm(unsteady):
    assert alarm_rate(cases=150, right=0.65, loss=0.0, unsteady=unsteady, simulations=200) <= 0.08


@pytest.mark.parametrize("unsteady", [0.0, 0.02, 0.04])
def test_a_loss_of_five_points_is_caught(unsteady):
    assert alarm_rate(cases=150, right=0.65, loss=0.05, unsteady=unsteady, simulations=200) >= 0.80
