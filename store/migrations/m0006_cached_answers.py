"""Answers that may be given again."""

import sqlalchemy as sa
from alembic import op

from store.columns import UtcTime, Words

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Run inside the transaction of store/migrate.py. There is no way back but a backup."""
    op.create_table(
        "cached_answers",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), nullable=False),
        sa.Column("scope", sa.String(), nullable=False),
        sa.Column("form", sa.String(), nullable=False),
        sa.Column("question", Words(), nullable=False),
        sa.Column("vector", sa.LargeBinary(), nullable=False),
        sa.Column("answer", Words(), nullable=False),
        sa.Column("sources", Words(), nullable=False),
        sa.Column("model", Words(), nullable=False),
        sa.Column("cost_microusd", sa.BigInteger(), nullable=False),
        sa.Column("hits", sa.BigInteger(), nullable=False),
        sa.Column("made_at", UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_cached_answers")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_cached_answers_made_at"), "cached_answers", ["made_at"], unique=False)
    op.create_index("ix_cached_answers_form", "cached_answers", ["scope", "form"], unique=True)
