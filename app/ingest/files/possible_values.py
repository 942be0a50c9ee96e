"""The values that a text of a mapping can have, as far as the mapping says: constants, and samples of what columns hold."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, time
from typing import Any, NamedTuple

from app.ingest.files.columns import FileColumn
from app.ingest.files.converters import converter
from app.ingest.files.data_file import ROW_NAMES, kind_of
from app.ingest.files.mapping import FileSource, ImportMapping
from app.ingest.files.templates import columns_in, split_shifts, split_template

_TEXTS = ("x", "1", "2026-01-01T00:00:00Z", "2026-01-01", "USD")
_SAMPLES: dict[str, Sequence[Any]] = {
    "text": _TEXTS,
    "integer": (1, 0, 5, 10),
    "number": (1, 1.5),
    "money": ("1", "1.5"),
    "boolean": (True,),
    "datetime": ("2026-01-01T00:00:00Z",),
    "date": ("2026-01-01",),
}
_SAMPLES["any"] = (*_TEXTS, 1, 1.5, True, [], ["x"], {}, {"x": "x"})


class MappingScope(NamedTuple):
    """A source within its mapping."""

    mapping: ImportMapping
    source: FileSource

    def column(self, name: str) -> FileColumn:
        return self.source.columns.get(name, FileColumn())

    def type_of(self, name: str) -> str | None:
        """Return the type of a column's values; None where it depends on the file."""
        column = self.column(name)
        if column.in_group == "count":
            return "integer"
        if column.type or column.values or column.separator:
            return column.type or "text"
        if name in ROW_NAMES and name not in self.source.columns:
            return "text"
        if column.template:
            return "text"
        format = self.mapping.lookup[column.lookup] if column.lookup else self.source
        return "text" if kind_of(format.file, format) in ("csv", "xlsx") or column.row else None


# Groups of values that a text can have. Of each group, one value must be valid where the text is used: a constant is a group by
# itself, and samples of what a column may hold are one together.
ValueGroups = list[Sequence[Any]]


def values_of(scope: MappingScope, template: str, *, texts: Sequence[str] = ()) -> ValueGroups:
    """Return the values that a text of the mapping can have. texts: further samples of what columns of texts may hold.

    Raises ValueError for a default that is not of its column's type.
    """
    columns = columns_in(template)
    if not columns:
        return [["".join(part.text for part in split_template(template))]]
    if template_parts := split_shifts(template):
        type = scope.type_of(template_parts[0])
        return [_SAMPLES[type] if type in ("datetime", "date") else [template]]
    name = min(columns)
    if template != f"{{{name}}}":
        return [(*texts, *_TEXTS)]
    column, type = scope.column(name), scope.type_of(name)
    groups: ValueGroups = [[[value] if column.separator else value] for value in column.values.values()]
    if not column.values:
        groups.append(
            [["x"]] if column.separator else (*(texts if type in (None, "text") else ()), *_SAMPLES[type or "any"])
        )
    if column.default is not None:
        is_text = isinstance(column.default, str)
        groups.append([converter(column, type)(column.default) if is_text else column.default])
    return groups


def variants_of(scope: MappingScope, value: Any, *, texts: Sequence[str] = ()) -> Iterator[Sequence[Any]]:
    """Yield groups of the values that a value of the mapping can have, which may be nested; see `values_of`."""
    groups_by_leaf = {leaf: values_of(scope, leaf, texts=texts) for leaf in set(_leaves(value))}
    for number in range(max(map(len, groups_by_leaf.values()), default=1)):
        chosen = {leaf: groups[min(number, len(groups) - 1)] for leaf, groups in groups_by_leaf.items()}
        count = max(map(len, chosen.values()), default=1)
        yield [_expand(value, chosen, index) for index in range(count)]


def _leaves(value: Any) -> Iterator[str]:
    match value:
        case str():
            yield value
        case list():
            for item in value:
                yield from _leaves(item)
        case dict():
            for item in value.values():
                yield from _leaves(item)


def _expand(value: Any, chosen: Mapping[str, Sequence[Any]], index: int) -> Any:
    match value:
        case str():
            return chosen[value][min(index, len(chosen[value]) - 1)]
        case list():
            return [_expand(item, chosen, index) for item in value]
        case dict():
            return {key: _expand(item, chosen, index) for key, item in value.items()}
        case date() | time():
            return value.isoformat()
    return value


def may_be_left_out(scope: MappingScope, value: Any) -> bool:
    """Return whether rows with empty cells may lack a value of the mapping."""
    return any(scope.column(name).default is None for name in columns_in(value))
