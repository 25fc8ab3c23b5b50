"""Receipts come back as they went in, and their numbers add up."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from places import Place

from domain.errors import NotFoundError, StoreError
from domain.receipt import Receipt
from domain.turn import Call, Handoff, Passage, Score, Source, Step, Verdict
from store import Store, Totals

START = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def store(lasting_place: Place) -> Store:
    return lasting_place.open()


@pytest.fixture
def empty(place: Place) -> Store:
    return place.open()


anything = st.text(st.characters(), max_size=20)  # halves of surrogate pairs and NUL too
sayable = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)
share = st.floats(allow_nan=False, allow_infinity=False)
count = st.integers(0, 10**12)
urls = st.none() | anything

receipts = st.builds(
    Receipt,
    turn_id=st.uuids().map(str),
    at=st.datetimes(timezones=st.just(UTC)).map(datetime.isoformat),
    question=anything,
    answer=anything,
    standalone=anything,
    error=anything,
    why=st.lists(anything, max_size=3),
    thread_id=anything,
    user=anything,
    latency_ms=share,
    confidence=share,
    passages=st.lists(
        st.builds(Passage, id=anything, article=anything, title=anything, text=anything, score=share, url=urls),
        max_size=3,
    ),
    sources=st.lists(st.builds(Source, id=anything, title=anything, quote=anything, url=urls), max_size=2),
    verdicts=st.lists(st.builds(Verdict, guard=anything, reason=anything, score=share), max_size=3),
    steps=st.lists(st.builds(Step, name=anything, ms=share), max_size=3),
    calls=st.lists(
        st.builds(
            Call,
            purpose=sayable,
            model=sayable,
            ok=st.booleans(),
            input_tokens=count,
            cached_tokens=count,
            output_tokens=count,
            cost_microusd=count,
            ms=share,
            error=sayable,
        ),
        max_size=3,
    ),
    scores=st.lists(st.builds(Score, name=sayable, value=st.none() | share, comment=sayable), max_size=3),
    handoff=st.none() | st.builds(Handoff, department=anything, summary=anything, ticket=anything),
)


def plain(turn_id: str, **changes: object) -> Receipt:
    base = Receipt(
        turn_id=turn_id,
        thread_id="thread",
        trace_id="trace",
        desk="shop",
        user="ab" * 16,
        at=START.isoformat(),
        language="vi",
        outcome="answer",
        reason=None,
        question="Đơn hàng <ORDER_1> ở đâu?",
        answer="Đang trên đường.",
        release="r1",
        rag_config="c1",
        knowledge="k1",
        latency_ms=12.5,
    )
    return replace(base, **changes)


@settings(max_examples=60, deadline=None)
@given(receipt=receipts)
def test_a_receipt_comes_back_as_it_went_in(store: Store, receipt: Receipt) -> None:
    store.ledger.save(receipt)
    assert store.ledger.get(receipt.turn_id) == receipt


@settings(max_examples=20, deadline=None)
@given(first=receipts, second=receipts)
def test_a_second_save_of_a_turn_takes_the_first_one_s_place(store: Store, first: Receipt, second: Receipt) -> None:
    later = replace(second, turn_id=first.turn_id)
    store.ledger.save(first)
    before = store.ledger.totals(datetime.min.replace(tzinfo=UTC))
    store.ledger.save(later)
    after = store.ledger.totals(datetime.min.replace(tzinfo=UTC))
    assert store.ledger.get(first.turn_id) == later
    assert after.turns == before.turns
    assert after.cost_microusd - before.cost_microusd == later.cost_microusd - first.cost_microusd


def test_a_receipt_is_found_by_the_beginning_of_its_id(empty: Store) -> None:
    for name in ("0193aaaa-1111", "0193aaaa-2222", "0193bbbb-3333", "0193b_bb-4444"):
        empty.ledger.save(plain(name))
    assert empty.ledger.get("0193bbbb").turn_id == "0193bbbb-3333"
    assert empty.ledger.get("0193aaaa-2").turn_id == "0193aaaa-2222"
    assert empty.ledger.get("0193b_bb").turn_id == "0193b_bb-4444"
    with pytest.raises(NotFoundError, match="several"):
        empty.ledger.get("0193aaaa")
    for unknown in ("0193bbb", "", "0193bbbb-9", "%%%%%%%%%", "0193____"):
        with pytest.raises(NotFoundError, match="no such"):
            empty.ledger.get(unknown)


def test_an_id_that_begins_another_is_found_exactly(empty: Store) -> None:
    empty.ledger.save(plain("0193aaaa"))
    empty.ledger.save(plain("0193aaaa-1111"))
    assert empty.ledger.get("0193aaaa").turn_id == "0193aaaa"


def test_the_judge_s_scores_and_calls_are_added(empty: Store) -> None:
    answered = Call("generate", "big", ok=True, input_tokens=100, output_tokens=50, cost_microusd=700, ms=1.5)
    judged = Call("judge", "small", ok=True, input_tokens=30, output_tokens=1, cost_microusd=9)
    empty.ledger.save(plain("turn-1", calls=[answered], scores=[Score("safety", 1.0), Score("tone", 0.5)]))
    empty.ledger.add_scores("turn-1", [Score("tone", None, "no answer"), Score("faithful", 0.0)], [judged])
    kept = empty.ledger.get("turn-1")
    assert kept.scores == [Score("safety", 1.0), Score("tone", None, "no answer"), Score("faithful", 0.0)]
    assert kept.calls == [answered, judged]
    assert empty.ledger.totals(START).cost_microusd == kept.cost_microusd == 709
    with empty._database.read() as connection:
        assert connection.exec_driver_sql("SELECT tokens, cost_microusd FROM receipts").one() == (181, 709)
    with pytest.raises(NotFoundError):
        empty.ledger.add_scores("turn-2", [Score("tone", 1.0)])


def test_totals_count_outcomes_and_add_up_failed_calls_too(empty: Store) -> None:
    def call(cost: int, *, ok: bool = True) -> Call:
        return Call("generate", "m", ok=ok, input_tokens=cost * 2, output_tokens=cost, cost_microusd=cost)

    empty.ledger.save(plain("a", calls=[call(5, ok=False), call(7)]))
    empty.ledger.save(plain("b", outcome="refuse", reason="injection"))
    empty.ledger.save(plain("c", calls=[call(11)]))
    empty.ledger.save(plain("early", at=(START - timedelta(seconds=1)).isoformat(), calls=[call(100)]))
    assert empty.ledger.totals(START) == Totals(
        turns=3,
        outcomes={"answer": 2, "refuse": 1},
        calls=3,
        failed_calls=1,
        input_tokens=46,
        output_tokens=23,
        cost_microusd=23,
    )
    assert empty.ledger.totals(START + timedelta(days=1)) == Totals(0, {}, 0, 0, 0, 0, 0)


def test_the_most_recent_come_first_whatever_zone_they_were_written_in(empty: Store) -> None:
    empty.ledger.save(plain("noon", at="2026-03-01T12:00:00+00:00"))
    empty.ledger.save(plain("before", at="2026-03-01T18:59:00+07:00"))
    empty.ledger.save(plain("after", at="2026-03-01T19:01:00+07:00", calls=[Call("generate", "m", ok=True)]))
    assert [one.turn_id for one in empty.ledger.recent(10)] == ["after", "noon", "before"]
    assert empty.ledger.recent(1) == [empty.ledger.get("after")]


@pytest.mark.parametrize("at", ["yesterday", "2026-03-01T12:00:00", ""])
def test_a_receipt_needs_a_real_time(empty: Store, at: str) -> None:
    with pytest.raises(StoreError) as caught:
        empty.ledger.save(plain("turn-1", at=at))
    assert "\n" not in str(caught.value)
    assert empty.ledger.recent(10) == []
