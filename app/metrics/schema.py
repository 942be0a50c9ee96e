"""The rows of an answer: their OpenAPI schema and their columns in a table."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from app.http.openapi import list_schema, object_schema, response_schema
from app.http.tables import Answer, TableColumn, columns, group_columns, interval_columns
from app.metrics.compare import COMPARISON
from app.metrics.question import Question

PERIOD_COLUMNS = ("metric", "period", "start", "end", "complete")
NUMBER_SCHEMA: dict[str, Any] = {"type": ["number", "null"]}
_NUMBERS: dict[str, Any] = {
    "value": NUMBER_SCHEMA | {"description": "Null when it cannot be computed or is withheld; `reason` says why."},
    "numerator": NUMBER_SCHEMA | {"description": "Of a ratio."},
    "denominator": NUMBER_SCHEMA | {"description": "Of a ratio."},
    "sample_size": {
        "type": ["integer", "null"],
        "description": "The number of observations, such as responses or customers.",
    },
}
# The members that every row of numbers has.
ROW_SCHEMA: dict[str, Any] = {
    "metric": {"type": "string"},
    "convention": {"type": "string", "description": "The convention by which the metric is computed."},
    "period": {"type": "string", "examples": ["2026-03"]},
    "start": {"type": "string", "format": "date"},
    "end": {"type": "string", "format": "date", "description": "The day after the last day."},
    "complete": {"type": "boolean", "description": "Whether the period has ended."},
    "group": {"type": "object", "description": "The value of each grouping in `group_by`."},
    **_NUMBERS,
    "interval": {
        "type": ["array", "null"],
        "items": {"type": "number"},
        "description": "Confidence interval at 95%, low and high; for proportions and scores only.",
    },
}
# The members that a row has only sometimes.
OPTIONAL_ROW_SCHEMA: dict[str, Any] = {
    "amount": {
        "type": ["string", "null"],
        "format": "decimal",
        "description": "For metrics in money: the value with the decimals of the base currency.",
    },
    "reason": {"type": "string", "description": "Why `value` is null, for example `no_responses`."},
    "previous": NUMBER_SCHEMA | {"description": "With `compare`: the value of the earlier period."},
    "change": NUMBER_SCHEMA | {"description": "With `compare`: `value` minus `previous`."},
    "change_percent": NUMBER_SCHEMA
    | {
        "description": "With `compare`: `change` as a percentage of the absolute value of `previous`; null when that is 0."
    },
    "significant": {
        "type": ["boolean", "null"],
        "description": "With `compare`: whether the change is more than chance, at 95%; for proportions and scores only.",
    },
    "is_new": {
        "type": ["boolean", "null"],
        "description": "With `compare`: whether `previous` is 0 and `value` is not, a change of which there is no percentage.",
    },
}


# The members that an answer has only sometimes.
OPTIONAL_ANSWER_SCHEMA: dict[str, Any] = {
    "reason": {
        "type": "string",
        "description": "`nothing_known_yet` when `as_of` is before the first day on which anything was recorded.",
    }
}


def rows_schema(
    description: str,
    row: Mapping[str, Any],
    optional: Mapping[str, Any] | None = None,
    *,
    chart: bool = False,
    **members: Any,
) -> dict[int | str, dict[str, Any]]:
    """Return the OpenAPI `responses` of an endpoint that answers a question with such rows.

    row, optional: the members that a row has always and sometimes. chart: whether the answer can be a chart. members: what the
    answer has besides.
    """
    schema = object_schema(_answer_members(list_schema(row, optional), **members), OPTIONAL_ANSWER_SCHEMA)
    return response_schema(description, schema, table=True, chart=chart)


def _answer_members(rows: dict[str, Any], **members: Any) -> dict[str, Any]:
    return {
        "question": {"type": "object", "description": "The question that was answered, with its defaults."},
        **members,
        "rows": rows,
        "next": {"type": ["string", "null"], "description": "The cursor of the next page; null on the last one."},
    }


ANSWER_SCHEMA = object_schema(
    _answer_members(list_schema(ROW_SCHEMA, OPTIONAL_ROW_SCHEMA)),
    {"definition": {"type": "object", "description": "The metric's entry in the catalogue."}} | OPTIONAL_ANSWER_SCHEMA,
)


_COLUMN_SCHEMA = ROW_SCHEMA | OPTIONAL_ROW_SCHEMA


def number_columns(question: Question) -> list[TableColumn]:
    """Return the columns of a row's numbers in a table, where the interval becomes two columns."""
    return _number_columns(COMPARISON if question.compare else ())


@cache
def _number_columns(comparison: tuple[str, ...]) -> list[TableColumn]:
    return [
        *columns(_COLUMN_SCHEMA, _NUMBERS),
        *interval_columns(),
        *columns(_COLUMN_SCHEMA, ("reason", "amount", "convention", *comparison)),
    ]


def question_answer(
    name: str,
    body: Mapping[str, Any],
    question: Question,
    *,
    before: Sequence[TableColumn] = columns(ROW_SCHEMA, PERIOD_COLUMNS),
    after: Sequence[TableColumn],
    **more: Any,
) -> Answer:
    """Return an answer to a question.

    name: what the rows are. before, after: the columns before and after those of the groupings. more: of `Answer`.
    """
    groups = group_columns(question.selection.group_by, beside=[*before, *after])
    return Answer(name, body, [*before, *groups, *after], question=question, **more)
