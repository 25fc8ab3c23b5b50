"""The suite of personal data: what counts as hit, as right, as leaked, and rows that cannot be scored."""

import asyncio
import json
from pathlib import Path

import pytest

from domain.errors import UsageError
from domain.settings import Settings
from evals.run import Run
from evals.suites.pii import Row, f2, measure, read_rows, score, summed_up
from guards.placeholders import Span


def row(text: str, *spans: tuple[str, int, int]) -> Row:
    return Row(id="1", text=text, spans=[{"type": kind, "start": start, "end": end} for kind, start, end in spans])


def finder(*spans: tuple[int, int]):
    """Finds these places in the first text it sees, and nothing once they are masked."""

    def find(text: str) -> list[Span]:
        return [] if "<" in text else [Span(start, end, "X") for start, end in spans]

    return find


def test_half_of_the_characters_decide() -> None:
    scored = score(row("abcdefghij", ("A", 0, 4), ("B", 4, 10)), finder((2, 6)))
    assert scored.hits == [("A", True), ("B", False)]
    assert scored.right == [True]
    assert scored.leaked == {"A": 2, "B": 4}


def test_a_piece_without_a_label_is_not_right() -> None:
    scored = score(row("abcdefghij", ("A", 0, 2)), finder((0, 2), (5, 9)))
    assert scored.right == [True, False]
    figures = {figure.name: figure for figure in summed_up([scored], [], {}).figures}
    assert (figures["precision"].value, figures["recall"].value) == (0.5, 1.0)
    assert figures["f2"].value == pytest.approx(5 * 0.5 / 3)
    assert figures["leaked_characters"].value == 0


def test_places_are_those_of_the_text_as_written() -> None:
    def find(text: str) -> list[Span]:
        return [Span(at, at + 3, "X") for at in range(len(text) - 2) if text[at : at + 3] == "bob"]

    scored = score(row("bob, bob and bob", ("A", 0, 3), ("A", 5, 8), ("A", 13, 16)), find)
    assert scored.hits == [("A", True)] * 3
    assert scored.leaked == {"A": 0}


def test_f2_weighs_recall_four_times() -> None:
    assert f2(1, 2, 1, 1) == pytest.approx(5 * 0.5 / 4.5)
    assert f2(0, 2, 0, 1) == 0.0
    assert f2(0, 0, 0, 0) is None


def test_rows_with_bad_spans_are_counted_and_named(tmp_path: Path) -> None:
    path = tmp_path / "texts.jsonl"
    rows = [
        {"text": "write to an@mail.example", "spans": [{"type": "EMAIL", "start": 9, "end": 24}]},
        {"text": "short", "spans": [{"type": "EMAIL", "start": 3, "end": 99}]},
        {"text": "short", "spans": [{"type": "EMAIL", "start": 3, "end": 3}]},
        {"text": "no spans"},
    ]
    path.write_text("\n".join([*map(json.dumps, rows), "no json"]), "utf-8")
    good, broken = read_rows(path)
    assert len(good) == 1
    assert [miss.id for miss in broken] == [f"texts.jsonl:{number}" for number in (2, 3, 4, 5)]
    assert "3-99" in broken[0].why

    said: list[str] = []
    run = Run(Settings(desk="shop", ner="off"), say=said.append, progress=lambda _done, _total: None, data=path)
    result = asyncio.run(measure(run)).as_json()
    assert (result["unscored"], result["recall"], result["precision"]) == (4, 1.0, 1.0)
    assert len(said) == 4


def test_it_wants_rows() -> None:
    run = Run(Settings(desk="shop"), say=print, progress=lambda _done, _total: None)
    with pytest.raises(UsageError, match="needs rows"):
        asyncio.run(measure(run))
