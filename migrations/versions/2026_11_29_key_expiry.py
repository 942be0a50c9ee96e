"""A key can expire.

Revision ID: 0008
Revises: 0007
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

COMMENT = "The first day on which the key no longer works; null: it does not expire."


def upgrade() -> None:
    op.add_column("api_key", sa.Column("expires_on", sa.Date, comment=COMMENT))


def downgrade() -> None:
    op.drop_column("api_key", "expires_on")
