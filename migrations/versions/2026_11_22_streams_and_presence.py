"""Streams of events, presence of users, their registration, and the gross margin.

What the kept events owe by them is posted by `csmetrics rebuild`.

Revision ID: 0002
Revises: 0001
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "gross_margin",
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("margin", sa.Numeric(), nullable=False),
        sa.PrimaryKeyConstraint("valid_from", name=op.f("gross_margin_pkey")),
    )
    op.create_table(
        "presence",
        sa.Column(
            "presence",
            sa.Integer(),
            autoincrement=False,
            nullable=False,
            comment="At what: a label, as is the subject.",
        ),
        sa.Column("subject", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("account_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column(
            "user_key", sa.BigInteger(), autoincrement=False, nullable=False, comment="Hash of account and user id."
        ),
        sa.Column("year", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("recorded_on", sa.Date(), nullable=False, comment="The day from which this row is what is known."),
        sa.Column("ceased_on", sa.Date(), nullable=False, comment="The day from which it is no longer what is known."),
        *(
            sa.Column(f"m{month:02}", sa.Integer(), nullable=False, comment="A bit for each day.")
            for month in range(1, 13)
        ),
        sa.PrimaryKeyConstraint(
            "presence", "subject", "account_id", "user_key", "year", "recorded_on", name=op.f("presence_pkey")
        ),
        postgresql_with={"fillfactor": 80},
    )
    op.create_index(op.f("presence_account_id_idx"), "presence", ["account_id"], unique=False)
    op.create_table(
        "registration",
        sa.Column("account_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column(
            "user_key", sa.BigInteger(), autoincrement=False, nullable=False, comment="Hash of account and user id."
        ),
        sa.Column("since", sa.Date(), nullable=False, comment="First day on which the user was registered."),
        sa.Column("recorded_on", sa.Date(), nullable=False, comment="The day from which this row is what is known."),
        sa.Column("until", sa.Date(), nullable=False, comment="The day after the one on which it was removed."),
        sa.Column("ceased_on", sa.Date(), nullable=False, comment="The day from which it is no longer what is known."),
        sa.PrimaryKeyConstraint("account_id", "user_key", "since", "recorded_on", name=op.f("registration_pkey")),
    )
    op.add_column(
        "books",
        sa.Column(
            "posted_by",
            sa.SmallInteger(),
            server_default=sa.text("1"),
            nullable=False,
            comment="The version of the rules by which all events are posted.",
        ),
    )
    op.add_column(
        "event",
        sa.Column(
            "stream",
            sa.Text(),
            nullable=True,
            comment="The events of its account with which it has to be seen, if any.",
        ),
    )
    op.create_index(
        op.f("event_account_id_stream_idx"),
        "event",
        ["account_id", "stream"],
        unique=False,
        postgresql_where=sa.text("stream IS NOT NULL"),
    )
    op.create_index(
        op.f("event_occurred_at_idx"),
        "event",
        ["occurred_at"],
        unique=False,
        postgresql_using="brin",
        postgresql_with={"autosummarize": "on"},
    )


def downgrade() -> None:
    op.drop_index(op.f("event_occurred_at_idx"), table_name="event")
    op.drop_index(
        op.f("event_account_id_stream_idx"), table_name="event", postgresql_where=sa.text("stream IS NOT NULL")
    )
    op.drop_column("event", "stream")
    op.drop_column("books", "posted_by")
    op.drop_table("registration")
    op.drop_index(op.f("presence_account_id_idx"), table_name="presence")
    op.drop_table("presence")
    op.drop_table("gross_margin")
