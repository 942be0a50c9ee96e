"""Positions: where a page ended, as the option `$skiptoken` of the link to the next page says it.

A position names the last row by what it is sorted by, not by a number or by its existence: rows that are new or gone since the
page before shift nothing.
"""

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from json import dumps, loads
from typing import Any, NamedTuple

from app.core.errors import Malformed
from app.core.ids import decode_token, encode_token
from app.core.names import build_fault
from app.odata.model import NUMBERS

_MAX_TOKEN = 20_000


class PagePosition(NamedTuple):
    """A position. values: of the items of `$orderby`. key: of the set's own order. rows_left: of `$top`; None: all."""

    values: tuple[Any, ...]
    key: tuple[Any, ...]
    rows_left: int | None


def encode_position(position: PagePosition, fingerprint: str) -> str:
    """Return the text of a position. fingerprint: of the query that it belongs to."""
    values = [None if value is None else _text_of(value) for value in position.values]
    return encode_token(dumps([fingerprint, position.rows_left, values, _as_json(position.key)], separators=(",", ":")))


def _text_of(value: Any) -> str:
    if isinstance(value, date | datetime):
        return value.isoformat()
    return repr(value) if isinstance(value, float) else str(value)


def _as_json(value: Any) -> Any:
    """Return a key as JSON: times as text, tuples as lists."""
    if isinstance(value, tuple):
        return [_as_json(part) for part in value]
    if isinstance(value, date | datetime):
        return value.isoformat()
    return float(value) if isinstance(value, Decimal) else value


def decode_position(token: str, fingerprint: str, types: Sequence[str]) -> PagePosition:
    """Return the position of a text. types: of the items of `$orderby`. Raises Malformed for one that no page has returned."""
    try:
        if len(token) > _MAX_TOKEN:
            raise ValueError("it is too long")
        mark, rows_left, values, key = loads(decode_token(token))
        if mark != fingerprint or not isinstance(key, list) or len(values) != len(types):
            raise ValueError("it belongs to another query")
        if rows_left is not None and (type(rows_left) is not int or not 0 <= rows_left < 2**63):
            raise ValueError("it is no number of rows")
        if "\\u0000" in dumps([values, key]):
            raise ValueError("PostgreSQL has no U+0000")
        own_values = tuple(_value_of(text, type) for text, type in zip(values, types, strict=True))
        return PagePosition(own_values, _tuples(key), rows_left)
    except (ValueError, TypeError, RecursionError, InvalidOperation):
        raise invalid_position() from None


def _value_of(text: Any, type: str) -> Any:
    if text is None:
        return None
    if not isinstance(text, str):
        raise TypeError("a value is written as text")
    if type in NUMBERS:
        number = Decimal(text)
        if not number.is_finite() or abs(number.adjusted()) > 400:
            raise ValueError("it is no number")
        return number
    if type == "boolean":
        return text == "True"
    if type == "date":
        return date.fromisoformat(text)
    return instant_of(text) if type == "time" else text


def instant_of(text: str) -> datetime:
    """Return the instant in a position. Raises ValueError."""
    instant = datetime.fromisoformat(text)
    if instant.tzinfo is None:
        raise ValueError("an instant needs its offset from UTC")
    return instant


def _tuples(value: Any) -> Any:
    return tuple(_tuples(part) for part in value) if isinstance(value, list) else value


def invalid_position() -> Malformed:
    """Return the error of a `$skiptoken` that no page of this query has returned."""
    detail = "This $skiptoken does not belong to the query. Follow @odata.nextLink unchanged, or begin without it."
    return Malformed.of([build_fault("/query/$skiptoken", detail, code="invalid_cursor")])
