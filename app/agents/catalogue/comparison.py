"""The tool that compares two periods, segments or days of knowledge."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from pydantic import Field

from app.agents.arguments import PageArguments, choose_arguments
from app.agents.define import ToolAnswer, tool
from app.agents.numbers import (
    METRICS_SCHEMA,
    NUMBERS_SCHEMA,
    PROOF,
    QUESTION_SCHEMA,
    SCOPE,
    about_metrics,
    about_question,
)
from app.agents.phrases import join_lines, next_line, table, without_empty
from app.agents.schemas import NEXT, TEXT, list_schema, object_schema
from app.books.books import Books
from app.core.aside import run_aside
from app.core.errors import Invalid
from app.core.names import Fault
from app.database.connection import Connection
from app.database.query_plan import run_plan
from app.metrics.answer import AnswerTable, build_answer_tables
from app.metrics.compare import compare_results
from app.metrics.parameters import Parameters, SeveralParameters
from app.metrics.question import Question, resolve_question
from app.metrics.question_names import NO_NAMES, name_faults
from app.metrics.results import Result
from app.metrics.rows import paginate, round_number, row_name
from app.metrics.schema import OPTIONAL_ROW_SCHEMA, ROW_SCHEMA

_SIDES = ("first", "second")
_CHANGES = ("change", "change_percent", "significant", "is_new")
_Side = choose_arguments("Side", Parameters, *SCOPE, "as_of")
_COMMON = choose_arguments(
    "ComparisonFields", SeveralParameters, "metrics", "group_by", "subject", "channel", "convention"
)


class Side(_Side):  # type: ignore[misc, valid-type]
    """One side of a comparison: which days and accounts, and as known when."""


class CompareArguments(PageArguments, _COMMON):  # type: ignore[misc, valid-type]
    """Two questions that differ in days, accounts or knowledge."""

    first: Side = Field(
        description="What is compared with: its days (`period`), accounts (`segment`, `filter`) and `as_of`."
    )
    second: Side = Field(description="What is compared. `change` is its value minus that of `first`.")


class _Pair(NamedTuple):
    """A row of the answer: a metric in a group, on both sides."""

    metric: str
    group: Mapping[str, Any]
    results: tuple[Result | None, Result | None]

    @property
    def name(self) -> str:
        return row_name(self.metric, self.group)


@tool(
    arguments=CompareArguments,
    output=object_schema(
        {
            "first": QUESTION_SCHEMA,
            "second": QUESTION_SCHEMA,
            "metrics": METRICS_SCHEMA,
            "rows": list_schema(
                {"metric": TEXT},
                {
                    "group": ROW_SCHEMA["group"],
                    "first": NUMBERS_SCHEMA,
                    "second": NUMBERS_SCHEMA,
                    **{name: OPTIONAL_ROW_SCHEMA[name] for name in _CHANGES},
                },
            ),
            "next": NEXT,
        }
    ),
)
async def compare_numbers(books: Books, arguments: CompareArguments) -> ToolAnswer:
    """Compare numbers: any two periods, segments, filters or days of knowledge (`as_of`) side by side, both from one snapshot,
    with the change and whether it is significant. For the period before or the same period a year earlier, `query_metrics` with
    `compare` is simpler.
    """
    questions = [await _resolve(books, arguments, name) for name in _SIDES]

    async def load(connection: Connection) -> list[AnswerTable]:
        await _check_names(connection, books, questions)
        return await build_answer_tables(connection, books, [replace(own, names=NO_NAMES) for own in questions])

    tables = await books.database.ask(load)
    pairs = await run_aside(
        lambda: _pair(tables, by_segment="segment" in arguments.group_by),
        items=sum(len(table.pending_rows) for table in tables),
    )
    page, cursor = paginate(pairs, limit=arguments.limit, cursor=arguments.cursor)
    rows = [_row(pair) for pair in page]
    metrics = about_metrics(questions[0].metrics, books)
    sides = {name: _about_side(question) for name, question in zip(_SIDES, questions, strict=True)}
    content = {**sides, "metrics": metrics, "rows": rows, "next": cursor}
    return ToolAnswer(_text(content, rows, cursor), content, len(rows))


async def _resolve(books: Books, arguments: CompareArguments, name: str) -> Question:
    """Return the question of one side: all its days together. Raises Invalid, whose pointers say which side it is."""
    side = getattr(arguments, name)
    if len(side.segment) > 1:
        raise Invalid.at(f"/{name}/segment", "A side has one segment. Compare two at a time.", code="too_long")
    parameters = SeveralParameters.of(
        arguments, granularity="total", **{key: value for key, value in side if value not in (None, [])}
    )
    try:
        return await resolve_question(books, arguments.metrics, parameters)
    except Invalid as invalid:
        for fault in invalid.errors:
            _set_side(fault, name)
        raise


def _set_side(fault: Fault, side: str) -> None:
    argument = fault["pointer"].removeprefix("/query/")
    fault["pointer"] = f"/{argument}" if argument in CompareArguments.model_fields else f"/{side}/{argument}"


async def _check_names(connection: Connection, books: Books, questions: Sequence[Question]) -> None:
    """Raise Invalid for names of both sides that were never recorded."""
    faults: dict[str, Fault] = {}
    for side, question in zip(_SIDES, questions, strict=True):
        for fault in await run_plan(connection, name_faults(books.database, question.names)):
            _set_side(fault, side)
            faults[fault["pointer"] + fault["detail"]] = fault
    if faults:
        raise Invalid.of([*faults.values()], subject="The call")


def _pair(tables: Sequence[AnswerTable], *, by_segment: bool) -> list[_Pair]:
    """Return the rows of both sides by metric and group, in the order of the first side.

    by_segment: whether a segment is a group of the answer; else it is the side that the accounts are on.
    """
    sides: list[dict[Any, Result]] = [{}, {}]
    groups: dict[Any, tuple[str, dict[str, Any]]] = {}
    for answer, side in zip(tables, sides, strict=True):
        for row in answer.pending_rows:
            whole_group = answer.groups[row.group]
            group = {name: value for name, value in whole_group.items() if by_segment or name != "segment"}
            key = row_name(row.metric.name, group)
            groups.setdefault(key, (row.metric.name, group))
            side[key] = answer.result(row)
    return [_Pair(*groups[key], (sides[0].get(key), sides[1].get(key))) for key in groups]


def _about_side(question: Question) -> dict[str, Any]:
    members = about_question(question)
    return {name: value for name, value in members.items() if name not in ("granularity", "compare", "group_by")}


def _numbers(result: Result | None) -> dict[str, Any]:
    if result is None:
        return {"value": None, "reason": "no_such_group"}
    members = {name: round_number(getattr(result, name)) for name in (*PROOF[:4], "reason")}
    members["interval"] = [*map(round_number, result.interval)] if result.interval else None
    return without_empty(members, keep=["value"])


def _row(pair: _Pair) -> dict[str, Any]:
    first, second = pair.results
    members: dict[str, Any] = {
        "metric": pair.metric,
        "group": pair.group,
        "first": _numbers(first),
        "second": _numbers(second),
    }
    if first is not None and second is not None:
        changes = compare_results(second, first)
        members |= {name: round_number(changes[name]) for name in _CHANGES}
    return without_empty(members)


def _text(content: Mapping[str, Any], rows: list[dict[str, Any]], cursor: str | None) -> str:
    metrics = [f"{name}: {own['title']}, in {own['unit']}" for name, own in content["metrics"].items()]
    sides = [f"{name}: {_describe_side(content[name])}" for name in ("first", "second")]
    flat = [
        {"metric": row["metric"], **row.get("group", {})}
        | {name: row[name].get("value") for name in ("first", "second")}
        | {name: row.get(name) for name in _CHANGES}
        | ({"change_percent": "new"} if row.get("is_new") else {})
        for row in rows
    ]
    return join_lines(*metrics, *sides, table(flat) or "No rows.", next_line(cursor))


def _describe_side(side: Mapping[str, Any]) -> str:
    members = {**side, "segments": [*side["segments"]]} if "segments" in side else side
    further_members = [
        f"{name} {', '.join(value) if isinstance(value, list) else value}"
        for name, value in members.items()
        if name not in ("start", "end")
    ]
    return ", ".join([f"from {side['start']} to before {side['end']}", *further_members])
