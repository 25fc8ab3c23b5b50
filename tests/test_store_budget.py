"""Settled + reserved never exceeds the limit: in one thread, in many, and in several processes."""

import itertools
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from fakes import FrozenClock
from hypothesis import given, settings
from hypothesis import strategies as st
from places import Place

from domain.errors import BudgetError, NotFoundError
from domain.turn import Payer
from store.budget import LEASE, BudgetState

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
LIMIT = 1_000
NOBODY = Payer()


@dataclass
class Bench:
    """A store with a limit of 1,000 and a clock in the test's hand."""

    place: Place
    clock: FrozenClock = field(default_factory=lambda: FrozenClock(START))

    def __post_init__(self) -> None:
        self.store = self.place.open(self.clock, daily_limit=LIMIT)
        self.budget = self.store.budget

    def books(self) -> tuple[int, int, bool]:
        state = self.budget.state()
        return state.settled, state.reserved, state.closed


@pytest.fixture
def bench(place: Place) -> Bench:
    return Bench(place)


@pytest.fixture(scope="module")
def shared(lasting_place: Place) -> Bench:
    return Bench(lasting_place)


def test_a_hold_counts_until_it_is_settled(bench: Bench) -> None:
    hold = bench.budget.reserve("m", 900, NOBODY)
    assert bench.books() == (0, 900, False)
    with pytest.raises(BudgetError):
        bench.budget.reserve("m", 101, NOBODY)
    bench.budget.settle(hold, 250)
    assert bench.books() == (250, 0, False)
    bench.budget.settle(bench.budget.reserve("m", 750, NOBODY), 0)
    assert bench.books() == (250, 0, False)


def test_a_refusal_names_the_books_and_the_reset_in_one_line(bench: Bench) -> None:
    bench.budget.settle(bench.budget.reserve("m", 400, NOBODY), 400)
    bench.budget.reserve("m", 500, NOBODY)
    with pytest.raises(BudgetError) as caught:
        bench.budget.reserve("big-model", 101, NOBODY)
    assert str(caught.value) == (
        "big-model: the daily budget of $0.001 has no room for $0.000101: $0.0004 spent, $0.0005 reserved"
        " (it resets at 2026-03-02 00:00 UTC)"
    )


def test_a_second_settle_changes_nothing(bench: Bench) -> None:
    hold = bench.budget.reserve("m", 100, NOBODY)
    other = bench.budget.reserve("m", 50, NOBODY)
    for amount in (80, 80, 100, 0, 5_000):
        bench.budget.settle(hold, amount)
        assert bench.books() == (80, 50, False)
    bench.budget.settle(other, 50)
    assert bench.books() == (130, 0, False)


def test_an_excess_is_booked_and_closes_the_budget_until_tomorrow(bench: Bench) -> None:
    bench.budget.settle(bench.budget.reserve("m", 100, NOBODY), 101)
    assert bench.books() == (101, 0, True)
    with pytest.raises(BudgetError, match=r"overrun.*closed.*2026-03-02"):
        bench.budget.reserve("m", 1, NOBODY)
    bench.clock.moment += timedelta(days=1)
    bench.budget.reserve("m", LIMIT, NOBODY)
    assert bench.books() == (0, LIMIT, False)


def test_what_a_dead_process_held_comes_back_after_its_lease(bench: Bench) -> None:
    lost = bench.budget.reserve("m", LIMIT, NOBODY)
    bench.clock.moment += LEASE - timedelta(seconds=1)
    with pytest.raises(BudgetError):
        bench.budget.reserve("m", 1, NOBODY)
    bench.clock.moment += timedelta(seconds=1)
    assert bench.books() == (0, 0, False)
    bench.budget.reserve("m", 600, NOBODY)
    assert bench.books() == (0, 600, False)
    bench.budget.settle(lost, 70)
    bench.budget.settle(lost, 70)
    assert bench.books() == (70, 600, False)


def test_the_day_is_utc_and_a_hold_is_booked_on_its_day(bench: Bench) -> None:
    bench.clock.moment = datetime(2026, 3, 1, 23, 59, tzinfo=UTC)
    hold = bench.budget.reserve("m", LIMIT, NOBODY)
    bench.clock.moment += timedelta(minutes=1)
    second = bench.budget.reserve("m", LIMIT, NOBODY)
    bench.budget.settle(hold, LIMIT)
    assert bench.books() == (0, LIMIT, False)
    bench.clock.moment -= timedelta(minutes=1)  # the clock is set back
    assert bench.books() == (LIMIT, 0, False)
    bench.budget.settle(second, 1)
    assert bench.books() == (LIMIT, 0, False)


