"""The endpoints of ingest: events, survey responses, accounts, surveys and exchange rates."""

import json
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Annotated, Any, cast

from fastapi import APIRouter, Depends, Request, Response
from pydantic_core import to_json

from app.access.auth import Caller, books_of, requires
from app.books.books import Books
from app.core.errors import Conflict, Invalid
from app.core.ids import PathId
from app.http.body import incoming_body, read_body
from app.http.encoding import JSON
from app.http.openapi import body_schema, component, conflict_response, object_schema, response_schema
from app.http.polls import pollable
from app.http.problems import problem_response
from app.http.responses import json_response
from app.ingest import exchange_rates
from app.ingest.accept import accept_events
from app.ingest.account_updates import put_account_update
from app.ingest.decode import CLOUDEVENT, CLOUDEVENTS, NDJSON, decode_events
from app.ingest.describe import EVENT_TYPES_SCHEMA, list_event_types
from app.ingest.erase import erase_user
from app.ingest.large_batches import LargeBatches
from app.ingest.outcome import BatchOutcome, BatchReceipt
from app.ingest.request_bodies import (
    ACCOUNT_UPDATE_SCHEMA,
    EXAMPLE_ACCOUNT,
    EXAMPLE_RATES,
    EXAMPLE_SURVEY,
    RATES_SCHEMA,
    AccountBody,
    RatesBody,
    SurveyBody,
    to_survey,
)
from app.ingest.retract import retract_event
from app.ingest.schemas import (
    BATCH_RESPONSES,
    EXAMPLE_BODIES,
    EXAMPLE_CLOUDEVENT,
    EXAMPLE_EVENT,
    EXAMPLE_SURVEY_RESPONSE,
)
from app.ingest.survey_responses import accept_survey_responses
from app.ledger import surveys
from app.ledger.surveys import SURVEY_SCHEMA

router = APIRouter(prefix="/v1", tags=["ingest"])
INGEST = [Depends(requires("ingest"))]
ADMIN = [Depends(requires("admin"))]
_SURVEY = response_schema("The survey.", SURVEY_SCHEMA)
_SURVEYS = response_schema(
    "All surveys.", object_schema("SurveyList", {"surveys": {"type": "array", "items": SURVEY_SCHEMA}})
)

_EVENTS_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            JSON: {"schema": component("Events"), "examples": EXAMPLE_BODIES},
            NDJSON: {
                "schema": {"type": "string", "description": "One event per line."},
                "example": json.dumps(EXAMPLE_EVENT),
            },
            # Without schemas, which CloudEvents 1.0 has: of several types of JSON, generators of clients make none that works.
            CLOUDEVENT: {"example": EXAMPLE_CLOUDEVENT},
            CLOUDEVENTS: {"example": [EXAMPLE_CLOUDEVENT]},
        },
    }
}
_SURVEY_RESPONSES_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            JSON: {"schema": component("SurveyResponses"), "example": EXAMPLE_SURVEY_RESPONSE},
            NDJSON: {
                "schema": {"type": "string", "description": "One response per line."},
                "example": json.dumps(EXAMPLE_SURVEY_RESPONSE),
            },
        },
    }
}


@router.post("/events", response_model=BatchReceipt, responses=BATCH_RESPONSES, openapi_extra=_EVENTS_BODY)
async def post_events(request: Request, caller: Annotated[Caller, Depends(requires("ingest"))]) -> Response:
    """Store and count events, each exactly once.

    Accepted events are durable and in the next answer. Sending the same events again is always safe. The body is one event, an
    array, `{"events": [...]}`, NDJSON or CloudEvents, optionally compressed with gzip or zstd.
    """
    return await _accept_batch(request, partial(accept_events, may_backdate=caller.has("admin")))


async def _accept_batch(
    request: Request, accept: Callable[[Books, Sequence[Any]], Awaitable[BatchOutcome]]
) -> Response:
    """Return the response to a batch of raw events in the body of a request. accept: stores the events."""

    async def store(books: Books, raws: Sequence[Any]) -> Response:
        return _respond(await accept(books, raws))

    batches: LargeBatches = request.app.state.large_batches
    return await batches.accept(
        books_of(request),
        incoming_body(request),
        decode=lambda content: decode_events(content, request.headers),
        store=store,
    )


def _respond(outcome: BatchOutcome) -> Response:
    """Return the response. It is a problem when there are events and all of them were rejected."""
    body = BatchReceipt(accepted=outcome.accepted, duplicates=outcome.duplicates, rejected=outcome.rejected)
    if outcome.rejected and not outcome.accepted and not outcome.duplicates:
        problem = Invalid("No event was accepted; see `rejected`.", code="all_rejected", **cast(Any, body))
        return problem_response(problem)
    return Response(to_json(body), media_type=JSON)


@router.post(
    "/survey-responses", response_model=BatchReceipt, responses=BATCH_RESPONSES, openapi_extra=_SURVEY_RESPONSES_BODY
)
async def post_survey_responses(request: Request, caller: Annotated[Caller, Depends(requires("ingest"))]) -> Response:
    """Store and count survey responses.

    The body is one response, an array or NDJSON. A response is
    `{id, survey, account_id, user_id?, score, comment?, channel?, tags?, responded_at}`.
    """
    return await _accept_batch(request, partial(accept_survey_responses, may_backdate=caller.has("admin")))


