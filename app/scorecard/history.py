"""The history of a target: each period that has ended, as it was known at the period's end and as it is known now."""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from functools import partial
from itertools import islice
from typing import Any, NamedTuple

from pydantic import Field

from app.books.books import Books
from app.core.aside import run_aside
from app.core.errors import NotFound
from app.core.periods import Day
from app.database.connection import Connection
from app.database.query_plan import run_plan
from app.http.chart_formats import ChartParameters
from app.http.openapi import list_schema, name_schema, object_schema, response_schema
from app.http.row_parameters import RowParameters
from app.http.tables import Answer, column, columns
from app.metrics.numbers import NumberKey, NumberRequest, load_numbers
from app.metrics.results import Result, shown_value
from app.metrics.rows import paginate, round_number
from app.metrics.schema import NUMBER_SCHEMA, ROW_SCHEMA
from app.scorecard.definition import Definition
from app.scorecard.judgment import judge
from app.scorecard.placement import Placement, past_periods, place_on
from app.scorecard.scorecard import load_last_day
from app.scorecard.standings import aim_of, show
from app.scorecard.versions import (
    TargetStretch,
    TargetVersion,
    load_all_stretches,
    load_target_versions,
    stretch_on,
    stretches_known_on,
    unknown_target,
)

# Each period is another question, as of its end.
MAX_PERIODS = 60
_MAX_LENGTH = 10_000
_DAY = timedelta(days=1)
NO_TARGET = Result(None, reason="no_target")

JUDGMENT_MEMBERS: dict[str, Any] = {
    **dict.fromkeys(("value", "target", "attainment", "gap"), NUMBER_SCHEMA),
    "status": {"type": "string", "enum": ["met", "missed", "no_data"]},
    "reason": {
        "type": ["string", "null"],
        "description": "Why there is no value; `no_target`: there was no target yet.",
    },
}
_JUDGMENT_SCHEMA = object_schema("TargetJudgment", JUDGMENT_MEMBERS)
_POSITION_SCHEMA: dict[str, Any] = {
    "metric": name_schema("MetricName"),
    "convention": {"type": "string"},
    "unit": {"type": "string"},
    "granularity": name_schema("Granularity"),
    **{name: ROW_SCHEMA[name] for name in ("period", "start", "end")},
    "clipped": {"type": "boolean"},
}
_CHANGED_SCHEMA: dict[str, Any] = {
    "changed": {"type": "boolean", "description": "Whether value, target or status is another one now."}
}
HISTORY_SCHEMA = response_schema(
    "The periods of a target that have ended, the last one first.",
    object_schema(
        "TargetHistory",
        {
            "target": {"type": "string"},
            "rows": list_schema(
                "TargetPeriod",
                _POSITION_SCHEMA
                | {
                    "at_end": _JUDGMENT_SCHEMA
                    | {"description": "As it was known at the end of the last day of the period."},
                    "now": _JUDGMENT_SCHEMA | {"description": "As it is known now, or as of the day `as_of`."},
                }
                | _CHANGED_SCHEMA,
            ),
            "next": {"type": ["string", "null"]},
        },
    ),
    table=True,
    chart=True,
)
# The columns of both times are side by side.
_COLUMNS = [
    *columns(_POSITION_SCHEMA),
    *(
        column(f"{name}_{time}", schema, path=(time, name))
        for time in ("at_end", "now")
        for name, schema in JUDGMENT_MEMBERS.items()
    ),
    *columns(_CHANGED_SCHEMA),
]


class HistoryParameters(ChartParameters, RowParameters):
    """The parameters of a target's history."""

    as_of: Day | None = Field(None, description="The history as it was at the end of this day.")
    limit: int | None = Field(
        None,
        ge=1,
        le=MAX_PERIODS,
        description="Maximum number of periods per page. Default: 24 in JSON; files have all of them.",
    )
    cursor: str | None = Field(None, max_length=1_000, description="The `next` of the page before.")


class PastPeriod(NamedTuple):
    """A target in a period that has ended: as it is known now, and as it was at the period's end; None: there was none then."""

    now: Placement
    at_end: Placement | None

    @property
    def name(self) -> str:
        """The name of its row for the cursor."""
        return self.now.name

    @property
    def last_day(self) -> date:
        """The day as of which the end of the period is meant."""
        return self.now.period.end - _DAY

    @property
    def definition_at_end(self) -> Definition | None:
        return self.at_end.definition if self.at_end else None


