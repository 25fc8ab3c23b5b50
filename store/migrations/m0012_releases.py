"""Releases, what serves where, who must agree, experiments; and which experiment a turn belonged to."""

import sqlalchemy as sa
from alembic import op

from store.columns import UtcTime, Words

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Run inside the transaction of store/migrate.py. There is no way back but a backup."""
    op.create_table(
        "releases",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("at", UtcTime(), nullable=False),
        sa.Column("who", Words(), nullable=False),
        sa.Column("note", Words(), nullable=False),
        sa.Column("body", Words(), nullable=False),
        sa.Column("gate", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_releases")),
    )
    op.create_table(
        "deployments",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("environment", sa.String(), nullable=False),
        sa.Column("release", sa.String(), nullable=False),
        sa.Column("parent", sa.BigInteger(), nullable=False),
        sa.Column("at", UtcTime(), nullable=False),
        sa.Column("who", Words(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deployments")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_deployments_environment"), "deployments", ["environment"], unique=False)
    op.create_table(
        "approvals",
        sa.Column("environment", sa.String(), nullable=False),
        sa.Column("deed", Words(), nullable=False),
        sa.Column("replaces", sa.BigInteger(), nullable=False),
        sa.Column("who", Words(), nullable=False),
        sa.Column("at", UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("environment", "deed", name=op.f("pk_approvals")),
    )
    op.create_table(
        "experiments",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("environment", sa.String(), nullable=False),
        sa.Column("a", sa.String(), nullable=False),
        sa.Column("b", sa.String(), nullable=False),
        sa.Column("share", sa.Float(), nullable=False),
        sa.Column("salt", sa.String(), nullable=False),
        sa.Column("started_at", UtcTime(), nullable=False),
        sa.Column("who", Words(), nullable=False),
        sa.Column("stopped_at", UtcTime(), nullable=True),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_experiments")),
    )
    op.create_index(
        "ix_experiments_one_running",
        "experiments",
        ["environment"],
        unique=True,
        sqlite_where=sa.text("stopped_at IS NULL"),
        postgresql_where=sa.text("stopped_at IS NULL"),
    )
    op.add_column("receipts", sa.Column("experiment", sa.String(), server_default="", nullable=False))
    op.create_index(op.f("ix_receipts_experiment"), "receipts", ["experiment"], unique=False)
