"""The brake on paid calls: settled + reserved never exceeds a hard limit. Amounts are micro-dollars.

Every call is held before it is made and settled after it, in accounts by scope (total, model, user, key) and
period (day, month, ever). The accounts of the whole are always kept; another is opened when a limit first asks
for it, with what was spent and is held already.
"""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, case, func, literal, select, update

from domain.errors import BudgetError, NotFoundError
from domain.ports import Clock
from domain.turn import Payer
from store import limits as money
from store.audit import Audit
from store.budget_statements import HOLD, SETTLE, Statements, parameters
from store.columns import storable
from store.engine import Database, upsert
from store.limits import Account, Limit, Slot, usd
from store.prepared import Asked
from store.tables import budget_accounts as accounts
from store.tables import holds

LEASE = timedelta(minutes=5)
"""How long a hold lives if nobody settles it: longer than any turn may take."""

FREE = "free-"
"""How the ids of holds of nothing begin; they are in no table."""

TURN = "."
"""What in a hold's id stands between its row and its turn: a database that lost its power may give a row's number again."""


@dataclass(frozen=True, slots=True)
class BudgetState:
    """Today's books. `closed`: a call cost more than was held for it, and nothing paid goes out until tomorrow."""

    day: date
    limit: int | None
    settled: int
    reserved: int
    closed: bool


@dataclass(frozen=True, slots=True)
class Standing:
    """How one account stands against one limit. `closed` is the account's."""

    limit: Limit
    account: Account
    settled: int
    reserved: int
    closed: bool

    @property
    def share(self) -> float:
        """The part of the limit that is spent or held; 1 for a limit of nothing."""
        return (self.settled + self.reserved) / self.limit.amount if self.limit.amount else 1.0


@dataclass(frozen=True, slots=True)
class _Books:
    """One account as it stands."""

    account: Account
    settled: int
    reserved: int
    closed: bool


