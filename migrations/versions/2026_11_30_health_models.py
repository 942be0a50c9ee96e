"""The versions of the health model, and the overrides of health by account.

Revision ID: 0015
Revises: 0014
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

INDEX = "event_health_overrides_idx"


def upgrade() -> None:
    op.create_table(
        "health_model",
        sa.Column("version", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("effective_from", sa.Date(), nullable=False, unique=True, comment="The first day on which it holds."),
        sa.Column("recorded_on", sa.Date(), nullable=False, comment="The day from which it is known."),
        sa.Column("document", JSONB(), nullable=False),
        sa.Column("key_id", sa.Text(), nullable=False, comment="The key that put it."),
    )
    op.create_index(
        INDEX,
        "event",
        ["account_id", "occurred_at"],
        postgresql_where=sa.text("type IN ('health.overridden', 'health.override_withdrawn')"),
    )


def downgrade() -> None:
    op.drop_index(INDEX, table_name="event")
    op.drop_table("health_model")
