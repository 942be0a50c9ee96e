"""Happenings of streams, and what these make of them."""

from collections import Counter
from datetime import UTC, datetime
from decimal import Decimal
from itertools import count
from typing import Any
from zoneinfo import ZoneInfo

from app.core.periods import Calendar
from app.ingest import catalogue
from app.ledger.measures import rank_of
from app.ledger.streams.define import Stream, StreamEvent
from app.ledger.streams.subscriptions import subscriptions

assert catalogue  # importing it ranks the types of events
UTC_CALENDAR = Calendar(ZoneInfo("UTC"))
_numbers = count(1)


def stream_event(type: str, at: str, *, id: str = "", rate: str | None = None, **data: Any) -> StreamEvent:
    """An event of a stream, ranked as the vocabulary says. `at`: a day (then noon), or a time."""
    rated = None if rate is None else Decimal(rate)
    return StreamEvent(instant(at), rank_of(type), id or f"{next(_numbers):05}", type, data, rated)


def change(
    at: str, mrr: str | None = None, *, of: str = "base", id: str = "", rate: str | None = None, **data: Any
) -> StreamEvent:
    """A subscription brings this from then on."""
    price = {} if mrr is None else {"mrr": mrr}
    return stream_event("subscription.changed", at, id=id, rate=rate, **({"subscription_id": of} | price | data))


def cancellation(at: str, *, of: str = "base", id: str = "", ends_at: str | None = None, **data: Any) -> StreamEvent:
    end = {} if ends_at is None else {"ends_at": instant(ends_at).isoformat()}
    return stream_event("subscription.canceled", at, id=id, **({"subscription_id": of} | end | data))


def instant(at: str) -> datetime:
    return datetime.fromisoformat(at if "T" in at else f"{at}T12:00:00").replace(tzinfo=UTC)


def postings(
    *happenings: StreamEvent, calendar: Calendar = UTC_CALENDAR, by: Stream = subscriptions
) -> Counter[tuple[str, str, str]]:
    """What a stream posts in all, by day, measure and subject (or channel), without what cancels out."""
    ordered = sorted(happenings, key=lambda happening: happening[:3])
    found: Counter[tuple[str, str, str]] = Counter()
    for day, line in by(ordered, calendar):
        found[str(day), line.measure.name, line.subject or line.channel] += line.value
    return Counter({place: value for place, value in found.items() if value})


def postings_by_measure(
    stream: Stream, *happenings: StreamEvent, calendar: Calendar = UTC_CALENDAR
) -> dict[str, dict[str, int]]:
    """What a stream without subjects posts, by measure and then by day."""
    found: dict[str, dict[str, int]] = {}
    for (day, name, _), value in sorted(postings(*happenings, calendar=calendar, by=stream).items()):
        found.setdefault(name, {})[day] = value
    return found


def movements(*happenings: StreamEvent, calendar: Calendar = UTC_CALENDAR) -> list[tuple[str, str, float]]:
    """The movements of money alone: day, kind and amount."""
    lines = postings(*happenings, calendar=calendar)
    return [
        (day, name[4:], value / 10_000) for (day, name, _), value in sorted(lines.items()) if name.startswith("mrr_")
    ]


def reasons(*happenings: StreamEvent) -> list[str]:
    lines = postings(*happenings)
    assert {place: value for place, value in lines.items() if place[1] == "customers_churned" and value != 1} == {}
    return [subject for _, name, subject in sorted(lines) if name == "customers_churned"]


def balances(measure: str, *happenings: StreamEvent) -> dict[str, int]:
    """What a stock stands at in the end, by subject."""
    found: Counter[str] = Counter()
    for (_, name, subject), value in postings(*happenings).items():
        if name == measure:
            found[subject] += value
    return {subject: value for subject, value in found.items() if value}
