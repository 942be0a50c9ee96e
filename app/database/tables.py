"""The tables, as the migrations create them (a test compares the two).

- An account is stored as a 64-bit hash of its id (`account_id`), a user as a hash of account and user id (`user_key`); measures,
  subjects and channels as small integers (`label`).
- Tables of account data have `account_id` in their primary key, so that they can be distributed by account. Of the other tables,
  `grand_total` sums over all accounts; the rest are small enough to be copied to every node.
- Days are of type `date`, in the reporting time zone.
- Tables on two time axes have intervals of two dates each: when a row is true (`valid_from`, `valid_to` or `since`, `until`) and
  when it was recorded and superseded (`recorded_on`, `ceased_on`). The end of an interval is excluded. MIN_DATE stands for
  "always" and MAX_DATE for "not yet", so that both bounds are always dates.

The comments of columns are stored in the database.
"""

from datetime import date

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    Identity,
    Index,
    Integer,
    LargeBinary,
    Numeric,
    SmallInteger,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from app.database.metadata import metadata

MIN_DATE = date(1, 1, 1)
MAX_DATE = date(9999, 12, 31)

MONTH_NAMES = tuple(f"m{month:02}" for month in range(1, 13))

# The key of the advisory lock that guards `books.last_day`; the function `check_last_day` of the migrations takes it shared.
LAST_DAY_LOCK = 4_711_235_814
ALERT_LOCK = 4_711_235_815

# The account_id of events that belong to no account, such as a cost of the whole business.
WHOLE_BUSINESS = 0

books = Table(
    "books",
    metadata,
    Column("singleton", Boolean, primary_key=True, server_default=text("true"), comment="There is one row."),
    Column("base_currency", Text, nullable=False),
    Column("reporting_timezone", Text, nullable=False),
    Column("fiscal_year_start", SmallInteger, nullable=False),
    Column("week_start", Text, nullable=False, server_default=text("'monday'")),
    Column("opened_at", DateTime(timezone=True), nullable=False),
    Column(
        "adopting", Boolean, nullable=False, server_default=text("false"), comment="Not posted anew yet since then."
    ),
    Column(
        "posted_by",
        SmallInteger,
        nullable=False,
        server_default=text("1"),
        comment="The version of the rules by which all events are posted.",
    ),
    Column("first_recorded_on", Date, comment="The first day on which an event was recorded; null: none yet."),
    Column(
        "last_day",
        Date,
        comment="The day on which everything is recorded now, and nothing on an earlier one; null: nothing has been recorded.",
    ),
    CheckConstraint("singleton", name="one_row"),
)

api_key = Table(
    "api_key",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("scopes", ARRAY(Text), nullable=False),
    Column("hash", LargeBinary, nullable=False, unique=True, comment="SHA-256 of the key, which is shown once."),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("revoked_at", DateTime(timezone=True)),
    Column("last_used_on", Date),
    Column("expires_on", Date, comment="The first day on which the key no longer works; null: it does not expire."),
    Column(
        "kind",
        Text,
        nullable=False,
        server_default="key",
        comment="key; session: of a browser; code: it becomes a session once.",
    ),
    Column("parent", Text, comment="Of a session: the id of the key with which the browser signed in."),
)

label = Table(
    "label",
    metadata,
    Column("key", Integer, Identity(always=True), primary_key=True),
    Column("text", Text, nullable=False, unique=True, comment="A measure, a subject or a channel."),
)

account = Table(
    "account",
    metadata,
    Column("account_id", BigInteger, primary_key=True, autoincrement=False, comment="Hash of the client's id."),
    Column("id", Text(collation="C"), nullable=False, comment="The client's id."),
    Column("last_recorded_on", Date, nullable=False, comment="Never runs backwards; writing it is the account's lock."),
    Index(None, "id"),
)

