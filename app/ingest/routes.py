"""The door through which things come in."""

from datetime import datetime
from typing import Annotated, Any, cast
from uuid import uuid4

import sqlalchemy as sa
from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from app.access.auth import Caller, books_of, requires
from app.accounts.accounts import account_key
from app.accounts.attributes import ACCOUNT_UPDATED
from app.core.errors import Conflict, Invalid
from app.core.ids import Id, PathId
from app.database.connection import Connection
from app.database.tables import event
from app.http.body import read_body
from app.http.encoding import JSON
from app.http.openapi import body_schema
from app.http.responses import json_response
from app.ingest import exchange_rates
from app.ingest.accept import BatchOutcome, accept_events
from app.ingest.decode import CLOUDEVENT, CLOUDEVENTS, NDJSON, UndecodableEvent, decode_events
from app.ingest.define import RESERVED_ID_PREFIX
from app.ingest.definitions import RatesBody, SurveyBody, survey_of
from app.ingest.erase import erase_user
from app.ingest.fields import Attributes, Time
from app.ingest.retract import retract_event
from app.ingest.schemas import Accepted
from app.ledger import surveys

router = APIRouter(prefix="/v1", tags=["ingest"])
INGEST = [Depends(requires("ingest"))]
ADMIN = [Depends(requires("admin"))]

# How the ids of updates begin that came by PUT /v1/accounts/{id}.
_PUT = RESERVED_ID_PREFIX

_EVENTS = {
    "requestBody": {
        "required": True,
        "content": {
            JSON: {"schema": {"$ref": "#/components/schemas/Events"}},
            NDJSON: {"schema": {"type": "string", "description": "One event a line."}},
            CLOUDEVENT: {"schema": {"type": "object"}},
            CLOUDEVENTS: {"schema": {"type": "array", "items": {"type": "object"}}},
        },
    }
}


_RESPONSES = {
    "requestBody": {
        "required": True,
        "content": {
            JSON: {"schema": {"$ref": "#/components/schemas/SurveyResponses"}},
            NDJSON: {"schema": {"type": "string", "description": "One answer a line."}},
        },
    }
}


@router.post("/events", openapi_extra=_EVENTS)
async def post_events(request: Request, caller: Annotated[Caller, Depends(requires("ingest"))]) -> Accepted:
    """Take events, each exactly once: what is accepted is durable, counted and in the next answer.

    One event, an array, `{"events": [...]}`, NDJSON or CloudEvents; gzip or zstd. Sending the same again is always safe.
    """
    return _said(await accept_events(books_of(request), await _raws(request), may_backdate=caller.has("admin")))


async def _raws(request: Request) -> list[Any]:
    most = request.app.state.settings.max_inflated_bytes
    return decode_events(await request.body(), request.headers, most_inflated=most)


def _said(outcome: BatchOutcome) -> Accepted:
    said = Accepted(accepted=outcome.accepted, duplicates=outcome.duplicates, rejected=outcome.rejected)
    if outcome.rejected and not outcome.accepted and not outcome.duplicates:
        raise Invalid("No event was accepted; `rejected` says why.", code="all_rejected", **cast(Any, said))
    return said


@router.post("/survey-responses", openapi_extra=_RESPONSES)
async def post_survey_responses(request: Request, caller: Annotated[Caller, Depends(requires("ingest"))]) -> Accepted:
    """Take one or a batch of `{id, survey, account_id, user_id?, score, comment?, channel?, tags?, responded_at}`."""
    raws = [_as_event(raw) for raw in await _raws(request)]
    outcome = await accept_events(books_of(request), raws, may_backdate=caller.has("admin"))
    for rejected in outcome.rejected:
        pointer = rejected["pointer"].replace("/occurred_at", "/responded_at")
        rejected["pointer"] = pointer.removeprefix("/data")
    return _said(outcome)


def _as_event(raw: Any) -> Any:
    if not isinstance(raw, dict):
        return raw
    if "data" in raw or "type" in raw or "occurred_at" in raw:
        return UndecodableEvent(
            "An answer has no data, type or occurred_at, but survey, score and responded_at beside its id."
        )
    envelope = ("id", "account_id", "user_id", "recorded_on")
    event = {name: raw[name] for name in envelope if name in raw}
    if "responded_at" in raw:
        event["occurred_at"] = raw["responded_at"]
    data = {name: value for name, value in raw.items() if name not in envelope and name != "responded_at"}
    return event | {"type": "survey.responded", "data": data}


@router.delete(
    "/accounts/{account_id}/events/{event_id}", status_code=204, response_class=Response, dependencies=INGEST
)
async def delete_event(request: Request, account_id: PathId, event_id: PathId) -> None:
    """Retract one event, from today on; what was known before stays known. Doing it again changes nothing."""
    await retract_event(books_of(request), account=account_id, id=event_id)


@router.delete("/events/{event_id}", status_code=204, response_class=Response, dependencies=INGEST)
async def delete_business_event(request: Request, event_id: PathId) -> None:
    """Retract one event of the whole business, which has no account."""
    await retract_event(books_of(request), account=None, id=event_id)


