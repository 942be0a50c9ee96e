"""Builders of stream events, and what streams post for them."""

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

assert catalogue  # its import declares the ranks of event types
UTC_CALENDAR = Calendar(ZoneInfo("UTC"))
_numbers = count(1)


def stream_event(type: str, at: str, *, id: str = "", rate: str | None = None, **data: Any) -> StreamEvent:
    """Return an event of a stream. at: a day (then noon) or a time."""
    exact_rate = None if rate is None else Decimal(rate)
    return StreamEvent(instant(at), rank_of(type), id or f"{next(_numbers):05}", type, data, exact_rate)


def change(
    at: str, mrr: str | None = None, *, of: str = "base", id: str = "", rate: str | None = None, **data: Any
) -> StreamEvent:
    """Return a change of the subscription `of`; its price is `mrr`, or in `data`."""
    price = {} if mrr is None else {"mrr": mrr}
    if "effective_at" in data:
        data["effective_at"] = instant(data["effective_at"]).isoformat()
    return stream_event("subscription.changed", at, id=id, rate=rate, **({"subscription_id": of} | price | data))


def cancellation(at: str, *, of: str = "base", id: str = "", ends_at: str | None = None, **data: Any) -> StreamEvent:
    """Return a cancellation of the subscription `of`."""
    end = {} if ends_at is None else {"ends_at": instant(ends_at).isoformat()}
    return stream_event("subscription.canceled", at, id=id, **({"subscription_id": of} | end | data))


def pause(at: str, *, of: str = "base", **data: Any) -> StreamEvent:
    """Return a pause of the subscription `of`."""
    return stream_event("subscription.paused", at, subscription_id=of, **data)


def resumption(at: str, *, of: str = "base", **data: Any) -> StreamEvent:
    """Return an event that resumes the subscription `of`."""
    return stream_event("subscription.resumed", at, subscription_id=of, **data)


def instant(at: str) -> datetime:
    return datetime.fromisoformat(at if "T" in at else f"{at}T12:00:00").replace(tzinfo=UTC)


def postings(
    *events: StreamEvent, calendar: Calendar = UTC_CALENDAR, by: Stream = subscriptions
) -> Counter[tuple[str, str, str]]:
    """Return what a stream posts, by day, measure and subject (or channel), without zeros."""
    ordered = sorted(events, key=lambda event: event[:3])
    values: Counter[tuple[str, str, str]] = Counter()
    for day, line in by(ordered, calendar):
        values[str(day), line.measure.name, line.subject or line.channel] += line.value
    return Counter({key: value for key, value in values.items() if value})


def postings_by_measure(
    stream: Stream, *events: StreamEvent, calendar: Calendar = UTC_CALENDAR
) -> dict[str, dict[str, int]]:
    """Return what a stream without subjects posts, by measure and then by day."""
    values: dict[str, dict[str, int]] = {}
    for (day, name, _), value in sorted(postings(*events, calendar=calendar, by=stream).items()):
        values.setdefault(name, {})[day] = value
    return values


def movements(*events: StreamEvent, calendar: Calendar = UTC_CALENDAR) -> list[tuple[str, str, float]]:
    """Return the movements of MRR, which are kept per year, as (day, kind, amount per month)."""
    lines = postings(*events, calendar=calendar)
    return [
        (day, name[4:], value / 120_000) for (day, name, _), value in sorted(lines.items()) if name.startswith("mrr_")
    ]


def reasons(*events: StreamEvent) -> list[str]:
    """Return the reasons with which the account churned, in order."""
    lines = postings(*events)
    assert {key: value for key, value in lines.items() if key[1] == "customers_churned" and value != 1} == {}
    return [subject for _, name, subject in sorted(lines) if name == "customers_churned"]


def balances(measure: str, *events: StreamEvent) -> dict[str, int]:
    """Return the final balance of a stock, by subject."""
    values: Counter[str] = Counter()
    for (_, name, subject), value in postings(*events).items():
        if name == measure:
            values[subject] += value
    return {subject: value for subject, value in values.items() if value}
