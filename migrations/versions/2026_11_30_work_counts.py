"""Counts of what background work has done.

Revision ID: 0020
Revises: 0019
"""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "work_count",
        sa.Column("meter", sa.Text(collation="C"), primary_key=True),
        sa.Column("label", sa.Text(collation="C"), primary_key=True, comment="Empty if the meter has no label."),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.Column("seconds", sa.Double(), nullable=False, comment="That it took; 0 if the meter is not about time."),
    )


def downgrade() -> None:
    op.drop_table("work_count")
