"""The order in which survey responses are listed, as comments have theirs.

Revision ID: 0023
Revises: 0022
"""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
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
