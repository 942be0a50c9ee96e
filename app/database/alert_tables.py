"""The tables of alerts, and of news about targets, health and restatements. `tables` has them, too."""

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    Column,
    Date,
    DateTime,
    Identity,
    Index,
    Integer,
    Table,
    Text,
)
from sqlalchemy.dialects.postgresql import JSONB

from app.database.metadata import metadata

_TIME = DateTime(timezone=True)

alert = Table(
    "alert",
    metadata,
    Column("id", Text(collation="C"), primary_key=True),
    Column("document", JSONB, nullable=False, comment="The alert as it was put."),
    Column("created_at", _TIME, nullable=False),
    Column("changed_at", _TIME, nullable=False),
    Column(
        "due_since", Date, comment="The first day of which data has changed since it was evaluated; null: none has."
    ),
    Column("evaluated_at", _TIME),
    Column("evaluated_on", Date, comment="The day that was today then."),
    Column("first_period", Date, comment="The first day of the first period that it is about."),
)

# What data has changed: ingest adds rows, and whoever evaluates alerts takes them. So ingest waits for nobody.
alert_change = Table(
    "alert_change",
    metadata,
    Column("key", BigInteger, Identity(always=True), primary_key=True),
    Column("measures", ARRAY(Text), nullable=False),
    Column("since", Date, nullable=False, comment="The first day of which data has changed."),
)

alert_state = Table(
    "alert_state",
    metadata,
    Column("alert_id", Text(collation="C"), primary_key=True),
    Column("account", Text(collation="C"), primary_key=True, comment="Empty for an alert that is not on each account."),
    Column("is_triggered", Boolean, nullable=False),
    Column("period_start", Date, comment="The first day of the period that triggered it."),
    Column(
        "reported_periods",
        ARRAY(Date),
        nullable=False,
        comment="Periods beyond the threshold that do not trigger again.",
    ),
    Column("triggered_at", _TIME),
    Column("number", JSONB, comment="The number of the last message."),
)

alert_transition = Table(
    "alert_transition",
    metadata,
    Column("key", BigInteger, Identity(always=True), primary_key=True),
    Column("alert_id", Text(collation="C"), nullable=False),
    Column("account", Text(collation="C"), nullable=False),
    Column("kind", Text, nullable=False, comment="triggered or resolved."),
    Column("at", _TIME, nullable=False),
    Column("number", JSONB, nullable=False),
    Column("sentence", Text, nullable=False),
    Index(None, "alert_id", "key"),
    Index(None, "at"),
)

target_news = Table(
    "target_news",
    metadata,
    Column("id", Text(collation="C"), primary_key=True, comment="The target."),
    Column("period_start", Date, primary_key=True),
    Column("period_end", Date, primary_key=True),
    Column("status", Text, primary_key=True, comment="met or missed."),
    Column("at", _TIME, nullable=False),
)

account_band = Table(
    "account_band",
    metadata,
    Column("account_id", BigInteger, primary_key=True, autoincrement=False),
    Column("band", Text),
    Column("score", Integer, comment="In hundredths of a point."),
)

# When news were searched for last, by their subject.
news_search = Table(
    "news_search",
    metadata,
    Column("subject", Text, primary_key=True, comment="targets, health or restatements."),
    Column("day", Date, nullable=False),
    Column("at", _TIME, nullable=False),
    Column("is_due", Boolean, nullable=False, comment="Data has changed since then."),
)
