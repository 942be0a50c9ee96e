"""Turn the cells of a column, texts or values of JSON and spreadsheets, into values of the column's type."""

import json
import re
from collections.abc import Callable
from datetime import date, time, timedelta
from decimal import ROUND_HALF_UP, Decimal
from functools import lru_cache
from math import isfinite
from typing import Any

from app.ingest.files.columns import FileColumn
from app.ingest.files.hints import number_hint
from app.ingest.files.times import format_time, is_day_alone, time_parser

# By the character in the mapping: those that count as the same in a file.
_THOUSANDS = {" ": " \u00a0\u202f\u2009", "'": "'’"}
_MAX_DIGITS = 20  # before the decimals, where a number is rounded


def converter(column: FileColumn, type: str | None) -> Callable[[Any], Any]:
    """Return the function from a cell that is not empty to its value. It raises ValueError, which says what is wrong.

    type: one of a column's types, whatever the column itself says; `moment`, a datetime that must have a time of day; None:
    cells stay as they are.
    """
    match type:
        case None:
            return lambda cell: cell
        case "text":
            return _text_converter(column) if column.values or column.separator else to_text
        case "boolean":
            return _boolean_converter(column)
        case "datetime" | "date":
            return _time_converter(column, type)
        case "moment":
            return _moment_converter(column)
        case "integer" if not column.strip:
            return _integer_converter(column)
    parse, to_value = decimal_parser(column), decimal_converter(column, type)
    return lambda cell: to_value(parse(cell))


def to_text(value: Any) -> str:
    """Return a value as text, spelled as in JSON; days and times as in ISO 8601."""
    if isinstance(value, str):
        return value
    if isinstance(value, list | dict):
        raise ValueError("is a list or an object")
    if isinstance(value, date | time):
        return value.isoformat()
    return str(value) if isinstance(value, timedelta | Decimal) else json.dumps(value)


def _text_converter(column: FileColumn) -> Callable[[Any], Any]:
    def replace(text: str) -> Any:
        if text not in column.values:
            raise ValueError(f"is not among the values of the mapping: {', '.join(column.values)}")
        return column.values[text]

    def split(cell: Any) -> list[Any]:
        items = [item for item in map(str.strip, to_text(cell).split(column.separator)) if item]
        return [replace(item) for item in items] if column.values else items

    return split if column.separator else lambda cell: replace(to_text(cell))


def _boolean_converter(column: FileColumn) -> Callable[[Any], bool]:
    values = {spelling.casefold(): column.negate for spelling in column.false}
    values |= {spelling.casefold(): not column.negate for spelling in column.true}

    def to_boolean(cell: Any) -> bool:
        if (value := values.get(to_text(cell).casefold())) is None:
            raise ValueError("is neither true nor false; set true and false to the spellings of the file")
        return value

    return to_boolean


def decimal_parser(column: FileColumn) -> Callable[[Any], Decimal]:
    """Return the function from a cell to a number. Numbers of JSON and spreadsheets need no options."""
    point = re.escape(column.decimal_point)
    separators = _THOUSANDS.get(column.thousands, column.thousands)
    whole = r"\d+" + (rf"|\d{{1,3}}(?:[{re.escape(separators)}]\d{{3}})+" if separators else "")
    pattern = re.compile(rf"[+-]?(?:(?:{whole})(?:{point}\d*)?|{point}\d+)(?:[eE][+-]?\d{{1,3}})?", re.ASCII)

    def parse(cell: Any) -> Decimal:
        if isinstance(cell, int | float) and not isinstance(cell, bool):
            return Decimal(repr(cell))
        text = to_text(cell)
        for sign in column.strip:
            text = text.replace(sign, "")
        text = text.strip()
        if not pattern.fullmatch(text):
            raise ValueError(f"is not a number{number_hint(text, decimal_point=column.decimal_point)}")
        for separator in separators:
            text = text.replace(separator, "")
        return Decimal(text.replace(column.decimal_point, "."))

    return parse


def decimal_converter(column: FileColumn, type: str) -> Callable[[Decimal], Any]:
    """Return the function from a number to a value of a type: integer, number or money (an exact decimal text)."""
    to_value = {"integer": _to_integer, "number": _to_number, "money": _to_amount}[type]
    if column.decimals is None or type == "integer":
        return to_value
    step = Decimal(1).scaleb(-column.decimals)

    def round_to_value(value: Decimal) -> Any:
        if value.adjusted() > _MAX_DIGITS:
            raise ValueError("is too large a number")
        return to_value(value.quantize(step, ROUND_HALF_UP))

    return round_to_value


def _integer_converter(column: FileColumn) -> Callable[[Any], int]:
    parse = decimal_parser(column)

    def to_integer(cell: Any) -> int:
        # Most cells are plain digits.
        if isinstance(cell, str) and len(cell) <= 15 and cell.isascii() and cell.isdigit():
            return int(cell)
        return _to_integer(parse(cell))

    return to_integer


def _to_integer(value: Decimal) -> int:
    if value.adjusted() > 15 or value != value.to_integral_value():
        raise ValueError("is not a whole number below 10^16")
    return int(value)


def _to_number(value: Decimal) -> int | float:
    number = float(value)
    if not isfinite(number):
        raise ValueError("is too large a number")
    return int(number) if number.is_integer() and abs(number) < 2**53 else number


def _to_amount(value: Decimal) -> str:
    amount = format(value, "f")
    # Databases pad amounts with zeros: 12.500000 is 12.5.
    return amount.rstrip("0").rstrip(".") if "." in amount else amount


def _time_converter(column: FileColumn, type: str) -> Callable[[Any], str]:
    """Return the function from a cell to a time as text. It has a cache, because many rows have the same time."""
    parse = time_parser(column)

    @lru_cache(maxsize=10_000, typed=True)
    def convert(cell: Any) -> str:
        return format_time(parse(cell), type)

    # A list cannot be in a cache.
    return lambda cell: convert(to_text(cell) if isinstance(cell, list | dict) else cell)


def _moment_converter(column: FileColumn) -> Callable[[Any], str]:
    """Return the function from a cell to the end of what was paid for."""
    convert = _time_converter(column, "datetime")

    def convert_moment(cell: Any) -> str:
        text = convert(cell)
        if is_day_alone(cell, column.formats):
            raise ValueError(
                'is a day without a time. If it is the last paid day, use it as "paid_through" and give the column '
                'type = "date". If it is the first day that is not paid, add + 0 days after the braces'
            )
        return text

    return convert_moment
