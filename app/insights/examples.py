"""Values of sources for the examples of detectors."""

from datetime import date
from types import SimpleNamespace
from typing import Any

from app.core.periods import Period, months_before
from app.insights.sources import AccountRow, Moment, Series, SeriesPoint
from app.metrics.results import Result

TODAY = date(2026, 3, 15)
_MONTH_END = date(2026, 3, 1)
# The moment of all examples: 15 March 2026.
MOMENT = Moment(TODAY, None, "USD", Period("2026-02", date(2026, 2, 1), _MONTH_END, complete=True))


def months(*results: Result) -> Series:
    """Return a series of months, the last of which is February 2026."""
    starts = [months_before(_MONTH_END, number) for number in range(len(results), 0, -1)]
    periods = [Period(f"{start:%Y-%m}", start, months_before(start, -1), complete=True) for start in starts]
    return Series([*map(SeriesPoint, periods, results)], "/v1/metrics/example")


def one_period(result: Result, *, count: int) -> Series:
    """Return a series of one period of so many months."""
    period = Period("total", months_before(_MONTH_END, count), _MONTH_END, complete=True)
    return Series([SeriesPoint(period, result)], "/v1/metrics/example")


def days(*results: Result) -> Series:
    """Return a series of days, the last of which is 14 March 2026."""
    starts = [date.fromordinal(TODAY.toordinal() - number) for number in range(len(results), 0, -1)]
    periods = [Period(str(day), day, date.fromordinal(day.toordinal() + 1), complete=True) for day in starts]
    return Series([*map(SeriesPoint, periods, results)], "/v1/metrics/example")


def row(account: str, **columns: Any) -> AccountRow:
    """Return a row of an account."""
    return SimpleNamespace(account=account, **columns)