class Budgets:
    """Hard and soft limits, kept by all processes that share the database. Implements domain.ports.Budget."""

    def __init__(self, database: Database, clock: Clock, daily: int) -> None:
        """`daily`: the total of a UTC day until another is set."""
        self._database = database
        self._clock = clock
        self._defaults = [Limit(Slot(), daily)]
        self._free = itertools.count(1)
        self._paid_free: set[str] = set()
        self._held: dict[str, dict[str, Any]] = {}
        self._seen: tuple[str, list[Limit]] | None = None
        self._sql = Statements()

    def default_to(self, limits: Sequence[Limit]) -> None:
        """Let these hold, beside the daily total, where no other was set."""
        self._defaults = money.effective(self._defaults, limits)

    def reserve(self, model: str, amount: int, payer: Payer) -> str:
        """Hold `amount` for one attempt; the hold's id. Nothing is written for 0.

        Raises BudgetError, with the time of the reset, when a hard limit leaves no room.
        """
        if amount < 0:
            msg = f"a hold of {amount} micro-dollars for {model}"
            raise ValueError(msg)
        if amount == 0:
            return f"{FREE}{next(self._free)}"
        now = self._clock.now()
        row = _row(now, model, amount, payer)
        candidates = money.accounts_of(row["day"], model, payer)
        if hold := self._held_at_once(row, candidates):
            return hold
        with self._database.write() as connection:
            limits, books = self._look(connection, candidates, relaxed=True)
            if _short(books, limits, amount):
                self._expire(connection, now)
                limits, books = self._look(connection, candidates)
            short = _short(books, limits, amount)
            if short is None:
                take = (self._sql.take, parameters(one.id for one in candidates) | {"amount": amount})
                _, (made,) = self._database.run(connection, take, (self._sql.hold, row))
                return self._held_as(made.id, row)
        raise _no_room(*short, model, amount)

    def settle(self, hold: str, amount: int) -> None:
        """Book what the attempt really cost (0 releases); a second settle of a hold changes nothing.

        Cost above the hold is booked in full and closes the total for the day, as the hold was
        meant to be an upper bound. A hold that expired meanwhile is booked all the same, and so is one of ours
        that the database lost with its power. Raises NotFoundError.
        """
        if amount < 0:
            msg = f"a cost of {amount} micro-dollars for hold {hold}"
            raise ValueError(msg)
        if hold.startswith(FREE):
            self._settle_free(hold, amount)
            return
        number, _, turn = hold.partition(TURN)
        if not number.isdecimal():
            raise NotFoundError("no such hold", where=hold)
        which = {"hold": int(number), "turn": turn}
        if not self._settled_at_once(hold, which, amount):
            pay = (self._sql.pay, which | {"cost": amount})
            with self._database.write() as connection:
                paid = self._database.run(connection, *self._alone(), pay)[-1]
                if paid:
                    self._book(connection, paid[0], amount, held=0 if paid[0].expired else paid[0].amount)
                elif not self._database.run(connection, (self._sql.known, which))[0]:
                    self._book_lost(connection, hold, amount)
        self._held.pop(hold, None)

    def state(self) -> BudgetState:
        """Today's total as it stands now; holds that outlived their lease no longer count."""
        now = self._clock.now()
        account = Account("total", "", "day", now.astimezone(UTC).date())
        with self._database.write() as connection:
            self._database.run(connection, *self._alone())
            self._expire(connection, now)
            limits, (books,) = self._look(connection, [account])
        limit = money.in_force(limits, account)
        return BudgetState(account.starts, limit, books.settled, books.reserved, books.closed)

    def standings(self) -> list[Standing]:
        """Every limit in force with its accounts of the running period; those of "each" with what was spent of them."""
        now = self._clock.now()
        day = now.astimezone(UTC).date()
        with self._database.write() as connection:
            self._database.run(connection, *self._alone())
            self._expire(connection, now)
            limits = money.effective(self._defaults, money.read_limits(connection))
            found = [
                Standing(limit, book.account, book.settled, book.reserved, book.closed)
                for limit in limits
                if limit.amount is not None
                for book in self._under(connection, limit.slot, day)
                if money.in_force(limits, book.account, limit.slot.kind) == limit.amount
            ]
        return sorted(found, key=lambda one: (one.limit.slot.scope, one.limit.slot.kind, one.account.id))

    def change(self, slot: Slot, amount: int | None, who: str, *, forget: bool = False) -> None:
        """Set a limit (None: there shall be none), or forget what was set; who did stands in the audit log.

        Setting the hard total of a day opens a day that an excess had closed.
        """
        new = None if forget else Limit(slot, amount)
        what = {"scope": slot.scope, "name": slot.name, "period": slot.period, "kind": slot.kind}
        with self._database.write() as connection:
            self._database.run(connection, *self._alone())
            old = next((limit for limit in money.read_limits(connection) if limit.slot == slot), None)
            money.change(connection, slot, amount, forget=forget)
            if slot == Slot():
                _close(connection, self._clock.now().astimezone(UTC).date(), closed=False)
            before, after = (what | {"microusd": one.amount} if one else None for one in (old, new))
            Audit.add(connection, self._clock.now(), who, "budget.set", before=before, after=after)

    def _alone(self, *, relaxed: bool = False) -> list[Asked]:
        """What lets one process at a time at the books. SQLite's writers are alone as it is.

        `relaxed`: what this transaction writes need not be on the disk when it is committed.
        """
        if not self._database.shared:
            return []
        return [*([(self._sql.relaxed, {})] if relaxed else []), (self._sql.alone, {})]

    def _look(
        self, connection: Connection, wanted: Sequence[Account], *, relaxed: bool = False
    ) -> tuple[list[Limit], list[_Books]]:
        """The limits, and those of these accounts that are kept; what a limit asks for is opened if it is not."""
        ids = parameters(one.id for one in wanted)
        ask = [*self._alone(relaxed=relaxed), (self._sql.limits, {}), (self._sql.read, ids)]
        *_, stored, kept = self._database.run(connection, *ask)
        limits = money.effective(self._defaults, money.stored_limits(stored))
        if self._database.shared:
            ((seen,),) = self._database.run(connection, (self._sql.seen, {}))
            self._seen = seen.seen, limits
        rows = {row.id: row for row in kept}
        books = []
        for one in wanted:
            if row := rows.get(storable(one.id)):
                books.append(_Books(one, row.settled, row.reserved, row.closed))
            elif _is_kept(one, limits):
                books.append(_open(connection, one))
        return limits, books

    def _under(self, connection: Connection, slot: Slot, day: date) -> list[_Books]:
        starts = money.start_of(slot.period, day)
        if slot.name != money.EACH:
            return [_open(connection, Account(slot.scope, slot.name, slot.period, starts))]
        every = select(accounts).where(
            accounts.c.scope == slot.scope, accounts.c.period == slot.period, accounts.c.starts == starts
        )
        return [
            _Books(Account(row.scope, row.name, row.period, row.starts), row.settled, row.reserved, row.closed)
            for row in connection.execute(every)
        ]

    def _held_at_once(self, row: dict[str, Any], candidates: Sequence[Account]) -> str:
        """Hold a call in one statement of Postgres; empty where something has to be looked at first."""
        if not self._seen:
            return ""
        seen, limits = self._seen
        made = self._database.call(
            HOLD,
            row
            | {
                "limits": seen,
                "ids": [storable(one.id) for one in candidates],
                "kept": [_is_kept(one, limits) for one in candidates],
                "caps": [money.in_force(limits, one) for one in candidates],
            },
        )
        return self._held_as(made, row) if made else ""

    def _held_as(self, number: int, row: dict[str, Any]) -> str:
        hold = f"{number}{TURN}{row['turn_id']}"
        self._held[hold] = row
        return hold

    def _settled_at_once(self, hold: str, which: Mapping[str, object], cost: int) -> bool:
        """Settle a hold of ours in one statement of Postgres, where it is as it was made."""
        row = self._held.get(hold)
        if row is None or not self._seen:
            return False
        ids = [storable(one.id) for one in money.accounts_of(row["day"], row["model"], _payer(row))]
        return bool(self._database.call(SETTLE, {**which, "cost": cost, "ids": ids}))

    def _expire(self, connection: Connection, now: datetime) -> None:
        """Give back what a process held that was killed before it settled."""
        (over,) = self._database.run(connection, (self._sql.expire, {"now": now}))
        for row in over:
            self._database.run(connection, (self._sql.book, _booked_to(row) | {"cost": 0, "held": row.amount}))

    def _book(self, connection: Connection, row: Any, cost: int, *, held: int) -> None:
        """The cost of a hold takes the place of what of it is held still."""
        self._database.run(connection, (self._sql.book, _booked_to(row) | {"cost": cost, "held": held}))
        if cost > row.amount:
            _close(connection, row.day)

    def _book_lost(self, connection: Connection, hold: str, cost: int) -> None:
        """A hold of ours that went with the power of the database's machine: what it cost is booked all the same."""
        row = self._held.get(hold)
        if row is None:
            raise NotFoundError("no such hold", where=hold)
        self._look(connection, money.accounts_of(row["day"], row["model"], _payer(row)))
        ((made,),) = self._database.run(connection, (self._sql.hold, row))
        pay = {"hold": made.id, "turn": row["turn_id"], "cost": cost}
        ((paid,),) = self._database.run(connection, (self._sql.pay, pay))
        self._book(connection, paid, cost, held=0)

    def _settle_free(self, hold: str, amount: int) -> None:
        if amount == 0 or hold in self._paid_free:
            return
        self._paid_free.add(hold)
        day = self._clock.now().astimezone(UTC).date()
        total = [Account("total", "", period, money.start_of(period, day)) for period in money.PERIODS]
        with self._database.write() as connection:
            self._look(connection, total)
            book = parameters(one.id for one in total) | {"cost": amount, "held": 0}
            self._database.run(connection, (self._sql.book, book))
            _close(connection, day)


