"""The tables of sources and of their deliveries; see `tables`."""

from sqlalchemy import ARRAY, BigInteger, Column, DateTime, Index, Integer, LargeBinary, Table, Text, text
from sqlalchemy.dialects.postgresql import JSONB

from app.database.metadata import metadata

source = Table(
    "source",
    metadata,
    Column("id", Text(collation="C"), primary_key=True, comment="The name that is in its URL."),
    Column("vendor", Text, nullable=False, comment="An entry of the catalogue of vendors."),
    Column("secrets", ARRAY(Text), nullable=False, comment="Each of them may sign; signatures need them as they are."),
    Column("mapping", JSONB(none_as_null=True), comment="JMESPath expressions; null: the vendor's own translation."),
    Column("options", JSONB, nullable=False),
    Column("api_key", Text, comment="Of the vendor's API, to read what a delivery only names."),
    Column("put_at", DateTime(timezone=True), nullable=False),
)

delivery = Table(
    "delivery",
    metadata,
    Column("source", Text(collation="C"), primary_key=True),
    Column("id", Text(collation="C"), primary_key=True, comment="The vendor's id, or a hash of the body."),
    Column("received_at", DateTime(timezone=True), nullable=False, comment="The first time."),
    Column("attempts", Integer, nullable=False, comment="How often it was received or replayed."),
    Column("status", Text, nullable=False),
    Column("reasons", JSONB, nullable=False, comment="Why parts of it became no events, or what to know of them."),
    Column("headers", JSONB, nullable=False, comment="Those that its translation reads."),
    Column("body", LargeBinary, nullable=False, comment="As received, without its content encoding; erased: empty."),
    Column(
        "account_ids", ARRAY(BigInteger), nullable=False, comment="Of the events that it became, beside `event_ids`."
    ),
    Column("event_ids", ARRAY(Text), nullable=False),
    Column("moment", Text(collation="C"), comment="The object and the time of a delivery that others may have, too."),
    Column("position", Integer, comment="Among those of its moment, in microseconds."),
    # For the list of a source, and for what is to be replayed.
    Index(None, "source", "status", "received_at", "id"),
    # For those that are older than is kept.
    Index(None, "received_at"),
    Index(None, "source", "moment", postgresql_where=text("moment IS NOT NULL")),
)