@router.get(
    "/event-types",
    name="list_event_types",
    dependencies=[Depends(requires("read"))],
    responses=EVENT_TYPES_SCHEMA,
    response_class=Response,
)
async def get_event_types(request: Request) -> Response:
    """List all event types: what each says, its fields with their types and limits, and an event as an example."""
    return json_response(request, {"event_types": list_event_types()})


@router.delete(
    "/accounts/{account_id}/events/{event_id}", status_code=204, response_class=Response, dependencies=INGEST
)
async def delete_event(request: Request, account_id: PathId, event_id: PathId) -> None:
    """Retract an event.

    It no longer counts from today on; what was known before today stays. Retracting it again changes nothing.
    """
    await retract_event(books_of(request), account=account_id, id=event_id)


@router.delete("/events/{event_id}", status_code=204, response_class=Response, dependencies=INGEST)
async def delete_business_event(request: Request, event_id: PathId) -> None:
    """Retract an event that has no account."""
    await retract_event(books_of(request), account=None, id=event_id)


@router.delete(
    "/accounts/{account_id}/users/{user_id}/personal-data",
    status_code=204,
    response_class=Response,
    dependencies=ADMIN,
)
async def delete_personal_data(request: Request, account_id: PathId, user_id: PathId) -> None:
    """Erase the personal data of a user.

    The user id is replaced by a pseudonym; comments, `extra` and notes about the comments are deleted. All numbers stay.
    Events keep their ids and are duplicates when sent again. Later events of the person are those of a new user. Erasing an
    unknown user, or the same user again, changes nothing.
    """
    await erase_user(books_of(request), account_id=account_id, user_id=user_id)


@router.put(
    "/accounts/{account_id}",
    dependencies=INGEST,
    responses=ACCOUNT_UPDATE_SCHEMA,
    response_class=Response,
    openapi_extra=body_schema(AccountBody, EXAMPLE_ACCOUNT),
)
async def put_account(request: Request, account_id: PathId) -> Response:
    """Set the name and attributes of an account.

    Another call with the same `effective_at` replaces this one.
    """
    body = await read_body(request, AccountBody)
    books = books_of(request)
    effective_at = body.effective_at or books.now()
    await put_account_update(books, account_id, body.to_event_data(), effective_at=effective_at)
    return json_response(request, {"id": account_id, "effective_at": effective_at})


@router.put(
    "/surveys/{survey_id}",
    dependencies=ADMIN,
    responses=_SURVEY | conflict_response("The survey has responses (`survey_answered`)."),
    response_class=Response,
    openapi_extra=body_schema(SurveyBody, EXAMPLE_SURVEY),
)
async def put_survey(request: Request, survey_id: PathId) -> Response:
    """Declare a survey.

    It can be changed until its first response arrives; from then on a different declaration is answered with 409.
    """
    survey = to_survey(survey_id, await read_body(request, SurveyBody))
    database = books_of(request).database
    if not await database.write(lambda connection: surveys.declare_survey(connection, survey)):
        detail = "The survey has responses and can no longer be changed. Declare a new one under another id."
        raise Conflict(detail, code="survey_answered")
    surveys_by_id = await database.read(lambda connection: surveys.load_surveys(connection, [survey_id]))
    return json_response(request, surveys_by_id[survey_id].to_json())


@router.get("/surveys", dependencies=[Depends(requires("read"))], responses=_SURVEYS, response_class=Response)
@pollable
async def list_surveys(request: Request) -> Response:
    """List the surveys and how their scores are read."""
    surveys_by_id = await books_of(request).database.ask(surveys.load_surveys)
    return json_response(request, {"surveys": [survey.to_json() for survey in surveys_by_id.values()]})


@router.put(
    "/exchange-rates",
    status_code=204,
    response_class=Response,
    dependencies=ADMIN,
    responses=conflict_response("A rate has been used (`rate_used`)."),
    openapi_extra=body_schema(RatesBody, EXAMPLE_RATES),
)
async def put_exchange_rates(request: Request) -> None:
    """Set the exchange rates of a currency.

    A rate that has been used can no longer be changed; another value for its day is answered with 409.
    """
    body = await read_body(request, RatesBody)
    books = books_of(request)
    if body.currency == books.currency:
        raise Invalid.at("/currency", "This is the base currency; it needs no rate.", code="base_currency")
    await books.database.write(lambda connection: exchange_rates.put_rates(connection, body.currency, body.rates))


@router.get(
    "/exchange-rates", dependencies=[Depends(requires("read"))], responses=RATES_SCHEMA, response_class=Response
)
@pollable
async def list_exchange_rates(request: Request) -> Response:
    """List the exchange rates by currency."""
    books = books_of(request)
    rates = await books.database.ask(exchange_rates.load_rates)
    body = {"base_currency": books.currency, "exchange_rates": exchange_rates.rates_to_json(rates)}
    return json_response(request, body)
