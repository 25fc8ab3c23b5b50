"""The brake on paid calls: settled + reserved never exceeds a hard limit. Amounts are micro-dollars.

Every call is held before it is made and settled after it, in accounts by scope (total, model, user, key) and
period (day, month, ever). The accounts of the whole are always kept; another is opened when a limit first asks
for it, with what was spent and is held already.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from sqlalchemy import Connection, bindparam, case, func, insert, literal, select, update

from domain.errors import BudgetError, NotFoundError
from domain.ports import Clock
from domain.turn import Payer
from store import limits as money
from store.audit import Audit
from store.engine import Database, upsert
from store.limits import Account, Limit, Slot, usd
from store.tables import budget_accounts as accounts
from store.tables import budget_limits, holds

LEASE = timedelta(minutes=5)
"""How long a hold lives if nobody settles it: longer than any turn may take."""

FREE = "free-"
"""How the ids of holds of nothing begin; they are in no table."""

TOTAL_EVER = Account("total", "", "ever", money.ALWAYS).id
"""The account that every payment is booked to. It is there from the first migration on, and its lock is the books'."""


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
        self._sql = _Statements()

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
        day = now.astimezone(UTC).date()
        candidates = money.accounts_of(day, model, payer)
        with self._database.write() as connection:
            _alone(connection)
            limits = money.effective(self._defaults, self._stored(connection))
            books = self._opened(connection, candidates, limits)
            if _short(books, limits, amount):
                self._expire(connection, now)
                books = self._opened(connection, candidates, limits)
            short = _short(books, limits, amount)
            if short is None:
                return self._hold(connection, now, model, amount, payer)
        raise _no_room(*short, model, amount)

    def settle(self, hold: str, amount: int) -> None:
        """Book what the attempt really cost (0 releases); a second settle of a hold changes nothing.

        Cost above the hold is booked in full and closes the total for the day, as the hold was
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
            _alone(connection)
            row = connection.execute(self._sql.pay, {"hold": int(hold), "cost": amount}).one_or_none()
            if row is None:
                _must_exist(connection, hold)
                return
            ids = _ids(row.day, row.model, Payer(row.user_hash, row.key))
            held = 0 if row.expired else row.amount
            connection.execute(self._sql.book, {"ids": ids, "cost": amount, "held": held})
            if amount > row.amount:
                _close(connection, row.day)

    def state(self) -> BudgetState:
        """Today's total as it stands now; holds that outlived their lease no longer count."""
        now = self._clock.now()
        account = Account("total", "", "day", now.astimezone(UTC).date())
        with self._database.write() as connection:
            _alone(connection)
            self._expire(connection, now)
            limits = money.effective(self._defaults, self._stored(connection))
            books = self._opened(connection, [account], limits)[0]
        limit = money.in_force(limits, account)
        return BudgetState(account.starts, limit, books.settled, books.reserved, books.closed)

    def standings(self) -> list[Standing]:
        """Every limit in force with its accounts of the running period; those of "each" with what was spent of them."""
        now = self._clock.now()
        day = now.astimezone(UTC).date()
        with self._database.write() as connection:
            _alone(connection)
            self._expire(connection, now)
            limits = money.effective(self._defaults, self._stored(connection))
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
            _alone(connection)
            old = next((limit for limit in self._stored(connection) if limit.slot == slot), None)
            money.change(connection, slot, amount, forget=forget)
            if slot == Slot():
                _close(connection, self._clock.now().astimezone(UTC).date(), closed=False)
            before, after = (what | {"microusd": one.amount} if one else None for one in (old, new))
            Audit.add(connection, self._clock.now(), who, "budget.set", before=before, after=after)

    def _stored(self, connection: Connection) -> list[Limit]:
        return money.stored_limits(connection.execute(self._sql.limits))

    def _opened(self, connection: Connection, wanted: Sequence[Account], limits: Sequence[Limit]) -> list[_Books]:
        """The accounts of a call that are kept; those that a limit asks for are opened if they are not."""
        rows = {row.id: row for row in connection.execute(self._sql.read, {"ids": [one.id for one in wanted]})}
        books = []
        for one in wanted:
            if row := rows.get(one.id):
                books.append(_Books(one, row.settled, row.reserved, row.closed))
            elif _kept_always(one) or any(money.in_force(limits, one, kind) is not None for kind in ("hard", "soft")):
                books.append(_open(connection, one))
        return books

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

    def _hold(self, connection: Connection, now: datetime, model: str, amount: int, payer: Payer) -> str:
        day = now.astimezone(UTC).date()
        connection.execute(self._sql.take, {"ids": _ids(day, model, payer), "amount": amount})
        row = {
            "at": now,
            "day": day,
            "model": model,
            "user_hash": payer.user,
            "key": payer.key,
            "turn_id": payer.turn,
            "amount": amount,
            "expires_at": now + LEASE,
            "expired": False,
            "paid": None,
            "compared": False,
        }
        return str(connection.execute(self._sql.hold, row).scalar_one())

    def _expire(self, connection: Connection, now: datetime) -> None:
        """Give back what a process held that was killed before it settled."""
        for row in connection.execute(self._sql.expire, {"now": now}).all():
            ids = _ids(row.day, row.model, Payer(row.user_hash, row.key))
            connection.execute(self._sql.book, {"ids": ids, "cost": 0, "held": row.amount})

    def _settle_free(self, hold: str, amount: int) -> None:
        if amount == 0 or hold in self._paid_free:
            return
        self._paid_free.add(hold)
        day = self._clock.now().astimezone(UTC).date()
        with self._database.write() as connection:
            _alone(connection)
            total = [Account("total", "", period, money.start_of(period, day)) for period in money.PERIODS]
            self._opened(connection, total, [])
            connection.execute(self._sql.book, {"ids": [one.id for one in total], "cost": amount, "held": 0})
            _close(connection, day)


