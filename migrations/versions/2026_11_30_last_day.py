"""The last day of the books: everything is recorded on it, and nothing on an earlier day, whatever the clocks say.

Revision ID: 0014
Revises: 0013
"""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

COMMENT = "The day on which everything is recorded now, and nothing on an earlier one; null: nothing has been recorded."


def upgrade() -> None:
    op.add_column("books", sa.Column("last_day", sa.Date(), comment=COMMENT))
    op.execute(
        """UPDATE books SET last_day = greatest(
            (SELECT max(last_recorded_on) FROM account WHERE last_recorded_on > '0001-01-01'),
            (SELECT max(recorded_on) FROM segment WHERE recorded_on > '0001-01-01'))"""
    )
    # A function, because the day has to be read after the lock is held: each of its statements sees what was committed by then.
    op.execute(
        """
        CREATE FUNCTION check_last_day(today date) RETURNS void LANGUAGE plpgsql AS $$
        BEGIN
            PERFORM pg_advisory_xact_lock_shared(4711235814);
            IF (SELECT last_day FROM books) IS DISTINCT FROM today THEN
                RAISE EXCEPTION 'the last day of the books is not %', today USING ERRCODE = 'CSM01';
            END IF;
        END $$
        """
    )


def downgrade() -> None:
    op.execute("DROP FUNCTION check_last_day(date)")
    op.drop_column("books", "last_day")
