"""Answers of the examples of charts: the invented company of the demo, in the members that charts read."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

RUNNING = "2026-11"


def month_days(name: str) -> tuple[str, str]:
    """Return the first day of a month, and the day after its last one."""
    year, month = map(int, name.split("-"))
    return str(date(year, month, 1)), str(date(year + month // 12, month % 12 + 1, 1))


def months(count: int, last: str = RUNNING) -> list[str]:
    """Return the names of so many months up to the last one."""
    year, month = map(int, last.split("-"))
    numbers = range(12 * year + month - count, 12 * year + month)
    return [f"{number // 12}-{number % 12 + 1:02}" for number in numbers]


def number_row(
    metric: str,
    period: str,
    value: float | None,
    *,
    group: Mapping[str, Any] | None = None,
    convention: str = "default",
    sample: int | None = None,
    spread: float | None = None,
    reason: str | None = None,
    **more: Any,
) -> dict[str, Any]:
    """Return a row of numbers of a month. spread: half of the width of the interval."""
    start, end = month_days(period)
    has_interval = value is not None and spread is not None
    row: dict[str, Any] = {
        "metric": metric,
        "convention": convention,
        "period": period,
        "start": start,
        "end": end,
        "complete": period < RUNNING,
        "group": dict(group or {}),
        "value": value,
        "numerator": None,
        "denominator": sample,
        "sample_size": sample,
        "interval": [value - spread, value + spread] if has_interval else None,  # type: ignore[operator]
    }
    return row | ({"reason": reason} if reason else {}) | more


def numbers(rows: Sequence[Mapping[str, Any]], **question: Any) -> dict[str, Any]:
    """Return an answer of rows of numbers."""
    return {"question": {"granularity": "month", "group_by": [], **question}, "rows": list(rows), "next": None}


def series_rows(metric: str, values: Sequence[float | None], **more: Any) -> list[dict[str, Any]]:
    """Return a row for each month up to the running one."""
    return [number_row(metric, month, value, **more) for month, value in zip(months(len(values)), values, strict=True)]
