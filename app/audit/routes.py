"""Endpoints of the audit: what is behind a number, how it changed, and whether the numbers agree with each other."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from pydantic import Field

from app.access.auth import Caller, books_of, requires
from app.audit.checks import CHECKS_SCHEMA, run_checks
from app.audit.contributors import CONTRIBUTORS_SCHEMA, list_contributors
from app.audit.events_behind import EVENTS_SCHEMA, list_events_behind
from app.audit.restatements import RESTATEMENTS_SCHEMA, RestatementParameters, list_restatements
from app.core.errors import Forbidden
from app.core.periods import Day
from app.http.openapi import query_schema
from app.http.params import QueryParams, parse_query
from app.http.polls import pollable
from app.http.responses import json_response, rows_response
from app.metrics.describe import MetricInPath, metric_in_path
from app.metrics.parameters import DEFAULT_ROWS, Granularity, MetricParameters, OneMetricParameters, Parameters
from app.metrics.question import Question, resolve_question

router = APIRouter(
    prefix="/v1", tags=["proof"], dependencies=[Depends(requires("read"))], default_response_class=Response
)


async def _question(request: Request, metric: str, parameters: MetricParameters) -> Question:
    return await resolve_question(books_of(request), [metric_in_path(metric).name], Parameters.of(parameters))


@router.get(
    "/metrics/{metric}/contributors",
    name="list_contributors",
    responses=CONTRIBUTORS_SCHEMA,
    openapi_extra=query_schema(OneMetricParameters),
)
@pollable
async def get_contributors(request: Request, metric: MetricInPath) -> Response:
    """Return the accounts behind a metric's numbers, the largest first, with their shares.

    The parameters are those of the metric. For each row of the metric's answer (`totals`), the accounts that have data of the
    metric in its period and group are listed by their contribution: their own numerator or, for a metric without a numerator,
    their value. Where contributions do not add up to the total's, as for `clv`, `share` is null.
    """
    parameters = parse_query(request, OneMetricParameters)
    question = await _question(request, metric, parameters)
    answer = await list_contributors(books_of(request), question, limit=parameters.page_rows, cursor=parameters.cursor)
    return await rows_response(request, parameters, answer)


@router.get(
    "/metrics/{metric}/restatements",
    name="list_restatements",
    responses=RESTATEMENTS_SCHEMA,
    openapi_extra=query_schema(RestatementParameters),
)
@pollable
async def get_restatements(request: Request, metric: MetricInPath) -> Response:
    """Return how a metric's past numbers changed after their periods had ended.

    The parameters are those of the metric. Each period that has ended and each group has a row for every day at whose end its
    value differs from that of the day before, as answers with `as_of` show it; the first day is compared with the last day of
    the period. `events` counts, by type, the events that were recorded or retracted on that day in the accounts whose part of
    the number changed, if they can change the metric or the group of an account. Segments are as they are defined now, or on
    the day `as_of`, after which no changes are listed.
    """
    parameters = parse_query(request, RestatementParameters)
    question = await _question(request, metric, parameters)
    answer = await list_restatements(books_of(request), question, limit=parameters.page_rows, cursor=parameters.cursor)
    return await rows_response(request, parameters, answer)


@router.get(
    "/metrics/{metric}/events",
    name="list_metric_events",
    responses=EVENTS_SCHEMA,
    openapi_extra=query_schema(MetricParameters),
)
@pollable
async def get_events(request: Request, metric: MetricInPath) -> Response:
    """Return the events behind a metric's number, in the order of their times.

    The parameters are those of the metric, without a grouping. The events are of accounts that have data of the metric in a
    period. Events that count by themselves, or because their user was active, are exactly those that count in the period.
    Events that count together (a ticket, the subscriptions of an account) are all events of each such stream, for balances
    and populations up to the end of the period, unless a later event changed an earlier day. For registered users, they are all
    registrations, removals and activities up to the end of the period. For invitations that were answered, they are the
    responses that belong to them. Events that were not recorded by the end of `as_of`, or had been retracted, are left out.
    """
    parameters = parse_query(request, MetricParameters)
    question = await _question(request, metric, parameters)
    limit = min(parameters.limit or DEFAULT_ROWS, DEFAULT_ROWS)
    answer = await list_events_behind(books_of(request), question, limit=limit, cursor=parameters.cursor)
    return await rows_response(request, parameters, answer)


class _CheckParameters(QueryParams):
    """Parameters of the checks: the range, and the number of accounts."""

    start: Day | None = Field(None, description="The first day.")
    end: Day | None = Field(None, description="The day after the last day.")
    period: str | None = Field(
        None, max_length=40, description="A period instead of `start` and `end`, as for metrics."
    )
    granularity: Granularity = "month"
    accounts: int = Field(
        20,
        ge=1,
        le=1_000,
        description="The number of accounts for checks of single accounts. Their ledger is computed again for as many of them as "
        "have up to 50,000 events together.",
    )
    all: bool = Field(
        False,
        description="Check the ledger of all accounts against the stored events. This takes long and needs scope `admin`.",
    )


@router.get("/checks", responses=CHECKS_SCHEMA, openapi_extra=query_schema(_CheckParameters))
async def get_checks(request: Request, caller: Annotated[Caller, Depends(requires("read"))]) -> Response:
    """Check that numbers which must be equal are equal, on the data of this service.

    Every check has a sentence that says what must be equal, the number of comparisons, and the differences. The movements of
    MRR and customers and the rates of retention are compared in each period: for the whole company, by the attributes that
    most accounts have with few values, by stored segment, and by account for some accounts that differ from day to day. Metrics
    that add up over groups or over time are added up. Today's values are compared with the monthly totals. The ledger of the
    same accounts, or with `all` of every account, is computed again from the stored events.

    A check of a year by month takes some seconds; the time grows with the number of periods and accounts. Checks that would
    need more than a million sums are refused (`too_many_rows`).
    """
    parameters = parse_query(request, _CheckParameters)
    if parameters.all and not caller.has("admin"):
        raise Forbidden("Checking the ledger of all accounts (all=true) needs a key with scope admin.")
    sample = None if parameters.all else parameters.accounts
    return json_response(request, await run_checks(books_of(request), Parameters.of(parameters), sample=sample))
