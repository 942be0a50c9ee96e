"""A sum of bigints that is one itself, for balances of single accounts, which always are.

PostgreSQL's own sum of bigints is numeric: made anew for each account and month, it takes longer than to add up.

Revision ID: 0007
Revises: 0006
"""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        "CREATE AGGREGATE bigint_sum(bigint) (SFUNC = int8pl, STYPE = bigint, INITCOND = '0', COMBINEFUNC = int8pl, "
        "PARALLEL = SAFE)"
    )


def downgrade() -> None:
    op.execute("DROP AGGREGATE bigint_sum(bigint)")
