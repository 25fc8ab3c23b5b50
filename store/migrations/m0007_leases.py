"""Leases have a holder, who can renew them and give them back."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Run inside the transaction of store/migrate.py. There is no way back but a backup."""
    op.add_column("leases", sa.Column("holder", sa.Text(), nullable=True))
