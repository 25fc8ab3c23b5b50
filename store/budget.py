"""The daily brake on paid calls: settled + reserved never exceeds the limit. Amounts are micro-dollars."""

import itertools
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from sqlalchemy import Connection, func, insert, select, update

from domain.errors import BudgetError, NotFoundError
from domain.ports import Clock
from domain.receipt import MICRO
from store.engine import Database, upsert
from store.tables import budget_days, budget_holds

LEASE = timedelta(minutes=5)
"""How long a hold lives if nobody settles it: longer than any turn may take."""

FREE = "free-"
"""How the ids of holds of nothing begin; they are in no table."""


@dataclass(frozen=True, slots=True)
class BudgetState:
    """Today's books. `closed`: a call cost more than was held for it, and nothing paid goes out until tomorrow."""

    day: date
    limit: int
    settled: int
    reserved: int
    closed: bool


class DailyBudget:
    """A hard limit for each UTC day, kept by all processes that share the database. Implements domain.ports.Budget."""

    def __init__(self, database: Database, clock: Clock, limit: int) -> None:
        if limit < 0:
            msg = f"a budget of {limit} micro-dollars"
            raise ValueError(msg)
        self._database = database
        self._clock = clock
        self._limit = limit
        self._free = itertools.count(1)
        self._paid_free: set[str] = set()

    def reserve(self, model: str, amount: int) -> str:
        """Hold `amount` for one attempt; the hold's id. Nothing is written for 0.

        Raises BudgetError, with the time of the reset, when there is no room.
        """
        if amount < 0:
            msg = f"a hold of {amount} micro-dollars for {model}"
            raise ValueError(msg)
        if amount == 0:
            return f"{FREE}{next(self._free)}"
        now = self._clock.now()
        day = now.astimezone(UTC).date()
        with self._database.write() as connection:
            taken = self._take(connection, day, amount)
            if not taken:
                _open_day(connection, day)
                _expire(connection, now)
                taken = self._take(connection, day, amount)
            if taken:
                return _hold(connection, day, model, amount, now + LEASE)
            state = self._state(connection, day)
        raise _no_room(state, model, amount)

    def settle(self, hold: str, amount: int) -> None:
        """Book what the attempt really cost (0 releases); a second settle of a hold changes nothing.

        Cost above the hold is booked in full and closes the budget for the day, as the hold was
        meant to be an upper bound. A hold that expired meanwhile is booked all the same. Raises NotFoundError.
        """
        if amount < 0:
            msg = f"a cost of {amount} micro-dollars for hold {hold}"
            raise ValueError(msg)
        if hold.startswith(FREE):
            self._settle_free(hold, amount)
            return
        if not hold.isdecimal():
            raise NotFoundError("no such hold", where=hold)
        with self._database.write() as connection:
            row = connection.execute(
                update(budget_holds)
                .where(budget_holds.c.id == int(hold), budget_holds.c.paid.is_(None))
                .values(paid=amount)
                .returning(budget_holds.c.day, budget_holds.c.amount, budget_holds.c.expired)
            ).one_or_none()
            if row is None:
                _must_exist(connection, hold)
                return
            _book(connection, row.day, amount, held=0 if row.expired else row.amount, bound=row.amount)

    def spent_today(self) -> int:
        """Sum of what was settled today."""
        return self.state().settled

    def state(self) -> BudgetState:
        """Today's books as they stand now; holds that outlived their lease no longer count."""
        now = self._clock.now()
        day = now.astimezone(UTC).date()
        stale = select(func.coalesce(func.sum(budget_holds.c.amount), 0)).where(
            budget_holds.c.day == day,
            budget_holds.c.paid.is_(None),
            ~budget_holds.c.expired,
            budget_holds.c.expires_at <= now,
        )
        with self._database.read() as connection:
            kept = self._state(connection, day)
            lapsed = int(connection.execute(stale).scalar_one())
        return BudgetState(day, kept.limit, kept.settled, kept.reserved - lapsed, kept.closed)

    def _take(self, connection: Connection, day: date, amount: int) -> bool:
        # Asked and taken in one statement: no other process can come in between, in any database.
        room = budget_days.c.settled + budget_days.c.reserved + amount <= self._limit
        row = update(budget_days).where(budget_days.c.day == day, ~budget_days.c.closed, room)
        return connection.execute(row.values(reserved=budget_days.c.reserved + amount)).rowcount == 1

    def _state(self, connection: Connection, day: date) -> BudgetState:
        row = connection.execute(select(budget_days).where(budget_days.c.day == day)).one_or_none()
        if row is None:
            return BudgetState(day, self._limit, 0, 0, closed=False)
        return BudgetState(day, self._limit, row.settled, row.reserved, row.closed)

    def _settle_free(self, hold: str, amount: int) -> None:
        if amount == 0 or hold in self._paid_free:
            return
        self._paid_free.add(hold)
        day = self._clock.now().astimezone(UTC).date()
        with self._database.write() as connection:
            _open_day(connection, day)
            _book(connection, day, amount, held=0, bound=0)


def _open_day(connection: Connection, day: date) -> None:
    fresh = {"day": day, "settled": 0, "reserved": 0, "closed": False}
    connection.execute(upsert(connection, budget_days).values(fresh).on_conflict_do_nothing())


def _hold(connection: Connection, day: date, model: str, amount: int, until: datetime) -> str:
    row = {"day": day, "model": model, "amount": amount, "expires_at": until, "expired": False, "paid": None}
    return str(connection.execute(insert(budget_holds).values(row).returning(budget_holds.c.id)).scalar_one())


def _expire(connection: Connection, now: datetime) -> None:
    """Give back what a process held that was killed before it settled."""
    lapsed = connection.execute(
        update(budget_holds)
        .where(budget_holds.c.paid.is_(None), ~budget_holds.c.expired, budget_holds.c.expires_at <= now)
        .values(expired=True)
        .returning(budget_holds.c.day, budget_holds.c.amount)
    )
    for day, amount in lapsed.all():
        connection.execute(
            update(budget_days).where(budget_days.c.day == day).values(reserved=budget_days.c.reserved - amount)
        )


def _book(connection: Connection, day: date, amount: int, *, held: int, bound: int) -> None:
    booked = {"settled": budget_days.c.settled + amount, "reserved": budget_days.c.reserved - held}
    closing = {"closed": True} if amount > bound else {}
    connection.execute(update(budget_days).where(budget_days.c.day == day).values(**booked, **closing))


def _must_exist(connection: Connection, hold: str) -> None:
    if connection.execute(select(budget_holds.c.id).where(budget_holds.c.id == int(hold))).one_or_none() is None:
        raise NotFoundError("no such hold", where=hold)


def _no_room(state: BudgetState, model: str, amount: int) -> BudgetError:
    reset = datetime.combine(state.day + timedelta(days=1), time.min, UTC)
    why = "was overrun and is closed" if state.closed else f"has no room for {_usd(amount)}"
    books = f"{_usd(state.settled)} spent, {_usd(state.reserved)} reserved"
    return BudgetError(
        f"the daily budget of {_usd(state.limit)} {why}: {books}",
        where=model,
        fix=f"it resets at {reset:%Y-%m-%d %H:%M} UTC",
    )


def _usd(amount: int) -> str:
    return f"${amount / MICRO:.6f}".rstrip("0").rstrip(".")
