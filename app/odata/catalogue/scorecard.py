"""`Scorecard`: targets and how near they are."""

from functools import partial
from typing import Any

from pydantic import Field

from app.core.aside import run_aside
from app.core.periods import Day
from app.odata.model import ENTITY_SETS, EntitySet, SetParameters, prop_of_column
from app.odata.query import Query
from app.odata.sources import EntityPage, ListSource, SetContext, read_page
from app.scorecard.scorecard import SCORECARD_COLUMNS, ScorecardParameters, scorecard

_DESCRIPTIONS = {
    "id": "The target.",
    "metric": "The metric; `Metrics` describes it.",
    "convention": "The convention by which it is computed.",
    "segment": "The segment that the target is about; null: all accounts.",
    "filter": "The filter of the accounts that it is about.",
    "subject": "The survey, feature, plan … that it is about.",
    "channel": "The channel that it is about.",
    "granularity": "The length of its periods.",
    "period": "The name of the period.",
    "start": "The first day of the period.",
    "end": "The day after its last day.",
    "complete": "Whether the period has ended.",
    "clipped": "Whether the target holds on a part of the period only.",
    "status": "met, on_track, behind, missed or no_data.",
    "value": "The value of the metric.",
    "target": "The value that it is to reach.",
    "target_attainment": "How much of the way from the baseline to the target it has gone, in percent.",
    "expected": "What the value should be by now.",
    "projection": "The value at the end of the period, if it goes on like this.",
    "low": "The lower end of the confidence interval at 95%.",
    "high": "The upper end of the confidence interval at 95%.",
    "gap": "Value minus target.",
    "baseline": "What counts as 0% of the target.",
    "sample_size": "The number of observations.",
    "reason": "Why there is no value.",
    "amount": "Of metrics in money: the value with the decimals of the base currency.",
    "target_amount": "Of metrics in money: the target with the decimals of the base currency.",
    "unit": "The unit of the value.",
    "direction": "Whether the value has to go up or down.",
    "projection_rule": "How the projection is computed.",
    "question": "The path of the question behind the value.",
}
_ALWAYS = frozenset(
    {"id", "metric", "convention", "granularity", "period", "start", "end", "complete", "clipped", "status", "unit"}
)
# The ends of the interval have the same names as in `MetricValues`; a status of 100% is `attainment`.
_NAMES = {"low": "interval_low", "high": "interval_high", "target_attainment": "attainment"}


class ScorecardSetParameters(SetParameters):
    """The custom query options of `Scorecard`."""

    period: str | None = Field(
        None, max_length=40, description="The range, such as `2026-Q1` or `last_month`. Default: today."
    )
    as_of: Day | None = Field(None, description="The scorecard as it was at the end of this day (YYYY-MM-DD).")


async def _load(context: SetContext, query: Query) -> EntityPage:
    own: Any = query.parameters
    parameters = ScorecardParameters(period=own.period, limit=1_000)
    parameters.as_of = own.as_of
    answer = await scorecard(context.books, parameters)
    rows = list(answer.rows)
    return await run_aside(partial(read_page, ListSource(rows, ("id",)), query), items=len(rows))


ENTITY_SETS.add(
    EntitySet(
        "Scorecard",
        "TargetStanding",
        "Targets and how near they are, each in its running period.",
        ("id",),
        tuple(
            prop_of_column(
                column,
                _DESCRIPTIONS[column.name],
                name=_NAMES.get(column.name, column.name),
                nullable=column.name not in _ALWAYS,
            )
            for column in SCORECARD_COLUMNS
        ),
        _load,
        ScorecardSetParameters,
    )
)
