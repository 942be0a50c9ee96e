"""The kept events that may be behind a number: a wide choice, of which PostgreSQL knows at once where to look."""

from collections.abc import Collection, Mapping
from datetime import date
from typing import Any

from app.accounts.accounts import account_key
from app.audit.origins import Origins
from app.core.periods import Calendar
from app.database.tables import WHOLE_BUSINESS
from app.ledger.measures import EventView
from app.ledger.surveys import Survey

# Those that post by themselves are found by their time, and those of streams by these: a condition on both would read all.
AT_ONCE = "type = ANY(%(types)s) AND occurred_at >= CAST(%(since)s AS timestamptz) AND occurred_at < %(until)s"
TOGETHER = f"stream IS NOT NULL AND split_part(stream, ' ', 1) = ANY(%(kinds)s) AND NOT ({AT_ONCE})"


def events_where(condition: str) -> str:
    """The statement that reads the events of some accounts for which a condition holds; others can be added."""
    return f"""
        SELECT account_id, id, type, user_id, occurred_at, recorded_on, retracted_on, rate, stream, data FROM event
        WHERE {condition} AND account_id = ANY(%(accounts)s)"""


def parameters(
    origins: Origins, accounts: Collection[int], *, start: date, end: date, calendar: Calendar
) -> dict[str, Any]:
    """What these conditions are about: the events of a metric that count in the days `[start, end)`."""
    return {
        "types": list(origins.event_types),
        "kinds": list(origins.stream_kinds),
        "accounts": list(accounts),
        "since": "-infinity" if origins.are_cumulative else calendar.midnight(start),
        "until": calendar.midnight(end),
    }


def event_view(row: Any, surveys: Mapping[str, Survey]) -> EventView:
    """A kept event, as posting rules look at it."""
    survey = surveys.get(row.data.get("survey", ""))
    return EventView(row.type, row.user_id, row.data, survey, row.rate, row.account_id == WHOLE_BUSINESS)


def number_of(account: str) -> int:
    """An account's number; the empty id is the whole business's."""
    return account_key(account) if account else WHOLE_BUSINESS


def day_of(row: Any, calendar: Calendar) -> date:
    """The reporting day of a kept event."""
    return calendar.day(row.occurred_at)
