"""What a cell means: its text or JSON value turned into a value of its column's type."""

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from math import isfinite
from typing import Any
from zoneinfo import ZoneInfo

from app.ingest.files.mapping import Column


def converter(column: Column, kind: str | None) -> Callable[[Any], Any]:
    """The function from a cell that is not empty to its value; it raises ValueError with what is wrong."""
    if kind is None:
        return lambda cell: cell
    if kind == "text" and not column.values and not column.separator:
        return written
    of_text = {
        "text": _listed_or_named,
        "integer": _integers,
        "number": _numbers,
        "money": _amounts,
        "boolean": _truths,
        "datetime": _instants,
        "date": _days,
    }[kind](column)
    return lambda cell: of_text(cell if isinstance(cell, str) else written(cell))


def written(value: Any) -> str:
    """A value as text, the way JSON writes it."""
    if isinstance(value, str):
        return value
    if isinstance(value, list | dict):
        raise ValueError("is a list or an object")
    return json.dumps(value)


def _listed_or_named(column: Column) -> Callable[[str], Any]:
    def named(text: str) -> Any:
        if text not in column.values:
            raise ValueError("is not among the values of the mapping")
        return column.values[text]

    def listed(text: str) -> list[Any]:
        parts = [part for part in map(str.strip, text.split(column.separator)) if part]
        return [named(part) for part in parts] if column.values else parts

    return listed if column.separator else named


def _digits(column: Column) -> Callable[[str], str]:
    """Checks that a text is a number as the column spells them, and spells it plainly."""
    point, thousands = re.escape(column.decimal_point), re.escape(column.thousands)
    whole = r"\d+" + (rf"|\d{{1,3}}(?:{thousands}\d{{3}})+" if thousands else "")
    spelling = re.compile(rf"[+-]?(?:(?:{whole})(?:{point}\d*)?|{point}\d+)(?:[eE][+-]?\d{{1,3}})?", re.ASCII)

    def plain(text: str) -> str:
        if not spelling.fullmatch(text):
            raise ValueError("is not a number")
        if column.thousands:
            text = text.replace(column.thousands, "")
        return text.replace(column.decimal_point, ".")

    return plain


def _integers(column: Column) -> Callable[[str], int]:
    plain = _digits(column)

    def integer(text: str) -> int:
        if len(text) <= 15 and text.isascii() and text.isdigit():
            return int(text)
        value = Decimal(plain(text))
        if value.adjusted() > 15 or value != value.to_integral_value():
            raise ValueError("is not a whole number below 10^16")
        return int(value)

    return integer


def _numbers(column: Column) -> Callable[[str], int | float]:
    plain = _digits(column)

    def number(text: str) -> int | float:
        value = float(plain(text))
        if not isfinite(value):
            raise ValueError("is too large a number")
        return int(value) if value.is_integer() and abs(value) < 2**53 else value

    return number


def _amounts(column: Column) -> Callable[[str], str]:
    plain = _digits(column)

    def amount(text: str) -> str:
        spelled = format(Decimal(plain(text)), "f")
        # Data bases pad: 12.500000 is 12.5.
        return spelled.rstrip("0").rstrip(".") if "." in spelled else spelled

    return amount


def _truths(column: Column) -> Callable[[str], bool]:
    truth = {spelling.casefold(): column.negate for spelling in column.false}
    truth |= {spelling.casefold(): not column.negate for spelling in column.true}

    def said(text: str) -> bool:
        if (known := truth.get(text.casefold())) is None:
            raise ValueError("is neither true nor false")
        return known

    return said


def _moments(column: Column) -> Callable[[str], datetime]:
    zone, form, plain = ZoneInfo(column.zone), column.format, _digits(Column())

    def moment(text: str) -> datetime:
        if form in ("unix", "unix_ms"):
            seconds = float(plain(text)) / (1000 if form == "unix_ms" else 1)
            return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
        try:
            read = datetime.strptime(text, form) if form else datetime.fromisoformat(text)
        except ValueError:
            raise ValueError(f"is not a time as in {form}" if form else "is not a time of ISO 8601") from None
        return read if read.tzinfo else read.replace(tzinfo=zone)

    return moment


def _instants(column: Column) -> Callable[[str], str]:
    """Text -> RFC 3339 in UTC. Many rows have the same time, most of all where times are dates."""
    moment = _moments(column)

    @lru_cache(maxsize=10_000)
    def instant(text: str) -> str:
        return moment(text).astimezone(UTC).isoformat().replace("+00:00", "Z")

    return instant


def _days(column: Column) -> Callable[[str], str]:
    moment, zone = _moments(column), ZoneInfo(column.zone)

    @lru_cache(maxsize=10_000)
    def day(text: str) -> str:
        return moment(text).astimezone(zone).date().isoformat()

    return day
