"""Turn the cells of a column, texts or JSON values, into values of the column's type."""

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from math import isfinite
from typing import Any
from zoneinfo import ZoneInfo

from app.ingest.files.columns import FileColumn


def converter(column: FileColumn, type: str | None) -> Callable[[Any], Any]:
    """Return the function from a cell that is not empty to its value. It raises ValueError, which says what is wrong.

    type: one of a column's types, whatever the column itself says; None: cells stay as they are.
    """
    if type is None:
        return lambda cell: cell
    if type == "text" and not column.values and not column.separator:
        return to_text
    convert_text = {
        "text": _text_converter,
        "integer": _integer_converter,
        "number": _number_converter,
        "money": _money_converter,
        "boolean": _boolean_converter,
        "datetime": _datetime_converter,
        "date": _date_converter,
    }[type](column)
    return lambda cell: convert_text(cell if isinstance(cell, str) else to_text(cell))


def to_text(value: Any) -> str:
    """Return a value as text, spelled as in JSON."""
    if isinstance(value, str):
        return value
    if isinstance(value, list | dict):
        raise ValueError("is a list or an object")
    return json.dumps(value)


def _text_converter(column: FileColumn) -> Callable[[str], Any]:
    def replace(text: str) -> Any:
        if text not in column.values:
            raise ValueError("is not among the values of the mapping")
        return column.values[text]

    def split(text: str) -> list[Any]:
        items = [item for item in map(str.strip, text.split(column.separator)) if item]
        return [replace(item) for item in items] if column.values else items

    return split if column.separator else replace


def _number_normalizer(column: FileColumn) -> Callable[[str], str]:
    """Return the function that checks the spelling of a number and returns it with a decimal point and no separators."""
    point, thousands = re.escape(column.decimal_point), re.escape(column.thousands)
    whole = r"\d+" + (rf"|\d{{1,3}}(?:{thousands}\d{{3}})+" if thousands else "")
    pattern = re.compile(rf"[+-]?(?:(?:{whole})(?:{point}\d*)?|{point}\d+)(?:[eE][+-]?\d{{1,3}})?", re.ASCII)

    def normalize(text: str) -> str:
        if not pattern.fullmatch(text):
            raise ValueError("is not a number")
        if column.thousands:
            text = text.replace(column.thousands, "")
        return text.replace(column.decimal_point, ".")

    return normalize


def _integer_converter(column: FileColumn) -> Callable[[str], int]:
    normalize = _number_normalizer(column)

    def to_integer(text: str) -> int:
        if len(text) <= 15 and text.isascii() and text.isdigit():
            return int(text)
        value = Decimal(normalize(text))
        if value.adjusted() > 15 or value != value.to_integral_value():
            raise ValueError("is not a whole number below 10^16")
        return int(value)

    return to_integer


def _number_converter(column: FileColumn) -> Callable[[str], int | float]:
    normalize = _number_normalizer(column)

    def to_number(text: str) -> int | float:
        value = float(normalize(text))
        if not isfinite(value):
            raise ValueError("is too large a number")
        return int(value) if value.is_integer() and abs(value) < 2**53 else value

    return to_number


def _money_converter(column: FileColumn) -> Callable[[str], str]:
    normalize = _number_normalizer(column)

    def to_amount(text: str) -> str:
        amount = format(Decimal(normalize(text)), "f")
        # Databases pad amounts with zeros: 12.500000 is 12.5.
        return amount.rstrip("0").rstrip(".") if "." in amount else amount

    return to_amount


def _boolean_converter(column: FileColumn) -> Callable[[str], bool]:
    values = {spelling.casefold(): column.negate for spelling in column.false}
    values |= {spelling.casefold(): not column.negate for spelling in column.true}

    def to_boolean(text: str) -> bool:
        if (value := values.get(text.casefold())) is None:
            raise ValueError("is neither true nor false")
        return value

    return to_boolean


def _time_parser(column: FileColumn) -> Callable[[str], datetime]:
    zone, time_format, normalize = ZoneInfo(column.zone), column.format, _number_normalizer(FileColumn())

    def parse(text: str) -> datetime:
        if time_format in ("unix", "unix_ms"):
            seconds = float(normalize(text)) / (1000 if time_format == "unix_ms" else 1)
            return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
        try:
            time = datetime.strptime(text, time_format) if time_format else datetime.fromisoformat(text)
        except ValueError:
            expected = f"of the format {time_format}" if time_format else "of ISO 8601"
            raise ValueError(f"is not a time {expected}") from None
        return time if time.tzinfo else time.replace(tzinfo=zone)

    return parse


def _datetime_converter(column: FileColumn) -> Callable[[str], str]:
    """Return the function from a text to RFC 3339 in UTC. It has a cache, because many rows have the same time."""
    parse = _time_parser(column)

    @lru_cache(maxsize=10_000)
    def to_datetime(text: str) -> str:
        return parse(text).astimezone(UTC).isoformat().replace("+00:00", "Z")

    return to_datetime


def _date_converter(column: FileColumn) -> Callable[[str], str]:
    parse, zone = _time_parser(column), ZoneInfo(column.zone)

    @lru_cache(maxsize=10_000)
    def to_date(text: str) -> str:
        return parse(text).astimezone(zone).date().isoformat()

    return to_date
