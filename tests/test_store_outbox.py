"""What waits for Langfuse, in a file and in Postgres."""

from datetime import UTC, datetime

from places import Place
from test_store import receipt

from domain.errors import NotFoundError
from domain.turn import Call, Score, Step

JUDGED = Call(
    "judge", "m", ok=True, cost_microusd=3, began=1.5, first_ms=2.5, max_tokens=1, prompt="judge@1", step="judge"
)


def test_rows_come_in_order_and_go_when_they_are_done(place: Place) -> None:
    store = place.open(exports=True)
    for number in range(3):
        store.ledger.save(receipt(f"turn-{number}"))
    store.ledger.add_scores("turn-0", [Score("grounding", 0.5)], [JUDGED], Step("judge", 3.0, 120.0))
    store.feedback.add("turn-1", "up")
    rows = store.outbox.next(10)
    assert [(row.turn_id, row.part) for row in rows] == [
        ("turn-0", "turn"), ("turn-1", "turn"), ("turn-2", "turn"), ("turn-0", "judge"), ("turn-1", "feedback"),
    ]  # fmt: skip
    store.outbox.done([row.id for row in rows[:3]], dropped=1)
    assert store.outbox.next(1) == rows[3:4]
    assert store.outbox.state() == (2, 1)
    kept = store.ledger.several(["turn-0", "nobody"])
    assert list(kept) == ["turn-0"]
    assert kept["turn-0"].calls[-1] == JUDGED
    assert kept["turn-0"].steps[-1] == Step("judge", 3.0, 120.0)


def test_what_fails_leaves_no_row(place: Place) -> None:
    store = place.open(exports=True)
    for write in (lambda: store.ledger.add_scores("nobody", []), lambda: store.feedback.add("nobody", "up")):
        try:
            write()
        except NotFoundError:
            continue
        raise AssertionError
    assert store.outbox.state() == (0, 0)


def test_the_oldest_are_given_up_and_counted_over_restarts(place: Place) -> None:
    store = place.open(exports=True)
    for number in range(7):
        store.ledger.save(receipt(f"turn-{number}"))
    assert (store.outbox.trim(5), store.outbox.trim(5)) == (2, 0)
    assert [row.turn_id for row in store.outbox.next(9)] == [f"turn-{number}" for number in range(2, 7)]
    store.purge(datetime(2100, 1, 1, tzinfo=UTC))
    assert place.open().outbox.state() == (0, 7)


def test_a_lease_from_the_future_does_not_hold(place: Place) -> None:
    store = place.open()
    assert store.leases.take("traces", "one")
    assert not store.leases.take("traces", "two")
    place.sql("UPDATE leases SET until = '2099-01-01 00:00:00'")
    assert store.leases.take("traces", "two")
