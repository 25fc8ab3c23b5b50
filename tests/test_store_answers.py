"""Kept answers are found by the likeness of their questions, as they are now, on either database."""

from datetime import UTC, datetime, timedelta

import pytest
from fakes import FrozenClock
from places import Place

from domain.errors import NotFoundError
from domain.ports import CachedAnswer, CacheKey
from store.cache import AnswerTable
from store.kept_vectors import KeptVectors

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
KEY = CacheKey("lamps", "built-in", "k1", "en", "c@1", "p@1", "m")
DAY = timedelta(days=1)
ASKED = [1.0, 0.0]


def answer(text: str) -> CachedAnswer:
    return CachedAnswer(f"What is {text}?", text, [], "m", 1)


def found(
    answers: AnswerTable, *, form: str = "?", vector: list[float] | None = None, most: int = 3, same: str = ""
) -> list[str]:
    """The answers that are held against a question, the nearest first; up to the one that is the `same`."""
    seen = []

    def is_same(question: str) -> bool:
        seen.append(question.removeprefix("What is ").removesuffix("?"))
        return seen[-1] == same

    one = answers.find(KEY, form, vector or ASKED, least=0.5, most=most, same=is_same)
    assert (one.text if one else "") == (same if same in seen else "")
    return seen


def test_the_nearest_come_first_and_none_that_is_too_far(place: Place) -> None:
    store = place.open()
    mine = store.answers(DAY)
    for form, vector in (("a", [0.6, 0.8]), ("b", [1.0, 0.0]), ("c", [0.8, 0.6]), ("d", [0.0, 1.0])):
        mine.put(KEY, form, vector, answer(form))
        assert found(mine, vector=[-1.0, 0.0]) == []
    assert found(mine) == ["b", "c", "a"] == found(store.answers(DAY))
    assert found(mine, most=1) == ["b"]
    assert found(mine, same="c") == ["b", "c"]
    exact = mine.find(KEY, "d", ASKED, least=0.5, most=3, same=lambda _: False)
    assert exact
    assert exact.text == "d"


def test_what_another_process_has_kept_or_removed_is_seen_at_once(place: Place) -> None:
    store = place.open()
    mine, theirs = store.answers(DAY), store.answers(DAY)
    mine.put(KEY, "a", ASKED, answer("a"))
    assert found(mine) == ["a"]
    theirs.put(KEY, "b", [0.8, 0.6], answer("b"))
    assert found(mine, most=1) == ["a"]
    assert found(mine) == ["a", "b"]
    place.sql("DELETE FROM cached_answers WHERE answer = 'a'")
    assert found(mine, most=1) == ["b"]


def test_an_answer_in_place_of_an_older_one_is_found_by_its_own_vector(place: Place) -> None:
    store = place.open()
    mine = store.answers(DAY)
    mine.put(KEY, "a", ASKED, answer("old"))
    assert found(mine) == ["old"]
    mine.put(KEY, "a", [0.0, 1.0], answer("new"))
    assert found(mine) == []
    assert found(mine, vector=[0.0, 1.0]) == ["new"]


def test_what_is_past_its_time_makes_room_for_what_is_less_near(place: Place) -> None:
    clock = FrozenClock(START)
    store = place.open(clock)
    mine = store.answers(DAY)
    mine.put(KEY, "a", ASKED, answer("a"))
    clock.advance(DAY.total_seconds() - 60)
    mine.put(KEY, "b", [0.8, 0.6], answer("b"))
    assert found(mine, most=1) == ["a"]
    clock.advance(60)
    assert found(mine, most=1) == ["b"]


def test_the_oldest_vectors_go_and_a_scope_is_read_anew_in_time() -> None:
    clock = FrozenClock(START)
    kept = KeptVectors(4, clock)
    rows = [(number, bytes([0, 0, 128, 63, 0, 0, 0, 0])) for number in range(1, 200)]  # 1.0, 0.0
    kept.add("s", 0, rows)
    assert kept.newest("s") == rows[-1][0]
    held = kept.nearest("s", ASKED, 0.9)
    assert 0 < len(held) <= 4
    assert set(held) == set(range(200 - len(held), 200))
    assert kept.nearest("s", [1.0, 0.0, 0.0], 0.0) == []  # of another embedder
    clock.advance(300)
    assert kept.newest("s") == 0


def test_what_is_kept_together_is_kept_whole_or_not_at_all(place: Place) -> None:
    store = place.open()
    store.threads.claim("theirs", "them")
    seen = []

    def both() -> None:
        with store.together():
            store.threads.claim("mine", "me")
            seen.append(store.threads.belongs("mine", "me"))
            store.threads.claim("theirs", "me")

    with pytest.raises(NotFoundError):
        both()
    assert seen == [True]
    assert (store.threads.belongs("mine", "me"), store.threads.belongs("theirs", "them")) == (False, True)
    with store.together():
        store.threads.claim("mine", "me")
        store.vault.write("mine", {"<EMAIL_1>": "a@mail.example"})
    assert (store.threads.belongs("mine", "me"), store.vault.read("mine")) == (True, {"<EMAIL_1>": "a@mail.example"})
