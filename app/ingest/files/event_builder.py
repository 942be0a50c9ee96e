"""Make events of a row's cells, as the mapping says.

Everything that can be computed before the first row is computed then. What remains are functions of cells.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, time
from functools import lru_cache
from operator import itemgetter
from typing import Any

from app.accounts import filter_matching, filters
from app.ingest.files.columns import FileColumn
from app.ingest.files.converters import converter, to_text
from app.ingest.files.line_reader import DataFile, RowProblem
from app.ingest.files.mapping import EventTemplate, FileSource
from app.ingest.files.templates import split_template

# The value of a cell whose field is left out of the event.
_LEFT_OUT: Any = object()
_MAX_SHOWN = 60

Cells = Sequence[Any]
CellReader = Callable[[Cells], Any]
# Returns the events of a row or, when there are none, the reason why the row is skipped.
EventBuilder = Callable[[Cells], tuple[list[dict[str, Any]], str | None]]
# By lookup: its columns, and by key the values of these; None where the file has different values for one key.
LookupTables = dict[str, tuple[Sequence[str], dict[str, Sequence[Any] | None]]]


def event_builder(file: DataFile, *, source: FileSource, lookups: LookupTables) -> EventBuilder:
    """Return the function from a row's cells to its events. It raises RowProblem for a row that cannot be understood."""
    scope = _Scope(file, source, lookups)
    skip_rules = [(_condition(scope, rule.when), rule.reason) for rule in source.skip]
    events = [(_condition(scope, event.when), _event(scope, event)) for event in source.event]

    def build(cells: Cells) -> tuple[list[dict[str, Any]], str | None]:
        for applies, reason in skip_rules:
            if applies(cells):
                return [], reason
        built = [build_event(cells) for applies, build_event in events if applies(cells)]
        if not built and source.otherwise is None:
            raise RowProblem("no_event", "no [[source.event]] applies to the row, and the mapping does not skip it")
        return built, None if built else source.otherwise

    return build


@dataclass(frozen=True)
class _Scope:
    """What the names of columns refer to."""

    file: DataFile
    source: FileSource
    lookups: LookupTables


def _condition(scope: _Scope, text: str | None) -> Callable[[Cells], bool]:
    if text is None:
        return lambda cells: True
    condition = filters.parse_filter(text)
    money = {key for key in condition.keys if scope.source.columns.get(key, FileColumn()).type == "money"}
    readers = [(key, _column(scope, key, type="number" if key in money else None)) for key in condition.keys]

    # Most conditions see few different values. `typed`, because 1 and true are equal and yet different values.
    @lru_cache(maxsize=1024, typed=True)
    def holds(*values: Any) -> bool:
        attributes = {key: value for (key, _), value in zip(readers, values, strict=True) if value is not _LEFT_OUT}
        return filter_matching.filter_matches(condition, attributes)

    def applies(cells: Cells) -> bool:
        values = (read(cells) for _, read in readers)
        return holds(*(() if isinstance(value, list | dict) else value for value in values))

    return applies


def _event(scope: _Scope, event: EventTemplate) -> Callable[[Cells], dict[str, Any]]:
    envelope = [
        (key, _template(scope, template, type=type), key in ("id", "occurred_at"), template)
        for key, template, type in (
            ("id", event.id, "text"),
            ("type", event.type, "text"),
            ("account_id", event.account_id, "text"),
            ("user_id", event.user_id, "text"),
            ("occurred_at", event.occurred_at, "datetime"),
            ("recorded_on", event.recorded_on, "date"),
        )
        if template is not None
    ]
    read_data = _nested_value(scope, event.data)

    def build_event(cells: Cells) -> dict[str, Any]:
        built: dict[str, Any] = {}
        for key, read, is_required, template in envelope:
            value = read(cells)
            if value is not _LEFT_OUT:
                built[key] = value
            elif is_required:
                raise RowProblem("missing_value", f"{key} = {template!r} of {event.type} uses an empty cell")
        data = read_data(cells)
        built["data"] = {} if data is _LEFT_OUT else data
        return built

    return build_event


