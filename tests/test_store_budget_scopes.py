"""Budgets of a model, a user, a key, a month: each is a brake of its own, and all books say the same."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext, MigrationStep
from alembic.script import ScriptDirectory
from fakes import FrozenClock
from hypothesis import given, settings
from hypothesis import strategies as st
from places import Place
from sqlalchemy import create_engine, text

from domain.errors import BudgetError, UsageError
from domain.turn import Payer
from store.limits import EACH, Limit, Slot
from store.migrate import MIGRATIONS

START = datetime(2026, 3, 30, 12, tzinfo=UTC)
ANN, BOB = Payer("a" * 32, "", "turn-1"), Payer("b" * 32, "key-1", "turn-2")


@dataclass
class Bench:
    place: Place
    clock: FrozenClock = field(default_factory=lambda: FrozenClock(START))

    def __post_init__(self) -> None:
        self.store = self.place.open(self.clock, daily_limit=10_000)
        self.budget = self.store.budget

    def pay(self, amount: int, payer: Payer = ANN, model: str = "m") -> None:
        self.budget.settle(self.budget.reserve(model, amount, payer), amount)

    def spent(self) -> dict[tuple[str, str], tuple[int, int]]:
        """What stands against the limits, by scope and name."""
        return {(one.account.scope, one.account.name): (one.settled, one.reserved) for one in self.budget.standings()}


@pytest.fixture
def bench(place: Place) -> Bench:
    return Bench(place)


@pytest.mark.parametrize(
    ("slot", "same", "other"),
    [
        (Slot("user", EACH), {"payer": ANN}, {"payer": BOB}),
        (Slot("user", ANN.user), {"payer": ANN}, {"payer": BOB}),
        (Slot("key", "key-1"), {"payer": BOB}, {"payer": ANN}),
        (Slot("key", EACH), {"payer": BOB}, {"payer": ANN}),
        (Slot("model", "m"), {"model": "m"}, {"model": "n"}),
        (Slot("model", EACH), {"model": "m"}, {"model": "n"}),
    ],
)
def test_a_limit_brakes_whom_it_is_for_and_nobody_else(bench: Bench, slot: Slot, same: dict, other: dict) -> None:
    bench.budget.change(slot, 100, "owner")
    bench.pay(60, **same)
    with pytest.raises(BudgetError, match=f"daily budget of this {slot.scope} of") as caught:
        bench.pay(41, **same)
    assert caught.value.resets_at == datetime(2026, 3, 31, tzinfo=UTC)
    bench.pay(41, **other)
    bench.pay(40, **same)


def test_a_limit_by_name_takes_the_place_of_the_one_for_each(bench: Bench) -> None:
    bench.budget.change(Slot("user", EACH), 100, "owner")
    bench.budget.change(Slot("user", BOB.user), 300, "owner")
    bench.pay(250, BOB)
    with pytest.raises(BudgetError):
        bench.pay(101, ANN)
    bench.budget.change(Slot("user", ANN.user), None, "owner")  # none at all
    bench.pay(5_000, ANN)


def test_a_limit_that_comes_later_knows_what_was_spent_and_is_held(bench: Bench) -> None:
    bench.pay(300, ANN)
    bench.budget.reserve("m", 50, ANN)
    bench.budget.change(Slot("user", ANN.user, "month"), 400, "owner")
    bench.budget.change(Slot("model", "m", "ever"), 10_000, "owner")
    assert bench.spent() == {("total", ""): (300, 50), ("user", ANN.user): (300, 50), ("model", "m"): (300, 50)}
    with pytest.raises(BudgetError, match=r"monthly budget of this user of \$0.0004 .*resets at 2026-04-01 00:00 UTC"):
        bench.pay(51, ANN)
    bench.pay(50, ANN)


def test_a_month_ends_and_ever_does_not(bench: Bench) -> None:
    bench.budget.change(Slot(period="month"), 500, "owner")
    bench.budget.change(Slot("key", "key-1", "ever"), 800, "owner")
    bench.pay(500, BOB)
    with pytest.raises(BudgetError, match="monthly"):
        bench.pay(1, BOB)
    bench.clock.moment += timedelta(days=2)
    bench.pay(300, BOB)
    with pytest.raises(BudgetError, match="whole budget of this key") as caught:
        bench.pay(1, BOB)
    assert caught.value.resets_at is None
    bench.pay(200, ANN)


def test_a_soft_limit_lets_through_and_shows_its_share(bench: Bench) -> None:
    bench.budget.change(Slot("user", EACH, kind="soft"), 100, "owner")
    bench.pay(150, ANN)
    (one,) = [one for one in bench.budget.standings() if one.limit.slot.kind == "soft"]
    assert (one.account.name, one.settled, one.share) == (ANN.user, 150, 1.5)


def test_a_change_is_audited_and_forgetting_brings_the_default_back(bench: Bench) -> None:
    bench.budget.default_to([Limit(Slot("user", EACH), 70)])
    bench.budget.change(Slot(), 20_000, "ops")
    bench.budget.change(Slot(), None, "ops", forget=True)
    after, before = bench.store.audit.recent(2)
    assert before.after == {"scope": "total", "name": "", "period": "day", "kind": "hard", "microusd": 20_000}
    assert (before.who, before.before, after.before, after.after) == ("ops", None, before.after, None)
    assert bench.budget.state().limit == 10_000
    with pytest.raises(BudgetError, match="of this user"):
        bench.pay(71)


def test_setting_the_day_anew_opens_what_an_excess_closed(bench: Bench) -> None:
    bench.budget.settle(bench.budget.reserve("m", 10, ANN), 11)
    with pytest.raises(BudgetError, match="overrun"):
        bench.pay(1)
    bench.budget.change(Slot(), 10_000, "ops")
    bench.pay(1)


@pytest.mark.parametrize("wrong", [("user", "", "day"), ("total", "x", "day"), ("user", "u", "ever")])
def test_a_budget_that_cannot_be_is_refused(wrong: tuple) -> None:
    with pytest.raises(UsageError):
        Slot(*wrong)


def test_limits_are_shared_between_processes_at_once(bench: Bench) -> None:
    other = bench.place.open(bench.clock, daily_limit=10_000)
    other.budget.change(Slot(), 10, "ops")
    with pytest.raises(BudgetError):
        bench.pay(11)


calls = st.lists(
    st.tuples(st.sampled_from([ANN, BOB]), st.sampled_from("mn"), st.integers(1, 90), st.floats(0, 1)), max_size=25
)


@settings(max_examples=10, deadline=None)
@given(made=calls)
def test_every_limit_holds_and_every_account_is_the_sum_of_its_calls(
    new_place: Callable[[], Place], made: list
) -> None:
    bench = Bench(new_place())
    limits = {("user", ANN.user): 200, ("model", "m"): 300, ("total", ""): 400}
    for (scope, name), amount in limits.items():
        bench.budget.change(Slot(scope, name), amount, "owner")
    sums = dict.fromkeys(limits, 0)
    for payer, model, amount, part in made:
        mine = [key for key in limits if key[1] in ("", payer.user, model)]
        try:
            hold = bench.budget.reserve(model, amount, payer)
        except BudgetError:
            assert any(sums[key] + amount > limits[key] for key in mine)
            continue
        assert all(sums[key] + amount <= limits[key] for key in mine)
        cost = int(amount * part)
        bench.budget.settle(hold, cost)
        for key in mine:
            sums[key] += cost
    assert bench.spent() == {key: (cost, 0) for key, cost in sums.items()}
    bench.store.close()


def test_books_of_the_first_version_are_carried_over(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path / 'desk.sqlite3'}")
    scripts = ScriptDirectory(MIGRATIONS, version_locations=[MIGRATIONS])

    def first(_heads: object, _context: object) -> list[MigrationStep]:
        return [MigrationStep.upgrade_from_script(scripts.revision_map, scripts.get_revision("0001"))]

    with engine.begin() as connection:
        context = MigrationContext.configure(connection, opts={"fn": first})
        with Operations.context(context):
            context.run_migrations()
        for row in ("'2026-03-29', 500, 0, 0", "'2026-03-30', 40, 25, 1"):
            connection.execute(text(f"INSERT INTO budget_days (day, settled, reserved, closed) VALUES ({row})"))  # noqa: S608 - our own rows
        connection.execute(
            text(
                "INSERT INTO budget_holds (day, model, amount, expires_at, expired, paid)"
                " VALUES ('2026-03-30', 'm', 25, '2026-03-30 12:03:00.000000', 0, NULL)"
            )
        )
    engine.dispose()
    bench = Bench(Place(tmp_path))
    state = bench.budget.state()
    assert (state.settled, state.reserved, state.closed) == (40, 25, True)
    bench.budget.change(Slot(period="ever"), 10_000, "owner")
    assert bench.budget.standings()[-1].settled == 540
    bench.budget.settle("1", 20)
    assert bench.budget.state().settled == 60
    bench.store.close()
