"""Targets of metrics, in versions; and retracted events by their day, for what was there on an earlier one.

Revision ID: 0016
Revises: 0015
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "target",
        sa.Column("id", sa.Text(collation="C"), primary_key=True),
        sa.Column(
            "number",
            sa.Integer(),
            primary_key=True,
            autoincrement=False,
            comment="Of the version. It takes the place of all before it from its first day on.",
        ),
        sa.Column("recorded_on", sa.Date(), nullable=False, comment="The day from which it is known."),
        sa.Column("effective_from", sa.Date(), nullable=False, comment="The first day on which it holds."),
        sa.Column("document", JSONB(none_as_null=True), comment="Null: ended."),
    )
    op.create_index(
        "event_retracted_on_idx", "event", ["retracted_on"], postgresql_where=sa.text("retracted_on IS NOT NULL")
    )


def downgrade() -> None:
    op.drop_index("event_retracted_on_idx", table_name="event")
    op.drop_table("target")
