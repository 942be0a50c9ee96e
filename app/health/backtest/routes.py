"""Endpoints of the back-test."""

from fastapi import APIRouter, Depends, Request, Response

from app.access.auth import books_of, requires
from app.health.backtest.answers import list_backtest_scores, run_backtest
from app.health.backtest.question import BacktestParameters, BacktestScoreParameters
from app.health.backtest.schema import BACKTEST_SCHEMA, SCORES_SCHEMA
from app.http.openapi import query_schema
from app.http.params import parse_query
from app.http.polls import pollable
from app.http.responses import rows_response

router = APIRouter(
    prefix="/v1", tags=["health"], dependencies=[Depends(requires("read"))], default_response_class=Response
)


@router.get("/health-model/backtest", responses=BACKTEST_SCHEMA, openapi_extra=query_schema(BacktestParameters))
@pollable
async def get_backtest(request: Request) -> Response:
    """Return how well the scores of past months, as they were known then, predicted who churned afterwards.

    A score says who is at risk, not whom a call would keep: that takes an experiment. Accounts that stayed because somebody
    called them count as false alarms here.
    """
    parameters = parse_query(request, BacktestParameters)
    return await rows_response(request, parameters, await run_backtest(books_of(request), parameters))


@router.get(
    "/health-model/backtest/scores", responses=SCORES_SCHEMA, openapi_extra=query_schema(BacktestScoreParameters)
)
@pollable
async def get_backtest_scores(request: Request) -> Response:
    """Return the scores that a back-test is made of: of each customer at each cut-off, and whether it churned afterwards."""
    parameters = parse_query(request, BacktestScoreParameters)
    return await rows_response(request, parameters, await list_backtest_scores(books_of(request), parameters))
