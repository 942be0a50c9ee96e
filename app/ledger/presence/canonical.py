"""The canonical form of presence rows: equal for rows that answer every question in the same way."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from itertools import zip_longest

from app.database.tables import MAX_DATE
from app.ledger.presence.changes import PresenceRow
from app.ledger.presence.day_bits import year_start


def canonical_rows(rows: Iterable[PresenceRow]) -> list[tuple[date | None, int]]:
    """Return what the rows of a key and year say, whatever made them: the recorded days of late changes, with the bits.

    Of a row only the days before it ceased can be asked for. Where none of a row's days was recorded late, it makes no
    difference since when the row exists; its recorded day is None.
    """
    canonical: list[tuple[date | None, int]] = []
    for row in _fill_gaps(sorted(rows, key=lambda row: row.recorded_on)):
        recorded_late = row.bits & _mask_before(row.recorded_on, row.year)
        visible = row.bits & _mask_before(row.ceased_on, row.year)
        if canonical and recorded_late == canonical[-1][1]:
            canonical[-1] = (canonical[-1][0], visible)
        elif canonical or recorded_late:
            canonical.append((row.recorded_on, visible))
        elif visible:
            canonical.append((None, visible))
    return canonical


def _fill_gaps(rows: Sequence[PresenceRow]) -> Iterator[PresenceRow]:
    """Yield the rows, with an empty row wherever one ceased before the next was recorded, or without a next."""
    for row, following in zip_longest(rows, rows[1:]):
        yield row
        end = following.recorded_on if following else MAX_DATE
        if row.ceased_on != end:
            yield PresenceRow(row.year, 0, row.ceased_on, end)


def _mask_before(day: date, year: int) -> int:
    """Return the bits of the days of a year that are before a day."""
    return (1 << min(max(day.toordinal() - year_start(year), 0), 366)) - 1
