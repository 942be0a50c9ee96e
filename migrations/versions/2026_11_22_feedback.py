"""Comments are listed and searched, and a person's events are erased, whose content nobody may guess from a hash.

Revision ID: 0003
Revises: 0002
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

COMMENTS = "data ->> 'comment' <> '' AND retracted_on IS NULL"


def upgrade() -> None:
    op.alter_column(
        "event",
        "fingerprint",
        existing_type=sa.BigInteger(),
        nullable=True,
        comment="Hash of the content, to tell a repeat from a conflict; null: erased, all that comes is a repeat.",
        existing_comment="Hash of the content, to tell a repeat from a conflict.",
    )
    op.create_index(
        "event_comments_idx", "event", ["occurred_at", "account_id", "id"], postgresql_where=sa.text(COMMENTS)
    )
    op.create_index(
        "event_words_idx",
        "event",
        [sa.text("to_tsvector('simple', data ->> 'comment')")],
        postgresql_using="gin",
        postgresql_where=sa.text(COMMENTS),
    )


def downgrade() -> None:
    op.drop_index("event_words_idx", table_name="event")
    op.drop_index("event_comments_idx", table_name="event")
    op.execute("UPDATE event SET fingerprint = 0 WHERE fingerprint IS NULL")
    op.alter_column(
        "event",
        "fingerprint",
        existing_type=sa.BigInteger(),
        nullable=False,
        comment="Hash of the content, to tell a repeat from a conflict.",
        existing_comment="Hash of the content, to tell a repeat from a conflict; null: erased, all that comes is a repeat.",
    )