# All characters that `str.isspace` knows, as PostgreSQL writes them: its own classes depend on the locale.
_SPACES = [
    *range(9, 14),
    *range(28, 33),
    0x85,
    0xA0,
    0x1680,
    *range(0x2000, 0x200B),
    0x2028,
    0x2029,
    0x202F,
    0x205F,
    0x3000,
]
BLANKS = "".join(rf"\u{number:04X}" for number in _SPACES)
COMMENT_IS_NOT_BLANK = f"btrim(data ->> 'comment', E'{BLANKS}') <> ''"
# Which events have a comment that is listed, which are responses, and the words of a comment. The indexes use exactly these
# expressions.
HAS_COMMENT = f"{COMMENT_IS_NOT_BLANK} AND retracted_on IS NULL"
IS_RESPONSE = "type = 'survey.responded' AND retracted_on IS NULL"
COMMENT_WORDS = "to_tsvector('simple', data ->> 'comment')"

event = Table(
    "event",
    metadata,
    Column("account_id", BigInteger, primary_key=True, autoincrement=False),
    Column("id", Text(collation="C"), primary_key=True),
    Column("type", Text, nullable=False),
    Column("user_id", Text),
    Column("occurred_at", DateTime(timezone=True), nullable=False),
    Column("recorded_on", Date, nullable=False),
    Column("retracted_on", Date),
    Column("rate", Numeric, comment="Value of one unit of data.currency in the base currency; null: base currency."),
    Column(
        "fingerprint",
        BigInteger,
        comment="Hash of the content, to tell a repeat from a conflict; null: erased, all that comes is a repeat.",
    ),
    Column("data", JSONB, nullable=False),
    Column("stream", Text, comment="The events of its account with which it has to be seen, if any."),
    Index(None, "account_id", postgresql_where=text("type = 'account.updated'")),
    Index(None, "account_id", "stream", postgresql_where=text("stream IS NOT NULL")),
    Index("event_comments_idx", "occurred_at", "account_id", "id", postgresql_where=text(HAS_COMMENT)),
    Index("event_words_idx", text(COMMENT_WORDS), postgresql_using="gin", postgresql_where=text(HAS_COMMENT)),
    Index("event_responses_idx", "occurred_at", "account_id", "id", postgresql_where=text(IS_RESPONSE)),
    # For the neighbors of an invitation to a survey, or of a response to it: see `ledger.sequences`.
    Index(
        "event_survey_sequences_idx",
        "account_id",
        text("(data ->> 'survey')"),
        text("coalesce(user_id, '')"),
        "type",
        "occurred_at",
        "id",
        postgresql_where=text("type IN ('survey.sent', 'survey.responded')"),
    ),
    # For what was there on an earlier day.
    Index(None, "retracted_on", postgresql_where=text("retracted_on IS NOT NULL")),
    # For the overrides of health that stand on a day.
    Index(
        "event_health_overrides_idx",
        "account_id",
        "occurred_at",
        postgresql_where=text("type IN ('health.overridden', 'health.override_withdrawn')"),
    ),
    # For events of all accounts ordered by time, and for a user's activity on one day after a removal or retraction.
    Index(None, "occurred_at"),
)

attribute = Table(
    "attribute",
    metadata,
    Column("key", Text, primary_key=True),
    Column("account_id", BigInteger, primary_key=True, autoincrement=False),
    Column("valid_from", Date, primary_key=True, comment="First day at whose start the value holds."),
    Column("recorded_on", Date, primary_key=True, comment="The day from which this row is what is known."),
    Column("valid_to", Date, nullable=False),
    Column("ceased_on", Date, nullable=False, comment="The day from which it is no longer what is known."),
    Column("value", JSONB(none_as_null=True), comment="Null: ended."),
    Index(None, "account_id"),
)

entry = Table(
    "entry",
    metadata,
    Column("measure", Integer, primary_key=True, autoincrement=False),
    Column("effective_on", Date, primary_key=True, comment="The day it is true of."),
    Column("account_id", BigInteger, primary_key=True, autoincrement=False),
    Column("subject", Integer, primary_key=True, autoincrement=False),
    Column("channel", Integer, primary_key=True, autoincrement=False),
    Column("recorded_on", Date, primary_key=True, comment="The day it became known."),
    Column("value", BigInteger, nullable=False),
    Index(None, "account_id", "effective_on"),
    postgresql_with={"fillfactor": 80},
)

total = Table(
    "total",
    metadata,
    Column("measure", Integer, primary_key=True, autoincrement=False),
    Column("year", SmallInteger, primary_key=True, autoincrement=False),
    Column("account_id", BigInteger, primary_key=True, autoincrement=False),
    Column("subject", Integer, primary_key=True, autoincrement=False),
    Column("channel", Integer, primary_key=True, autoincrement=False),
    *(Column(name, BigInteger, nullable=False) for name in MONTH_NAMES),
    Index(None, "account_id", "year"),
    postgresql_with={"fillfactor": 80},
)

