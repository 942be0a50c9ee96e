"""Select the stored events that may be behind a number.

The conditions select more than the events behind it, but PostgreSQL finds their rows by an index.
"""

from collections.abc import Collection, Mapping
from datetime import date
from typing import Any

from app.accounts.accounts import account_key
from app.audit.origins import Origins
from app.core.periods import Calendar
from app.database.tables import WHOLE_BUSINESS
from app.ledger.measures import EventView
from app.ledger.surveys import Survey

# Conditions that exclude each other, because one condition on all would read all events of the accounts: events that post by
# themselves are found by their time, events of streams by their kind of stream, those of sequences by type.
IS_DIRECT = "type = ANY(%(types)s) AND occurred_at >= CAST(%(since)s AS timestamptz) AND occurred_at < %(until)s"
_IS_OF_KIND = "stream IS NOT NULL AND split_part(stream, ' ', 1) = ANY(%(kinds)s)"
IS_IN_STREAM = f"{_IS_OF_KIND} AND NOT ({IS_DIRECT})"
_IS_IN_SEQUENCE = f"""
    type = ANY(%(sequence_types)s) AND occurred_at >= CAST(%(since)s AS timestamptz)
    AND NOT ({IS_DIRECT}) AND NOT ({_IS_OF_KIND})"""


def select_sequence_events(origins: Origins, end: str) -> list[str]:
    """Return the SQL that selects events of sequences, in a list that is empty for a metric without one.

    end: the rest of the SQL. An event of a sequence concerns only earlier events, so those before the period do not matter.
    """
    return [select_events(_IS_IN_SEQUENCE) + end] if origins.sequence_types else []


def select_events(condition: str) -> str:
    """Return the SQL that selects the events of some accounts for which a condition holds. Conditions can be appended."""
    return f"""
        SELECT account_id, id, type, user_id, occurred_at, recorded_on, retracted_on, rate, stream, data FROM event
        WHERE {condition} AND account_id = ANY(%(accounts)s)"""


def condition_parameters(
    origins: Origins, accounts: Collection[int], *, start: date, end: date, calendar: Calendar
) -> dict[str, Any]:
    """Return the parameters of the conditions, for the events of a metric that count in the days `[start, end)`."""
    return {
        "types": list(origins.event_types),
        "kinds": list(origins.stream_kinds),
        "sequence_types": list(origins.sequence_types),
        "accounts": list(accounts),
        "since": "-infinity" if origins.are_cumulative else calendar.midnight(start),
        "until": calendar.midnight(end),
    }


def to_event_view(row: Any, surveys: Mapping[str, Survey]) -> EventView:
    """Return a stored event in the form that posting rules take."""
    survey = surveys.get(row.data.get("survey", ""))
    return EventView(row.type, row.user_id, row.data, survey, row.rate, row.account_id == WHOLE_BUSINESS)


def key_of_account(account_id: str) -> int:
    """Return the number of an account inside; the empty id stands for the whole business."""
    return account_key(account_id) if account_id else WHOLE_BUSINESS


def kind_of_stream(name: str) -> str:
    """Return the kind of a stream, which its name begins with."""
    return name.partition(" ")[0]


def day_of(row: Any, calendar: Calendar) -> date:
    """Return the day of a stored event in the reporting time zone."""
    return calendar.day(row.occurred_at)
