"""The latest health of accounts, for the view of it. The views themselves are made by the service, from its catalogues.

Revision ID: 0021
Revises: 0020
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "health_copy",
        sa.Column("account_id", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("model_version", sa.Integer(), nullable=False),
        sa.Column("score", sa.Integer(), comment="In hundredths of a point; null: too little data."),
        sa.Column("band", sa.Text()),
        sa.Column("coverage", sa.Numeric(), nullable=False),
        sa.Column("flags", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("is_customer", sa.Boolean(), nullable=False),
        sa.Column("mrr", sa.Numeric(), nullable=False),
        sa.Column("override_score", sa.Integer()),
        sa.Column("components", JSONB(), nullable=False),
    )


def downgrade() -> None:
    # The views of this version read tables that earlier migrations change. A schema of somebody else stays.
    op.execute(
        """
        DO $$
        BEGIN
            IF obj_description(to_regnamespace('bi'), 'pg_namespace') LIKE 'Views of Customer Success Metrics%' THEN
                DROP SCHEMA bi CASCADE;
            END IF;
        END $$
        """
    )
    op.drop_table("health_copy")
