"""Sessions of browsers: keys that a browser gets for another key, or for a code.

Revision ID: 0024
Revises: 0023
"""

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "api_key",
        sa.Column(
            "kind",
            sa.Text(),
            nullable=False,
            server_default="key",
            comment="key; session: of a browser; code: it becomes a session once.",
        ),
    )
    op.add_column(
        "api_key",
        sa.Column("parent", sa.Text(), comment="Of a session: the id of the key with which the browser signed in."),
    )


def downgrade() -> None:
    op.execute("DELETE FROM api_key WHERE kind <> 'key'")
    op.drop_column("api_key", "parent")
    op.drop_column("api_key", "kind")
