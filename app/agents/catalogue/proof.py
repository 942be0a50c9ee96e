"""Tools of what is behind a number: its definition and operands, and the accounts that contribute to it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from pydantic import Field

from app.agents.account_names import load_names
from app.agents.arguments import PageArguments
from app.agents.define import ToolAnswer, tool
from app.agents.numbers import (
    ABOUT_SCHEMA,
    METRICS_SCHEMA,
    NUMBERS_SCHEMA,
    ONE_METRIC,
    QUESTION_SCHEMA,
    ROWS_SCHEMA,
    about_metrics,
    about_question,
    flat_row,
    heading,
    short_row,
)
from app.agents.phrases import join_lines, next_line, plain_number, table, without_empty
from app.agents.schemas import DAY, NEXT, OPTIONAL_TEXT, TEXT, adapt, list_schema, object_schema
from app.audit.contributors import list_contributors as list_contributors_of
from app.audit.restatements import load_restatements
from app.books.books import Books
from app.core.errors import Invalid
from app.core.ids import Id
from app.database.connection import Connection
from app.ledger.money import MONEY_SCALE
from app.metrics.answer import AnswerTable, build_answer_table
from app.metrics.define import DEFAULT, METRICS, Metric
from app.metrics.describe import unknown_convention, unknown_metric
from app.metrics.offers import Restatement
from app.metrics.parameters import Parameters
from app.metrics.pending_rows import PendingRow
from app.metrics.question import Question, resolve_question
from app.metrics.results import Result
from app.metrics.rows import knowledge_members, round_number
from app.metrics.schema import NUMBER_SCHEMA

# The last ones of a number.
_MAX_RESTATEMENTS = 5
_METRIC = Field(description="Name of a metric, as `GET /v1/metrics` lists it.")


class ExplainArguments(ONE_METRIC):  # type: ignore[misc, valid-type]
    """Which number to explain."""

    metric: Id = _METRIC


class _Explanation(NamedTuple):
    """The rows of a number by all conventions, and how it has changed; why that is not known."""

    table: AnswerTable
    restatements: Sequence[Restatement]
    no_restatements: str | None


@tool(
    arguments=ExplainArguments,
    output=object_schema(
        {
            "metric": TEXT,
            "definition": object_schema(
                dict.fromkeys((*ABOUT_SCHEMA["required"], "description"), TEXT),
                {"convention": TEXT, "counted_by": TEXT, "dimensions": {"type": "object"}},
            ),
            "question": QUESTION_SCHEMA,
            "number": NUMBERS_SCHEMA,
            "operands": list_schema({"name": TEXT, "value": NUMBER_SCHEMA, "description": TEXT}, {"unit": TEXT}),
        },
        {
            "conventions": list_schema(
                {"convention": TEXT, "value": NUMBER_SCHEMA, "description": TEXT}, {"counted_by": TEXT}
            ),
            "restatements": list_schema(
                {"recorded_on": DAY, "from": NUMBER_SCHEMA, "to": NUMBER_SCHEMA}, {"events": {"type": "array"}}
            ),
            "restatements_left_out": OPTIONAL_TEXT,
            "reason": TEXT,
        },
    ),
)
async def explain_number(books: Books, arguments: ExplainArguments) -> ToolAnswer:
    """Explain a number: the definition of a metric with its operands and their values, the same number by every other convention,
    and how it was restated after its period had ended. All days of the range are one number.
    """
    metric = _choose_metric(arguments.metric, arguments.convention)
    parameters = Parameters.of(arguments, granularity="total", convention=None)
    question = await resolve_question(books, [metric.name], parameters, side_by_side=True)
    if len(question.selection.segments) > 1:
        raise Invalid.at("/query/segment", "A number has one segment. Explain one at a time.", code="too_long")
    explanation = await books.database.ask(lambda connection: _load(connection, books, question, metric))
    content = _content(books, question, metric, explanation)
    return ToolAnswer(_text(question, content), content)


def _choose_metric(name: str, convention: str | None) -> Metric:
    """Return a metric by a convention. Raises Invalid."""
    if name not in METRICS:
        raise Invalid.of([unknown_metric(name, "/metric")])
    metric = METRICS[name]
    if convention in (None, DEFAULT):
        return metric
    if convention not in metric.conventions:
        raise Invalid.of([unknown_convention(metric, convention or "", "/convention")])
    return metric.conventions[convention or ""]


async def _load(connection: Connection, books: Books, question: Question, metric: Metric) -> _Explanation:
    table = await build_answer_table(connection, books, question)
    own_question = replace(question, metrics=(metric,))
    if not question.periods or not question.periods[0].complete or not question.is_known:
        return _Explanation(table, [], None)
    try:
        restatements = await load_restatements(connection, books, own_question, since=question.end)
    except Invalid as invalid:
        return _Explanation(table, [], invalid.detail)
    return _Explanation(table, restatements[-_MAX_RESTATEMENTS:], None)


def _content(books: Books, question: Question, metric: Metric, explanation: _Explanation) -> dict[str, Any]:
    table = explanation.table
    rows = {row.metric.convention: row for row in table.pending_rows}
    row = rows.get(metric.convention)
    about = about_metrics([metric], books)[metric.name]
    other_conventions = [
        {
            "convention": name,
            "value": round_number(table.result(other).value),
            "description": adapt(other.metric.description),
            "counted_by": other.metric.counted_by,
        }
        for name, other in rows.items()
        if name != metric.convention
    ]
    optional = {
        "conventions": other_conventions,
        "restatements": [_show_restatement(own) for own in explanation.restatements],
        "restatements_left_out": explanation.no_restatements,
    }
    return {
        "metric": metric.name,
        "definition": without_empty(
            about
            | {
                "description": adapt(metric.description),
                "counted_by": metric.counted_by,
                "dimensions": metric.dimensions,
            }
        ),
        "question": about_question(question),
        "number": _numbers(table, row),
        "operands": _operands(metric, row, books.currency) if row else [],
        **without_empty(optional),
        **knowledge_members(question),
    }


def _numbers(table: AnswerTable, row: PendingRow | None) -> dict[str, Any]:
    names = ("metric", "period", "convention", "group")
    return short_row(table.row(row), without=names) if row else {"value": None, "reason": "no_data"}


def _operands(metric: Metric, row: PendingRow, currency: str) -> list[dict[str, Any]]:
    """Return the operands of a metric with their values. Those of money have their example as a text."""
    operands = []
    for (name, input), values in zip(metric.inputs.items(), row.inputs, strict=True):
        value = values.get(row.period_index, 0)
        is_money = isinstance(metric.example.get(name), str)
        amount = round_number(float(value / MONEY_SCALE)) if is_money else round_number(value)
        operands.append(
            {"name": name, "value": amount, "description": input.description} | ({"unit": currency} if is_money else {})
        )
    return operands


def _show_restatement(own: Restatement) -> dict[str, Any]:
    return {
        "recorded_on": own.recorded_on,
        "from": _shown_value(own.before),
        "to": _shown_value(own.after),
        "events": [*own.events],
    }


def _shown_value(result: Result) -> Any:
    return round_number(result.value)


def _text(question: Question, content: dict[str, Any]) -> str:
    definition, number = content["definition"], content["number"]
    is_empty = number["value"] is None
    value = "none" if is_empty else f"{plain_number(number['value'])} {definition['unit']}"
    reason = f" ({number['reason']})" if "reason" in number else ""
    running = " The range has not ended." if number.get("complete") is False else ""
    other_conventions = [
        {"convention": own["convention"], "value": own["value"], "counted by": own.get("counted_by")}
        for own in content.get("conventions", [])
    ]
    changes = [{name: own[name] for name in ("recorded_on", "from", "to")} for own in content.get("restatements", [])]
    return join_lines(
        heading({content["metric"]: definition}, question),
        f"Value: {value}{reason}.{running}",
        definition["description"],
        "Operands:\n"
        + table(
            [{name: own.get(name) for name in ("name", "value", "unit", "description")} for own in content["operands"]]
        ),
        "By other conventions:\n" + table(other_conventions) if other_conventions else None,
        "Restated after the end of the period:\n" + table(changes) if changes else None,
    )


class ContributorArguments(PageArguments, ONE_METRIC):  # type: ignore[misc, valid-type]
    """Whose number it is."""

    metric: Id = _METRIC


@tool(
    arguments=ContributorArguments,
    instead_of=["GET /v1/metrics/{metric}/contributors"],
    output=object_schema(
        {
            "question": QUESTION_SCHEMA,
            "metrics": METRICS_SCHEMA,
            "totals": ROWS_SCHEMA,
            "rows": list_schema(
                {"account": OPTIONAL_TEXT, "contribution": NUMBER_SCHEMA},
                {
                    "name": TEXT,
                    "share_percent": NUMBER_SCHEMA,
                    "group": {"type": "object"},
                    **NUMBERS_SCHEMA["properties"],
                },
            ),
            "next": NEXT,
        }
    ),
)
async def list_contributors(books: Books, arguments: ContributorArguments) -> ToolAnswer:
    """List contributors: the accounts behind a metric's number, the largest first, with their shares. All days of the range are
    one number. A contribution is the account's own numerator or, for a metric without one, its value.
    """
    metric = _choose_metric(arguments.metric, arguments.convention)
    question = await resolve_question(books, [metric.name], Parameters.of(arguments, granularity="total"))
    answer = await list_contributors_of(books, question, limit=arguments.limit, cursor=arguments.cursor)
    names = await load_names(books, [row["account"] for row in answer.rows])
    rows = [_short_contributor(row, names.get(row["account"])) for row in answer.rows]
    metrics = about_metrics(question.metrics, books)
    totals = [short_row(row, without=["convention"]) for row in answer.body["totals"]]
    content = {
        "question": about_question(question),
        "metrics": metrics,
        "totals": totals,
        "rows": rows,
        "next": answer.next,
    }
    names_in_text = ("account", "name", "contribution", "share_percent", "group", "value", "sample_size")
    lines = [flat_row({name: row.get(name, {} if name == "group" else None) for name in names_in_text}) for row in rows]
    text = join_lines(
        heading(metrics, question),
        f"Total:\n{table([flat_row(row) for row in totals])}",
        table(lines) or "No accounts have data of it in this range.",
        next_line(answer.next),
    )
    return ToolAnswer(text, content, len(rows))


def _short_contributor(row: Mapping[str, Any], name: str | None) -> dict[str, Any]:
    numbers = short_row(row, without=("metric", "convention", "period", "complete"))
    if numbers["value"] == row["contribution"]:
        del numbers["value"]
    members = {
        "account": row["account"],
        "name": name,
        "contribution": row["contribution"],
        "share_percent": row["share"],
    }
    return without_empty(members, keep=["contribution"]) | numbers
