"""Which alerts are not over yet. Those of before count as over: nobody waits to hear of them."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Run inside the transaction of store/migrate.py. There is no way back but a backup."""
    op.add_column("alerts", sa.Column("open", sa.Boolean(), server_default=sa.text("false"), nullable=False))