@router.delete(
    "/accounts/{account_id}/users/{user_id}/personal-data",
    status_code=204,
    response_class=Response,
    dependencies=ADMIN,
)
async def delete_personal_data(request: Request, account_id: PathId, user_id: PathId) -> None:
    """Erase a person: its id, comments, `extra` and notes about its comments. What was counted stays.

    Events keep their ids and are repeats when they are sent again; new events of the person are those of a new user. A
    person of whom nothing is known, or no more, is no fault.
    """
    await erase_user(books_of(request), account_id=account_id, user_id=user_id)


class AccountBody(BaseModel):
    """What is true of an account from `effective_at` (default: now) on; null ends an attribute.

    It counts from the first day that begins then or later; an attribute's first value also holds before that.
    """

    model_config = ConfigDict(extra="forbid", strict=True)

    name: Id | None = None
    attributes: Attributes = Field(default_factory=dict)
    effective_at: Time | None = None


@router.put("/accounts/{account_id}", dependencies=INGEST, openapi_extra=body_schema(AccountBody))
async def put_account(request: Request, account_id: PathId) -> dict[str, Any]:
    """Say what is true of an account. Another call with the same `effective_at` replaces this one."""
    body = await read_body(request, AccountBody)
    books = books_of(request)
    at = body.effective_at or books.clock()
    data: dict[str, Any] = {"attributes": body.attributes} if body.attributes else {}
    if body.name is not None:
        data["name"] = body.name
    # One of these stands at any moment, since each takes the place of the others in the transaction that brings it.
    if not await _is_said(request, account_id, at, data):
        raw = {"id": f"{_PUT}{uuid4().hex}", "type": ACCOUNT_UPDATED, "account_id": account_id, "data": data}
        outcome = await accept_events(books, [raw | {"occurred_at": at.isoformat()}], replaces=_PUT)
        if outcome.rejected:
            rejected = outcome.rejected[0]
            pointer = rejected["pointer"].removeprefix("/data").replace("/occurred_at", "/effective_at")
            raise Invalid.at(pointer, rejected["detail"], code=rejected["code"])
    return {"id": account_id, "effective_at": at}


async def _is_said(request: Request, account_id: str, at: datetime, data: dict[str, Any]) -> bool:
    """Whether this was said of the account for the same moment in the same way, and is not taken back."""
    said = sa.exists().where(
        event.c.account_id == account_key(account_id),
        event.c.type == ACCOUNT_UPDATED,
        event.c.occurred_at == at,
        event.c.id.startswith(_PUT, autoescape=True),
        event.c.retracted_on.is_(None),
        # Compared by PostgreSQL, to which true and 1 are not the same.
        event.c.data == data,
    )

    async def find(connection: Connection) -> bool:
        return bool(await connection.scalar(sa.select(said)))

    return await books_of(request).database.read(find)


@router.put("/surveys/{survey_id}", dependencies=ADMIN, openapi_extra=body_schema(SurveyBody))
async def put_survey(request: Request, survey_id: PathId) -> dict[str, Any]:
    """Declare a survey. From its first answer on it is not changed any more (409)."""
    survey = survey_of(survey_id, await read_body(request, SurveyBody))
    if not await books_of(request).database.write(lambda connection: surveys.declare_survey(connection, survey)):
        raise Conflict("The survey has answers and is not changed any more.", code="survey_answered")
    kept = await books_of(request).database.read(lambda connection: surveys.load_surveys(connection, [survey_id]))
    return kept[survey_id].to_json()


@router.get("/surveys", dependencies=[Depends(requires("read"))])
async def list_surveys(request: Request) -> Response:
    """The surveys and how they are read."""
    found = await books_of(request).database.read(surveys.load_surveys)
    return json_response(request, {"surveys": [survey.to_json() for survey in found.values()]})


@router.put(
    "/exchange-rates",
    status_code=204,
    response_class=Response,
    dependencies=ADMIN,
    openapi_extra=body_schema(RatesBody),
)
async def put_exchange_rates(request: Request) -> None:
    """Write exchange rates. One that has been used is not changed any more (409)."""
    body = await read_body(request, RatesBody)
    books = books_of(request)
    if body.currency == books.currency:
        raise Invalid.at("/currency", "That is the base currency; it is worth itself.", code="base_currency")
    await books.database.write(lambda connection: exchange_rates.put_rates(connection, body.currency, body.rates))


@router.get("/exchange-rates", dependencies=[Depends(requires("read"))])
async def list_exchange_rates(request: Request) -> Response:
    """The exchange rates, by currency."""
    found = await books_of(request).database.read(exchange_rates.load_rates)
    shown = [
        {"currency": currency, "rates": {rate.valid_from.isoformat(): format(rate.rate, "f") for rate in known}}
        for currency, known in found.items()
    ]
    return json_response(request, {"base_currency": books_of(request).currency, "exchange_rates": shown})