def test_a_hold_that_the_database_lost_with_its_power_is_booked_all_the_same(bench: Bench) -> None:
    """Postgres need not have a reservation on its disk; what took its row's number meanwhile is another's."""
    lost = bench.budget.reserve("m", 100, Payer("u", "", "turn-a"))
    bench.place.sql("DELETE FROM holds")
    bench.place.sql("UPDATE budget_accounts SET reserved = 0")
    anew = "ALTER SEQUENCE holds_id_seq RESTART" if bench.place.url else "DELETE FROM sqlite_sequence"
    bench.place.sql(anew)
    other = bench.budget.reserve("m", 50, Payer("u", "", "turn-b"))
    assert other.partition(".")[0] == lost.partition(".")[0]
    bench.budget.settle(lost, 80)
    assert bench.books() == (80, 50, False)
    bench.budget.settle(other, 20)
    assert bench.books() == (100, 0, False)
    with pytest.raises(NotFoundError):
        bench.place.open(bench.clock, daily_limit=LIMIT).budget.settle(lost, 80)


def test_calls_that_cost_nothing_leave_the_database_alone(tmp_path: Path) -> None:
    bench = Bench(Place(tmp_path))
    bench.store.close()
    database = tmp_path / "desk.sqlite3"
    before = database.stat()
    holds = [bench.budget.reserve("local", 0, NOBODY) for _ in range(3)]
    for hold in holds:
        bench.budget.settle(hold, 0)
    bench.store.close()
    assert len(set(holds)) == 3
    assert database.stat() == before
    assert not database.with_name("desk.sqlite3-wal").exists()


def test_a_call_that_was_said_to_cost_nothing_and_did_closes_the_budget(bench: Bench) -> None:
    hold = bench.budget.reserve("local", 0, NOBODY)
    bench.budget.settle(hold, 30)
    bench.budget.settle(hold, 30)
    assert bench.books() == (30, 0, True)


def test_amounts_and_holds_that_cannot_be(bench: Bench) -> None:
    hold = bench.budget.reserve("m", 10, NOBODY)
    for wrong in (lambda: bench.budget.reserve("m", -1, NOBODY), lambda: bench.budget.settle(hold, -1)):
        with pytest.raises(ValueError, match="micro-dollars"):
            wrong()
    for unknown in ("999", "", "abc", "-1", "1.5"):
        with pytest.raises(NotFoundError):
            bench.budget.settle(unknown, 1)
    assert bench.books() == (0, 10, False)


def test_no_limit_given_lets_nothing_out_that_costs(place: Place) -> None:
    store = place.open()
    with pytest.raises(BudgetError):
        store.budget.reserve("m", 1, NOBODY)
    store.budget.settle(store.budget.reserve("m", 0, NOBODY), 0)


moves = st.lists(
    st.one_of(
        st.tuples(st.just("reserve"), st.integers(1, 600)),
        st.tuples(st.just("settle"), st.tuples(st.integers(0, 9), st.floats(0, 1.02))),
        st.tuples(st.just("wait"), st.integers(1, 400)),
    ),
    max_size=25,
)


@settings(max_examples=40, deadline=None)
@given(moves=moves)
def test_any_course_of_events_keeps_the_books_of_a_simple_model(shared: Bench, moves: list[tuple[str, object]]) -> None:
    midnight = shared.clock.moment.replace(hour=0, minute=0)
    shared.clock.moment = midnight + timedelta(days=2)
    holds: list[tuple[str, int, datetime]] = []
    paid: dict[str, int] = {}
    closed = False

    def model() -> tuple[int, int, bool]:
        now = shared.clock.moment
        waiting = [amount for hold, amount, until in holds if hold not in paid and until > now]
        return sum(paid.values()), sum(waiting), closed

    for kind, detail in moves:
        settled, reserved, _ = model()
        if kind == "wait":
            shared.clock.moment += timedelta(seconds=detail)
        elif kind == "reserve":
            try:
                hold = shared.budget.reserve("m", detail, NOBODY)
            except BudgetError:
                assert closed or settled + reserved + detail > LIMIT
            else:
                assert not closed
                assert settled + reserved + detail <= LIMIT
                holds.append((hold, detail, shared.clock.moment + LEASE))
        elif holds:
            which, part = detail
            hold, amount, _ = holds[which % len(holds)]
            cost = int(amount * part)
            shared.budget.settle(hold, cost)
            if hold not in paid:
                paid[hold] = cost
                closed = closed or cost > amount
        assert shared.books() == model()


