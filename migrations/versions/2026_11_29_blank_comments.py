"""A comment of nothing but spaces and line ends is none: the indexes of comments leave it out.

Revision ID: 0009
Revises: 0008
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

BLANKS = (
    r"\u0009\u000A\u000B\u000C\u000D\u001C\u001D\u001E\u001F\u0020\u0085\u00A0\u1680\u2000"
    r"\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000"
)
COMMENTS_BEFORE = "data ->> 'comment' <> '' AND retracted_on IS NULL"
COMMENTS = f"btrim(data ->> 'comment', E'{BLANKS}') <> '' AND retracted_on IS NULL"


def upgrade() -> None:
    create_indexes_again(COMMENTS)


def downgrade() -> None:
    create_indexes_again(COMMENTS_BEFORE)


def create_indexes_again(condition: str) -> None:
    op.drop_index("event_words_idx", table_name="event")
    op.drop_index("event_comments_idx", table_name="event")
    op.create_index(
        "event_comments_idx", "event", ["occurred_at", "account_id", "id"], postgresql_where=sa.text(condition)
    )
    op.create_index(
        "event_words_idx",
        "event",
        [sa.text("to_tsvector('simple', data ->> 'comment')")],
        postgresql_using="gin",
        postgresql_where=sa.text(condition),
    )
