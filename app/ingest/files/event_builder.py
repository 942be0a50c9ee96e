"""Make events of a row's cells, as the mapping says."""

from collections.abc import Callable, Sequence
from datetime import date, time
from functools import lru_cache
from typing import Any, NamedTuple

from app.accounts import filter_matching, filters
from app.ingest.files.cell_readers import LEFT_OUT, CellReader, Cells, Problems, Scope, template_reader
from app.ingest.files.mapping import EventTemplate, SkipRule
from app.ingest.files.templates import columns_in

_REQUIRED = ("id", "occurred_at")
# The field with the first moment that is not paid for. A day without a time may well be the last paid one; taken as the first
# moment of the day, it would make churn and a reactivation of each renewal.
_END = "ends_at"
# The fields of an event besides `data`, and what type their texts are read as.
_ENVELOPE = {
    "id": "text",
    "type": "text",
    "account_id": "text",
    "user_id": "text",
    "occurred_at": "datetime",
    "recorded_on": "date",
}


class BuiltEvents(NamedTuple):
    """The events of a row, with the template of each; or all that is wrong with the row, or the reason why it is skipped."""

    events: Sequence[dict[str, Any]] = ()
    templates: Sequence[EventTemplate] = ()
    problems: Sequence[str] = ()
    reason: str | None = None


RowBuilder = Callable[[Cells], BuiltEvents]


def row_builder(scope: Scope, *, skip_rules: Sequence[SkipRule]) -> RowBuilder:
    """Return the function from the cells of a row, or from the values of a group of rows, to its events."""
    find_reason = skip_reader(scope, skip_rules)
    builders = [(_condition(scope, event.when), _event(scope, event), event) for event in scope.source.event]
    otherwise = scope.source.otherwise

    def build(cells: Cells) -> BuiltEvents:
        problems: Problems = []
        if (reason := find_reason(cells, problems)) is not None:
            return BuiltEvents(reason=reason)
        built = [(build(cells, problems), event) for applies, build, event in builders if applies(cells, problems)]
        if problems:
            return BuiltEvents(problems=list(dict.fromkeys(problems)))
        if built:
            return BuiltEvents([event for event, _ in built], [template for _, template in built])
        if otherwise is not None:
            return BuiltEvents(reason=otherwise)
        return BuiltEvents(
            problems=["no_event: no [[source.event]] applies to the row, and the mapping does not skip it"]
        )

    return build


def skip_reader(scope: Scope, rules: Sequence[SkipRule]) -> Callable[[Cells, Problems], str | None]:
    """Return the function from cells to the reason of the first rule that skips them, or None."""
    conditions = [(_condition(scope, rule.when), rule.reason) for rule in rules]

    def find_reason(cells: Cells, problems: Problems) -> str | None:
        return next((reason for applies, reason in conditions if applies(cells, problems)), None)

    return find_reason


def _condition(scope: Scope, text: str | None) -> Callable[[Cells, Problems], bool]:
    """Return whether cells satisfy a filter; not, where one of its columns has a problem."""
    if text is None:
        return lambda cells, problems: True
    condition = filters.parse_filter(text)
    readers = [
        (key, scope.reader(key, "number" if scope.column(key).type == "money" else None)) for key in condition.keys
    ]

    # Most conditions see few different values. `typed`, because 1 and true are equal and yet different values.
    @lru_cache(maxsize=1024, typed=True)
    def holds(*values: Any) -> bool:
        attributes = {key: value for (key, _), value in zip(readers, values, strict=True) if value is not LEFT_OUT}
        return filter_matching.filter_matches(condition, attributes)

    def applies(cells: Cells, problems: Problems) -> bool:
        count = len(problems)
        values = [read(cells, problems) for _, read in readers]
        if len(problems) > count:
            return False
        return holds(*(() if isinstance(value, list | dict) else value for value in values))

    return applies


def _event(scope: Scope, event: EventTemplate) -> Callable[[Cells, Problems], dict[str, Any]]:
    envelope = [
        (key, template_reader(scope, template, type=type), template)
        for key, type in _ENVELOPE.items()
        if (template := getattr(event, key)) is not None
    ]
    data = event.data
    if isinstance(data, dict) and _is_datetime_column(scope, data.get(_END)):
        data = data | {_END: template_reader(scope, data[_END], type="moment")}
    read_data = _nested_reader(scope, data)

    def build_event(cells: Cells, problems: Problems) -> dict[str, Any]:
        built: dict[str, Any] = {}
        for key, read, template in envelope:
            count = len(problems)
            value = read(cells, problems)
            if value is not LEFT_OUT and value is not None:
                built[key] = value
            elif key in _REQUIRED and len(problems) == count:
                columns = " or ".join(sorted(columns_in(template)))
                problems.append(
                    f"missing_value: column {columns} is empty, so that the event {event.type} has no {key}"
                )
        data = read_data(cells, problems)
        built["data"] = {} if data is LEFT_OUT else data
        return built

    return build_event


def _is_datetime_column(scope: Scope, value: Any) -> bool:
    """Return whether a value of the mapping is a column of times that stands alone."""
    columns = columns_in(value)
    return any(value == f"{{{name}}}" and scope.column(name).type == "datetime" for name in columns)


def _nested_reader(scope: Scope, value: Any) -> CellReader:
    """Return the reader of a value of the mapping, which is one already where a template would not do.

    Empty cells are left out of lists and tables.
    """
    if callable(value):
        return value  # type: ignore[no-any-return]
    match value:
        case str():
            return template_reader(scope, value)
        case list():
            items = [_nested_reader(scope, item) for item in value]
            return lambda cells, problems: (
                [v for item in items if (v := item(cells, problems)) is not LEFT_OUT] or LEFT_OUT
            )
        case dict():
            fields = [(key, _nested_reader(scope, item)) for key, item in value.items()]
            return lambda cells, problems: (
                {k: v for k, f in fields if (v := f(cells, problems)) is not LEFT_OUT} or LEFT_OUT
            )
        case date() | time():
            value = value.isoformat()
    return lambda cells, problems: value
