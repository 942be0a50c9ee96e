"""Webhooks: endpoints, the outbox of messages, and their deliveries.

Revision ID: 0018
Revises: 0017
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "webhook_endpoint",
        sa.Column("id", sa.Text(), primary_key=True),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("description", sa.Text()),
        sa.Column("topics", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column(
            "secrets",
            JSONB(),
            nullable=False,
            comment="Objects of secret and expires_at, the newest first. Messages are signed with all that have not expired.",
        ),
        sa.Column(
            "state", sa.Text(), nullable=False, server_default=sa.text("'enabled'"), comment="enabled or disabled."
        ),
        sa.Column("disabled_reason", sa.Text()),
        sa.Column("disabled_at", _TIME),
        sa.Column("failing_since", _TIME, comment="The first failure after the last success."),
        sa.Column("paused_until", _TIME, comment="As the receiver has asked for by Retry-After."),
        sa.Column("created_at", _TIME, nullable=False),
    )
    _create_messages()
    _create_deliveries()


def _create_messages() -> None:
    op.create_table(
        "webhook_message",
        sa.Column("id", sa.Text(collation="C"), primary_key=True, comment="The header webhook-id."),
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column(
            "body", sa.LargeBinary(), nullable=False, comment="The bytes that are signed and sent, each time the same."
        ),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column(
            "dispatched",
            sa.Boolean(),
            nullable=False,
            server_default=sa.text("false"),
            comment="Whether its deliveries were made.",
        ),
        sa.Column("account_id", sa.BigInteger(), comment="With event_id: the event whose erasure erases the message."),
        sa.Column("event_id", sa.Text(collation="C")),
    )
    op.create_index(
        "webhook_message_outbox_idx", "webhook_message", ["created_at"], postgresql_where=sa.text("NOT dispatched")
    )
    op.create_index("webhook_message_created_at_idx", "webhook_message", ["created_at"])
    op.create_index(
        "webhook_message_account_id_event_id_idx",
        "webhook_message",
        ["account_id", "event_id"],
        postgresql_where=sa.text("event_id IS NOT NULL"),
    )


def _create_deliveries() -> None:
    op.create_table(
        "webhook_delivery",
        sa.Column("endpoint_id", sa.Text(), primary_key=True),
        sa.Column("message_id", sa.Text(collation="C"), primary_key=True),
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False, comment="pending, delivered or failed."),
        sa.Column(
            "attempts",
            sa.SmallInteger(),
            nullable=False,
            server_default=sa.text("0"),
            comment="Since it became pending.",
        ),
        sa.Column("first_attempt_at", _TIME, comment="Since it became pending."),
        sa.Column("next_attempt_at", _TIME, nullable=False),
        sa.Column("lease", sa.Text(), comment="The worker that has it now."),
        sa.Column("leased_until", _TIME, comment="By the clock of the database, which all workers share."),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("finished_at", _TIME),
        sa.Column(
            "log",
            JSONB(),
            nullable=False,
            server_default=sa.text("'[]'"),
            comment="The last attempts, the latest at the end.",
        ),
    )
    op.create_index(
        "webhook_delivery_due_idx",
        "webhook_delivery",
        ["endpoint_id", "next_attempt_at"],
        postgresql_where=sa.text("state = 'pending'"),
    )
    op.create_index(
        "webhook_delivery_endpoint_id_created_at_message_id_idx",
        "webhook_delivery",
        ["endpoint_id", "created_at", "message_id"],
    )
    op.create_index("webhook_delivery_created_at_idx", "webhook_delivery", ["created_at"])


def downgrade() -> None:
    for table in ("webhook_delivery", "webhook_message", "webhook_endpoint"):
        op.drop_table(table)
