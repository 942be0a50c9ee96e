"""The ledger: events, entries and totals, accounts and their attributes, what events are read by, and keys.

Revision ID: 0001
Revises:
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "account",
        sa.Column(
            "account_id", sa.BigInteger(), autoincrement=False, nullable=False, comment="Hash of the client's id."
        ),
        sa.Column("id", sa.Text(collation="C"), nullable=False, comment="The client's id."),
        sa.Column(
            "last_recorded_on",
            sa.Date(),
            nullable=False,
            comment="Never runs backwards; writing it is the account's lock.",
        ),
        sa.PrimaryKeyConstraint("account_id", name=op.f("account_pkey")),
    )
    op.create_index(op.f("account_id_idx"), "account", ["id"], unique=False)
    op.create_table(
        "api_key",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("scopes", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False, comment="SHA-256 of the key, which is shown once."),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_used_on", sa.Date(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("api_key_pkey")),
        sa.UniqueConstraint("hash", name=op.f("api_key_hash_key")),
    )
    op.create_table(
        "attribute",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("account_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=False, comment="First day at whose start the value holds."),
        sa.Column("recorded_on", sa.Date(), nullable=False, comment="The day from which this row is what is known."),
        sa.Column("valid_to", sa.Date(), nullable=False),
        sa.Column("ceased_on", sa.Date(), nullable=False, comment="The day from which it is no longer what is known."),
        sa.Column(
            "value", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True, comment="Null: ended."
        ),
        sa.PrimaryKeyConstraint("key", "account_id", "valid_from", "recorded_on", name=op.f("attribute_pkey")),
    )
    op.create_index(op.f("attribute_account_id_idx"), "attribute", ["account_id"], unique=False)
    op.create_table(
        "books",
        sa.Column(
            "singleton", sa.Boolean(), server_default=sa.text("true"), nullable=False, comment="There is one row."
        ),
        sa.Column("base_currency", sa.Text(), nullable=False),
        sa.Column("reporting_timezone", sa.Text(), nullable=False),
        sa.Column("fiscal_year_start", sa.SmallInteger(), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "adopting",
            sa.Boolean(),
            server_default=sa.text("false"),
            nullable=False,
            comment="Not posted anew yet since then.",
        ),
        sa.CheckConstraint("singleton", name=op.f("books_one_row_check")),
        sa.PrimaryKeyConstraint("singleton", name=op.f("books_pkey")),
    )
    op.create_table(
        "entry",
        sa.Column("measure", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("effective_on", sa.Date(), nullable=False, comment="The day it is true of."),
        sa.Column("account_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("subject", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("channel", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("recorded_on", sa.Date(), nullable=False, comment="The day it became known."),
        sa.Column("value", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint(
            "measure", "effective_on", "account_id", "subject", "channel", "recorded_on", name=op.f("entry_pkey")
        ),
        postgresql_with={"fillfactor": 80},
    )
    op.create_index(op.f("entry_account_id_effective_on_idx"), "entry", ["account_id", "effective_on"], unique=False)
    op.create_table(
        "event",
        sa.Column("account_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("id", sa.Text(collation="C"), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=True),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recorded_on", sa.Date(), nullable=False),
        sa.Column("retracted_on", sa.Date(), nullable=True),
        sa.Column(
            "rate",
            sa.Numeric(),
            nullable=True,
            comment="Value of one unit of data.currency in the base currency; null: base currency.",
        ),
        sa.Column(
            "fingerprint",
            sa.BigInteger(),
            nullable=False,
            comment="Hash of the content, to tell a repeat from a conflict.",
        ),
        sa.Column("data", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.PrimaryKeyConstraint("account_id", "id", name=op.f("event_pkey")),
    )
    op.create_index(
        op.f("event_account_id_idx"),
        "event",
        ["account_id"],
        unique=False,
        postgresql_where=sa.text("type = 'account.updated'"),
    )
    op.create_table(
        "exchange_rate",
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("rate", sa.Numeric(), nullable=False),
        sa.Column(
            "used",
            sa.Boolean(),
            server_default=sa.text("false"),
            nullable=False,
            comment="From then on it is not changed.",
        ),
        sa.PrimaryKeyConstraint("currency", "valid_from", name=op.f("exchange_rate_pkey")),
    )
    op.create_table(
        "label",
        sa.Column("key", sa.Integer(), sa.Identity(always=True), nullable=False),
        sa.Column("text", sa.Text(), nullable=False, comment="A measure, a subject or a channel."),
        sa.PrimaryKeyConstraint("key", name=op.f("label_pkey")),
        sa.UniqueConstraint("text", name=op.f("label_text_key")),
    )
    op.create_table(
        "segment",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("recorded_on", sa.Date(), nullable=False),
        sa.Column("filter", sa.Text(), nullable=True, comment="Null: deleted on that day."),
        sa.PrimaryKeyConstraint("name", "recorded_on", name=op.f("segment_pkey")),
    )
    survey = op.create_table(
        "survey",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("low", sa.SmallInteger(), nullable=False),
        sa.Column("high", sa.SmallInteger(), nullable=False),
        sa.Column("satisfied_from", sa.SmallInteger(), nullable=True),
        sa.Column("easy_is", sa.Text(), nullable=True),
        sa.Column("question", sa.Text(), nullable=True),
        sa.Column(
            "answered",
            sa.Boolean(),
            server_default=sa.text("false"),
            nullable=False,
            comment="From then on it is not changed.",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("survey_pkey")),
    )
    op.create_table(
        "total",
        sa.Column("measure", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("year", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("account_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("subject", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("channel", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("m01", sa.BigInteger(), nullable=False),
        sa.Column("m02", sa.BigInteger(), nullable=False),
        sa.Column("m03", sa.BigInteger(), nullable=False),
        sa.Column("m04", sa.BigInteger(), nullable=False),
        sa.Column("m05", sa.BigInteger(), nullable=False),
        sa.Column("m06", sa.BigInteger(), nullable=False),
        sa.Column("m07", sa.BigInteger(), nullable=False),
        sa.Column("m08", sa.BigInteger(), nullable=False),
        sa.Column("m09", sa.BigInteger(), nullable=False),
        sa.Column("m10", sa.BigInteger(), nullable=False),
        sa.Column("m11", sa.BigInteger(), nullable=False),
        sa.Column("m12", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("measure", "year", "account_id", "subject", "channel", name=op.f("total_pkey")),
        postgresql_with={"fillfactor": 80},
    )
    op.create_index(op.f("total_account_id_year_idx"), "total", ["account_id", "year"], unique=False)
    # The surveys that exist from the start. A ces survey has to be declared: its direction has no safe default.
    op.bulk_insert(
        survey,
        [
            {"id": "nps", "kind": "nps", "low": 0, "high": 10, "satisfied_from": None},
            {"id": "csat", "kind": "csat", "low": 1, "high": 5, "satisfied_from": 4},
        ],
    )


def downgrade() -> None:
    op.drop_index(op.f("total_account_id_year_idx"), table_name="total")
    op.drop_table("total")
    op.drop_table("survey")
    op.drop_table("segment")
    op.drop_table("label")
    op.drop_table("exchange_rate")
    op.drop_index(
        op.f("event_account_id_idx"), table_name="event", postgresql_where=sa.text("type = 'account.updated'")
    )
    op.drop_table("event")
    op.drop_index(op.f("entry_account_id_effective_on_idx"), table_name="entry")
    op.drop_table("entry")
    op.drop_table("books")
    op.drop_index(op.f("attribute_account_id_idx"), table_name="attribute")
    op.drop_table("attribute")
    op.drop_table("api_key")
    op.drop_index(op.f("account_id_idx"), table_name="account")
    op.drop_table("account")