class _Statements:
    """The statements of every call, built once: building them costs more than SQLite takes to run them."""

    def __init__(self) -> None:
        ids = accounts.c.id.in_(bindparam("ids", expanding=True))
        cost, held = bindparam("cost", type_=accounts.c.settled.type), bindparam("held", type_=accounts.c.settled.type)
        amount = bindparam("amount", type_=accounts.c.settled.type)
        whose = (holds.c.day, holds.c.model, holds.c.user_hash, holds.c.key, holds.c.amount)
        self.limits = select(budget_limits)
        self.read = select(accounts).where(ids)
        self.take = update(accounts).where(ids).values(reserved=accounts.c.reserved + amount)
        self.book = (
            update(accounts).where(ids).values(settled=accounts.c.settled + cost, reserved=accounts.c.reserved - held)
        )
        self.hold = insert(holds).returning(holds.c.id)
        self.pay = (
            update(holds)
            .where(holds.c.id == bindparam("hold"), holds.c.paid.is_(None))
            .values(paid=bindparam("cost", type_=holds.c.paid.type))
            .returning(*whose, holds.c.expired)
        )
        self.expire = (
            update(holds)
            .where(
                holds.c.paid.is_(None),
                ~holds.c.expired,
                holds.c.expires_at <= bindparam("now", type_=holds.c.expires_at.type),
            )
            .values(expired=True)
            .returning(*whose)
        )


def _alone(connection: Connection) -> None:
    """Let one process at a time at the books. SQLite's writers are alone as it is."""
    if connection.dialect.name != "sqlite":
        connection.execute(select(accounts.c.id).where(accounts.c.id == TOTAL_EVER).with_for_update())


def _ids(day: date, model: str, payer: Payer) -> list[str]:
    return [account.id for account in money.accounts_of(day, model, payer)]


def _kept_always(account: Account) -> bool:
    return account.scope == "total" and account.period != "month"


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


def _must_exist(connection: Connection, hold: str) -> None:
    if connection.execute(select(holds.c.id).where(holds.c.id == int(hold))).one_or_none() is None:
        raise NotFoundError("no such hold", where=hold)


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
