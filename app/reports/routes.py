"""The door to what is more than a row a metric."""

from typing import Any

from fastapi import APIRouter, Depends, Request, Response

from app.access.auth import books_of, requires
from app.core.ids import PathId
from app.http.openapi import list_schema, object_schema, query_schema, response_schema
from app.http.params import parse_query
from app.http.responses import json_response, rows_response
from app.metrics.schema import NUMBER_SCHEMA, PERIOD_COLUMNS, ROW_SCHEMA, rows_schema, table_builder
from app.reports.cohorts import CohortParameters, triangle
from app.reports.distribution import DistributionParameters, distribution
from app.reports.funnel import FunnelParameters, funnel
from app.reports.overview import OverviewParameters, overview

router = APIRouter(
    prefix="/v1", tags=["reports"], dependencies=[Depends(requires("read"))], default_response_class=Response
)

_TEXT = {"type": "string"}
_DAY = {"type": "string", "format": "date"}
_GROUP = {"group": ROW_SCHEMA["group"]}
_PERIOD = {name: ROW_SCHEMA[name] for name in PERIOD_COLUMNS if name != "metric"}
_COHORT: dict[str, Any] = {
    "cohort": {"type": "string", "description": "The period of the first payment or use.", "examples": ["2026-01"]},
    "cohort_start": _DAY,
    "number": {"type": "integer", "description": "How many periods after the cohort's own."},
    **_PERIOD,
}
_RETAINED: dict[str, Any] = {
    "size": {"type": "integer", "description": "How many customers or users are in the cohort."},
    "initial": {"type": "number", "description": "What it began with: its size, or its first MRR."},
    "value": {"type": "number", "description": "Customers or MRR at the period's end; users active within it."},
    "percent": NUMBER_SCHEMA | {"description": "The value, per hundred of `initial`."},
}
_COHORTS = rows_schema(
    "A row for each cohort in each period from its own on.",
    _COHORT | _GROUP | _RETAINED,
    {"amount": {"type": "string", "description": "Of MRR: the value, rounded to the digits of the base currency."}},
)


@router.get("/cohorts", responses=_COHORTS, openapi_extra=query_schema(CohortParameters))
async def get_cohorts(request: Request) -> Response:
    """The retention triangle: of those who came in one month, how many are left in each month after.

    Customers, and their MRR, belong to the period of their first payment, users to that of their first use. Cohorts of
    periods before the range are left out.
    """
    asked = parse_query(request, CohortParameters)
    question, rows, following = await triangle(books_of(request), asked)
    columns = [*_RETAINED, "amount"] if asked.measure == "mrr" else _RETAINED
    body = {"question": question, "rows": rows, "next": following}
    return rows_response(request, asked.format, body, table_builder(body, before=_COHORT, after=columns))


_MAYBE: dict[str, Any] = {"type": ["string", "null"]}
_AT = {"type": "string", "format": "date-time"}
_FIGURE: dict[str, Any] = {
    "type": ["object", "null"],
    "properties": {name: ROW_SCHEMA[name] for name in (*_PERIOD, "value", "numerator", "denominator", "sample_size")},
}
_CARD: dict[str, Any] = {
    "id": _TEXT,
    "name": _MAYBE,
    "attributes": {"type": "object"},
    "last_activity": {
        "type": ["object", "null"],
        "description": "The last session or use of a feature.",
        "properties": {"at": _AT, "type": _TEXT, "user_id": _TEXT},
    },
    "open_tickets": list_schema(
        {"ticket_id": _TEXT, "opened_at": _AT, "last_at": _AT, "channel": _MAYBE, "priority": _MAYBE}
    )
    | {"description": "The oldest first, 50 at most."},
    "answers": list_schema(
        {
            "event_id": _TEXT,
            "occurred_at": _AT,
            "user_id": _MAYBE,
            "survey": _MAYBE,
            "score": NUMBER_SCHEMA,
            "class": _MAYBE,
            "comment": _MAYBE,
            "channel": _MAYBE,
            "tags": {"type": "array", "items": _TEXT},
        }
    )
    | {"description": "Answers to surveys and other feedback, the last 50."},
    "movements": list_schema({"on": _DAY, "kind": _TEXT, "amount": _TEXT, "reason": _MAYBE})
    | {"description": "Of its MRR: new, expansion, contraction, churned, reactivated; the last 50."},
    "question": object_schema({"start": _DAY, "end": _DAY, "granularity": _TEXT}),
    "metrics": list_schema(
        {
            "metric": _TEXT,
            "title": _TEXT,
            "unit": _TEXT,
            "better": _TEXT,
            "latest": _FIGURE | {"description": "Of the last period that has ended."},
            "running": _FIGURE,
            "trend": list_schema({"period": _TEXT, "complete": {"type": "boolean"}, "value": NUMBER_SCHEMA}),
        }
    ),
}
_OVERVIEW = response_schema("The account's card.", object_schema(_CARD))


