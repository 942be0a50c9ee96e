"""The totals of all accounts together, so that a question about the whole business is answered without looking at each.

Revision ID: 0005
Revises: 0004
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

MONTHS = [f"m{month:02}" for month in range(1, 13)]


def upgrade() -> None:
    op.create_table(
        "grand_total",
        sa.Column("measure", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("year", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("subject", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("channel", sa.Integer(), autoincrement=False, nullable=False),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in MONTHS),
        sa.PrimaryKeyConstraint("measure", "year", "subject", "channel"),
        postgresql_with={"fillfactor": 50},
        comment="The totals of all accounts together.",
    )
    sums = ", ".join(f"sum({name})" for name in MONTHS)
    op.execute(f"INSERT INTO grand_total SELECT measure, year, subject, channel, {sums} FROM total GROUP BY 1, 2, 3, 4")


def downgrade() -> None:
    op.drop_table("grand_total")
