"""The table behind the views of health; see `tables`."""

from sqlalchemy import ARRAY, BigInteger, Boolean, Column, Integer, Numeric, Table, Text
from sqlalchemy.dialects.postgresql import JSONB

from app.database.metadata import metadata

# A copy of what is computed, for readers who cannot compute it: no answer of the API comes from here.
health_copy = Table(
    "health_copy",
    metadata,
    Column("account_id", BigInteger, primary_key=True, autoincrement=False),
    Column("model_version", Integer, nullable=False),
    Column("score", Integer, comment="In hundredths of a point; null: too little data."),
    Column("band", Text),
    Column("coverage", Numeric, nullable=False),
    Column("flags", ARRAY(Text), nullable=False),
    Column("is_customer", Boolean, nullable=False),
    Column("mrr", Numeric, nullable=False),
    Column("override_score", Integer),
    Column("components", JSONB, nullable=False),
)
