"""The scope suite: what counts as kept and as turned away, and what a business known by examples is."""

import asyncio
import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from domain.errors import UsageError
from domain.settings import read_settings
from evals.blocking import Row
from evals.run import Run
from evals.suites.scope import Scored, business_of, measure, put_through, summed_up
from guards import ScopeVerdict


@dataclass
class Told:
    """A filter that turns away what it was told to."""

    out: set

    async def judge(self, question):
        scope = "out" if question in self.out else "in"
        return ScopeVerdict(scope, 0.9 if scope == "out" else 0.1, f"told {scope}")


def run(**given):
    return Run(read_settings(), say=lambda _: None, progress=lambda *_: None, **given)


def rows(*pairs, kind="all"):
    return [Row(id=text, text=text, label=label, kind=kind) for text, label in pairs]


def figures(result):
    return {figure.name: figure.value for figure in result.figures}


def test_out_of_scope_is_what_is_to_be_found():
    given = rows(("a", "in"), ("b", "in"), ("c", "in"), ("d", "in"), ("e", "out"), ("f", "out"), ("g", "out"))
    scored = asyncio.run(put_through(Told({"d", "e", "f"}), given, run()))
    shown = figures(summed_up(scored, 1, {}))
    assert shown["in_scope_accuracy"] == 0.75
    assert shown["out_of_scope_recall"] == pytest.approx(2 / 3)
    assert shown["accuracy"] == pytest.approx(5 / 7)
    assert shown["precision"] == pytest.approx(2 / 3)
    assert shown["f1"] == pytest.approx(2 / 3)
    assert shown["f1_in"] == pytest.approx(0.75)


def test_what_is_caught_is_told_for_each_share_that_is_kept():
    inside, outside = [n / 100 for n in range(1, 101)], [0.001, 0.055, 0.12, 0.5]
    scored = [
        Scored(Row(id="1", text="a", label=label, kind="all"), ScopeVerdict("in", 0.1, "", unusual), 1.0)
        for label, each in (("in", inside), ("out", outside))
        for unusual in each
    ]
    shown = figures(summed_up(scored, 0, {}))
    assert [shown[f"caught_keeping_{kept}"] for kept in ("0.95", "0.90", "0.85")] == [0.5, 0.5, 0.75]
    assert shown["auroc"] == pytest.approx((100 + 95 + 88.5 + 50.5) / 400)


def test_each_kind_has_its_own_figures_and_misses_carry_the_reason():
    given = rows(("a", "in"), ("x", "out"), kind="cards") + rows(("b", "in"), kind="loans")
    result = summed_up(asyncio.run(put_through(Told({"a", "x"}), given, run())), 0, {"desk": "d"})
    by_kind = {kind: {one.name: one.value for one in each} for kind, each in result.by_kind.items()}
    assert by_kind["cards"]["in_scope_accuracy"] == 0.0
    assert by_kind["cards"]["out_of_scope_recall"] == 1.0
    assert by_kind["loans"]["in_scope_accuracy"] == 1.0
    assert by_kind["loans"]["f1"] is None
    assert [(miss.id, miss.why) for miss in result.misses] == [("a", "in: told out")]
    assert result.about["rows"] == 3


@pytest.mark.parametrize(
    ("texts", "languages"),
    [
        (["Where is my card?", "How do I close my account?"], ["en"]),
        (["Tôi muốn khóa thẻ", "Số dư tài khoản của mình là bao nhiêu"], ["vi"]),
        (["Where is my card?", "Tôi muốn khóa thẻ"], ["en", "vi"]),
    ],
)
def test_examples_tell_the_languages_of_a_business(texts, languages):
    profile = business_of(rows(*((text, "in") for text in texts), ("a poem", "out")), Path("bank.jsonl"))
    assert (profile.name, profile.languages) == ("bank", languages)
    assert (profile.scope.in_, profile.scope.out) == (texts, ["a poem"])


def test_without_an_example_in_scope_there_is_no_business(tmp_path):
    path = tmp_path / "examples.jsonl"
    path.write_text(json.dumps({"text": "a poem", "label": "out"}), encoding="utf-8")
    with pytest.raises(UsageError, match="no example in scope"):
        asyncio.run(measure(run(data=path, examples=path)))
    with pytest.raises(UsageError, match="rows of your own"):
        asyncio.run(measure(run()))


def test_a_kind_may_be_called_intent_or_category():
    assert Row.model_validate({"id": "1", "text": "x", "label": "in", "intent": "cards"}).kind == "cards"
    assert Row.model_validate({"id": "1", "text": "x", "label": "in", "category": "loans"}).kind == "loans"
