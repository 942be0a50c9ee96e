"""Sources of deliveries from other systems, and the deliveries as they were received.

Revision ID: 0017
Revises: 0016
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "source",
        sa.Column("id", sa.Text(collation="C"), primary_key=True, comment="The name that is in its URL."),
        sa.Column("vendor", sa.Text(), nullable=False, comment="An entry of the catalogue of vendors."),
        sa.Column(
            "secrets",
            ARRAY(sa.Text()),
            nullable=False,
            comment="Each of them may sign; signatures need them as they are.",
        ),
        sa.Column(
            "mapping",
            JSONB(none_as_null=True),
            comment="JMESPath expressions; null: the vendor's own translation.",
        ),
        sa.Column("options", JSONB(), nullable=False),
        sa.Column("api_key", sa.Text(), comment="Of the vendor's API, to read what a delivery only names."),
        sa.Column("put_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_table(
        "delivery",
        sa.Column("source", sa.Text(collation="C"), primary_key=True),
        sa.Column("id", sa.Text(collation="C"), primary_key=True, comment="The vendor's id, or a hash of the body."),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False, comment="The first time."),
        sa.Column("attempts", sa.Integer(), nullable=False, comment="How often it was received or replayed."),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column(
            "reasons",
            JSONB(),
            nullable=False,
            comment="Why parts of it became no events, or what to know of them.",
        ),
        sa.Column("headers", JSONB(), nullable=False, comment="Those that its translation reads."),
        sa.Column(
            "body",
            sa.LargeBinary(),
            nullable=False,
            comment="As received, without its content encoding; erased: empty.",
        ),
        sa.Column(
            "account_ids",
            ARRAY(sa.BigInteger()),
            nullable=False,
            comment="Of the events that it became, beside `event_ids`.",
        ),
        sa.Column("event_ids", ARRAY(sa.Text()), nullable=False),
        sa.Column(
            "moment",
            sa.Text(collation="C"),
            comment="The object and the time of a delivery that others may have, too.",
        ),
        sa.Column("position", sa.Integer(), comment="Among those of its moment, in microseconds."),
    )
    op.create_index("delivery_source_status_received_at_id_idx", "delivery", ["source", "status", "received_at", "id"])
    op.create_index("delivery_received_at_idx", "delivery", ["received_at"])
    op.create_index(
        "delivery_source_moment_idx",
        "delivery",
        ["source", "moment"],
        postgresql_where=sa.text("moment IS NOT NULL"),
    )


def downgrade() -> None:
    op.drop_table("delivery")
    op.drop_table("source")
