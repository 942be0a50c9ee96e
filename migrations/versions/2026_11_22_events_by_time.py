"""The events behind a number are listed in the order of time, which a BRIN index cannot give.

Revision ID: 0004
Revises: 0003
"""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

NAME = "event_occurred_at_idx"


def upgrade() -> None:
    op.drop_index(NAME, table_name="event")
    op.create_index(NAME, "event", ["occurred_at"])
    # Without figures of the new indices' expressions a search would go through all events in the order of time.
    op.execute("ANALYZE event")


def downgrade() -> None:
    op.drop_index(NAME, table_name="event")
    op.create_index(NAME, "event", ["occurred_at"], postgresql_using="brin", postgresql_with={"autosummarize": "on"})
