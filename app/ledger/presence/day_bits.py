"""Sets of days as integers with a bit for each day.

There are two such integers. The bits of a year, as they are stored: bit 0 is 1 January. And `DayBits`, which goes on over
several years: bit 0 is the day `origin`. A day is written as its ordinal, the number that `date.toordinal` returns.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from typing import NamedTuple

from app.core.periods import UNITS, Calendar, units_containing

_DAY = timedelta(days=1)


class UnitSpan(NamedTuple):
    """A day, week, month, quarter or year: the ordinal of its first day, and a mask with a bit for each of its days."""

    unit: str
    first: int
    mask: int


@lru_cache(maxsize=20_000)
def unit_spans(day: date, calendar: Calendar) -> tuple[UnitSpan, ...]:
    """Return the day, week, month, quarter and year that contain a day."""
    spans = zip(UNITS, units_containing(day, calendar), strict=True)
    return tuple(UnitSpan(unit, start.toordinal(), (1 << (end - start).days) - 1) for unit, (start, end) in spans)


@lru_cache(maxsize=20_000)
def years_around(day: date, calendar: Calendar) -> range:
    """Return the calendar years in which the units that contain a day have days."""
    spans = units_containing(day, calendar)
    return range(min(start for start, _ in spans).year, (max(end for _, end in spans) - _DAY).year + 1)


@lru_cache(maxsize=1_000)
def year_start(year: int) -> int:
    """Return the ordinal of a year's first day."""
    return date(year, 1, 1).toordinal()


@dataclass(slots=True)
class DayBits:
    """A set of days, none before the day `origin`: bit n of `bits` stands for the n-th day after it."""

    origin: int
    bits: int

    def add(self, days: Iterable[date]) -> "DayBits":
        """Return the set with some more days."""
        return DayBits(self.origin, self.bits | self._mask(days))

    def remove(self, days: Iterable[date]) -> "DayBits":
        """Return the set without some days."""
        return DayBits(self.origin, self.bits & ~self._mask(days))

    def differences_from(self, other: "DayBits", days: Iterable[date]) -> set[date]:
        """Return those of some days that are in one of two sets only. Both have the same origin."""
        differing = self.bits ^ other.bits
        return {day for day in days if differing >> day.toordinal() - self.origin & 1}

    def first_in(self, span: UnitSpan) -> int | None:
        """Return the ordinal of the first day within a unit; None if no day of it is in the set."""
        _, first, mask = span
        bits = self.bits >> first - self.origin & mask
        # `bits & -bits` is the lowest bit alone.
        return first + (bits & -bits).bit_length() - 1 if bits else None

    def of_year(self, year: int) -> int:
        """Return the bits of a year."""
        return self.bits >> year_start(year) - self.origin & (1 << year_start(year + 1) - year_start(year)) - 1

    def _mask(self, days: Iterable[date]) -> int:
        mask = 0
        for day in days:
            mask |= 1 << day.toordinal() - self.origin
        return mask


def days_of_year(year: int, bits: int) -> set[date]:
    """Return the days that the bits of a year stand for."""
    first = year_start(year)
    return {date.fromordinal(first + number) for number in range(366) if bits >> number & 1}
