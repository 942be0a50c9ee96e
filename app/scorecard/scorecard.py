"""The scorecard: every target of a period, with its number, how near it is, and what waits for an answer beside it."""

from collections import Counter
from datetime import date
from typing import Annotated, Any, Literal, get_args
from urllib.parse import urlencode

from pydantic import BeforeValidator, Field

from app.accounts.listing import day_after
from app.books.books import Books
from app.core.period_names import parse_as_of, parse_range
from app.core.periods import Day, Range, split_range
from app.database.connection import Connection
from app.http.chart_formats import ChartParameters
from app.http.openapi import list_schema, name_schema, object_schema, response_schema
from app.http.row_parameters import RowParameters
from app.http.tables import Answer, TableColumn, column, columns, interval_columns
from app.metrics.number_source import NumberGroup
from app.metrics.offers import OFFERS, OpenItems, TargetStanding
from app.metrics.rows import paginate
from app.metrics.schema import NUMBER_SCHEMA, ROW_SCHEMA
from app.scorecard.judgment import Status
from app.scorecard.standings import load_standings_in

_TEXT: dict[str, Any] = {"type": "string"}
_OPTIONAL_TEXT: dict[str, Any] = {"type": ["string", "null"]}
_DAY: dict[str, Any] = {"type": "string", "format": "date"}
_BOOLEAN: dict[str, Any] = {"type": "boolean"}
STATUSES = get_args(Status)
_DESCRIPTIONS = {
    "target": "The target of the period; for a part of a period and a metric that adds up over time, the same part of it.",
    "baseline": "What counts as 0% of the target, if the target says so.",
    "attainment": "100 × (value − baseline) ÷ (target − baseline), not limited to 0 and 100. A target without a baseline is "
    "measured from 0 or, where lower values are better, from twice the target; if it is 0 or less, its attainment is null.",
    "expected": "What the value should be by now: of a metric that adds up over time, the target times the share of the days "
    "that have passed; else the value of the path today.",
    "projection": "The value at the end of the period, if it goes on like this; `projection_rule` says how it is computed.",
    "gap": "`value` minus `target`.",
}
# The members of a row that are numbers, in the order of the table.
_NUMBER_MEMBERS = {name: NUMBER_SCHEMA | {"description": text} for name, text in _DESCRIPTIONS.items()}
_TREND_SCHEMA = list_schema(
    "TargetTrendPoint",
    {name: ROW_SCHEMA[name] for name in ("period", "start", "end", "complete")}
    | {"value": NUMBER_SCHEMA, "target": NUMBER_SCHEMA, "reached": {"type": ["boolean", "null"]}},
)
_ROW_SCHEMA: dict[str, Any] = {
    "id": _TEXT | {"description": "The target."},
    "title": _TEXT | {"description": "What the target is about, as people say it: `Customers of enterprise`."},
    "metric": name_schema("MetricName"),
    "convention": _TEXT,
    "unit": _TEXT,
    "direction": {"type": "string", "enum": ["up", "down"]},
    "granularity": name_schema("Granularity"),
    "group": object_schema(
        "NumberGroup",
        {},
        dict.fromkeys(NumberGroup._fields, _TEXT),
        description="Those of `segment`, `filter`, `subject`, `channel` that the target is about.",
    ),
    **{name: ROW_SCHEMA[name] for name in ("period", "start", "end", "complete")},
    "clipped": _BOOLEAN
    | {"description": "Whether the target holds on a part of the period only; `start` and `end` are its days."},
    "status": {
        "type": "string",
        "enum": [*STATUSES],
        "description": "`met` or `missed` once the period has ended, or as soon as nothing can change it; before, `on_track` "
        "when the value is as good as `expected` or better, else `behind`.",
    },
    "value": NUMBER_SCHEMA,
    **_NUMBER_MEMBERS,
    "projection_rule": _TEXT,
    "interval": ROW_SCHEMA["interval"],
    "sample_size": ROW_SCHEMA["sample_size"],
    "trend": _TREND_SCHEMA | {"description": "Up to six periods, the last of which is that of the row."},
    "question": _TEXT | {"description": "The path of the question behind `value`."},
}
_OPTIONAL_ROW_SCHEMA: dict[str, Any] = {
    "amount": _OPTIONAL_TEXT
    | {"format": "decimal", "description": "Of metrics in money: `value` with the decimals of the base currency."},
    "target_amount": _TEXT | {"format": "decimal"},
    "reason": _TEXT | {"description": "Why there is no value, for example `not_begun`."},
}
_OPEN_SCHEMA = object_schema(
    "OpenComments",
    {
        "count": {"type": "integer"},
        "oldest": object_schema(
            "OpenComment",
            {
                "id": _TEXT | {"description": "For `/v1/feedback/{id}`."},
                "account_id": _TEXT,
                "occurred_at": _TEXT | {"format": "date-time"},
                "days": {"type": "integer", "description": "Days from the day on which it occurred to today."},
            },
        )
        | {"type": ["object", "null"]},
        "link": _OPTIONAL_TEXT
        | {"description": "The path of their list; null with `as_of`, since it shows what is open now."},
    },
)
STANDING_SCHEMA = object_schema("Standing", _ROW_SCHEMA, _OPTIONAL_ROW_SCHEMA)
SCORECARD_SCHEMA = response_schema(
    "The targets of a period.",
    object_schema(
        "Scorecard",
        {
            "question": object_schema(
                "ScorecardQuestion",
                {"start": _DAY, "end": _DAY},
                {"as_of": _DAY, "status": {"type": "array", "items": {"type": "string", "enum": [*STATUSES]}}},
            ),
            "summary": object_schema("ScorecardSummary", {status: {"type": "integer"} for status in STATUSES}),
            "rows": {"type": "array", "items": STANDING_SCHEMA},
            "closed_loop": object_schema(
                "ClosedLoop",
                {
                    "open_detractors": _OPEN_SCHEMA
                    | {"description": "Comments of detractors to which nobody has given a status yet."},
                    "themes": _OPTIONAL_TEXT
                    | {"description": "The path of what the comments of the range are about; null with `as_of`."},
                },
            ),
            "next": _OPTIONAL_TEXT,
        },
    ),
    table=True,
    chart=True,
)
_COLUMN_SCHEMA = _ROW_SCHEMA | _OPTIONAL_ROW_SCHEMA


