"""Rows as tables of pandas and polars, with the same typed columns whether the service has sent Parquet or JSON."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from io import BytesIO
from json import dumps
from typing import TYPE_CHECKING, Any

from csmetrics_client.questions import Answer, Row

if TYPE_CHECKING:
    import pandas
    import polars

# The kind of each column that does not depend on the question, in the order of the service's tables.
_BEFORE_GROUPS = {"metric": "text", "period": "text", "start": "day", "end": "day", "complete": "boolean"}
_AFTER_GROUPS = {
    "value": "number",
    "numerator": "number",
    "denominator": "number",
    "sample_size": "integer",
    "low": "number",
    "high": "number",
    "reason": "text",
    "amount": "money",
    "convention": "text",
}
_COMPARISON = {
    "previous": "number",
    "change": "number",
    "change_percent": "number",
    "significant": "boolean",
    "is_new": "boolean",
}
_INTERVAL = {"low": 0, "high": 1}
_READERS: Mapping[str, Callable[[Any], Any]] = {"day": date.fromisoformat, "money": Decimal, "number": float}


@dataclass(frozen=True)
class _Column:
    """A column. kind: of its values. member: of the rows, of which it is the whole or a part."""

    name: str
    kind: str
    member: str
    part: str | int | None = None

    def read(self, row: Row) -> Any:
        """Return the value that a row has in the column."""
        value = row.get(self.member)
        if value is None or self.part is None:
            return value if value is None or self.kind not in _READERS else _READERS[self.kind](value)
        own = value[self.part]
        # The values of an attribute may be of several types, and a column is of one.
        return own if own is None or isinstance(own, str) or self.member != "group" else dumps(own)


@dataclass(frozen=True)
class Pages:
    """All pages of an answer in JSON; at least one. fields: as in the question; empty for all."""

    pages: Sequence[Answer]
    fields: Sequence[str]

    def columns(self) -> Iterator[tuple[_Column, list[Any]]]:
        """Yield each column with its values."""
        for own in _columns(self.pages[0].question, self.fields):
            yield own, [own.read(row) for page in self.pages for row in page.rows]


# Rows as the service has sent them: a Parquet file, or pages.
Table = bytes | Pages


def pandas_frame(table: Table) -> "pandas.DataFrame":
    """Return rows as a frame of pandas. Raises ImportError without pandas."""
    import pandas

    if isinstance(table, bytes):
        return pandas.read_parquet(BytesIO(table))

    # It depends on the version of pandas.
    text = pandas.Series(["text"]).dtype

    def dtype(own: _Column, values: Sequence[Any]) -> Any:
        types = {"text": text, "number": "float64"}
        if any(value is None for value in values):
            # Whole numbers and truth values of pandas have no null.
            return (types | {"integer": "float64"}).get(own.kind, "object")
        return (types | {"integer": "int64", "boolean": "bool"}).get(own.kind, "object")

    return pandas.DataFrame(
        {own.name: pandas.Series(values, dtype=dtype(own, values)) for own, values in table.columns()}
    )


def polars_frame(table: Table) -> "polars.DataFrame":
    """Return rows as a frame of polars. Raises ImportError without polars."""
    import polars

    if isinstance(table, bytes):
        return polars.read_parquet(BytesIO(table))
    types: dict[str, Any] = {
        "text": polars.String,
        "number": polars.Float64,
        "integer": polars.Int64,
        "boolean": polars.Boolean,
        "day": polars.Date,
        # Of all currencies, none has more than four decimals.
        "money": polars.Decimal(38, 4),
    }
    return polars.DataFrame([polars.Series(own.name, values, types[own.kind]) for own, values in table.columns()])


def _columns(question: Mapping[str, Any], fields: Iterable[str]) -> list[_Column]:
    """Return the columns of a question's table, which are the same where there are no rows."""
    after = _AFTER_GROUPS | (_COMPARISON if question.get("compare") else {})
    groups: list[_Column] = []
    for key in question.get("group_by", ()):
        name = _free_name(key, [*_BEFORE_GROUPS, *after, *(own.name for own in groups)])
        groups.append(_Column(name, "text", "group", key))
    columns = [*map(_plain, _BEFORE_GROUPS.items()), *groups, *map(_plain, after.items())]
    # A field is a column, or the member of rows of which columns are parts.
    names = {own.name for own in columns}
    chosen = [
        own for field in fields for own in columns if own.name == field or (field not in names and own.member == field)
    ]
    return list(dict.fromkeys(chosen)) or columns


def _plain(item: tuple[str, str]) -> _Column:
    name, kind = item
    return _Column(name, kind, "interval", _INTERVAL[name]) if name in _INTERVAL else _Column(name, kind, name)


def _free_name(key: str, names: Iterable[str]) -> str:
    """Return the name of a grouping's column, which no other column has: as in the tables of the service."""
    taken = set(names)
    while key in taken:
        key = f"group.{key}"
    return key
