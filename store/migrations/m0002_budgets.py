"""Budgets by scope and period, holds that know who pays, and API keys in the books."""

from datetime import date

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Run inside the transaction of store/migrate.py. There is no way back but a backup."""
    op.add_column("receipts", sa.Column("key", sa.Text(), nullable=True))
    op.add_column("calls", sa.Column("key", sa.Text(), nullable=True))
    _limits()
    _accounts()
    _holds()
    _carry_over()
    op.drop_table("budget_holds")
    op.drop_table("budget_days")


def _limits() -> None:
    op.create_table(
        "budget_limits",
        sa.Column("scope", sa.String(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("period", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("scope", "name", "period", "kind", name=op.f("pk_budget_limits")),
    )


def _accounts() -> None:
    op.create_table(
        "budget_accounts",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("scope", sa.String(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("period", sa.String(), nullable=False),
        sa.Column("starts", sa.Date(), nullable=False),
        sa.Column("settled", sa.BigInteger(), nullable=False),
        sa.Column("reserved", sa.BigInteger(), nullable=False),
        sa.Column("closed", sa.Boolean(), nullable=False),
        sa.CheckConstraint("settled >= 0", name=op.f("ck_budget_accounts_settled_positive")),
        sa.CheckConstraint("reserved >= 0", name=op.f("ck_budget_accounts_reserved_positive")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_budget_accounts")),
    )
    op.create_index("ix_budget_accounts_period", "budget_accounts", ["scope", "period", "starts"], unique=False)


def _holds() -> None:
    op.create_table(
        "holds",
        _row_id(),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("user_hash", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("turn_id", sa.Text(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expired", sa.Boolean(), nullable=False),
        sa.Column("paid", sa.BigInteger(), nullable=True),
        sa.Column("compared", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_holds")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_holds_day"), "holds", ["day"], unique=False)
    for name, column, which in (
        ("ix_holds_open", "expires_at", "paid IS NULL AND NOT expired"),
        ("ix_holds_uncompared", "at", "paid IS NOT NULL AND NOT compared"),
    ):
        op.create_index(
            name, "holds", [column], unique=False, sqlite_where=sa.text(which), postgresql_where=sa.text(which)
        )


def _carry_over() -> None:
    """Bring what was spent and held along; what was held for is not known, so it is not compared any more."""
    op.execute(
        "INSERT INTO budget_accounts (id, scope, name, period, starts, settled, reserved, closed)"
        " SELECT 'total::day:' || CAST(day AS VARCHAR), 'total', '', 'day', day, settled, reserved, closed"
        " FROM budget_days"
    )
    connection = op.get_bind()
    days, accounts = _table("budget_days"), _table("budget_accounts")
    sums = sa.select(
        sa.func.coalesce(sa.func.sum(days.c.settled), 0), sa.func.coalesce(sa.func.sum(days.c.reserved), 0)
    )
    settled, reserved = connection.execute(sums).one()
    ever = {"id": "total::ever:1970-01-01", "scope": "total", "name": "", "period": "ever", "closed": False}
    sums_ever = {"starts": date(1970, 1, 1), "settled": int(settled), "reserved": int(reserved)}
    connection.execute(sa.insert(accounts).values(ever | sums_ever))
    old, new = _table("budget_holds"), _table("holds")
    kept = [old.c[name] for name in ("day", "model", "amount", "expires_at", "expired", "paid")]
    nobody = [sa.literal("").label(name) for name in ("user_hash", "key", "turn_id")]
    rows = sa.select(old.c.expires_at.label("at"), *kept, *nobody, sa.true().label("compared")).order_by(old.c.id)
    connection.execute(sa.insert(new).from_select([column.name for column in rows.selected_columns], rows))


def _table(name: str) -> sa.Table:
    return sa.Table(name, sa.MetaData(), autoload_with=op.get_bind())


def _row_id() -> "sa.Column[int]":
    # SQLite counts in 64 bits only under the name INTEGER.
    return sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), nullable=False)
