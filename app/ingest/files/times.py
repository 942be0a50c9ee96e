"""Times in files: read them in their format and zone, add to them, and report those that the clocks had twice or skipped."""

import re
from calendar import monthrange
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from decimal import Decimal
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from app.ingest.files.columns import FileColumn
from app.ingest.files.hints import EXCEL_EPOCH, time_hint

_UNIX_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EXCEL_EPOCHS = {"excel": EXCEL_EPOCH, "excel_1904": datetime(1904, 1, 1)}
# Excel counts a 29 February 1900, so its numbers are those of the other days only from here on.
_FIRST_EXCEL_DAY = 61
_DAY_MS = 86_400_000
# What says the time of day in the notation of strptime.
_TIME_OF_DAY = re.compile("%[HIcXs]")
# By unit: the number of months, of days or of minutes.
_MONTHS = {"month": 1, "year": 12}
_DAYS = {"day": 1, "week": 7}
_MINUTES = {"minute": 1, "hour": 60}
UNITS = (*_MINUTES, *_DAYS, *_MONTHS)


class TimeShift(NamedTuple):
    """What is added to a time. sign: 1, or -1 to subtract. number: how many units, or the name of a column that says it."""

    sign: int
    number: int | str
    unit: str


def time_parser(column: FileColumn) -> Callable[[Any], datetime]:
    """Return the function from a cell to an instant, in the zone of the column. It raises ValueError."""
    zone, formats = ZoneInfo(column.zone), column.formats

    def parse(cell: Any) -> datetime:
        if isinstance(cell, date):
            local = cell if isinstance(cell, datetime) else datetime.combine(cell, time())
        else:
            local, _ = _parse_cell(cell, formats)
        return local.astimezone(zone) if local.tzinfo else in_zone(local, zone, column.clock_change)

    return parse


def _parse_cell(cell: Any, formats: Sequence[str | None]) -> tuple[datetime, str | None]:
    """Return a time and its format, the first that fits; without a zone where it names no offset."""
    text = str(cell)
    for format in formats:
        try:
            return _parse_text(text, format), format
        except (ValueError, OverflowError):
            continue
    expected_form = " or ".join("of ISO 8601" if format is None else f"of the format {format}" for format in formats)
    raise ValueError(f"is not a time {expected_form}{time_hint(text)}")


def _parse_text(text: str, format: str | None) -> datetime:
    match format:
        case None:
            return datetime.fromisoformat(text)
        case "unix" | "unix_ms":
            milliseconds = _parse_number(text) * (1000 if format == "unix" else 1)
            return _UNIX_EPOCH + timedelta(milliseconds=float(milliseconds))
        case "excel" | "excel_1904":
            return _parse_excel(text, format)
    return datetime.strptime(text, format)


def is_day_alone(cell: Any, formats: Sequence[str | None]) -> bool:
    """Return whether a cell that holds a time names a day and no time of day."""
    if isinstance(cell, date):
        return not isinstance(cell, datetime)
    local, format = _parse_cell(cell, formats)
    match format:
        case None:
            return ":" not in (text := str(cell)) and "T" not in text
        case "unix" | "unix_ms":
            return False
        case "excel" | "excel_1904":
            return local.time() == time()
    return not _TIME_OF_DAY.search(format)


def _parse_number(text: str) -> Decimal:
    if not text.isascii() or not text.replace(".", "", 1).removeprefix("-").isdigit():
        raise ValueError("is not a number")
    return Decimal(text)


def _parse_excel(text: str, format: str) -> datetime:
    """Return the time of one of Excel's numbers, to the millisecond. The decimals are the time of day."""
    days = _parse_number(text.replace(",", "."))
    if format == "excel" and days < _FIRST_EXCEL_DAY:
        raise ValueError("is before March 1900")
    return _EXCEL_EPOCHS[format] + timedelta(milliseconds=round(days * _DAY_MS))


def in_zone(local: datetime, zone: tzinfo, clock_change: str) -> datetime:
    """Return the instant of a local time. Raises ValueError where the clocks had it twice or skipped it, unless
    `clock_change` chooses one of the two possible instants. Midnight is the start of its day, whatever the clocks did.
    """
    first, second = local.replace(tzinfo=zone, fold=0), local.replace(tzinfo=zone, fold=1)
    before, after = first.utcoffset(), second.utcoffset()
    if before == after or before is None or after is None or local.time() == time():
        return first
    is_doubled = before > after
    if clock_change != "problem":
        return second if (clock_change == "later") is is_doubled else first
    event = "was on the clocks twice" if is_doubled else "was skipped by the clocks"
    raise ValueError(f'{event} in {zone}; say which instant is meant with clock_change = "earlier" or "later"')


def shift_time(instant: datetime, shifts: Sequence[TimeShift], *, clock_change: str) -> datetime:
    """Return an instant after the shifts, in the same zone. No number may be the name of a column.

    Days, weeks, months and years keep the time on the clocks; the 31st of a shorter month is its last day. Hours and minutes
    are exact. Raises ValueError or OverflowError for times that do not exist.
    """
    zone = instant.tzinfo
    assert zone is not None
    for sign, count, unit in shifts:
        number = sign * int(count)
        if unit in _MINUTES:
            instant = (instant.astimezone(UTC) + timedelta(minutes=number * _MINUTES[unit])).astimezone(zone)
        else:
            local = instant.replace(tzinfo=None, fold=0)
            if unit in _MONTHS:
                local = _add_months(local, number * _MONTHS[unit])
            else:
                local += timedelta(days=number * _DAYS[unit])
            instant = in_zone(local, zone, clock_change)
    return instant


def _add_months(local: datetime, months: int) -> datetime:
    year, month = divmod(local.year * 12 + local.month - 1 + months, 12)
    if not 1 <= year <= 9999:
        raise OverflowError("is outside the years 1 to 9999")
    return local.replace(year=year, month=month + 1, day=min(local.day, monthrange(year, month + 1)[1]))


def format_time(instant: datetime, type: str) -> str:
    """Return an instant as text: a `datetime` as RFC 3339 in UTC, a `date` as the day in the instant's zone."""
    if type == "date":
        return instant.date().isoformat()
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")
