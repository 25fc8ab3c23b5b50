"""Indexes for figures: a covering one, as a receipt's body is large, and the holds of a turn."""

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Run inside the transaction of store/migrate.py. There is no way back but a backup."""
    op.create_index(
        "ix_receipts_figures",
        "receipts",
        ["at", "outcome", "reason", "mode", "latency_ms", "user_hash", "key", "desk", "thread_id", "turn_id"],
        unique=False,
    )
    op.create_index(op.f("ix_holds_turn_id"), "holds", ["turn_id"], unique=False)
