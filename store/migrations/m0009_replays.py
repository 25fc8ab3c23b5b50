"""Requests that came with an idempotency key, for all replicas."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Run inside the transaction of store/migrate.py. There is no way back but a backup."""
    op.create_table(
        "replays",
        sa.Column("slot", sa.String(), nullable=False),
        sa.Column("body", sa.String(), nullable=False),
        sa.Column("user_hash", sa.Text(), nullable=False),
        sa.Column("turn_id", sa.Text(), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("done", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("slot", name=op.f("pk_replays")),
    )
    op.create_index(op.f("ix_replays_user_hash"), "replays", ["user_hash"], unique=False)
    op.create_index(op.f("ix_replays_turn_id"), "replays", ["turn_id"], unique=False)
    op.create_index(op.f("ix_replays_until"), "replays", ["until"], unique=False)
