"""Fitting how likely a quotation answers, and what each threshold turns away."""

import pytest

from domain.errors import UsageError
from retrieval import load_rag_config
from training.doubt import Quoted, fit, told

CONFIG = load_rag_config("multilingual")
SET = [
    *(Quoted(0.7 + place % 2 / 10, place / 250, answered=True) for place in range(10)),
    *(Quoted(0.7 + place % 2 / 10, -0.02 + place / 250, answered=False) for place in range(10)),
]
OTHER = [Quoted(row.confidence, row.above + 0.002, row.answered) for row in SET]


def test_what_tells_answers_from_near_misses_gets_the_weight():
    found = fit([SET, OTHER])
    assert found.likeness > 50
    turned = fit([[Quoted(row.confidence, row.above, not row.answered) for row in SET]])
    assert turned.likeness < -50


def test_each_set_is_told_under_the_fit_of_the_others_and_beside_the_searchs_own_threshold():
    lines = told({"one": SET, "two": OTHER}, {"three": SET}, CONFIG)
    assert "| one | 10 | 10 | 0.500 | 0.880 |" in lines
    assert "| the search's 0.6 | left out | 0 of 20 | 0 of 20 |" in lines
    below = next(line for line in lines if line.startswith("| 0.5 | tried"))
    assert below == "| 0.5 | tried | 2 of 10 | 8 of 10 |"
    with pytest.raises(UsageError):
        told({"one": SET}, {}, CONFIG)
