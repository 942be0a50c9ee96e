"""Check a mapping beyond its form: everything that is wrong whatever the files hold, before any file is read."""

from collections.abc import Iterator
from typing import Any

from app.accounts.filters import Combination, Condition, Filter, Tree, parse_filter
from app.ingest.files.event_check import MappingFault, check_event
from app.ingest.files.hints import did_you_mean
from app.ingest.files.mapping import FileSource, ImportMapping
from app.ingest.files.possible_values import MappingScope
from app.ingest.files.templates import columns_in

_NUMBERS = ("integer", "number", "money")


def check_mapping(mapping: ImportMapping) -> list[MappingFault]:
    """Return all faults of a mapping."""
    faults: list[MappingFault] = []
    for number, source in enumerate(mapping.source):
        scope, location = MappingScope(mapping, source), ("source", number)
        inner = [*_check_groups(source), *_check_conditions(scope)]
        for index, event in enumerate(source.event):
            inner += [MappingFault(("event", index, *path), detail) for path, detail in check_event(scope, event)]
        faults += [MappingFault((*location, *path), detail) for path, detail in inner]
    return faults


def _check_groups(source: FileSource) -> Iterator[MappingFault]:
    """Yield the faults of what a group of rows does not have."""
    hashes = {"row_hash"} | {name for name, column in source.columns.items() if column.row == "row_hash"}
    for number, event in enumerate(source.event if source.group_by else ()):
        if hashes & columns_in(event.model_dump()):
            detail = "a group of rows has no row_hash; make the id of the columns of group_by"
            yield MappingFault(("event", number), detail)


def _check_conditions(scope: MappingScope) -> Iterator[MappingFault]:
    """Yield the comparisons that never hold, because the column has values of another type or other values."""
    skip_rules = [rule.when for rule in scope.source.skip]
    events = [event.when for event in scope.source.event]
    for key, texts in (("skip", skip_rules), ("event", events)):
        for number, text in enumerate(texts):
            if text is not None:
                for detail in _faults_of_filter(scope, parse_filter(text)):
                    yield MappingFault((key, number, "when"), detail)


def _faults_of_filter(scope: MappingScope, condition: Filter) -> Iterator[str]:
    for part in _conditions_in(condition.tree):
        for value in part.values:
            if value == "" and part.operator in ("=", "in"):
                yield f"column {part.key} never is an empty text: an empty cell has no value. Write {part.key} is null"
            elif detail := _compare(scope, part.key, value):
                yield detail


def _conditions_in(tree: Tree) -> Iterator[Condition]:
    if isinstance(tree, Combination):
        for item in tree.items:
            yield from _conditions_in(item)
    else:
        yield tree


def _compare(scope: MappingScope, name: str, value: Any) -> str:
    """Return why a column never has a value; empty if it may."""
    column, type = scope.column(name), scope.type_of(name)
    if type is None or column.separator:
        return ""
    if column.values:
        values = {*column.values.values(), column.default} - {None}
        if value in values:
            return ""
        candidates = [candidate for candidate in values if isinstance(candidate, str)]
        return f'column {name} never is "{value}".{did_you_mean(str(value), candidates)}'
    if isinstance(value, bool):
        advice, fits = 'type = "boolean"', type == "boolean"
    elif isinstance(value, str):
        advice, fits = 'type = "text"', type not in (*_NUMBERS, "boolean")
    else:
        advice, fits = 'type = "integer", "number" or "money"', type in _NUMBERS
    quoted_value = f'"{value}"' if isinstance(value, str) else str(value).lower()
    if fits:
        return ""
    if type == "boolean" and str(value).lower() in ("true", "false"):
        return f"column {name} is of type boolean: write {str(value).lower()} without quotes"
    # A column that the mapping does not list may be one that it does list, misspelt.
    hint = "" if name in scope.source.columns else did_you_mean(name, scope.source.columns)
    return (
        f"column {name} is of type {type} and is compared with {quoted_value}. Give it {advice} under [source.columns]."
        f"{hint}"
    ).removesuffix(".")
