"""Endpoints of health: all accounts, one account, the explanation of a difference, and the model."""

import re
from typing import Any

from fastapi import APIRouter, Depends, Request, Response
from pydantic import Field

from app.access.auth import Caller, books_of, requires
from app.accounts import segments
from app.books.books import Books
from app.core.errors import Invalid
from app.core.ids import PathId
from app.core.periods import Day
from app.database.query_plan import run_plan
from app.health.accounts import resolve_scope
from app.health.card import CardParameters, account_health
from app.health.default_model import DEFAULT_MODEL
from app.health.explanation import ExplanationParameters, explain_health
from app.health.kinds import KINDS
from app.health.listing import HealthParameters, list_health
from app.health.model import HealthModel
from app.health.preview import preview_model
from app.health.schemas import (
    CARD_COLUMNS,
    CARD_SCHEMA,
    EXPLANATION_SCHEMA,
    HEALTH_LIST_SCHEMA,
    MODEL_SCHEMA,
    PREVIEW_SCHEMA,
    VERSIONS_SCHEMA,
)
from app.health.versions import load_versions, put_version, version_on
from app.http.body import read_body
from app.http.openapi import body_schema, query_schema
from app.http.params import QueryParams, parse_query
from app.http.polls import pollable
from app.http.responses import json_response, rows_response
from app.http.tables import Answer

router = APIRouter(prefix="/v1", tags=["health"], default_response_class=Response)
READ = [Depends(requires("read"))]


_KIND_IN_POINTER = re.compile(rf"^(/components/\d+)/(?:{'|'.join(KINDS)})(/|$)")


class HealthModelBody(HealthModel):
    """A health model, and the day from which it holds."""

    effective_from: Day | None = Field(None, description="The first day on which it holds. Default: today.")

    @property
    def model(self) -> HealthModel:
        """The model alone."""
        return HealthModel.model_validate(self.model_dump(exclude={"effective_from"}))


class _ModelParams(QueryParams):
    as_of: Day | None = Field(
        None, description="The version that held on this day, as it was known then. Default: today."
    )


@router.get(
    "/health",
    name="list_health",
    dependencies=READ,
    responses=HEALTH_LIST_SCHEMA,
    openapi_extra=query_schema(HealthParameters),
)
@pollable
async def get_health(request: Request) -> Response:
    """Return the health of all accounts, the worst first.

    The score is computed when it is asked for, from what was recorded by the day `as_of`: nothing is stored, and the answer for a
    day stays the same whatever is recorded later.
    """
    parameters = parse_query(request, HealthParameters)
    return await rows_response(request, parameters, await list_health(books_of(request), parameters))


@router.get(
    "/accounts/{account_id}/health",
    dependencies=READ,
    responses=CARD_SCHEMA,
    openapi_extra=query_schema(CardParameters),
)
@pollable
async def get_account_health(request: Request, account_id: PathId) -> Response:
    """Return the health of one account: its components, whose contributions add up to the score, and its history.

    Files and charts are of the history. A point of it has the score as it is known now and as it was known then; where the two
    differ, it was restated.
    """
    parameters = parse_query(request, CardParameters)
    card = await account_health(books_of(request), account_id, parameters)
    answer = Answer("account-health", card, CARD_COLUMNS, rows_name="history")
    return await rows_response(request, parameters, answer)


@router.get(
    "/accounts/{account_id}/health/explanation",
    name="get_health_explanation",
    dependencies=READ,
    responses=EXPLANATION_SCHEMA,
    openapi_extra=query_schema(ExplanationParameters),
)
@pollable
async def get_explanation(request: Request, account_id: PathId) -> Response:
    """Return why the health of an account is another than on an earlier day: differences that add up to that of the scores."""
    parameters = parse_query(request, ExplanationParameters)
    return json_response(request, await explain_health(books_of(request), account_id, parameters))


@router.get(
    "/health-model",
    name="get_health_model",
    dependencies=READ,
    responses=MODEL_SCHEMA,
    openapi_extra=query_schema(_ModelParams),
)
@pollable
async def get_model(request: Request) -> Response:
    """Return the version of the health model that holds on a day."""
    parameters, books = parse_query(request, _ModelParams), books_of(request)
    at = (await resolve_scope(books, as_of=parameters.as_of)).at
    versions = await books.database.ask(lambda connection: run_plan(connection, load_versions()))
    return json_response(request, version_on(versions, at.day, at.as_of).as_json())


@router.get("/health-model/versions", name="list_health_model_versions", dependencies=READ, responses=VERSIONS_SCHEMA)
@pollable
async def list_versions(request: Request) -> Response:
    """List all versions of the health model, the latest first. Version 0 comes with the service."""
    versions = await books_of(request).database.ask(lambda connection: run_plan(connection, load_versions()))
    latest_first = sorted(versions, key=lambda version: version.effective_from, reverse=True)
    return json_response(request, {"versions": [version.as_json() for version in latest_first]})


_EXAMPLE: dict[str, Any] = DEFAULT_MODEL.as_json()


@router.put(
    "/health-model",
    name="put_health_model",
    responses=MODEL_SCHEMA,
    openapi_extra=body_schema(HealthModelBody, _EXAMPLE),
)
async def put_model(request: Request, caller: Caller = Depends(requires("admin"))) -> Response:
    """Put a version of the health model, which holds from a day on; today by default.

    Answers as of earlier days than today are still computed by the versions that were known then.
    """
    books, body = books_of(request), await _read_model(request)
    model = await _check(books, body)
    version, _ = await put_version(books, model, effective_from=body.effective_from, author=caller.id)
    return json_response(request, version.as_json())


@router.post(
    "/health-model/preview",
    name="preview_health_model",
    dependencies=READ,
    responses=PREVIEW_SCHEMA,
    openapi_extra=body_schema(HealthModelBody, _EXAMPLE),
)
async def post_preview(request: Request) -> Response:
    """Return how today's customers would move between the bands by a model, which is not stored."""
    books, body = books_of(request), await _read_model(request)
    return json_response(request, await preview_model(books, await _check(books, body)))


async def _read_model(request: Request) -> HealthModelBody:
    """Return the model of a request. Raises Invalid."""
    try:
        return await read_body(request, HealthModelBody)
    except Invalid as invalid:
        for fault in invalid.errors:
            # Pydantic names the kind of a component as if it were a step of the way to its fields.
            fault["pointer"] = _KIND_IN_POINTER.sub(r"\1\2", fault["pointer"])
            if fault["code"].startswith("union_tag"):
                fault["pointer"] += "/kind"
        raise


async def _check(books: Books, body: HealthModelBody) -> HealthModel:
    """Return the model of a body. Raises Invalid with all that is wrong with it."""
    model = body.model
    if faults := model.faults(await segments.load_segments(books, None)):
        raise Invalid.of(faults, subject="The model")
    return model