async def target_history(books: Books, id: str, parameters: HistoryParameters) -> Answer:
    """Return a page of a target's periods that have ended. Raises NotFound and Invalid."""
    today = await load_last_day(books, parameters.as_of)
    as_of = today if today < books.today() else None
    # What was known at the end of a past day never changes once the books are beyond that day.
    await books.load_today(as_of=min(today, books.today() - _DAY))

    limit = parameters.page_size(parameters.limit, default=24, maximum=MAX_PERIODS)

    async def load(connection: Connection) -> tuple[Sequence[PastPeriod], str | None, dict[NumberKey, Result]]:
        versions = await load_known_target(connection, id, as_of)
        stretches = stretches_known_on(versions, as_of)
        placements = islice(past_periods(stretches, calendar=books.calendar, today=today), _MAX_LENGTH)
        # Those of days may be all 10,000.
        all_placements = await run_aside(partial(list[Placement], placements), items=_MAX_LENGTH)
        page, next_cursor = paginate(all_placements, limit=limit, cursor=parameters.cursor)
        periods = [PastPeriod(placement, _known_at_end(placement, versions, books=books)) for placement in page]
        requests = [request for period in periods for request in _requests(period, as_of)]
        return periods, next_cursor, await load_numbers(connection, books, requests, today=today)

    periods, next_cursor, numbers = await books.database.ask(load)
    body = {
        "target": id,
        "rows": [_row(period, numbers, as_of=as_of, today=today) for period in periods],
        "next": next_cursor,
    }

    async def load_more(cursor: str) -> Answer:
        return await target_history(books, id, parameters.model_copy(update={"cursor": cursor}))

    return Answer("target-history", body, _COLUMNS, load_more=load_more)


async def load_known_target(connection: Connection, id: str, as_of: date | None) -> list[TargetVersion]:
    """Return all versions of a target that were known on the day `as_of`. Raises NotFound when there were none."""
    if versions := await run_plan(connection, load_target_versions(id, as_of)):
        return versions
    raise NotFound.of([unknown_target(id, await run_plan(connection, load_all_stretches(as_of)))])


def _known_at_end(placement: Placement, versions: Sequence[TargetVersion], *, books: Books) -> Placement | None:
    """Return the target of the period by the definition that was known at its end; None if the question had none then.

    It is about the same days or, where it held on fewer of them, about those.
    """
    last_day = placement.period.end - _DAY
    stretch: TargetStretch | None = stretch_on(stretches_known_on(versions, last_day), last_day)
    if stretch is None or stretch.definition.question != placement.definition.question:
        return None
    earlier, days = place_on(stretch, last_day, calendar=books.calendar, today=last_day), placement.period
    period = earlier.period._replace(start=max(earlier.period.start, days.start), end=min(earlier.period.end, days.end))
    return earlier._replace(period=period)


def _requests(period: PastPeriod, as_of: date | None) -> list[NumberRequest]:
    requests = [request_past(period.now, as_of)]
    return requests + ([request_past(period.at_end, period.last_day)] if period.at_end else [])


def request_past(placement: Placement, as_of: date | None) -> NumberRequest:
    """Return the request of the number of a target in a period that has ended."""
    is_whole = not placement.is_clipped and placement.definition.granularity != "total"
    return NumberRequest(placement.definition, placement.period, is_whole, as_of)


def _row(past: PastPeriod, numbers: Mapping[NumberKey, Result], *, as_of: date | None, today: date) -> dict[str, Any]:
    period, definition = past.now.period, past.now.definition
    metric = definition.find_metric()
    now = judge_past(past.now, numbers[request_past(past.now, as_of).key], today=today)
    at_end = dict.fromkeys(now) | {"status": "no_data", "reason": NO_TARGET.reason}
    if past.at_end:
        at_end = judge_past(past.at_end, numbers[request_past(past.at_end, past.last_day).key], today=past.last_day)
    return {
        "metric": definition.metric,
        "convention": metric.convention if metric else definition.convention,
        "unit": metric.unit if metric else "",
        "granularity": definition.granularity,
        "period": period.name,
        "start": period.start,
        "end": period.end,
        "clipped": past.now.is_clipped,
        "at_end": at_end,
        "now": now,
        "changed": any(now[name] != at_end[name] for name in ("value", "target", "status")),
    }


def judge_past(placement: Placement, result: Result, *, today: date) -> dict[str, Any]:
    """Return how near a value was to its target when its period was over."""
    aim = aim_of(placement, placement.definition.find_metric(), today=today, is_over=True)
    judgment = judge(shown_value(result), aim)
    return {
        "value": round_number(result.value),
        "target": show(aim.target),
        "attainment": show(judgment.attainment),
        "gap": show(judgment.gap),
        "status": judgment.status,
        "reason": result.reason,
    }