def test_many_threads_never_pass_the_limit(bench: Bench) -> None:
    amounts = itertools.cycle([37, 61, 13, 90])
    over: list[BudgetState] = []
    done = threading.Event()

    def watch() -> None:
        while not done.is_set():
            state = bench.budget.state()
            if state.settled + state.reserved > LIMIT:
                over.append(state)

    def turn(amount: int) -> int:
        try:
            hold = bench.budget.reserve("m", amount, NOBODY)
        except BudgetError:
            return 0
        bench.budget.settle(hold, amount // 2)
        return amount // 2

    watcher = threading.Thread(target=watch)
    watcher.start()
    with ThreadPoolExecutor(16) as pool:
        spent = sum(pool.map(turn, itertools.islice(amounts, 200)))
    done.set()
    watcher.join()
    assert over == []
    assert bench.books() == (spent, 0, False)
    assert LIMIT - 90 < spent <= LIMIT


def test_two_that_settle_the_same_call_at_once_book_it_once(bench: Bench) -> None:
    """As two processes do: each has a store of its own over the one database."""
    other = bench.place.open(FrozenClock(START), daily_limit=LIMIT)
    for cost in (40, 7):
        hold = bench.budget.reserve("m", 50, NOBODY)
        before = bench.books()[0]
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda one, hold=hold, cost=cost: one.settle(hold, cost), [bench.budget, other.budget] * 4))
        assert bench.books() == (before + cost, 0, False)


def test_a_clock_that_is_set_back_frees_no_room(bench: Bench) -> None:
    bench.budget.reserve("m", LIMIT - 10, NOBODY)
    bench.clock.moment -= timedelta(hours=2)
    with pytest.raises(BudgetError):
        bench.budget.reserve("m", 11, NOBODY)
    late = bench.budget.reserve("m", 10, NOBODY)
    bench.clock.moment += timedelta(hours=2)
    assert bench.books() == (0, LIMIT - 10, False), "the lease that began on the early clock is over"
    bench.budget.settle(late, 10)
    assert bench.books() == (10, LIMIT - 10, False)


HAMMER = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from domain.errors import BudgetError
from domain.turn import Payer
from store import Store
NOBODY = Payer()
class Clock:
    def now(self): return datetime(2026, 3, 1, 12, tzinfo=UTC)
    def monotonic(self): return 0.0
budget = Store.open(Path(sys.argv[1]), Clock(), url=sys.argv[3], daily_limit=5_000).budget
spent = lost = 0
for number in range(80):
    amount = 20 + (number * int(sys.argv[2])) % 90
    try:
        hold = budget.reserve("m", amount, NOBODY)
    except BudgetError:
        continue
    if number % 10 == 9:  # as if it were killed between the two
        lost += amount
        continue
    cost = amount * 3 // 4
    budget.settle(hold, cost)
    budget.settle(hold, cost)
    spent += cost
print(spent, lost)
"""


@pytest.mark.slow
def test_several_processes_never_pass_the_limit(place: Place) -> None:
    clock = FrozenClock(START)
    store = place.open(clock, daily_limit=5_000)
    command = [sys.executable, "-c", HAMMER, str(place.folder)]
    running = [
        subprocess.Popen([*command, str(step), place.url], stdout=subprocess.PIPE, text=True) for step in (7, 11, 13)
    ]
    while any(process.poll() is None for process in running):
        state = store.budget.state()
        assert state.settled + state.reserved <= 5_000
        time.sleep(0.01)
    told = [[int(word) for word in process.communicate()[0].split()] for process in running]
    state = store.budget.state()
    assert state.settled == sum(spent for spent, _ in told)
    assert state.reserved == sum(lost for _, lost in told)
    assert 4_900 < state.settled + state.reserved <= 5_000
    clock.moment += LEASE
    assert store.budget.state().reserved == 0