def _own_columns(*names: str) -> list[TableColumn]:
    return columns(_COLUMN_SCHEMA, names)


SCORECARD_COLUMNS = [
    *_own_columns("id", "metric", "convention"),
    *(column(name, _TEXT, path=("group", name)) for name in NumberGroup._fields),
    *_own_columns("granularity", "period", "start", "end", "complete", "clipped", "status", "value", "target"),
    column("target_attainment", NUMBER_SCHEMA, path=("attainment",)),
    *_own_columns("expected", "projection"),
    *interval_columns(),
    *_own_columns("gap", "baseline", "sample_size", "reason", "amount", "target_amount"),
    *_own_columns("unit", "direction", "projection_rule", "question"),
]


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


class ScorecardParameters(ChartParameters, RowParameters):
    """The parameters of a scorecard."""

    start: Day | None = Field(None, description="The first day, instead of `period`.")
    end: Day | None = Field(None, description="The day after the last day.")
    period: str | None = Field(
        None,
        max_length=40,
        description="The range, such as `2026-Q1` or `last_month`. Each target is shown in its last period that has begun and "
        "has days in the range. Default: today.",
    )
    as_of: Day | None = Field(
        None,
        description="The scorecard as it was at the end of this day: numbers, targets and comments as they were known.",
    )
    status: Annotated[list[Literal[STATUSES]], BeforeValidator(_as_list), Field(max_length=len(STATUSES))] = Field(  # type: ignore[valid-type]
        [], description="Only targets with this status. Repeat it for several."
    )
    limit: int | None = Field(
        None,
        ge=1,
        le=1_000,
        description="Maximum number of targets per page. Default: 100 in JSON; files have all of them.",
    )
    cursor: str | None = Field(None, max_length=1_000, description="The `next` of the page before.")


