"""The first day on which anything was recorded: before it, nothing was known, and numbers have no value.

Revision ID: 0009
Revises: 0008
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

COMMENT = "The first day on which an event was recorded; null: none yet."


def upgrade() -> None:
    op.add_column("books", sa.Column("first_recorded_on", sa.Date(), comment=COMMENT))
    op.execute("UPDATE books SET first_recorded_on = (SELECT min(recorded_on) FROM event)")


def downgrade() -> None:
    op.drop_column("books", "first_recorded_on")
