"""Who closed a ticket: an agent, or the customer who no longer wants a person. Of those of before nobody wrote it down."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """Run inside the transaction of store/migrate.py. There is no way back but a backup."""
    op.add_column("tickets", sa.Column("closed_by", sa.String(), server_default="", nullable=False))
