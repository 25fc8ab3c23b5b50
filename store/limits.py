"""Which budgets there are: whose spending is limited, over which period, and how hard. Amounts are micro-dollars."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Literal

from sqlalchemy import Connection, delete, select

from domain.errors import UsageError
from domain.receipt import MICRO
from domain.turn import Payer
from store.engine import upsert
from store.tables import budget_limits

Scope = Literal["total", "model", "user", "key"]
Period = Literal["day", "month", "ever"]
Kind = Literal["hard", "soft"]

EACH = "each"
"""Name of a limit that every model, user or key has for itself; a limit by name takes its place for that one."""
ALWAYS = date(1970, 1, 1)
"""When the period `ever` began."""
NAMES: Mapping[Period, str] = {"day": "daily", "month": "monthly", "ever": "whole"}
PERIODS: tuple[Period, ...] = ("day", "month", "ever")


@dataclass(frozen=True, slots=True)
class Slot:
    """What a limit is about. `name`: a model, a user's hash, a key's id, or `each`; empty for the total."""

    scope: Scope = "total"
    name: str = ""
    period: Period = "day"
    kind: Kind = "hard"

    def __post_init__(self) -> None:
        if (self.scope == "total") != (not self.name):
            raise UsageError(f"a budget of {self.scope} named {self.name!r} cannot be", where="budget")
        if self.scope == "user" and self.period == "ever":
            # What a user has ever spent would outlive the retention of everything else that names them.
            raise UsageError("a user's budget is for a day or a month", where="budget")

    def covers(self, scope: Scope, name: str) -> bool:
        """Whether the spending of that one counts against this limit."""
        return self.scope == scope and self.name in (name, EACH)


@dataclass(frozen=True, slots=True)
class Limit:
    """A budget. `amount` None: none at all, whatever the defaults say. soft: told, hard: kept."""

    slot: Slot
    amount: int | None

    def __post_init__(self) -> None:
        if self.amount is not None and self.amount < 0:
            msg = f"a budget of {self.amount} micro-dollars"
            raise ValueError(msg)


@dataclass(frozen=True, slots=True)
class Account:
    """One sum that is kept: whose spending, of which period. Its `id` is its row."""

    scope: Scope
    name: str
    period: Period
    starts: date

    @property
    def id(self) -> str:
        """As the table names it."""
        return f"{self.scope}:{self.name}:{self.period}:{self.starts.isoformat()}"

    @property
    def resets_at(self) -> datetime | None:
        """When the next period begins, aware UTC; never for `ever`."""
        if self.period == "ever":
            return None
        return datetime.combine(_next(self.period, self.starts), time.min, UTC)


def start_of(period: Period, day: date) -> date:
    """The first day of the period that `day` is in."""
    if period == "ever":
        return ALWAYS
    return day if period == "day" else day.replace(day=1)


def accounts_of(day: date, model: str, payer: Payer) -> list[Account]:
    """Every account that a call on this day may be booked to."""
    whose: list[tuple[Scope, str]] = [("total", ""), ("model", model), ("user", payer.user), ("key", payer.key)]
    return [
        Account(scope, name, period, start_of(period, day))
        for scope, name in whose
        if name or scope == "total"
        for period in PERIODS
    ]


def in_force(limits: Iterable[Limit], account: Account, kind: Kind = "hard") -> int | None:
    """The amount that limits an account; None where nothing does. A limit by name wins over one for each."""
    fitting = [
        limit
        for limit in limits
        if limit.slot.kind == kind
        and limit.slot.period == account.period
        and limit.slot.covers(account.scope, account.name)
    ]
    named = [limit for limit in fitting if limit.slot.name == account.name]
    return (named or fitting)[0].amount if fitting else None


def effective(defaults: Sequence[Limit], stored: Sequence[Limit]) -> list[Limit]:
    """The limits that hold: what was set, else the defaults."""
    return list({limit.slot: limit for limit in (*defaults, *stored)}.values())


def stored_limits(rows: Iterable[Any]) -> list[Limit]:
    """The rows of `budget_limits` as values."""
    return [Limit(Slot(row.scope, row.name, row.period, row.kind), row.amount) for row in rows]


def change(connection: Connection, slot: Slot, amount: int | None, *, forget: bool) -> None:
    """Write a limit, or forget it, so that the default holds again."""
    key = {"scope": slot.scope, "name": slot.name, "period": slot.period, "kind": slot.kind}
    if forget:
        same = [budget_limits.c[column] == value for column, value in key.items()]
        connection.execute(delete(budget_limits).where(*same))
        return
    put = upsert(connection, budget_limits).values(key | {"amount": amount})
    connection.execute(put.on_conflict_do_update(index_elements=list(key), set_={"amount": amount}))


def read_limits(connection: Connection) -> list[Limit]:
    """What was set."""
    return stored_limits(connection.execute(select(budget_limits)))


def usd(amount: int) -> str:
    """Micro-dollars as a person reads them."""
    return f"${amount / MICRO:.6f}".rstrip("0").rstrip(".")


def _next(period: Period, starts: date) -> date:
    if period == "day":
        return starts + timedelta(days=1)
    return (starts.replace(day=1) + timedelta(days=32)).replace(day=1)
