"""The report of the guards: targets beside figures, the page's markers, and what a desk serves."""

import asyncio
import json

import pytest

from domain.errors import UsageError
from domain.settings import read_settings
from domain.turn import Verdict
from evals.guards_report import BEGIN, CHAPTERS, END, PAGE, Target, chapter_text, run_chapter, spliced, verdict
from evals.run import Figure, Result, share
from evals.served import EXAMPLES, Attack, Fate, fate, read_attacks, split, summed_up
from guards import InputCheck, ScopeVerdict


@pytest.mark.parametrize(
    ("value", "low", "expected"),
    [
        (0.95, False, "met, stretch too"),
        (0.85, False, "met"),
        (0.70, False, "short by 0.100"),
        (None, False, "not measured"),
        (0.02, True, "met, stretch too"),
        (0.10, True, "met"),
        (0.20, True, "short by 0.080"),
    ],
)
def test_a_figure_is_held_against_its_target(value, low, expected):
    target = Target("x", 0.12, 0.04, low=True) if low else Target("x", 0.80, 0.90)
    assert verdict(Figure("x", value, 10), target) == expected


def test_a_chapter_shows_counts_intervals_targets_and_kinds():
    result = Result(
        "injection",
        {"rows": 12},
        [share("recall", [True] * 8 + [False] * 2)],
        {"wild": [share("recall", [True] * 5)], "other": [share("recall", [False] * 5)]},
    )
    text = chapter_text("Injection", result, (Target("recall", 0.9, 0.95, kinds=("wild",)),), 3.2)
    assert "| recall | 0.800 | 10 | 0.490-0.943 |  |  |" in text
    assert "| wild | recall | 1.000 | 5 | 0.566-1.000 | ≥ 0.9 (0.95) | met, stretch too |" in text
    assert "rows 12; 3 s." in text


def test_only_what_stands_between_the_markers_is_renewed():
    assert spliced(f"a {BEGIN} old {END} b", "new") == f"a {BEGIN}\n\nnew\n\n{END} b"
    with pytest.raises(UsageError, match="no place for the tables"):
        spliced("a page without markers", "new")
    assert spliced(PAGE.read_text(encoding="utf-8"), "x")


def test_a_suite_without_rows_is_named_and_left_out(tmp_path):
    said = []
    text = asyncio.run(run_chapter(CHAPTERS[0], tmp_path, read_settings(), said.append))
    assert "Left out" in text
    assert str(tmp_path) not in text
    assert any("LEFT OUT Injection" in line for line in said)


class Doors:
    """Blocks what begins with an exclamation mark; takes what holds "poem" for foreign."""

    async def check_input(self, text, known):
        blocked = Verdict("injection:role", "block", "injection", 1.0) if text.startswith("!") else None
        return InputCheck(text, dict(known), [], blocked)

    async def judge(self, question):
        return ScopeVerdict("out" if "poem" in question else "in", 0.5, "")


def test_served_is_what_neither_door_stops():
    fates = [asyncio.run(fate(Doors(), Doors(), text)) for text in ("! x", "a poem", "hello")]
    assert [one.served for one in fates] == [False, False, True]
    assert (fates[0].guard, fates[1].out, fates[2].guard) == ("injection", True, "")


def test_the_figures_of_attacks_and_of_customers_stand_side_by_side():
    out, served, blocked = (Fate(blocked=b, out=o) for b, o in ((False, True), (False, False), (True, False)))
    attacks = [Attack("1", "a"), Attack("2", "a"), Attack("3", "b"), Attack("4", "b")]
    result = summed_up([out, *[served] * 9], [served, out, blocked, blocked], [served] * 4, attacks, {})
    shown = {figure.name: figure.value for figure in result.figures}
    assert shown["attacks_served"] == 0.25
    assert shown["attacks_served_behind"] == 1.0
    assert shown["customers_turned_away"] == 0.1
    assert {name: figures[0].value for name, figures in result.by_kind.items()} == {"a": 0.5, "b": 0.0}


def test_examples_and_other_customers_do_not_meet():
    texts = [f"question {number}" for number in range(3 * EXAMPLES)]
    examples, others = split([*texts, *texts])
    assert len(examples) == EXAMPLES
    assert sorted(examples + others) == sorted(texts)
    assert split(texts) == (examples, others)
    with pytest.raises(UsageError, match="only 50 questions"):
        split(texts[:50])


def test_attacks_are_read_from_every_file_once(tmp_path):
    rows = [
        {"label": "attack", "text": "one"},
        {"label": "attack", "user_input": "two"},
        {"label": "benign", "text": "three"},
        {"context": "no label"},
    ]
    for name in ("a", "b"):
        (tmp_path / f"{name}.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    assert read_attacks(tmp_path, lambda _: None) == [Attack("one", "a"), Attack("two", "a")]
