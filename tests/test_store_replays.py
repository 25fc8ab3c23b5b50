"""Requests that are sent again: one works, all replicas know, and a killed one holds nothing for long."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from random import Random

import pytest
from fakes import FrozenClock
from places import Place
from synthetic import turn

from store import Store
from store.replays import KEPT, RUNNING, Slot, Standing

ONE = Slot("one", "body", "mai")
SECOND = timedelta(seconds=1)


@pytest.fixture
def clock() -> FrozenClock:
    return FrozenClock()


@pytest.fixture
def store(place: Place, clock: FrozenClock) -> Store:
    return place.open(clock)


def test_a_request_is_worked_on_once_and_answered_the_same_everywhere(
    store: Store, place: Place, clock: FrozenClock
) -> None:
    other = place.open(clock)
    assert store.replays.begin(ONE, "turn-1") == Standing("mine")
    assert other.replays.begin(ONE, "turn-2") == Standing("running")
    assert other.replays.begin(replace(ONE, body="another"), "turn-2") == Standing("other_body")
    assert other.replays.begin(replace(ONE, id="two"), "turn-3") == Standing("mine")
    store.replays.end(ONE, "turn-1")
    assert other.replays.begin(ONE, "turn-2") == Standing("done", "turn-1")
    clock.moment += KEPT + SECOND
    assert other.replays.begin(ONE, "turn-2") == Standing("mine")


def test_of_many_at_once_one_works(store: Store) -> None:
    with ThreadPoolExecutor(8) as pool:
        states = [each.state for each in pool.map(lambda number: store.replays.begin(ONE, f"turn-{number}"), range(8))]
    assert sorted(states) == ["mine", *["running"] * 7]


def test_a_request_whose_replica_was_killed_is_taken_over_when_its_hold_ends(store: Store, clock: FrozenClock) -> None:
    store.replays.begin(ONE, "turn-1")
    clock.moment += RUNNING - SECOND
    store.replays.renew(ONE, "turn-1")
    clock.moment += RUNNING - SECOND
    assert store.replays.begin(ONE, "turn-2") == Standing("running")
    clock.moment += SECOND
    assert store.replays.begin(ONE, "turn-2") == Standing("mine", "turn-1")
    store.replays.renew(ONE, "turn-1")
    store.replays.drop(ONE, "turn-1")
    assert store.replays.begin(ONE, "turn-3") == Standing("running")
    store.replays.drop(ONE, "turn-2")
    assert store.replays.begin(ONE, "turn-3") == Standing("mine")


def test_a_clock_that_went_back_holds_no_request(store: Store, clock: FrozenClock) -> None:
    clock.moment += timedelta(hours=2)
    store.replays.begin(ONE, "turn-1")
    clock.moment -= timedelta(hours=2)
    assert store.replays.begin(ONE, "turn-2") == Standing("mine", "turn-1")


def test_what_a_user_removes_answers_nothing_any_more(store: Store, clock: FrozenClock) -> None:
    for number in range(2):
        receipt = turn(Random(number), number, clock.now())  # noqa: S311  # no secret
        store.ledger.save(replace(receipt, thread_id=f"thread-{number}", user="mai"))
        slot = replace(ONE, id=str(number))
        store.replays.begin(slot, receipt.turn_id)
        store.replays.end(slot, receipt.turn_id)
    store.threads.delete("thread-0")
    assert store.replays.begin(replace(ONE, id="0"), "new").state == "mine"
    assert store.replays.begin(replace(ONE, id="1"), "new").state == "done"
    store.people.erase("mai")
    assert store.replays.begin(replace(ONE, id="1"), "new").state == "mine"
