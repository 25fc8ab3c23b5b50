"""The statements of every paid call over the tables of the budgets."""

from collections.abc import Iterable

from sqlalchemy import bindparam, func, insert, null, select, text, update

from store import limits as money
from store.limits import Account
from store.prepared import Prepared
from store.tables import budget_accounts as accounts
from store.tables import budget_limits, holds

TOTAL_EVER = Account("total", "", "ever", money.ALWAYS).id
"""The account that every payment is booked to. It is there from the first migration on, and its lock is the books'."""

MOST = 4 * len(money.PERIODS)
"""Accounts that one call may be booked to: of the total, its model, its user and its key."""


HOLD = (
    "SELECT frontdesk_hold(%(ids)s::text[], %(kept)s::boolean[], %(caps)s::bigint[], %(limits)s, %(at)s, %(expires_at)s,"
    " %(day)s, %(model)s, %(user_hash)s, %(key)s, %(turn_id)s, %(amount)s)"
)
SETTLE = "SELECT frontdesk_settle(%(hold)s, %(turn)s, %(cost)s, %(ids)s::text[])"
"""Of Postgres (store/migrations/m0014_quick_books.py)."""


class Statements:
    """Built once: building them costs more than SQLite takes to run them."""

    def __init__(self) -> None:
        ids = accounts.c.id.in_([bindparam(name) for name in _names()])
        cost, held = bindparam("cost", type_=accounts.c.settled.type), bindparam("held", type_=accounts.c.settled.type)
        amount = bindparam("amount", type_=accounts.c.settled.type)
        whose = (holds.c.day, holds.c.model, holds.c.user_hash, holds.c.key, holds.c.amount)
        turn = bindparam("turn", type_=holds.c.turn_id.type)
        self.relaxed = Prepared(text("SET LOCAL synchronous_commit = off"))
        self.alone = Prepared(select(accounts.c.id).where(accounts.c.id == TOTAL_EVER).with_for_update())
        self.seen = Prepared(select(func.frontdesk_limits().label("seen")))
        self.limits = Prepared(select(budget_limits))
        self.read = Prepared(select(accounts).where(ids))
        self.take = Prepared(update(accounts).where(ids).values(reserved=accounts.c.reserved + amount))
        self.book = Prepared(
            update(accounts).where(ids).values(settled=accounts.c.settled + cost, reserved=accounts.c.reserved - held)
        )
        given = ("at", "day", "model", "user_hash", "key", "turn_id", "amount", "expires_at")
        fresh = insert(holds).values({name: bindparam(name, type_=holds.c[name].type) for name in given})
        self.hold = Prepared(fresh.values(expired=False, paid=null(), compared=False).returning(holds.c.id))
        self.pay = Prepared(
            update(holds)
            .where(holds.c.id == bindparam("hold"), holds.c.turn_id == turn, holds.c.paid.is_(None))
            .values(paid=bindparam("cost", type_=holds.c.paid.type))
            .returning(*whose, holds.c.expired)
        )
        self.known = Prepared(select(holds.c.id).where(holds.c.id == bindparam("hold"), holds.c.turn_id == turn))
        self.expire = Prepared(
            update(holds)
            .where(
                holds.c.paid.is_(None),
                ~holds.c.expired,
                holds.c.expires_at <= bindparam("now", type_=holds.c.expires_at.type),
            )
            .values(expired=True)
            .returning(*whose)
        )


def parameters(ids: Iterable[str]) -> dict[str, str]:
    """Account ids as parameters: as many as the statements have, the last one again and again."""
    given = list(ids)
    return dict(zip(_names(), given + given[-1:] * (MOST - len(given)), strict=True))


def _names() -> list[str]:
    return [f"id_{number}" for number in range(MOST)]
