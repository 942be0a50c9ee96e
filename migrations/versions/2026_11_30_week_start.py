"""The first day of the week is a setting that is fixed at the first start.

Revision ID: 0009
Revises: 0008
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("books", sa.Column("week_start", sa.Text(), nullable=False, server_default="monday"))


def downgrade() -> None:
    # Versions before this one know weeks from Monday only: distinct users by week have to be posted again by them. A start
    # fails until `csmetrics rebuild --adopt-settings` has done so.
    op.execute("UPDATE books SET adopting = true WHERE week_start <> 'monday'")
    op.drop_column("books", "week_start")