def _row(now: datetime, model: str, amount: int, payer: Payer) -> dict[str, Any]:
    return {
        "at": now,
        "day": now.astimezone(UTC).date(),
        "model": storable(model),
        "user_hash": storable(payer.user),
        "key": storable(payer.key),
        "turn_id": storable(payer.turn),
        "amount": amount,
        "expires_at": now + LEASE,
    }


def _payer(row: Mapping[str, Any]) -> Payer:
    return Payer(row["user_hash"], row["key"], row["turn_id"])


def _booked_to(hold: Any) -> dict[str, str]:
    called = money.accounts_of(hold.day, hold.model, Payer(hold.user_hash, hold.key))
    return parameters(account.id for account in called)


def _is_kept(account: Account, limits: Sequence[Limit]) -> bool:
    """Whether there is a row of it: the total's for a day and for ever, and whatever a limit asks for."""
    if account.scope == "total" and account.period != "month":
        return True
    return any(money.in_force(limits, account, kind) is not None for kind in ("hard", "soft"))


def _short(books: Sequence[_Books], limits: Sequence[Limit], amount: int) -> tuple[_Books, int] | None:
    """The first account that has no room, and its limit."""
    for one in books:
        limit = money.in_force(limits, one.account)
        if one.closed or (limit is not None and one.settled + one.reserved + amount > limit):
            return one, limit or 0
    return None


