"""Output formats: every format is one entry of FORMATS.

To add a format, write its function and add its entry here; the `format` parameter, the `Accept` header and the OpenAPI
document follow.
"""

import io
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from csv import writer
from datetime import datetime
from json import dumps
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from pydantic_core import to_json, to_jsonable_python

from app.http.encoding import JSON

_AMOUNT = re.compile(r"-?[0-9]+(\.[0-9]+)?")


class FlatTable(NamedTuple):
    """A table without nesting: column names, and rows with a value for each column."""

    columns: Sequence[str]
    rows: Iterable[Iterable[Any]]


# Returns an answer as a table. A function, so that an answer in JSON does not pay for the table.
BuildTable = Callable[[], FlatTable]


class Format(NamedTuple):
    """An output format. `write` turns an answer, given as a JSON object and as a table, into bytes."""

    media_type: str
    extension: str
    write: Callable[[Mapping[str, Any], BuildTable], bytes]
    charset: str = ""

    @property
    def content_type(self) -> str:
        """Return the value of the Content-Type header."""
        return f"{self.media_type}; charset={self.charset}" if self.charset else self.media_type


def write_json(body: Any, build_table: BuildTable | None = None) -> bytes:
    """Return the answer as JSON."""
    return to_json(body)


def write_csv(body: Mapping[str, Any], build_table: BuildTable) -> bytes:
    """Return the answer's table as CSV (RFC 4180) with a header row."""
    table = build_table()
    text = io.StringIO()
    lines = writer(text)
    lines.writerow(map(csv_cell, table.columns))
    lines.writerows([csv_cell(value) for value in row] for row in table.rows)
    return text.getvalue().encode()


def csv_cell(value: Any) -> Any:
    """Return a value as a CSV cell: spelled as in JSON, objects and lists as JSON text.

    A text that a spreadsheet would run as a formula is prefixed with an apostrophe; an amount is a text of the service and safe.
    """
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict | list):
        return dumps(value, ensure_ascii=False)
    if isinstance(value, datetime):
        return to_jsonable_python(value)
    if not isinstance(value, str) or _AMOUNT.fullmatch(value):
        return value
    return f"'{value}" if value.startswith(("=", "+", "-", "@", "\t", "\r")) else value


FORMATS = {
    "json": Format(JSON, "json", write_json),
    "csv": Format("text/csv", "csv", write_csv, charset="utf-8"),
}
DEFAULT_FORMAT = "json"
_BY_MEDIA_TYPE = {entry.media_type: entry for entry in FORMATS.values()}

# The type of the parameter `format`.
if TYPE_CHECKING:
    FormatName = str
else:
    FormatName = Literal[tuple(FORMATS)]


def choose_format(name: str | None, accept: str) -> Format:
    """Return the format that the parameter `format` names or, without it, the first media type of the `Accept` header."""
    if name is not None:
        return FORMATS[name]
    media_type = accept.split(",")[0].split(";")[0].strip().lower()
    return _BY_MEDIA_TYPE.get(media_type, FORMATS[DEFAULT_FORMAT])
