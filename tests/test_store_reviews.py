"""Reviews and ratings in a file and in Postgres."""

from dataclasses import replace
from datetime import timedelta

import pytest
from fakes import FrozenClock
from places import Place
from test_figures import BASE

from domain.turn import Score
from store import Store
from store.reviews import LowScore, Right

LOW = LowScore({"a": 0.75, "b": 0.25}, {"a"}, below=0.5, each={"b": 0.2})


@pytest.fixture
def clock() -> FrozenClock:
    return FrozenClock()


@pytest.fixture
def store(place: Place, clock: FrozenClock) -> Store:
    return place.open(clock)


def keep(store: Store, clock: FrozenClock, turn: str, **fields: object) -> str:
    store.ledger.save(replace(BASE, turn_id=turn, at=clock.now().isoformat(), **fields))  # type: ignore[arg-type]
    return turn


def waits(store: Store, clock: FrozenClock) -> dict[str, list[str]]:
    return {turn: list(why) for turn, why in store.reviews.waiting(clock.now() - timedelta(days=1), LOW, 10)}


def test_each_cause_is_told_and_a_decision_ends_the_waiting(store: Store, clock: FrozenClock) -> None:
    scored = {
        "mean-below": [Score("a", 0.4), Score("b", 0.7)],
        "mean-at": [Score("a", 0.4), Score("b", 0.8)],
        "one-below": [Score("a", 1.0), Score("b", 0.2)],
        "no-core": [Score("a", None), Score("b", 0.3)],
        "unknown": [Score("c", 0.0)],
    }
    for turn, scores in scored.items():
        keep(store, clock, turn, scores=scores)
    keep(store, clock, "down")
    store.feedback.add("down", "down")
    keep(store, clock, "up")
    store.feedback.add("up", "up")
    keep(store, clock, "unsure", outcome="dont_know", reason="low_confidence")
    keep(store, clock, "handed", outcome="handoff", reason="repeated_dont_know")
    keep(store, clock, "fault", outcome="refuse", reason="guard_failed")
    assert waits(store, clock) == {
        "mean-below": ["low_score"],
        "one-below": ["low_score"],
        "down": ["thumbs_down"],
        "unsure": ["dont_know"],
        "handed": ["handoff"],
        "fault": ["guard_fault"],
    }
    store.reviews.ask(["up", "down"], "below_line")
    store.reviews.ask(["up"], "rate")
    assert waits(store, clock)["up"] == ["below_line", "rate"]
    assert waits(store, clock)["down"] == ["thumbs_down", "below_line"]
    store.reviews.rate("up", "linh", {"safety": 3})
    assert waits(store, clock)["up"] == ["below_line"]
    for turn in ("up", "down", "fault"):
        store.reviews.decide(turn, "accepted", "linh", Right(note="fine"))
    assert not {"up", "down", "fault"} & waits(store, clock).keys()
    assert store.reviews.several(["up", "nothing"])["up"].to_rate
    store.reviews.ask(["up"], "below_line")
    assert store.reviews.several(["up"])["up"].state == "accepted"


def test_a_later_decision_takes_the_place_of_the_earlier(store: Store, clock: FrozenClock) -> None:
    keep(store, clock, "t")
    store.reviews.decide("t", "rejected", "linh", Right())
    clock.advance(60)
    right = Right("answer", "Nửa năm", [["6 months", "half a year"]], ["warranty"], ["free"], "see <EMAIL_1>")
    store.reviews.decide("t", "corrected", "ann", right)
    (kept,) = store.reviews.decided(["accepted", "corrected"])
    assert (kept.right, kept.who, kept.decided_at) == (right, "ann", clock.now())
    assert store.reviews.decided(["rejected"]) == []


def test_what_retention_removes_takes_its_review_along(store: Store, clock: FrozenClock) -> None:
    keep(store, clock, "old")
    store.reviews.decide("old", "accepted", "linh", Right())
    store.reviews.rate("old", "linh", {"accuracy": 5})
    begin = clock.now()
    clock.advance(90_000)
    keep(store, clock, "new")
    store.reviews.rate("new", "linh", {"accuracy": 4})
    assert [one.value for one in store.reviews.rated(begin, clock.now() + timedelta(1))] == [4, 5]
    assert [one.value for one in store.reviews.rated(begin, clock.now())] == [5]
    store.purge(clock.now())
    assert [one.turn_id for one in store.reviews.rated(begin, clock.now() + timedelta(1))] == ["new"]
    assert store.reviews.decided(["accepted"]) == []
