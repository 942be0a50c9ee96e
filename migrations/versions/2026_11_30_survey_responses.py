"""The order in which survey responses are listed, as comments have theirs.

Revision ID: 0021
Revises: 0020
"""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index(
        "event_responses_idx",
        "event",
        ["occurred_at", "account_id", "id"],
        postgresql_where=sa.text("type = 'survey.responded' AND retracted_on IS NULL"),
    )


def downgrade() -> None:
    op.drop_index("event_responses_idx", "event")
