"""The tool that says what day it is, in which currency numbers are, and by what they can be divided."""

from collections.abc import Mapping
from datetime import date
from typing import Any, NamedTuple

from app.accounts import segments
from app.accounts.attribute_list import list_attributes
from app.accounts.filters import Filter
from app.accounts.listing import day_after
from app.agents.arguments import ToolArguments
from app.agents.define import ToolAnswer, first_short_enough, tool
from app.agents.phrases import join_lines, plain_value, shorten
from app.agents.schemas import DAY, INTEGER, OPTIONAL_TEXT, TEXT, list_schema, object_schema
from app.books.books import Books
from app.books.first_day import load_first_day
from app.core.period_names import parse_period
from app.core.periods import UNITS, Calendar, split_range
from app.database.connection import Connection
from app.database.query_plan import run_plan
from app.ledger.latest_event import load_latest_event
from app.metrics.define import METRICS

_MAX_KEYS = 30
_MAX_VALUES = 5
_MAX_LENGTH = 100
_MONTHS = (
    *("January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November"),
    "December",
)


class NoArguments(ToolArguments):
    """It takes no arguments."""


class RecordedData(NamedTuple):
    """What is recorded: the first day, the latest event, attributes."""

    first_day: Any
    latest: Any
    attributes: list[dict[str, Any]]


@tool(
    arguments=NoArguments,
    instead_of=["GET /v1/segments"],
    output=object_schema(
        {
            "today": DAY,
            "running_periods": {"type": "object", "additionalProperties": TEXT},
            "currency": TEXT,
            "timezone": TEXT,
            "week_start": TEXT,
            "fiscal_year_start": TEXT,
            "metrics": INTEGER,
            "attributes": list_schema({"key": TEXT, "values": {"type": "array"}}),
            "segments": list_schema({"name": TEXT, "filter": TEXT}),
        },
        {
            "first_recorded_day": OPTIONAL_TEXT,
            "latest_event_at": OPTIONAL_TEXT,
            "filter_example": TEXT,
            "more_attributes": {"type": "boolean"},
            "more_segments": INTEGER,
        },
    ),
)
async def get_context(books: Books, arguments: NoArguments) -> ToolAnswer:
    """Get context: what day is today and which periods are running, the currency and time zone of all numbers, how far the data
    goes, and the attributes and segments by which accounts can be filtered and grouped. Call it first.
    """
    today = await books.load_today()

    async def load(connection: Connection) -> RecordedData:
        first_day = await run_plan(connection, load_first_day(books.first_day))
        latest = await load_latest_event(connection, until=books.now())
        rows = await list_attributes(connection, on=day_after(today), after="", limit=_MAX_KEYS + 1)
        return RecordedData(first_day, latest, rows)

    data = await books.database.ask(load)
    filters = await segments.load_segments(books, None)

    def build(count: int) -> ToolAnswer:
        content = _content(books, data, filters, today, count)
        return ToolAnswer(_text(content), content)

    return first_short_enough(build, [_MAX_KEYS, 10, 3])


def _content(
    books: Books, data: RecordedData, filters: Mapping[str, Filter], today: date, count: int
) -> dict[str, Any]:
    """Return the content with so many attributes and segments."""
    calendar = books.calendar
    attributes = [_short_attribute(row) for row in data.attributes[:count]]
    first_segments = sorted(filters.items())[:count]
    content: dict[str, Any] = {
        "today": today,
        "running_periods": {unit: _running_period(calendar, unit, today) for unit in UNITS[1:]},
        "currency": books.currency,
        "timezone": str(calendar.zone),
        "week_start": calendar.week_start,
        "fiscal_year_start": _MONTHS[calendar.fiscal_year_start - 1],
        "first_recorded_day": data.first_day,
        "latest_event_at": data.latest,
        "metrics": len(METRICS),
        "attributes": attributes,
        "segments": [{"name": name, "filter": shorten(own.text, 2 * _MAX_LENGTH)} for name, own in first_segments],
    }
    if example := _filter_example(attributes):
        content["filter_example"] = example
    if len(data.attributes) > count:
        content["more_attributes"] = True
    if len(filters) > count:
        content["more_segments"] = len(filters) - count
    return content


def _running_period(calendar: Calendar, unit: str, today: date) -> str:
    """Return the name of the running week, month, quarter or year."""
    start, end = parse_period(f"this_{unit}", calendar=calendar, today=today)
    return split_range(start, end, granularity=unit, calendar=calendar, today=today)[0].name


def _short_attribute(row: dict[str, Any]) -> dict[str, Any]:
    # Every account has a name of its own.
    values = [own["value"] for own in row["values"][:_MAX_VALUES] if row["key"] != "name"]
    return {"key": row["key"], "values": [shorten(own, _MAX_LENGTH) if isinstance(own, str) else own for own in values]}


def _filter_example(attributes: list[dict[str, Any]]) -> str | None:
    """Return a filter with attributes that there are."""
    conditions = [
        f'{own["key"]} = "{own["values"][0]}"'
        for own in attributes
        if own["key"].isidentifier()
        and own["key"] != "name"
        and own["values"]
        and isinstance(own["values"][0], str)
        and '"' not in own["values"][0]
        and "…" not in own["values"][0]
    ]
    return " and ".join(conditions[:2]) or None


def _text(content: dict[str, Any]) -> str:
    running = ", ".join(f"{unit} {name}" for unit, name in content["running_periods"].items())
    attributes = [f"- {own['key']}: {', '.join(map(plain_value, own['values']))}" for own in content["attributes"]]
    return join_lines(
        f"Today is {content['today']} ({content['timezone']}). Running, not complete: {running}.",
        f"Money is in {content['currency']}. The fiscal year begins in {content['fiscal_year_start']}, the week on "
        f"{content['week_start'].capitalize()}.",
        f"Data since {content['first_recorded_day']}, latest event {content['latest_event_at']}. {content['metrics']} metrics.",
        "Attributes with their most frequent values:" if attributes else "Accounts have no attributes.",
        *attributes,
        f"A filter: {content['filter_example']}" if "filter_example" in content else None,
        *[f"Segment {own['name']}: {own['filter']}" for own in content["segments"]],
    )
