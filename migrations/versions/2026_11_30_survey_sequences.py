"""The invitation that a response answers, and the next one, are found by an index.

Which of the stored invitations were answered is posted by `csmetrics rebuild`.

Revision ID: 0012
Revises: 0011
"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

NAME = "event_survey_sequences_idx"


def upgrade() -> None:
    op.create_index(
        NAME,
        "event",
        ["account_id", sa.text("(data ->> 'survey')"), sa.text("coalesce(user_id, '')"), "type", "occurred_at", "id"],
        postgresql_where=sa.text("type IN ('survey.sent', 'survey.responded')"),
    )
    # The figures of the index's expressions are what the choice of the index depends on.
    op.execute("ANALYZE event")


def downgrade() -> None:
    op.drop_index(NAME, table_name="event")
