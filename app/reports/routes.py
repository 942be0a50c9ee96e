"""Endpoints of reports."""

from fastapi import APIRouter, Depends, Request, Response

from app.access.auth import books_of, requires
from app.core.ids import PathId
from app.http.openapi import query_schema
from app.http.params import parse_query
from app.http.polls import pollable
from app.http.responses import json_response, rows_response
from app.reports.cohort_accounts import COHORT_ACCOUNTS_SCHEMA, CohortAccountsParameters, list_cohort_accounts
from app.reports.cohorts import COHORTS_SCHEMA, CohortParameters, retention_triangle
from app.reports.distribution import DISTRIBUTION_SCHEMA, DistributionParameters, score_distribution
from app.reports.funnel import FUNNEL_SCHEMA, FunnelParameters, onboarding_funnel
from app.reports.overview import OVERVIEW_SCHEMA, OverviewParameters, account_overview

router = APIRouter(
    prefix="/v1", tags=["reports"], dependencies=[Depends(requires("read"))], default_response_class=Response
)


@router.get("/cohorts", responses=COHORTS_SCHEMA, openapi_extra=query_schema(CohortParameters))
@pollable
async def get_cohorts(request: Request) -> Response:
    """Return the retention triangle: how many of those who started in one period are left in each later period.

    Customers and their MRR belong to the period of their first payment, users to that of their first use, purchasers and
    their revenue to that of their first order. Those who started before the range are left out.
    """
    parameters = parse_query(request, CohortParameters)
    answer = await retention_triangle(books_of(request), parameters)
    return await rows_response(request, parameters, answer)


@router.get(
    "/cohorts/accounts",
    name="list_cohort_accounts",
    responses=COHORT_ACCOUNTS_SCHEMA,
    openapi_extra=query_schema(CohortAccountsParameters),
)
@pollable
async def get_cohort_accounts(request: Request) -> Response:
    """List the accounts behind one cell of the retention triangle: who began in a period, and what is left of each later.

    The parameters are those of the triangle, with `cohort` and `number` of one of its rows. The numbers of the accounts add up
    to those of that row.
    """
    parameters = parse_query(request, CohortAccountsParameters)
    answer = await list_cohort_accounts(books_of(request), parameters)
    return await rows_response(request, parameters, answer)


@router.get(
    "/accounts/{account_id}/overview",
    name="get_account_overview",
    responses=OVERVIEW_SCHEMA,
    openapi_extra=query_schema(OverviewParameters),
)
@pollable
async def get_overview(request: Request, account_id: PathId) -> Response:
    """Return one account at a glance: all metrics with their trends, MRR movements, open tickets, responses, last activity.

    Every metric has its row for the last period that has ended, its row for the current period, and its value in each period.
    """
    parameters = parse_query(request, OverviewParameters)
    return json_response(request, await account_overview(books_of(request), account_id, parameters))


@router.get(
    "/surveys/{survey_id}/distribution",
    name="get_score_distribution",
    responses=DISTRIBUTION_SCHEMA,
    openapi_extra=query_schema(DistributionParameters),
)
@pollable
async def get_distribution(request: Request, survey_id: PathId) -> Response:
    """Return how many responses to a survey have each score, or each class of scores.

    The classes are promoter, passive and detractor (NPS), satisfied and unsatisfied (CSAT), and easy, neutral and difficult
    (CES).
    """
    parameters = parse_query(request, DistributionParameters)
    answer = await score_distribution(books_of(request), survey_id, parameters)
    return await rows_response(request, parameters, answer)


@router.get(
    "/onboarding/funnel",
    name="get_onboarding_funnel",
    responses=FUNNEL_SCHEMA,
    openapi_extra=query_schema(FunnelParameters),
)
@pollable
async def get_funnel(request: Request) -> Response:
    """Return how many of the onboardings started in a period reached each step, and how many were lost before the next.

    A step counts whenever it was reached. The steps are in the order in which onboardings typically reach them.
    """
    parameters = parse_query(request, FunnelParameters)
    answer = await onboarding_funnel(books_of(request), parameters)
    return await rows_response(request, parameters, answer)
