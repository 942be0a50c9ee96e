"""The state of the data, and what each transaction has changed.

Revision ID: 0022
Revises: 0021
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

NONCE = "A random number of the last transaction that has written it."


def upgrade() -> None:
    op.create_table(
        "data_state",
        sa.Column("shard", sa.SmallInteger(), primary_key=True, autoincrement=False),
        sa.Column("nonce", sa.BigInteger(), nullable=False, comment=NONCE),
    )
    op.create_table(
        "data_change",
        sa.Column(
            "transaction", sa.BigInteger(), primary_key=True, autoincrement=False, comment="Its id in this server."
        ),
        sa.Column("committed_at", sa.DateTime(timezone=True), nullable=False, comment="When it was about to commit."),
        sa.Column("measures", ARRAY(sa.Text()), nullable=False, comment="With * if any metric may have changed."),
        sa.Column("account_ids", ARRAY(sa.BigInteger()), comment="Null: any account may have changed."),
    )
    op.create_index("data_change_committed_at_idx", "data_change", ["committed_at"])
    op.execute(
        """
        CREATE FUNCTION note_change(new_nonce bigint, new_measures text[], new_account_ids bigint[]) RETURNS void
        LANGUAGE plpgsql AS $$
        BEGIN
            IF new_account_ids IS NULL OR cardinality(new_account_ids) > 0 OR cardinality(new_measures) > 0 THEN
                INSERT INTO data_change (transaction, committed_at, measures, account_ids)
                VALUES (pg_current_xact_id()::text::bigint, clock_timestamp(), new_measures, new_account_ids)
                ON CONFLICT DO NOTHING;
            END IF;
            UPDATE data_state SET nonce = new_nonce WHERE shard = new_nonce & 15;
            IF NOT FOUND THEN
                INSERT INTO data_state (shard, nonce) VALUES (new_nonce & 15, new_nonce)
                ON CONFLICT (shard) DO UPDATE SET nonce = excluded.nonce;
            END IF;
        END $$
        """
    )
    # The lock of the last day before the row of the state: who moves the day on has no such row yet.
    op.execute(
        """
        CREATE FUNCTION end_writing(today date, nonce bigint, measures text[], account_ids bigint[]) RETURNS void
        LANGUAGE plpgsql AS $$
        BEGIN
            IF today IS NOT NULL THEN
                PERFORM check_last_day(today);
            END IF;
            IF nonce IS NOT NULL AND pg_current_xact_id_if_assigned() IS NOT NULL THEN
                PERFORM note_change(nonce, measures, account_ids);
            END IF;
        END $$
        """
    )


def downgrade() -> None:
    op.execute("DROP FUNCTION end_writing(date, bigint, text[], bigint[])")
    op.execute("DROP FUNCTION note_change(bigint, text[], bigint[])")
    op.drop_table("data_change")
    op.drop_table("data_state")
