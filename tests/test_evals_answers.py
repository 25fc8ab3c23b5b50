"""Answers held against references: the measures against worked examples, the rows, the figures."""

import asyncio
import json

import pytest
from fakes import WordEmbedder
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.errors import UsageError
from domain.settings import read_settings
from evals.labelled import read_rows
from evals.run import Row, Run
from evals.suites.answers import Answered, Wanted, masked, measure, score, summed_up
from scoring.reference import (
    bleu,
    chrf,
    corpus_bleu,
    exact_match,
    pattern_fault,
    regex_match,
    rouge_l,
    similarity,
    words,
)

REFERENCE = "the warranty lasts two years from the day of purchase"


def test_measures_against_worked_examples():
    # 6 words, precisions 5/6, 3/5, 1/4, and none of three in a row: 1/6 by exponential smoothing.
    assert bleu("the cat sat on a mat", ["the cat sat on the mat"]) == pytest.approx(0.5372849659, abs=1e-6)
    # Longest common run of words: 3 of 4 and 3 of 5.
    assert rouge_l("a b c d", ["a b x c e"]) == pytest.approx(2 * (3 / 4) * (3 / 5) / (3 / 4 + 3 / 5))
    assert exact_match("Two  YEARS.", ["two years"]) == 1.0
    assert exact_match("two days", ["two years"]) == 0.0
    assert regex_match("It is 24 Months.", r"\b24 months\b") == 1.0
    assert regex_match("It is 124 months.", r"\b24 months\b") == 0.0
    assert corpus_bleu([], []) is None
    assert corpus_bleu(["a b c d", "x y z w"], [["a b c d"], ["x y z w", "other"]]) == pytest.approx(1.0)


@pytest.mark.parametrize("measure_of", [bleu, chrf, rouge_l])
def test_the_same_words_score_one_other_words_little_and_the_best_reference_counts(measure_of):
    assert measure_of(REFERENCE, [REFERENCE]) == pytest.approx(1.0)
    assert measure_of("no", [REFERENCE]) < 0.1
    assert measure_of(REFERENCE, ["something else entirely", REFERENCE]) == pytest.approx(1.0)
    half = measure_of("the warranty lasts two years", [REFERENCE])
    assert 0.3 < half < 1.0


def test_vietnamese_words_are_words():
    assert words("Bảo hành HAI năm.") == ["bảo", "hành", "hai", "năm"]
    assert rouge_l("bảo hành hai năm", ["Bảo hành hai năm!"]) == 1.0
    assert rouge_l("đổi trả", ["bảo hành hai năm"]) == 0.0


@given(st.text(max_size=60), st.text(min_size=1, max_size=60))
@settings(max_examples=25, deadline=None)
def test_every_measure_lies_between_0_and_1(answer, reference):
    for value in (bleu(answer, [reference]), chrf(answer, [reference]), rouge_l(answer, [reference])):
        assert 0.0 <= value <= 1.0 + 1e-9


def test_similarity_is_that_of_the_nearest_reference():
    near = asyncio.run(similarity("warranty years", ["parcel", "warranty years two"], WordEmbedder()))
    far = asyncio.run(similarity("warranty years", ["parcel"], WordEmbedder()))
    assert 0.7 < near <= 1.0
    assert far < 0.3


def test_a_pattern_that_is_none_or_never_ends_is_named():
    assert "regex '('" in pattern_fault("(")
    assert pattern_fault(r"\d+") == ""
    with pytest.raises(UsageError, match="takes too long"):
        regex_match("a" * 5000 + "!", r"(?:a|aa)+$(?<!b)(a+)+$", seconds=0.02)


def put(tmp_path, *rows):
    path = tmp_path / "qa.jsonl"
    path.write_text("\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows), encoding="utf-8")
    return path


def test_rows_that_lack_what_is_needed_are_named(tmp_path):
    path = put(
        tmp_path,
        {"question": "q", "reference": "r", "references": ["s"]},
        {"question": "q"},
        {"reference": "r"},
        {"answer": "a", "regex": "("},
        "{",
    )
    rows, broken = read_rows(path, Wanted)
    assert [(one.id, one.references) for one in rows] == [("1", ["r", "s"])]
    assert [miss.id for miss in broken] == [f"qa.jsonl:{number}" for number in (2, 3, 4, 5)]
    whys = " ".join(miss.why for miss in broken)
    assert "needs a reference or a regex" in whys
    assert "needs a question or an answer" in whys


def answered(name, answer, kind="all", **wanted):
    return Answered(Wanted(id=name, kind=kind, answer=answer, **wanted), answer, Row(name, kind, {}))


def scored(*given):
    return [asyncio.run(score(one, WordEmbedder())) for one in given]


def test_figures_are_means_over_the_rows_that_have_the_measure():
    rows = [
        answered("1", REFERENCE, references=[REFERENCE]),
        answered("2", "no", references=[REFERENCE], regex="years"),
        answered("3", "42 days", kind="short", regex=r"\d+ days"),
        answered("4", "", references=["x"]),
    ]
    kept = scored(*rows)
    result = summed_up(kept, rows, [], {})
    flat = result.as_json()
    assert (flat["exact_match"], flat["exact_match_n"]) == (0.3333, 3)
    assert (flat["regex_match"], flat["regex_match_n"]) == (0.5, 2)
    assert flat["chrf_ci"][0] < flat["chrf"] < flat["chrf_ci"][1]
    assert 0.0 < flat["corpus_bleu"] < 1.0
    assert flat["corpus_bleu_n"] == 3
    assert flat["by_kind"]["short"]["regex_match"] == 1.0
    assert [miss["id"] for miss in flat["misses"]] == ["2", "4"]
    assert kept[3].scores["similarity"] == 0.0


def test_what_a_row_brings_is_not_kept_and_what_is_kept_of_a_turn_is_masked():
    assert scored(answered("1", "call 0912 345 678", references=["call us"]))[0].answer == ""

    async def mask(text):
        return text.replace("Lan", "<NAME_1>")

    told = Answered(Wanted(id="1", question="q", references=["Lan"]), "x", Row("1", "k", {}, "q", "Lan", "x"))
    assert asyncio.run(masked(told, mask)).turn.expected == "<NAME_1>"


def test_the_suite_measures_rows_that_bring_their_answers_without_a_desk(tmp_path):
    path = put(tmp_path, {"answer": "a", "regex": "A"}, {"answer": "b", "regex": "A"}, "{")
    said = []
    result = asyncio.run(measure(Run(read_settings(), say=said.append, progress=lambda *_: None, data=path)))
    flat = result.as_json()
    assert (flat["regex_match"], flat["scored"], flat["unscored"], flat["corpus_bleu"]) == (0.5, 2, 1, None)
    assert "qa.jsonl:3" in said[0]
    with pytest.raises(UsageError, match="no rows"):
        asyncio.run(measure(Run(read_settings(), say=said.append, progress=lambda *_: None, data=put(tmp_path, ""))))
