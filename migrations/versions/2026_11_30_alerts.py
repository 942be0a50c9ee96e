"""Alerts: what they are, their states and history, and news about targets, health and restatements.

Revision ID: 0019
Revises: 0018
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

_TIME = sa.DateTime(timezone=True)
_ID = sa.Text(collation="C")


def upgrade() -> None:
    op.create_table(
        "alert",
        sa.Column("id", _ID, primary_key=True),
        sa.Column("document", JSONB(), nullable=False, comment="The alert as it was put."),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("changed_at", _TIME, nullable=False),
        sa.Column(
            "due_since",
            sa.Date(),
            comment="The first day of which data has changed since it was evaluated; null: none has.",
        ),
        sa.Column("evaluated_at", _TIME),
        sa.Column("evaluated_on", sa.Date(), comment="The day that was today then."),
        sa.Column("first_period", sa.Date(), comment="The first day of the first period that it is about."),
    )
    op.create_table(
        "alert_change",
        sa.Column("key", sa.BigInteger(), sa.Identity(always=True), primary_key=True),
        sa.Column("measures", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("since", sa.Date(), nullable=False, comment="The first day of which data has changed."),
    )
    _create_states()
    _create_news()


def _create_states() -> None:
    op.create_table(
        "alert_state",
        sa.Column("alert_id", _ID, primary_key=True),
        sa.Column("account", _ID, primary_key=True, comment="Empty for an alert that is not on each account."),
        sa.Column("is_triggered", sa.Boolean(), nullable=False),
        sa.Column("period_start", sa.Date(), comment="The first day of the period that triggered it."),
        sa.Column(
            "reported_periods",
            sa.ARRAY(sa.Date()),
            nullable=False,
            comment="Periods beyond the threshold that do not trigger again.",
        ),
        sa.Column("triggered_at", _TIME),
        sa.Column("number", JSONB(), comment="The number of the last message."),
    )
    op.create_table(
        "alert_transition",
        sa.Column("key", sa.BigInteger(), sa.Identity(always=True), primary_key=True),
        sa.Column("alert_id", _ID, nullable=False),
        sa.Column("account", _ID, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False, comment="triggered or resolved."),
        sa.Column("at", _TIME, nullable=False),
        sa.Column("number", JSONB(), nullable=False),
        sa.Column("sentence", sa.Text(), nullable=False),
    )
    op.create_index("alert_transition_alert_id_key_idx", "alert_transition", ["alert_id", "key"])
    op.create_index("alert_transition_at_idx", "alert_transition", ["at"])


def _create_news() -> None:
    op.create_table(
        "target_news",
        sa.Column("id", _ID, primary_key=True, comment="The target."),
        sa.Column("period_start", sa.Date(), primary_key=True),
        sa.Column("period_end", sa.Date(), primary_key=True),
        sa.Column("status", sa.Text(), primary_key=True, comment="met or missed."),
        sa.Column("at", _TIME, nullable=False),
    )
    op.create_table(
        "account_band",
        sa.Column("account_id", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("band", sa.Text()),
        sa.Column("score", sa.Integer(), comment="In hundredths of a point."),
    )
    op.create_table(
        "news_search",
        sa.Column("subject", sa.Text(), primary_key=True, comment="targets, health or restatements."),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("at", _TIME, nullable=False),
        sa.Column("is_due", sa.Boolean(), nullable=False, comment="Data has changed since then."),
    )


def downgrade() -> None:
    tables = ("news_search", "account_band", "target_news", "alert_transition", "alert_state", "alert_change", "alert")
    for table in tables:
        op.drop_table(table)
