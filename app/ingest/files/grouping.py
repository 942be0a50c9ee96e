"""Merge the rows of a group, such as the items of an order, into one record."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from app.ingest.files.cell_readers import LEFT_OUT, CellReader, Cells, Problems, Scope, column_reader, shorten
from app.ingest.files.columns import FileColumn
from app.ingest.files.converters import decimal_converter, to_text
from app.ingest.files.event_builder import RowBuilder, row_builder, skip_reader
from app.ingest.files.mapping import FileSource
from app.ingest.files.source_row import SourceRow
from app.ingest.files.times import format_time

_NUMBERS = ("integer", "number", "money")
# The name of a column and the type as which an event uses it, see ColumnReaders.
ColumnUse = tuple[str, str | None]
# Merges the values of the rows of a group. It adds to the problems, and returns LEFT_OUT where no row has a value.
Merger = Callable[[Sequence[Any], Problems], Any]


@dataclass
class RowGroup:
    """The rows of a group so far. first: the first row, without events. broken: the first row that has a problem."""

    first: SourceRow
    build: RowBuilder
    mergers: Sequence[Merger]
    rows: list[Sequence[Any]] = field(default_factory=list)
    broken: SourceRow | None = None


Groups = dict[tuple[str, ...], RowGroup]
# Adds a row to its group. Returns the row where it is skipped or has problems.
GroupReader = Callable[[SourceRow, Cells], SourceRow | None]


def group_reader(scope: Scope, groups: Groups) -> GroupReader:
    """Return the function that adds a row to its group. scope: of the file of the row; groups: of its source."""
    source, uses = scope.source, dict[ColumnUse, int]()
    find_reason = skip_reader(scope, source.skip)
    build = row_builder(_group_scope(scope, uses), skip_rules=())
    mergers = [_merger(source, *use) for use in uses]
    readers = [column_reader(scope, name, type=_row_type(source, name, type)) for name, type in uses]
    key_readers = [(name, column_reader(scope, name, type="text")) for name in source.group_by]

    def add(row: SourceRow, cells: Cells) -> SourceRow | None:
        problems: Problems = []
        reason = find_reason(cells, problems)
        if reason is not None:
            return replace(row, reason=reason)
        key = tuple(_read_key(name, read, cells, problems) for name, read in key_readers)
        values = [read(cells, problems) for read in readers]
        broken = replace(row, problems=list(dict.fromkeys(problems))) if problems else None
        if not any(part is LEFT_OUT for part in key):
            group = groups.setdefault(key, RowGroup(row, build, mergers))
            group.broken = group.broken or broken
            if broken is None:
                group.rows.append(values)
        return broken

    return add


def _read_key(name: str, read: CellReader, cells: Cells, problems: Problems) -> Any:
    count = len(problems)
    value = read(cells, problems)
    if value in (LEFT_OUT, None) and len(problems) == count:
        problems.append(f"missing_value: column {name} is empty, so that the row belongs to no group")
    return LEFT_OUT if value is None else value


def build_groups(groups: Groups) -> Iterator[SourceRow]:
    """Yield each group with its events."""
    for group in groups.values():
        if not group.rows:
            continue
        first, problems = replace(group.first, count=len(group.rows)), Problems()
        if group.broken is not None:
            where = f"line {group.broken.line} of {group.broken.file}"
            problems.append(f"incomplete_group: a row of the group has a problem: {where}")
        values = [
            merge(column, problems) for merge, column in zip(group.mergers, zip(*group.rows, strict=True), strict=True)
        ]
        if problems:
            yield replace(first, problems=problems)
        else:
            built = group.build(values)
            yield replace(first, **built._asdict())


def _group_scope(scope: Scope, uses: dict[ColumnUse, int]) -> Scope:
    """Return the scope of groups: what it reads of columns is noted in `uses`, with its place among a group's values."""

    def reader(name: str, type: str | None) -> CellReader:
        index = uses.setdefault((name, type), len(uses))
        return lambda values, problems: values[index]

    return Scope(scope.file, scope.source, scope.lookups, reader)


def _row_type(source: FileSource, name: str, type: str | None) -> str | None:
    """Return the type as which a column is read from single rows, before it is merged."""
    column = source.columns.get(name, FileColumn())
    if column.in_group == "count":
        return "raw"
    if column.in_group in ("sum", "min", "max"):
        return column.type if column.type in _NUMBERS else "instant"
    return type


def _merger(source: FileSource, name: str, type: str | None) -> Merger:
    column = source.columns.get(name, FileColumn())
    total = "first" if _is_row_name(source, name) else column.in_group
    convert = _total_converter(column, type)

    def merge(values: Sequence[Any], problems: Problems) -> Any:
        filled_values = [value for value in values if value is not LEFT_OUT and value is not None]
        if not filled_values and total != "count":
            return None if None in values else LEFT_OUT
        match total:
            case "first" | "last":
                return filled_values[0 if total == "first" else -1]
            case "same":
                return _merge_same(name, filled_values, problems)
        try:
            return convert(_compute_total(total, filled_values))
        except ValueError as error:
            problems.append(f"bad_value: column {name}: the {total} of the group {error}")
            return LEFT_OUT

    return merge


def _compute_total(total: str, values: Sequence[Any]) -> Any:
    if total == "count":
        return Decimal(len(values))
    numbers: Sequence[Any] = values if isinstance(values[0], datetime) else [Decimal(str(value)) for value in values]
    if total == "sum":
        return sum(numbers)
    return min(numbers) if total == "min" else max(numbers)


def _merge_same(name: str, values: Sequence[Any], problems: Problems) -> Any:
    other = next((value for value in values if value != values[0]), None)
    if other is not None:
        pair = f"{shorten(values[0])} and {shorten(other)}"
        problems.append(
            f"different_values: column {name}: the rows of the group have {pair}; say with in_group which value counts"
        )
    return values[0]


def _is_row_name(source: FileSource, name: str) -> bool:
    column = source.columns.get(name)
    return name in ("file", "line") if column is None else column.row is not None


def _total_converter(column: FileColumn, type: str | None) -> Callable[[Any], Any]:
    """Return the function from a total to the value that an event uses."""

    def convert(total: Any) -> Any:
        if isinstance(total, datetime):
            return (
                total
                if type == "instant"
                else format_time(total, type if type == "date" else column.type or "datetime")
            )
        number_type = type if type in _NUMBERS else "integer" if column.in_group == "count" else column.type or "number"
        value = decimal_converter(column, number_type)(total)
        return to_text(value) if type == "text" else value

    return convert