grand_total = Table(
    "grand_total",
    metadata,
    Column("measure", Integer, primary_key=True, autoincrement=False),
    Column("year", SmallInteger, primary_key=True, autoincrement=False),
    Column("subject", Integer, primary_key=True, autoincrement=False),
    Column("channel", Integer, primary_key=True, autoincrement=False),
    *(Column(name, BigInteger, nullable=False) for name in MONTH_NAMES),
    postgresql_with={"fillfactor": 50},
    comment="The totals of all accounts together.",
)

presence = Table(
    "presence",
    metadata,
    Column("presence", Integer, primary_key=True, autoincrement=False, comment="At what: a label, as is the subject."),
    Column("subject", Integer, primary_key=True, autoincrement=False),
    Column("account_id", BigInteger, primary_key=True, autoincrement=False),
    Column("user_key", BigInteger, primary_key=True, autoincrement=False, comment="Hash of account and user id."),
    Column("year", SmallInteger, primary_key=True, autoincrement=False),
    Column("recorded_on", Date, primary_key=True, comment="The day from which this row is what is known."),
    Column("ceased_on", Date, nullable=False, comment="The day from which it is no longer what is known."),
    *(Column(name, Integer, nullable=False, comment="A bit for each day.") for name in MONTH_NAMES),
    Index(None, "account_id"),
    postgresql_with={"fillfactor": 80},
)

registration = Table(
    "registration",
    metadata,
    Column("account_id", BigInteger, primary_key=True, autoincrement=False),
    Column("user_key", BigInteger, primary_key=True, autoincrement=False, comment="Hash of account and user id."),
    Column("since", Date, primary_key=True, comment="First day on which the user was registered."),
    Column("recorded_on", Date, primary_key=True, comment="The day from which this row is what is known."),
    Column("until", Date, nullable=False, comment="The day after the one on which it was removed."),
    Column("ceased_on", Date, nullable=False, comment="The day from which it is no longer what is known."),
)

gross_margin = Table(
    "gross_margin",
    metadata,
    Column("valid_from", Date, primary_key=True),
    Column("margin", Numeric, nullable=False),
)

survey = Table(
    "survey",
    metadata,
    Column("id", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("low", SmallInteger, nullable=False),
    Column("high", SmallInteger, nullable=False),
    Column("satisfied_from", SmallInteger),
    Column("easy_is", Text),
    Column("question", Text),
    Column(
        "answered", Boolean, nullable=False, server_default=text("false"), comment="From then on it is not changed."
    ),
)

exchange_rate = Table(
    "exchange_rate",
    metadata,
    Column("currency", Text, primary_key=True),
    Column("valid_from", Date, primary_key=True),
    Column("rate", Numeric, nullable=False),
    Column("used", Boolean, nullable=False, server_default=text("false"), comment="From then on it is not changed."),
)

segment = Table(
    "segment",
    metadata,
    Column("name", Text, primary_key=True),
    Column("recorded_on", Date, primary_key=True),
    Column("filter", Text, comment="Null: deleted on that day."),
)

target = Table(
    "target",
    metadata,
    Column("id", Text(collation="C"), primary_key=True),
    Column(
        "number",
        Integer,
        primary_key=True,
        autoincrement=False,
        comment="Of the version. It takes the place of all before it from its first day on.",
    ),
    Column("recorded_on", Date, nullable=False, comment="The day from which it is known."),
    Column("effective_from", Date, nullable=False, comment="The first day on which it holds."),
    Column("document", JSONB(none_as_null=True), comment="Null: ended."),
)

health_model = Table(
    "health_model",
    metadata,
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("effective_from", Date, nullable=False, unique=True, comment="The first day on which it holds."),
    Column("recorded_on", Date, nullable=False, comment="The day from which it is known."),
    Column("document", JSONB, nullable=False),
    Column("key_id", Text, nullable=False, comment="The key that put it."),
)

MONTH_COLUMNS = tuple(total.c[name] for name in MONTH_NAMES)
