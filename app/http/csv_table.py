"""CSV (RFC 4180) with a header row."""

import io
import re
from collections.abc import Callable, Mapping, Sequence
from csv import writer
from datetime import datetime
from typing import Any

from pydantic_core import to_jsonable_python

from app.http.encoder import Encoder
from app.http.tables import Answer, ColumnType, Row, json_text

_AMOUNT = re.compile(r"-?[0-9]+(\.[0-9]+)?")
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


class CsvEncoder(Encoder):
    """Encodes rows as lines of CSV."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer)
        self._columns = [(own.read, _CELLS.get(own.type)) for own in answer.columns]

    def begin(self) -> bytes:
        return _lines([[csv_cell(own.name) for own in self.answer.columns]])

    def add(self, rows: Sequence[Row]) -> bytes:
        return _lines(
            [[read(row) if cell is None else cell(read(row)) for read, cell in self._columns] for row in rows]
        )


def _lines(rows: Sequence[Sequence[Any]]) -> bytes:
    text = io.StringIO()
    writer(text).writerows(rows)
    return text.getvalue().encode()


def csv_cell(value: Any) -> Any:
    """Return a value as a CSV cell: spelled as in JSON, objects and lists as JSON text.

    A text that a spreadsheet would run as a formula is prefixed with an apostrophe; an amount is a text of the service and safe.
    """
    if isinstance(value, str):
        return _text_cell(value)
    if isinstance(value, bool):
        return _boolean_cell(value)
    if isinstance(value, dict | list):
        return _json_cell(value)
    return to_jsonable_python(value) if isinstance(value, datetime) else value


def _text_cell(value: Any) -> Any:
    if value and value.startswith(_FORMULA_STARTS) and not _AMOUNT.fullmatch(value):
        return f"'{value}"
    return value


def _boolean_cell(value: bool | None) -> str | None:
    return None if value is None else "true" if value else "false"


def _json_cell(value: Any) -> str | None:
    return None if value is None else json_text(value)


# How the values of a column become cells, by the column's type. The other types are written as they are.
_CELLS: Mapping[ColumnType, Callable[[Any], Any]] = {
    "text": _text_cell,
    "boolean": _boolean_cell,
    "time": csv_cell,
    "value": csv_cell,
    "json": _json_cell,
}
