"""How tools show metrics, questions and rows: with the unit, and without what says nothing."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from app.agents.arguments import choose_arguments
from app.agents.phrases import join_lines, shorten, shorten_texts, unit_of, without_empty
from app.agents.schemas import DAY, TEXT, list_schema, object_schema
from app.books.books import Books
from app.metrics.compare import COMPARISON
from app.metrics.define import METRICS, Metric
from app.metrics.parameters import MetricParameters, SeveralParameters
from app.metrics.question import Question
from app.metrics.schema import NUMBER_SCHEMA, OPTIONAL_ROW_SCHEMA, ROW_SCHEMA

# Of a question, as answers repeat it.
_MAX_NAMES = 10
_MAX_FILTER = 300
PROOF = ("value", "numerator", "denominator", "sample_size", "interval")
ABOUT_SCHEMA: dict[str, Any] = object_schema(
    {"title": TEXT, "unit": TEXT | {"description": "Of its values; of money, the currency."}, "better": TEXT},
    {"convention": ROW_SCHEMA["convention"]},
)
METRICS_SCHEMA = {"type": "object", "additionalProperties": ABOUT_SCHEMA}
QUESTION_SCHEMA: dict[str, Any] = object_schema(
    {"start": DAY, "end": DAY | {"description": ROW_SCHEMA["end"]["description"]}}
)
NUMBERS_SCHEMA = object_schema(
    {"value": NUMBER_SCHEMA},
    {name: ROW_SCHEMA[name] for name in PROOF[1:]} | {"reason": OPTIONAL_ROW_SCHEMA["reason"]},
)
ROWS_SCHEMA = list_schema(
    {name: ROW_SCHEMA[name] for name in ("metric", "period")} | {"value": NUMBER_SCHEMA},
    {
        "complete": {"const": False, "description": "The period has not ended; without it, it has."},
        "convention": ROW_SCHEMA["convention"],
        "group": ROW_SCHEMA["group"],
        **NUMBERS_SCHEMA["properties"],
        **{name: OPTIONAL_ROW_SCHEMA[name] for name in COMPARISON},
    },
)
# What any question about the accounts and days of a number may say.
SCOPE = ("period", "start", "end", "account", "segment", "filter")
DIMENSIONS = ("subject", "channel", "convention", "as_of")

ONE_METRIC = choose_arguments("OneMetric", MetricParameters, *SCOPE, *DIMENSIONS)
SEVERAL_METRICS = choose_arguments(
    "SeveralMetrics",
    SeveralParameters,
    "metrics",
    "period",
    "start",
    "end",
    "granularity",
    "group_by",
    "filter",
    "segment",
    "account",
    "subject",
    "channel",
    "compare",
    "convention",
    "complete_only",
    "totals",
    "as_of",
    is_brief=False,
)


_DIRECTIONS = {"up": "higher is better", "down": "lower is better", "neither": "neither direction is better"}


def about_metric(metric: Metric, currency: str) -> dict[str, Any]:
    """Return what a reader of a metric's numbers has to know; its convention if there are several."""
    members = {"title": metric.title, "unit": unit_of(metric, currency), "better": metric.better}
    has_several = len(METRICS[metric.name].conventions) > 1
    return members | ({"convention": metric.convention} if has_several else {})


def about_metrics(metrics: Iterable[Metric], books: Books) -> dict[str, Any]:
    """Return what `about_metric` does for each metric by name."""
    return {metric.name: about_metric(metric, books.currency) for metric in metrics}


def about_question(question: Question) -> dict[str, Any]:
    """Return the question as it was understood, without what is as usual."""
    left_out = ("metrics", "conventions", "totals", "complete_only", "min_sample", "segments_as_of")
    members = question.as_json(without=left_out)
    # The agent has said these itself: the beginning is enough to know them again.
    for name in ("account", "subject", "channel"):
        members[name] = members.get(name, [])[:_MAX_NAMES]
    if members.get("filter"):
        members["filter"] = shorten(members["filter"], _MAX_FILTER)
    members["segments"] = shorten_texts(members.get("segments") or {}, count=_MAX_NAMES, length=_MAX_FILTER)
    return without_empty(members)


def short_row(row: Mapping[str, Any], *, without: Sequence[str] = ()) -> dict[str, Any]:
    """Return a row of numbers without its null members, but with its value."""
    names = ("metric", "convention", "period", "complete", "group", *PROOF, "reason", *COMPARISON)
    members = {name: row.get(name) for name in names if name not in without}
    if members.get("complete"):
        del members["complete"]
    return without_empty(members, keep=["value"])


def flat_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a short row as a table of text shows it."""
    members = {name: value for name, value in row.items() if name not in ("group", "interval", "complete", "reason")}
    groups = row.get("group", {})
    before = {name: members.pop(name) for name in ("metric", "convention", "period") if name in members}
    if members.get("previous") == 0 and members.get("value"):
        members["change_percent"] = "new"
    notes = ["running"] if row.get("complete") is False else []
    notes += [row["reason"]] if "reason" in row else []
    interval = row.get("interval")
    return {
        **before,
        **groups,
        **members,
        "interval": f"{interval[0]:.1f} to {interval[1]:.1f}" if interval else None,
        "note": ", ".join(notes),
    }


def heading(metrics: Mapping[str, Mapping[str, Any]], question: Question) -> str:
    """Return the lines above a table of numbers: what the metrics are, the days, and what day it is."""
    lines = [
        f"{name}: {own['title']}, in {own['unit']}, {_DIRECTIONS[own['better']]}"
        + (f", by the convention {own['convention']}" if "convention" in own else "")
        for name, own in metrics.items()
    ]
    days = f"From {question.start} to before {question.end}; today is {question.today}"
    knowledge = f", as recorded up to {question.selection.as_of}" if question.selection.as_of else ""
    return join_lines(*lines, f"{days}{knowledge}.")
