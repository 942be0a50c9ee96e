"""Happenings of streams, and what these make of them."""

from collections import Counter
from datetime import UTC, datetime
from decimal import Decimal
from itertools import count
from typing import Any
from zoneinfo import ZoneInfo

from app.ledger.measures import rank_of
from app.ledger.streams.define import Happening, Stream
from app.ledger.streams.subscriptions import subscriptions
from app.periods import Calendar

GREENWICH = Calendar(ZoneInfo("UTC"))
_numbers = count(1)


def happening(type: str, at: str, *, id: str = "", **data: Any) -> Happening:
    """An event of a stream, ranked as the vocabulary says. `at`: a day (then noon), or a time."""
    return Happening(instant(at), rank_of(type), id or f"{next(_numbers):05}", type, data)


def changed(
    at: str, mrr: str | None = None, *, of: str = "base", id: str = "", rate: str | None = None, **data: Any
) -> Happening:
    """A subscription brings this from then on. `at`: a day (then noon), or a time."""
    price = {} if mrr is None else {"mrr": mrr}
    rated = None if rate is None else Decimal(rate)
    named = {"subscription_id": of} | price | data
    return Happening(instant(at), 0, id or f"{next(_numbers):05}", "subscription.changed", named, rated)


def canceled(at: str, *, of: str = "base", id: str = "", ends_at: str | None = None, **data: Any) -> Happening:
    end = {} if ends_at is None else {"ends_at": instant(ends_at).isoformat()}
    named = {"subscription_id": of} | end | data
    return Happening(instant(at), 1, id or f"{next(_numbers):05}", "subscription.canceled", named)


def instant(at: str) -> datetime:
    return datetime.fromisoformat(at if "T" in at else f"{at}T12:00:00").replace(tzinfo=UTC)


def posted(
    *happenings: Happening, calendar: Calendar = GREENWICH, stream: Stream = subscriptions
) -> Counter[tuple[str, str, str]]:
    """What the stream posts in all, by day, measure and subject (or channel), without what cancels out."""
    ordered = sorted(happenings, key=lambda happening: happening[:3])
    found: Counter[tuple[str, str, str]] = Counter()
    for day, line in stream(ordered, calendar):
        found[str(day), line.measure.name, line.subject or line.channel] += line.value
    return Counter({place: value for place, value in found.items() if value})


def movements(*happenings: Happening, calendar: Calendar = GREENWICH) -> list[tuple[str, str, float]]:
    """The movements of money alone: day, kind and amount."""
    lines = posted(*happenings, calendar=calendar)
    return [
        (day, name[4:], value / 10_000) for (day, name, _), value in sorted(lines.items()) if name.startswith("mrr_")
    ]


def reasons(*happenings: Happening) -> list[str]:
    lines = posted(*happenings)
    assert {place: value for place, value in lines.items() if place[1] == "customers_churned" and value != 1} == {}
    return [subject for _, name, subject in sorted(lines) if name == "customers_churned"]


def standing(measure: str, *happenings: Happening) -> dict[str, int]:
    """What a stock stands at in the end, by subject."""
    found: Counter[str] = Counter()
    for (_, name, subject), value in posted(*happenings).items():
        if name == measure:
            found[subject] += value
    return {subject: value for subject, value in found.items() if value}
