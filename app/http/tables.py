"""Answers of rows as every output format takes them: JSON objects, and a table with typed columns.

A column's type is declared once, in the OpenAPI schema of the rows. Formats with types, such as Parquet, use it also where there
are no rows.
"""

from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice
from json import dumps
from typing import Any, Literal, NamedTuple

from pydantic_core import to_jsonable_python

from app.core.errors import Invalid
from app.core.names import name_fault, nearest_names

Row = Mapping[str, Any]
# `decimal` is an exact number as text, such as an amount of money. `value` is that of an attribute: text, number or boolean.
# `json` is an object or a list, which a table shows as JSON text.
ColumnType = Literal["text", "integer", "number", "decimal", "boolean", "date", "time", "value", "json"]

_TYPES_BY_FORMAT: dict[str, ColumnType] = {"date": "date", "date-time": "time", "decimal": "decimal"}
_TYPES: dict[str, ColumnType] = {
    "string": "text",
    "integer": "integer",
    "number": "number",
    "boolean": "boolean",
    "array": "json",
    "object": "json",
}


class TableColumn(NamedTuple):
    """A column of a table.

    member: the member of the row in JSON that it is, or is a part of. part: which part. read: returns its value of a row.
    """

    name: str
    type: ColumnType
    member: str
    part: str | int | None
    read: Callable[[Row], Any]


def column(
    name: str, schema: Mapping[str, Any], *, path: Sequence[str | int] = (), read: Callable[[Row], Any] | None = None
) -> TableColumn:
    """Return the column of a member of rows, with the type that the member's OpenAPI schema says.

    path: where it is in a row, if not in the member of its name. read: what returns it, where that is not enough.
    """
    member, *parts = path or (name,)
    part = parts[0] if parts else None
    return TableColumn(name, _column_type(schema), str(member), part, read or _reader(str(member), part))


def columns(schema: Mapping[str, Mapping[str, Any]], names: Iterable[str] | None = None) -> list[TableColumn]:
    """Return the columns of some members of rows, by default of all, in their order."""
    return [column(name, schema[name]) for name in (schema if names is None else names)]


def group_columns(group_by: Iterable[str], *, beside: Iterable[TableColumn]) -> list[TableColumn]:
    """Return a column for each grouping, with a name that no other column has."""
    names = {column.name for column in beside}
    result: list[TableColumn] = []
    for key in group_by:
        name = key
        while name in names:
            name = f"group.{name}"
        names.add(name)
        result.append(TableColumn(name, "value", "group", key, _reader("group", key)))
    return result


def interval_columns() -> list[TableColumn]:
    """Return the columns of the ends of a row's confidence interval."""
    return [column(name, {"type": "number"}, path=("interval", end)) for end, name in enumerate(("low", "high"))]


def _column_type(schema: Mapping[str, Any]) -> ColumnType:
    if (type_by_format := _TYPES_BY_FORMAT.get(schema.get("format", ""))) is not None:
        return type_by_format
    types = schema["type"]
    return _TYPES[types if isinstance(types, str) else next(name for name in types if name != "null")]


def _reader(member: str, part: str | int | None) -> Callable[[Row], Any]:
    if part is None:
        return lambda row: row.get(member)

    def read(row: Row) -> Any:
        parts = row.get(member)
        return None if parts is None else parts[part] if isinstance(part, int) else parts.get(part)

    return read


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer of rows, before it has an output format.

    name: what the rows are, such as `numbers`. body: the answer as a JSON object; its member `rows_name` has the rows, which
    may be computed only as they are taken, and `next` the cursor of the next page. columns: of the same rows as a table.
    more_members: the members of rows that a table leaves out. table_rows: the rows of the table where the body has no rows.
    row_count: how many rows there are; None where that is not known before. tag: what changes whenever the rows do; None: their
    bytes are compared. load_more: returns the answer with the page after a cursor.
    """

    name: str
    body: Mapping[str, Any]
    columns: Sequence[TableColumn]
    rows_name: str = "rows"
    more_members: Collection[str] = ()
    table_rows: Sequence[Row] | None = None
    row_count: int | None = None
    tag: str | None = None
    load_more: "Callable[[str], Awaitable[Answer]] | None" = None

    @property
    def rows(self) -> Iterable[Row]:
        if self.table_rows is not None:
            return self.table_rows
        rows: Iterable[Row] = self.body[self.rows_name]
        return rows

    @property
    def next(self) -> str | None:
        """The cursor of the next page, None after the last."""
        cursor: str | None = self.body.get("next")
        return cursor

    @property
    def size(self) -> int:
        """The number of rows, of which there may be more on further pages."""
        if self.row_count is not None:
            return self.row_count
        return max((len(member) for member in self.body.values() if isinstance(member, list)), default=0)

    def with_fields(self, fields: Collection[str]) -> "Answer":
        """Return the answer with only these columns, in this order, and the members of its rows that they are of.

        fields: names of columns or of members of rows. Raises Invalid for others.
        """
        chosen = self.choose_columns(fields)
        members = {own.member for own in chosen} | ({*self.more_members} & {*fields})
        keys = {own.part for own in chosen if own.member == "group"}
        if self.table_rows is not None:
            return replace(self, columns=chosen)
        rows = (_project(row, members, keys) for row in self.rows)
        kept_rows = list(rows) if isinstance(self.rows, list) else rows
        return replace(self, body={**self.body, self.rows_name: kept_rows}, columns=chosen)

    def choose_columns(self, fields: Collection[str]) -> list[TableColumn]:
        """Return the columns that the fields name, in their order. Raises Invalid for names of no column or member."""
        names = list(
            dict.fromkeys([*chain.from_iterable((own.name, own.member) for own in self.columns), *self.more_members])
        )
        faults = [
            name_fault(
                "/query/fields",
                "The rows have no field{}.",
                name,
                nearest_names(name, names),
                code="unknown_field",
                advice=f"They have: {', '.join(names)}.",
            )
            for name in fields
            if name not in names
        ]
        if faults:
            raise Invalid.of(faults, subject="The question")
        by_name = {own.name: [own] for own in self.columns}
        for own in self.columns:
            if own.member not in by_name or by_name[own.member][0].name != own.member:
                by_name.setdefault(own.member, []).append(own)
        return list(dict.fromkeys(chain.from_iterable(by_name.get(field, ()) for field in fields)))


def _project(row: Row, members: Collection[str], keys: Collection[Any]) -> Row:
    """Return the members of a row, and of its group the values of these keys."""
    result = {name: value for name, value in row.items() if name in members}
    if "group" in result:
        result["group"] = {key: value for key, value in row["group"].items() if key in keys}
    return result


def json_text(value: Any) -> str:
    """Return an object or a list as tables show it."""
    return dumps(to_jsonable_python(value), ensure_ascii=False)


def take_batches(rows: Iterable[Row], size: int) -> Iterator[list[Row]]:
    """Yield the rows in lists of so many."""
    iterator = iter(rows)
    while batch := list(islice(iterator, size)):
        yield batch
