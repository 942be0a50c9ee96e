"""List the restatements of a metric: how its numbers changed after their periods had ended, and by which events."""

from dataclasses import replace
from datetime import date
from typing import Any

from app.audit.causes import Causes, count_causes
from app.audit.changes import Change, find_changes
from app.books.books import Books
from app.core.aside import run_aside
from app.database.connection import Connection
from app.database.query_plan import run_plan
from app.http.chart_formats import ChartParameters
from app.http.openapi import name_schema, object_schema
from app.http.tables import Answer, columns
from app.metrics.offers import OFFERS, Restatement
from app.metrics.parameters import MetricParameters
from app.metrics.question import Question
from app.metrics.question_names import check_names
from app.metrics.rows import Row, base_row, knowledge_members, paginate, round_number
from app.metrics.schema import NUMBER_SCHEMA, PERIOD_COLUMNS, ROW_SCHEMA, question_answer, rows_schema

_CHANGE_SCHEMA: dict[str, Any] = {
    "recorded_on": {
        "type": "string",
        "format": "date",
        "description": "The day of the change: at its end the number was another than at the end of the day before.",
    },
    "from": NUMBER_SCHEMA | {"description": "The value before the change."},
    "to": NUMBER_SCHEMA | {"description": "The value after the change."},
    "change": NUMBER_SCHEMA | {"description": "The difference of the two; null if one of them is null."},
    **dict.fromkeys(("from_numerator", "from_denominator", "to_numerator", "to_denominator"), NUMBER_SCHEMA),
    "events": {
        "type": ["array", "null"],
        "description": "How many events of each type were recorded or retracted on that day and may have changed the number. "
        "Null if there are more than 20,000, such as an imported history.",
        "items": object_schema(
            "EventCount",
            {"type": name_schema("EventType"), "arrived": {"type": "integer"}, "retracted": {"type": "integer"}},
        ),
    },
}
RESTATEMENTS_SCHEMA = rows_schema(
    "Restatement",
    "One row per period, group and day on which the number changed.",
    {name: ROW_SCHEMA[name] for name in (*PERIOD_COLUMNS, "group")} | _CHANGE_SCHEMA,
    chart=True,
)


class RestatementParameters(ChartParameters, MetricParameters):
    """The parameters of restatements, which can be a chart."""


async def list_restatements(books: Books, question: Question, *, limit: int, cursor: str | None) -> Answer:
    """Return the answer, with a page of changes by period, group and day.

    A number is restated when its value at the end of a day differs from that at the end of the day before, from the day after
    the end of the period on. Raises Invalid when something was recorded late on more than a thousand days.
    """
    periods = tuple(period for period in question.periods if period.complete)
    about_ended = replace(question, periods=periods, totals=False, compare=None)

    async def read(connection: Connection) -> tuple[list[Row], str | None]:
        if not periods:
            await run_plan(connection, check_names(books.database, question.names))
            return [], None
        all_changes = await find_changes(connection, books, about_ended)
        page, next_cursor = await run_aside(
            lambda: paginate(all_changes, limit=limit, cursor=cursor), items=len(all_changes)
        )
        causes = await count_causes(connection, about_ended, page, calendar=books.calendar)
        pairs = list(zip(page, causes, strict=True))
        return await run_aside(lambda: [_row(about_ended, *pair) for pair in pairs], items=len(pairs)), next_cursor

    rows, next_cursor = await books.database.ask(read)
    body = {"question": question.as_json(), "rows": rows, "next": next_cursor} | knowledge_members(question)
    return question_answer("restatements", body, question, after=columns(_CHANGE_SCHEMA))


def _row(question: Question, change: Change, causes: Causes | None) -> Row:
    before, after = change.before, change.after
    difference = None if before.value is None or after.value is None else round_number(after.value - before.value)
    return {
        "metric": change.row.metric.name,
        **base_row(change.row.period, change.row.group, question),
        "recorded_on": change.recorded_on,
        "from": round_number(before.value),
        "to": round_number(after.value),
        "change": difference,
        "from_numerator": round_number(before.numerator),
        "from_denominator": round_number(before.denominator),
        "to_numerator": round_number(after.numerator),
        "to_denominator": round_number(after.denominator),
        "events": causes and causes.events,
    }


async def load_restatements(
    connection: Connection, books: Books, question: Question, *, since: date
) -> list[Restatement]:
    """Return the restatements of a number, or of that of each account, from the day `since` on; see `OFFERS`."""
    changes = await find_changes(connection, books, question, since=since)
    all_causes = await count_causes(connection, question, changes, calendar=books.calendar)
    group_by = question.selection.group_by
    return [
        Restatement(
            change.row.period,
            change.recorded_on,
            change.before,
            change.after,
            causes.events if causes else [],
            causes.event_ids if causes else [],
            dict(zip(group_by, change.row.group, strict=True)).get("account", (None, None))[1],
        )
        for change, causes in zip(changes, all_causes, strict=True)
    ]


OFFERS.restatements = load_restatements
