"""What Langfuse has not confirmed yet, and what a trace says of a model call."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Run inside the transaction of store/migrate.py. There is no way back but a backup."""
    op.create_table(
        "exports",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("turn_id", sa.Text(), nullable=False),
        sa.Column("part", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["turn_id"], ["receipts.turn_id"], name=op.f("fk_exports_turn_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_exports")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_exports_turn_id"), "exports", ["turn_id"], unique=False)
    for name in ("began", "first_ms"):
        op.add_column("calls", sa.Column(name, sa.Float(), server_default="0", nullable=False))
    op.add_column("calls", sa.Column("max_tokens", sa.BigInteger(), server_default="0", nullable=False))
    op.add_column("calls", sa.Column("temperature", sa.Float(), nullable=True))
    for name in ("prompt", "step"):
        op.add_column("calls", sa.Column(name, sa.Text(), server_default="", nullable=False))