async def scorecard(books: Books, parameters: ScorecardParameters) -> Answer:
    """Return a page of the scorecard, all of it from one snapshot. Raises Invalid."""
    today = await load_last_day(books, parameters.as_of)
    start, end = _range(books, parameters, today=today)

    async def load(connection: Connection) -> tuple[list[TargetStanding], OpenItems]:
        standings = await load_standings_in(
            connection, books, start=start, end=end, today=today, as_of=parameters.as_of
        )
        return standings, await OFFERS.open_detractors(connection, books, as_of=parameters.as_of, is_summary=True)

    standings, open_detractors = await books.database.ask(load)
    counts = Counter(standing.status for standing in standings)
    chosen = [standing for standing in standings if not parameters.status or standing.status in parameters.status]
    limit = parameters.page_size(parameters.limit, default=100)
    page, next_cursor = paginate(chosen, limit=limit, cursor=parameters.cursor)
    question = {"start": start, "end": end, "as_of": parameters.as_of, "status": parameters.status or None}
    body = {
        "question": {name: value for name, value in question.items() if value is not None},
        "summary": {status: counts[status] for status in STATUSES},
        "rows": [standing_json(standing) for standing in page],
        "closed_loop": {
            "open_detractors": _open_items_json(open_detractors),
            "themes": _themes_path(parameters, start, end),
        },
        "next": next_cursor,
    }
    return Answer("scorecard", body, SCORECARD_COLUMNS, more_members=("trend",))


def _themes_path(parameters: ScorecardParameters, start: date, end: date) -> str | None:
    """Return the path of the themes of the range; without a range, of the last 30 days. As of a day there are none."""
    if parameters.as_of is not None:
        return None
    is_default = parameters.period is None and parameters.start is None and parameters.end is None
    return "/v1/feedback/themes" + ("" if is_default else f"?{urlencode({'start': start, 'end': end})}")


async def load_last_day(books: Books, as_of: date | None) -> date:
    """Return the day that counts as today: `as_of`, or the running day. Raises Invalid."""
    return parse_as_of(as_of, today=await books.load_today(as_of=as_of))


def _range(books: Books, parameters: ScorecardParameters, *, today: date) -> Range:
    start, end = parse_range(parameters.period, parameters.start, parameters.end, calendar=books.calendar, today=today)
    start = start or (today if end is None or today < end else date.fromordinal(end.toordinal() - 1))
    end = end or day_after(max(start, today))
    split_range(start, end, granularity="total", calendar=books.calendar, today=today)
    return start, end


def standing_json(standing: TargetStanding) -> dict[str, Any]:
    """Return a target's row as the API shows it."""
    period = standing.period
    days = {"period": period.name, "start": period.start, "end": period.end, "complete": period.complete}
    members = standing._asdict() | {"trend": [_point_json(point) for point in standing.trend]}
    row: dict[str, Any] = {
        name: members[name] if name in members and name not in days else days[name] for name in _ROW_SCHEMA
    }
    if standing.target_amount is not None:
        row |= {"amount": standing.amount, "target_amount": standing.target_amount}
    return row | ({"reason": standing.reason} if standing.reason else {})


def _point_json(point: Any) -> dict[str, Any]:
    period, value, target, reached = point
    numbers = {"value": value, "target": target, "reached": reached}
    return {"period": period.name, "start": period.start, "end": period.end, "complete": period.complete} | numbers


def _open_items_json(items: OpenItems) -> dict[str, Any]:
    return {"count": items.count, "oldest": items.oldest and items.oldest._asdict(), "link": items.link}
