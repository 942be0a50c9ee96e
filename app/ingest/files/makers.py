"""A row's cells made into events, as the mapping says.

All that can be worked out before the first row is; what remains are functions of cells.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, time
from functools import lru_cache
from operator import itemgetter
from typing import Any

from app.accounts import filter_matching, filters
from app.ingest.files.cells import converter, written
from app.ingest.files.mapping import Column, Event, Source, pieces
from app.ingest.files.records import File, Problem

_LEFT_OUT: Any = object()

Cells = Sequence[Any]
Read = Callable[[Cells], Any]
Maker = Callable[[Cells], tuple[list[dict[str, Any]], str | None]]
Tables = dict[str, tuple[Sequence[str], dict[str, Sequence[Any] | None]]]


def rules(file: File, *, source: Source, tables: Tables) -> Maker:
    """The function from a row's cells to its events, or to none and the reason why it is skipped."""
    scope = _Scope(file, source, tables)
    skips = [(_condition(scope, skip.when), skip.reason) for skip in source.skip]
    makers = [(_condition(scope, event.when), _event(scope, event)) for event in source.event]

    def events(cells: Cells) -> tuple[list[dict[str, Any]], str | None]:
        for applies, reason in skips:
            if applies(cells):
                return [], reason
        made = [make(cells) for applies, make in makers if applies(cells)]
        if not made and source.otherwise is None:
            raise Problem("no_event", "no [[source.event]] applies to the row, and the mapping does not skip it")
        return made, None if made else source.otherwise

    return events


@dataclass(frozen=True)
class _Scope:
    """What names mean in a file."""

    file: File
    source: Source
    tables: Tables


def _condition(scope: _Scope, text: str | None) -> Callable[[Cells], bool]:
    if text is None:
        return lambda cells: True
    condition = filters.parse_filter(text)
    money = {key for key in condition.keys if scope.source.columns.get(key, Column()).type == "money"}
    readers = [(key, _column(scope, key, kind="number" if key in money else None)) for key in condition.keys]

    # Most conditions see few different values; `typed`, since 1 and true are equal and not the same.
    @lru_cache(maxsize=1024, typed=True)
    def holds(*values: Any) -> bool:
        attributes = {key: value for (key, _), value in zip(readers, values, strict=True) if value is not _LEFT_OUT}
        return filter_matching.filter_matches(condition, attributes)

    def applies(cells: Cells) -> bool:
        values = (read(cells) for _, read in readers)
        return holds(*(() if isinstance(value, list | dict) else value for value in values))

    return applies


def _event(scope: _Scope, event: Event) -> Callable[[Cells], dict[str, Any]]:
    envelope = [
        (key, _template(scope, template, kind=kind), key in ("id", "occurred_at"), template)
        for key, template, kind in (
            ("id", event.id, "text"),
            ("type", event.type, "text"),
            ("account_id", event.account_id, "text"),
            ("user_id", event.user_id, "text"),
            ("occurred_at", event.occurred_at, "datetime"),
            ("recorded_on", event.recorded_on, "date"),
        )
        if template is not None
    ]
    data = _value(scope, event.data)

    def make(cells: Cells) -> dict[str, Any]:
        made: dict[str, Any] = {}
        for key, read, needed, template in envelope:
            value = read(cells)
            if value is not _LEFT_OUT:
                made[key] = value
            elif needed:
                raise Problem("missing_value", f"{key} = {template!r} of {event.type}: a column of it is empty")
        said = data(cells)
        made["data"] = {} if said is _LEFT_OUT else said
        return made

    return make


def _value(scope: _Scope, value: Any) -> Read:
    """The function from cells to what a value of the mapping stands for; lists and tables lose what is left out."""
    match value:
        case str():
            return _template(scope, value)
        case list():
            items = [_value(scope, item) for item in value]
            return lambda cells: [v for item in items if (v := item(cells)) is not _LEFT_OUT] or _LEFT_OUT
        case dict():
            fields = [(key, _value(scope, item)) for key, item in value.items()]
            return lambda cells: {k: v for k, f in fields if (v := f(cells)) is not _LEFT_OUT} or _LEFT_OUT
        case date() | time():
            value = value.isoformat()
    return lambda cells: value


def _template(scope: _Scope, template: str, *, kind: str | None = None) -> Read:
    """kind: `text` writes even a lone column out, `datetime` and `date` read what is written out as one."""
    parts = pieces(template)
    if kind != "text" and [is_column for is_column, _ in parts] == [True]:
        return _column(scope, parts[0][1], kind=kind)
    readers = [_column(scope, text) if is_column else text for is_column, text in parts]
    convert = converter(Column(), "text" if kind is None else kind)

    def read(cells: Cells) -> Any:
        values = []
        for part in readers:
            value = part if isinstance(part, str) else part(cells)
            if value is _LEFT_OUT or value is None:
                return _LEFT_OUT
            values.append(value)
        try:
            return convert("".join(map(written, values)))
        except (ValueError, OverflowError) as error:
            raise Problem("bad_value", f"{template!r}: {_shown(values)} {error}") from None

    return read


def _column(scope: _Scope, name: str, *, kind: str | None = None) -> Read:
    """The function from cells to the value of a column; kind: read as this type, whatever the mapping says."""
    column = scope.source.columns.get(name, Column())
    raw = _raw(scope, name, column)
    kind = kind or column.type or ("text" if column.values or column.separator else None)
    convert, trims = converter(column, kind), kind not in (None, "text")
    empties = (None, "", *column.empty)
    nothing = None if column.when_empty == "null" else _LEFT_OUT
    instead = nothing if column.default is None else column.default
    default = instead if isinstance(instead, str) else None

    def read(cells: Cells) -> Any:
        cell = raw(cells)
        if trims and isinstance(cell, str):
            cell = cell.strip()
        if cell in empties:
            if column.when_empty == "problem":
                raise Problem("missing_value", f"column {name} is empty")
            if default is None:
                return instead
            cell = default
        try:
            return convert(cell)
        except (ValueError, OverflowError) as error:
            raise Problem("bad_value", f"column {name}: {_shown(cell)} {error}") from None

    return read


def _raw(scope: _Scope, name: str, column: Column) -> Read:
    """The function from cells to the one that a column has in the file, or in the look-up file."""
    if column.lookup is None or column.by is None or column.column is None:
        return itemgetter(scope.file.place(column.column or name))
    own = column.by == name or column.by not in scope.source.columns
    key_of = itemgetter(scope.file.place(column.by)) if own else _column(scope, column.by)
    columns, table = scope.tables[column.lookup]
    place, lookup, unknown = columns.index(column.column), column.lookup, column.when_unknown

    def read(cells: Cells) -> Any:
        key = key_of(cells)
        if key is None or key is _LEFT_OUT or key == "":
            return None
        if isinstance(key, list | dict):
            raise Problem("bad_value", f"column {name}: {_shown(key)} is no key of a look-up")
        found = table.get(written(key), _LEFT_OUT)
        if found is None:
            raise Problem("lookup_ambiguous", f"column {name}: {lookup} has different rows for {_shown(key)}")
        if found is not _LEFT_OUT:
            return found[place]
        if unknown == "empty":
            return None
        raise Problem("lookup_not_found", f"column {name}: {lookup} has nothing for {_shown(key)}")

    return read


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:59] + "…"
