"""What entity sets of events have in common: their order, and columns that are computed as the API computes them."""

from typing import Any

import sqlalchemy as sa

from app.accounts.accounts import account_key
from app.core.ids import decode_token
from app.core.periods import Calendar
from app.database.tables import account, event
from app.odata.query import Query
from app.odata.restrictions import allowed_values
from app.odata.sql_source import KeyColumn

# The order of events, as in the index of comments and that of responses.
EVENT_KEY = [KeyColumn(event.c.occurred_at, object), KeyColumn(event.c.account_id, int), KeyColumn(event.c.id, str)]


def event_id_column() -> Any:
    """Return the id of a comment or response, as `comment_id` makes it."""
    content = sa.func.convert_to(account.c.id, "UTF8").concat(sa.literal_column(r"'\x00'::bytea"))
    token = sa.func.encode(content.concat(sa.func.convert_to(event.c.id, "UTF8")), "base64", type_=sa.Text())
    # PostgreSQL breaks lines and pads with `=`: characters without a counterpart are left out.
    return sa.func.translate(token, "+/=\n", "-_", type_=sa.Text())


def condition_on_id(query: Query) -> list[Any]:
    """Return the condition that finds the events by whose ids a filter selects, by an index."""
    ids = allowed_values(query.filter, "id")
    if ids is None:
        return []
    pairs = [pair for id in ids if isinstance(id, str) and (pair := _split(id)) is not None]
    if not pairs:
        return [sa.false()]
    return [sa.tuple_(event.c.account_id, event.c.id).in_(pairs)]


def _split(id: str) -> tuple[int, str] | None:
    try:
        account_id, event_id = decode_token(id).split("\0")
    except ValueError:
        return None
    return account_key(account_id), event_id


def reporting_day(instant: Any, calendar: Calendar) -> Any:
    """Return the day of an instant in the reporting time zone."""
    return sa.cast(sa.func.timezone(calendar.zone.key, instant), sa.Date())


# The tags of an event as one text, with commas between them; without any, the empty text.
TAGS_TEXT: Any = sa.literal_column(
    "coalesce((SELECT string_agg(tag.value, ',' ORDER BY tag.number) FROM jsonb_array_elements_text("
    "coalesce(event.data -> 'tags', CAST('[]' AS jsonb))) WITH ORDINALITY AS tag(value, number)), '')",
    sa.Text(),
)
