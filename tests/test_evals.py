"""Measuring: the statistics, the comparison of texts, the registry, and the page."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import UsageError
from evals.matching import plain, runs, says, says_one, shared_run
from evals.report import page, write_page
from evals.run import Figure, Miss, Result, find_suite, known_suites, share
from evals.stats import percentile, wilson


@pytest.mark.parametrize(
    ("hits", "total", "expected"),
    [(8, 10, (0.4902, 0.9433)), (0, 10, (0.0, 0.2775)), (10, 10, (0.7225, 1.0)), (50, 100, (0.4038, 0.5962))],
)
def test_wilson_gives_the_published_intervals(hits, total, expected):
    assert wilson(hits, total) == pytest.approx(expected, abs=1e-4)


def test_nothing_counted_has_no_interval():
    assert wilson(0, 0) is None


@given(st.integers(1, 300).flatmap(lambda total: st.tuples(st.integers(0, total), st.just(total))))
def test_an_interval_holds_its_share_and_stays_within_0_and_1(counted):
    hits, total = counted
    low, high = wilson(hits, total)
    assert 0 <= low <= hits / total + 1e-9
    assert hits / total - 1e-9 <= high <= 1


def test_the_interval_covers_the_truth_about_95_times_in_100():
    dice = random.Random(7)  # noqa: S311  # dice, not keys
    truth, covered = 0.8, 0
    for _ in range(2_000):
        low, high = wilson(sum(dice.random() < truth for _ in range(60)), 60)
        covered += low <= truth <= high
    assert 0.93 <= covered / 2_000 <= 0.97


def test_percentiles_lie_between_neighbours():
    assert percentile([4, 1, 3, 2], 50) == 2.5
    assert percentile([1, 2, 3, 4], 100) == 4
    assert percentile([7], 95) == 7
    assert percentile([], 50) is None


@given(st.lists(st.floats(-1e6, 1e6), min_size=1), st.floats(0, 100))
def test_a_percentile_lies_within_the_values(values, percent):
    found = percentile(values, percent)
    assert min(values) - 1e-6 <= found <= max(values) + 1e-6
    assert math.isfinite(found)


@pytest.mark.parametrize(
    ("text", "wording", "held"),
    [
        ("You have 24  Months.", "24 months", True),
        ("You have 124 months.", "24 months", False),
        ("It is USD 19.80.", "9.80", False),
        ("It is USD 9.80.", "9.80", True),
        ("Phí là 60.000đ", "60,000đ", True),
        ("Phí là 60 000đ", "60000đ", True),
        ("1,5 lít", "1.5 lít", True),
        ("from 6–9 days", "6-9", True),
        ("it’s free", "it's free", True),
        ("MIỄN PHÍ hoàn toàn", "miễn phí", True),
        ("mie\u0302\u0303n phi\u0301", "miễn phí", True),
        ("version 2.10", "2.1", False),
        ("about 22%.", "22%", True),
        ("anything", "", False),
    ],
)
def test_a_fact_is_found_however_it_is_written(text, wording, held):
    assert says(text, wording) is held


def test_one_wording_of_several_is_enough():
    assert says_one("half an hour", ["30 minutes", "half an hour"])
    assert not says_one("an hour", ["30 minutes", "half an hour"])


@given(st.text(max_size=60))
def test_the_plain_form_is_stable(text):
    assert plain(plain(text)) == plain(plain(plain(text)))


SECRET = "Customers are compensated by us first; what the courier pays is our own affair."


def test_eight_words_in_a_row_give_an_article_away():
    leaked = "Well: customers are COMPENSATED by us, first what the courier pays."
    assert shared_run(leaked, [runs(SECRET)]) == "customers are compensated by us first what the"
    assert shared_run("customers are compensated by us first", [runs(SECRET)]) == ""


def test_a_run_that_also_stands_in_a_public_text_gives_nothing_away():
    assert shared_run(SECRET, [runs(SECRET)], [SECRET]) == ""


def test_a_share_carries_its_count_and_interval():
    figure = share("right", [True, True, False, True])
    assert (figure.value, figure.n) == (0.75, 4)
    assert figure.ci == wilson(3, 4)
    assert share("right", []) == Figure("right", None, 0, None)


def test_suites_are_found_by_their_files():
    assert "desk" in known_suites()
    assert find_suite("desk").__module__ == "evals.suites.desk"
    with pytest.raises(UsageError, match=r"moon: no such suite \(there are: .*desk"):
        find_suite("moon")


RESULT = Result(
    "desk",
    {"desk": "B <b>", "cases": 4},
    [share("right", [True, False]), Figure("ms_p50", 12.5, 4), share("none", [])],
    {"direct": [share("right", [True])], "angry": [share("right", [False]), share("cited", [True])]},
    [Miss("shop-1", "direct", "says <script>")],
    ["a gate"],
)


def test_figures_are_flat_with_count_and_interval_beside_them():
    flat = RESULT.as_json()
    assert (flat["suite"], flat["cases"], flat["right"], flat["right_n"]) == ("desk", 4, 0.5, 2)
    assert flat["right_ci"] == [round(end, 4) for end in wilson(1, 2)]
    assert (flat["ms_p50"], flat["none"]) == (12.5, None)
    assert "ms_p50_ci" not in flat
    assert flat["by_kind"]["angry"]["cited"] == 1.0
    assert flat["misses"] == [{"id": "shop-1", "kind": "direct", "why": "says <script>"}]


def test_tables_have_a_cell_for_every_column():
    for _, columns, rows in RESULT.tables():
        assert all(len(row) == len(columns) for row in rows)


def test_the_page_stands_alone_and_escapes_what_it_shows(tmp_path):
    text = page(RESULT)
    assert "&lt;script&gt;" in text
    assert "<script" not in text
    assert "http" not in text
    assert "B &lt;b&gt;" in text
    assert text.count("<circle") == 3  # one share with an interval, and the first share of two kinds
    write_page(RESULT, tmp_path / "out.html")
    assert (tmp_path / "out.html").read_text(encoding="utf-8") == text
    with pytest.raises(UsageError, match="cannot be written"):
        write_page(RESULT, tmp_path / "absent" / "out.html")
