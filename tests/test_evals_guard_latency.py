"""The clock of the guards: every side is measured, and no text comes twice."""

from domain.profile import DeskProfile
from evals.guard_latency import LENGTH, QUESTIONS, _texts, measure_latency


def test_every_side_is_measured_with_and_without_the_model() -> None:
    rows = measure_latency(DeskProfile.model_validate({"name": "D", "scope": {"describe": "S"}}), rounds=4)
    assert [row.texts for row in rows] == [4, 4, 4]
    assert len({row.what for row in rows}) == len(rows)
    assert all(0 < row.p50 <= row.p95 for row in rows)


def test_texts_are_of_one_length_and_differ() -> None:
    texts = _texts(QUESTIONS, 30, LENGTH)
    assert {len(text) for text in texts} == {LENGTH}
    assert len(set(texts)) > len(texts) * 0.9