@router.get(
    "/accounts/{account_id}/overview",
    responses=_OVERVIEW,
    openapi_extra=query_schema(OverviewParameters),
)
async def get_overview(request: Request, account_id: PathId) -> Response:
    """One account on one card: every metric with its trend, MRR movements, open tickets, answers and last activity.

    All of it of one moment. Each metric has the last period that has ended, the one that runs, and the values of all.
    """
    asked = parse_query(request, OverviewParameters)
    return json_response(request, await overview(books_of(request), account_id, asked))


_BAR: dict[str, Any] = {
    "class": {"type": "string", "examples": ["promoter", "passive", "detractor"]},
    "count": {"type": "integer", "description": "How often it was given."},
    "responses": {"type": "integer", "description": "All answers of the period and group."},
    "percent": NUMBER_SCHEMA,
    "cumulative_percent": NUMBER_SCHEMA | {"description": "Of answers with this score or a lower one."},
}
_DISTRIBUTION = rows_schema(
    "A row for each score, or class of scores, in each period and group.",
    _PERIOD | _GROUP | _BAR,
    {"score": {"type": "integer", "description": "With `by=score`, the default."}},
    survey={"type": "object", "description": "The survey, and what its scores mean."},
)


@router.get(
    "/surveys/{survey_id}/distribution",
    responses=_DISTRIBUTION,
    openapi_extra=query_schema(DistributionParameters),
)
async def get_distribution(request: Request, survey_id: PathId) -> Response:
    """How often each score of a survey was given, and what the scores mean.

    Classes are promoter, passive and detractor; satisfied and unsatisfied; easy, neutral and difficult.
    """
    asked = parse_query(request, DistributionParameters)
    question, survey, rows, following = await distribution(books_of(request), survey_id, asked)
    body = {"question": question, "survey": survey.to_json(), "rows": rows, "next": following}
    columns = ["score", *_BAR] if asked.by == "score" else _BAR
    return rows_response(request, asked.format, body, table_builder(body, before=_PERIOD, after=columns))


_STAGE: dict[str, Any] = {
    "number": {"type": "integer", "description": "Its place in the funnel; the start is 0."},
    "stage": {"type": "string", "enum": ["started", "step", "completed"]},
    "step": _MAYBE,
    "reached": {"type": "integer", "description": "How many of those that were started in the period."},
    "percent": NUMBER_SCHEMA | {"description": "Per hundred that were started."},
    "drop_off": NUMBER_SCHEMA | {"description": "How many fewer the next stage has; below zero where it has more."},
    "drop_off_percent": NUMBER_SCHEMA | {"description": "Per hundred that reached this stage."},
    "average_days": NUMBER_SCHEMA | {"description": "From the start to this stage, of those that reached it."},
}
_FUNNEL = rows_schema("A row for each stage in each period and group.", _PERIOD | _GROUP | _STAGE)


@router.get("/onboarding/funnel", responses=_FUNNEL, openapi_extra=query_schema(FunnelParameters))
async def get_funnel(request: Request) -> Response:
    """Of the onboardings that were started in a period, how many reached each step and how many were lost on the way.

    Whenever they reached it. The steps are in the order in which onboardings typically reach them.
    """
    asked = parse_query(request, FunnelParameters)
    question, rows, following = await funnel(books_of(request), asked)
    body = {"question": question, "rows": rows, "next": following}
    return rows_response(request, asked.format, body, table_builder(body, before=_PERIOD, after=_STAGE))