def _nested_value(scope: _Scope, value: Any) -> CellReader:
    """Return the reader of a value of the mapping. Empty cells are left out of lists and tables."""
    match value:
        case str():
            return _template(scope, value)
        case list():
            items = [_nested_value(scope, item) for item in value]
            return lambda cells: [v for item in items if (v := item(cells)) is not _LEFT_OUT] or _LEFT_OUT
        case dict():
            fields = [(key, _nested_value(scope, item)) for key, item in value.items()]
            return lambda cells: {k: v for k, f in fields if (v := f(cells)) is not _LEFT_OUT} or _LEFT_OUT
        case date() | time():
            value = value.isoformat()
    return lambda cells: value


def _template(scope: _Scope, template: str, *, type: str | None = None) -> CellReader:
    """Return the reader of a text with columns.

    type: the type of the result; None: that of a column that stands alone, else text. `text` also turns a column that stands
    alone into text; `datetime` and `date` parse the text that the columns make.
    """
    parts = split_template(template)
    if type != "text" and [is_column for is_column, _ in parts] == [True]:
        return _column(scope, parts[0].text, type=type)
    readers = [_column(scope, text) if is_column else text for is_column, text in parts]
    convert = converter(FileColumn(), "text" if type is None else type)

    def read(cells: Cells) -> Any:
        values = []
        for reader in readers:
            value = reader if isinstance(reader, str) else reader(cells)
            if value is _LEFT_OUT or value is None:
                return _LEFT_OUT
            values.append(value)
        try:
            return convert("".join(map(to_text, values)))
        except (ValueError, OverflowError) as error:
            raise RowProblem("bad_value", f"{template!r}: {_shorten(values)} {error}") from None

    return read


def _column(scope: _Scope, name: str, *, type: str | None = None) -> CellReader:
    """Return the reader of a column's value. type: convert to this type, whatever the mapping says."""
    column = scope.source.columns.get(name, FileColumn())
    read_cell = _cell_reader(scope, name, column)
    type = type or column.type or ("text" if column.values or column.separator else None)
    convert, is_trimmed = converter(column, type), type not in (None, "text")
    empty_cells = (None, "", *column.empty)
    value_of_empty = None if column.when_empty == "null" else _LEFT_OUT
    replacement = value_of_empty if column.default is None else column.default
    # A default that is a text is converted like a cell.
    default_cell = replacement if isinstance(replacement, str) else None

    def read(cells: Cells) -> Any:
        cell = read_cell(cells)
        if is_trimmed and isinstance(cell, str):
            cell = cell.strip()
        if cell in empty_cells:
            if column.when_empty == "problem":
                raise RowProblem("missing_value", f"column {name} is empty")
            if default_cell is None:
                return replacement
            cell = default_cell
        try:
            return convert(cell)
        except (ValueError, OverflowError) as error:
            raise RowProblem("bad_value", f"column {name}: {_shorten(cell)} {error}") from None

    return read


def _cell_reader(scope: _Scope, name: str, column: FileColumn) -> CellReader:
    """Return the reader of a column's cell before conversion: from the file itself or from a lookup file."""
    if column.lookup is None or column.by is None or column.column is None:
        return itemgetter(scope.file.request_column(column.column or name))
    is_plain_key = column.by == name or column.by not in scope.source.columns
    read_key = itemgetter(scope.file.request_column(column.by)) if is_plain_key else _column(scope, column.by)
    columns, values_by_key = scope.lookups[column.lookup]
    index, lookup, when_unknown = columns.index(column.column), column.lookup, column.when_unknown

    def read(cells: Cells) -> Any:
        key = read_key(cells)
        if key is None or key is _LEFT_OUT or key == "":
            return None
        if isinstance(key, list | dict):
            raise RowProblem("bad_value", f"column {name}: {_shorten(key)} cannot be the key of a lookup")
        values = values_by_key.get(to_text(key), _LEFT_OUT)
        if values is None:
            raise RowProblem("lookup_ambiguous", f"column {name}: {lookup} has different rows for {_shorten(key)}")
        if values is not _LEFT_OUT:
            return values[index]
        if when_unknown == "empty":
            return None
        raise RowProblem("lookup_not_found", f"column {name}: {lookup} has no row for {_shorten(key)}")

    return read


def _shorten(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _MAX_SHOWN else text[: _MAX_SHOWN - 1] + "…"
