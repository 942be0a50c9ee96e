"""Intervals on two time axes (bitemporal): the value that holds over some days, and on which days that was known.

An account is on the plan "starter"; on 10 May it becomes known that it has been on "pro" since 1 April:

    valid_from   valid_to     value      recorded_on   ceased_on
    MIN_DATE     MAX_DATE     starter    2026-03-01    2026-05-10
    MIN_DATE     2026-04-01   starter    2026-05-10    MAX_DATE
    2026-04-01   MAX_DATE     pro        2026-05-10    MAX_DATE

As of 9 May only the first row counts, as of 10 May only the other two. Both kinds of bounds exclude their end: a row is true of
the days in [valid_from, valid_to), and it was the current knowledge on the days in [recorded_on, ceased_on). Once the day on
which a row was recorded is over, only its `ceased_on` may change, so the knowledge of any past day can always be read again.
"""

from collections.abc import Iterable, Sequence
from datetime import date
from typing import Any, NamedTuple

from app.database.tables import MAX_DATE


class VersionedInterval(NamedTuple):
    """A value over the days [valid_from, valid_to), known on the days [recorded_on, ceased_on)."""

    valid_from: date
    valid_to: date
    value: Any
    recorded_on: date
    ceased_on: date = MAX_DATE


def revise_intervals(
    rows: Sequence[VersionedInterval], current: Iterable[tuple[date, date, Any]], *, on: date
) -> list[VersionedInterval]:
    """Return the rows after the day `on`.

    rows: all rows of one attribute (or of one user's registration) before the day's changes, or after some of them.
    current: the intervals `(valid_from, valid_to, value)` that are true as far as is known at the end of that day.
    """
    new = {(start, end, json_identity(value)): (start, end, value) for start, end, value in current}
    revised_intervals: list[VersionedInterval] = []
    for row in rows:
        if row.ceased_on not in (MAX_DATE, on):
            revised_intervals.append(row)
        # A row recorded on this very day is dropped and derived again; one that this day has superseded may turn out to stay.
        elif row.recorded_on < on:
            same = new.pop((row.valid_from, row.valid_to, json_identity(row.value)), None)
            revised_intervals.append(row._replace(ceased_on=on if same is None else MAX_DATE))
    return revised_intervals + [VersionedInterval(*interval, recorded_on=on) for interval in new.values()]


def pair_with_value_types(rows: Iterable[VersionedInterval]) -> list[tuple[VersionedInterval, type]]:
    """Return rows with the types of their values, so that two are equal only if their values are the same JSON."""
    return [(row, type(row.value)) for row in rows]


def json_identity(value: Any) -> tuple[type, Any]:
    """Return a key that is equal for equal JSON values only: True == 1 in Python, but not in JSON."""
    return type(value), value
