"""The tables of webhooks. `tables` has them, too."""

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Index,
    LargeBinary,
    SmallInteger,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from app.database.metadata import metadata

webhook_endpoint = Table(
    "webhook_endpoint",
    metadata,
    Column("id", Text, primary_key=True),
    Column("url", Text, nullable=False),
    Column("description", Text),
    Column("topics", ARRAY(Text), nullable=False),
    Column(
        "secrets",
        JSONB,
        nullable=False,
        comment="Objects of secret and expires_at, the newest first. Messages are signed with all that have not expired.",
    ),
    Column("state", Text, nullable=False, server_default=text("'enabled'"), comment="enabled or disabled."),
    Column("disabled_reason", Text),
    Column("disabled_at", DateTime(timezone=True)),
    Column("failing_since", DateTime(timezone=True), comment="The first failure after the last success."),
    Column("paused_until", DateTime(timezone=True), comment="As the receiver has asked for by Retry-After."),
    Column("created_at", DateTime(timezone=True), nullable=False),
)

# The outbox: a message is written by the transaction that causes it. A worker makes the deliveries of it.
webhook_message = Table(
    "webhook_message",
    metadata,
    Column("id", Text(collation="C"), primary_key=True, comment="The header webhook-id."),
    Column("topic", Text, nullable=False),
    Column("body", LargeBinary, nullable=False, comment="The bytes that are signed and sent, each time the same."),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column(
        "dispatched", Boolean, nullable=False, server_default=text("false"), comment="Whether its deliveries were made."
    ),
    Column("account_id", BigInteger, comment="With event_id: the event whose erasure erases the message."),
    Column("event_id", Text(collation="C")),
    Index("webhook_message_outbox_idx", "created_at", postgresql_where=text("NOT dispatched")),
    Index(None, "created_at"),
    Index(None, "account_id", "event_id", postgresql_where=text("event_id IS NOT NULL")),
)

webhook_delivery = Table(
    "webhook_delivery",
    metadata,
    Column("endpoint_id", Text, primary_key=True),
    Column("message_id", Text(collation="C"), primary_key=True),
    Column("topic", Text, nullable=False),
    Column("state", Text, nullable=False, comment="pending, delivered or failed."),
    Column("attempts", SmallInteger, nullable=False, server_default=text("0"), comment="Since it became pending."),
    Column("first_attempt_at", DateTime(timezone=True), comment="Since it became pending."),
    Column("next_attempt_at", DateTime(timezone=True), nullable=False),
    Column("lease", Text, comment="The worker that has it now."),
    Column("leased_until", DateTime(timezone=True), comment="By the clock of the database, which all workers share."),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("finished_at", DateTime(timezone=True)),
    Column(
        "log", JSONB, nullable=False, server_default=text("'[]'"), comment="The last attempts, the latest at the end."
    ),
    Index("webhook_delivery_due_idx", "endpoint_id", "next_attempt_at", postgresql_where=text("state = 'pending'")),
    Index(None, "endpoint_id", "created_at", "message_id"),
    Index(None, "created_at"),
)