def _open(connection: Connection, account: Account) -> _Books:
    """An account; a new one begins with what the holds say of its period so far."""
    known = connection.execute(select(accounts).where(accounts.c.id == account.id)).one_or_none()
    if known:
        return _Books(account, known.settled, known.reserved, known.closed)
    whose = {"total": literal(""), "model": holds.c.model, "user": holds.c.user_hash, "key": holds.c.key}
    waiting = case((holds.c.paid.is_(None) & ~holds.c.expired, holds.c.amount), else_=0)
    sums = select(func.coalesce(func.sum(holds.c.paid), 0), func.coalesce(func.sum(waiting), 0)).where(
        whose[account.scope] == account.name, holds.c.day >= account.starts
    )
    if account.resets_at:
        sums = sums.where(holds.c.day < account.resets_at.date())
    settled, reserved = connection.execute(sums).one()
    row = {
        "id": account.id,
        "scope": account.scope,
        "name": account.name,
        "period": account.period,
        "starts": account.starts,
        "settled": int(settled),
        "reserved": int(reserved),
        "closed": False,
    }
    connection.execute(upsert(connection, accounts).values(row).on_conflict_do_nothing())
    return _Books(account, int(settled), int(reserved), closed=False)


def _close(connection: Connection, day: date, *, closed: bool = True) -> None:
    """Close the total of a day: a bound that did not hold may not hold again."""
    account = Account("total", "", "day", day)
    connection.execute(update(accounts).where(accounts.c.id == account.id).values(closed=closed))


def _no_room(books: _Books, limit: int, model: str, amount: int) -> BudgetError:
    account, whose = (
        books.account,
        {"total": "", "model": " of this model", "user": " of this user", "key": " of this key"},
    )
    why = "was overrun and is closed" if books.closed else f"has no room for {usd(amount)}"
    state = f"{usd(books.settled)} spent, {usd(books.reserved)} reserved"
    reset = account.resets_at
    return BudgetError(
        f"the {money.NAMES[account.period]} budget{whose[account.scope]} of {usd(limit)} {why}: {state}",
        where=model,
        fix=f"it resets at {reset:%Y-%m-%d %H:%M} UTC" if reset else "raise it with frontdesk budget set",
        resets_at=reset,
    )
