"""The rows of an answer: their OpenAPI schema and their columns in a table."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from app.core.periods import GRANULARITIES
from app.http.openapi import list_schema, map_schema, name_schema, object_schema, response_schema
from app.http.tables import Answer, TableColumn, columns, group_columns, interval_columns
from app.http.vocabularies import add_vocabulary
from app.metrics.annotations import ANNOTATIONS_SCHEMA
from app.metrics.compare import COMPARISON
from app.metrics.define import METRICS
from app.metrics.question import Question

add_vocabulary("MetricName", "The name of a metric.", lambda: sorted(METRICS))

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
    "metric": name_schema("MetricName"),
    "convention": {"type": "string", "description": "The convention by which the metric is computed."},
    "period": {"type": "string", "examples": ["2026-03"]},
    "start": {"type": "string", "format": "date"},
    "end": {"type": "string", "format": "date", "description": "The day after the last day."},
    "complete": {"type": "boolean", "description": "Whether the period has ended."},
    "group": map_schema(
        "Group",
        {"type": ["string", "number", "boolean", "null"]},
        description="The value of each grouping in `group_by`.",
    ),
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
    "reason": name_schema("Reason", "Why `value` is null, for example `no_responses`."),
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
    "reason": name_schema(
        "Reason", "`nothing_known_yet` when `as_of` is before the first day on which anything was recorded."
    )
}
_TEXT: dict[str, Any] = {"type": "string"}
_TEXTS: dict[str, Any] = {"type": "array", "items": _TEXT}
_DAY: dict[str, Any] = {"type": "string", "format": "date"}
_VERSIONS = map_schema("Versions", {"type": "integer"})
QUESTION_SCHEMA = object_schema(
    "Question",
    {"start": _DAY, "end": _DAY | {"description": "The day after the last day."}},
    {
        "metrics": _VERSIONS | {"description": "The version of each metric."},
        "conventions": map_schema("VersionsByConvention", _VERSIONS, description="The version of each convention."),
        "granularity": name_schema("Granularity"),
        "group_by": _TEXTS,
        "filter": _TEXT,
        "segments": map_schema("Filters", _TEXT, description="The filter of each segment."),
        "account": _TEXTS,
        "subject": _TEXTS,
        "channel": _TEXTS,
        "as_of": _DAY,
        "segments_as_of": _TEXT,
        "compare": _TEXT,
        "min_sample": {"type": "integer"},
        "totals": {"type": "boolean"},
        "complete_only": {"type": "boolean"},
        "strict": {"type": "boolean"},
        "by": _TEXT | {"description": "Of a report: what its rows are about."},
        "measure": _TEXT | {"description": "Of cohorts: what is followed."},
        "cohort": _TEXT | {"description": "Of the accounts of a cohort: its period."},
        "number": {"type": "integer", "description": "Of the accounts of a cohort: the number of periods since."},
    },
    description="The question that was answered, with its defaults.",
)
_RANGE = {"type": "array", "items": NUMBER_SCHEMA, "description": "The lowest and the highest value that it can have."}
_OPERANDS = map_schema("Operands", _TEXT, description="What each operand is.")
_EXAMPLE = map_schema("MetricExample", description="Values of the operands, and the result: `equals`, or `reason`.")
_DESCRIPTION = {
    "name": _TEXT,
    "description": _TEXT,
    "unit": _TEXT,
    "range": _RANGE,
    "operands": _OPERANDS,
    "version": {"type": "integer", "description": "Changes whenever the metric gives other numbers."},
    "example": _EXAMPLE,
}
METRIC_SCHEMA = object_schema(
    "Metric",
    _DESCRIPTION
    | {
        "name": name_schema("MetricName"),
        "title": _TEXT,
        "better": {
            "type": ["string", "null"],
            "description": "Whether higher or lower values are better: `up`, `down`.",
        },
        "adds_over": _TEXTS | {"description": "Over what its values can be added up: `groups`, `time`."},
        "dimensions": object_schema(
            "Dimensions",
            {"group_by": _TEXTS | {"description": "What it can be grouped by."}},
            {
                "subject": _TEXT | {"description": "What its subject is."},
                "channel": _TEXT | {"description": "What its channel is."},
            },
        ),
        "granularities": {"type": "array", "items": {"type": "string", "enum": [*GRANULARITIES]}},
        "conventions": list_schema(
            "Convention",
            _DESCRIPTION | {"counted_by": {"type": ["string", "null"], "description": "What is counted."}},
        ),
    },
    description="A metric's entry in the catalogue.",
)


def rows_schema(
    name: str,
    description: str,
    row: Mapping[str, Any],
    optional: Mapping[str, Any] | None = None,
    *,
    chart: bool = False,
    **members: Any,
) -> dict[int | str, dict[str, Any]]:
    """Return the OpenAPI `responses` of an endpoint that answers a question with such rows.

    name: of a row. row, optional: the members that it has always and sometimes. chart: whether the answer can be a chart.
    members: what the answer has besides.
    """
    rows = _answer_members(list_schema(name, row, optional), **members)
    schema = object_schema(f"{name}Answer", rows, OPTIONAL_ANSWER_SCHEMA)
    return response_schema(description, schema, table=True, chart=chart)


def _answer_members(rows: dict[str, Any], **members: Any) -> dict[str, Any]:
    return {
        "question": QUESTION_SCHEMA,
        **members,
        "rows": rows,
        "next": {"type": ["string", "null"], "description": "The cursor of the next page; null on the last one."},
    }


ANSWER_SCHEMA = object_schema(
    "Answer",
    _answer_members(list_schema("Row", ROW_SCHEMA, OPTIONAL_ROW_SCHEMA)),
    {"definition": METRIC_SCHEMA, "annotations": ANNOTATIONS_SCHEMA} | OPTIONAL_ANSWER_SCHEMA,
)
METRICS_SCHEMA = response_schema(
    "All metrics.", object_schema("MetricList", {"metrics": {"type": "array", "items": METRIC_SCHEMA}})
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
    return Answer(name, body, [*before, *groups, *after], **more)
