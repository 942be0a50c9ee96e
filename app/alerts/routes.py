"""Endpoints of alerts."""

from fastapi import APIRouter, Depends, Request, Response
from pydantic import Field

from app.access.auth import books_of, requires
from app.alerts.alerts import (
    ALERT_HISTORY_SCHEMA,
    ALERT_SCHEMA,
    ALERTS_SCHEMA,
    alert_history,
    list_alerts,
    put_alert,
    remove_alert,
    show_alert,
)
from app.alerts.body import AlertBody
from app.core.ids import PathId
from app.http.body import read_json
from app.http.openapi import body_schema, query_schema
from app.http.params import QueryParams, parse_query
from app.http.responses import json_response, next_link

router = APIRouter(prefix="/v1", tags=["alerts"], default_response_class=Response)
READ = [Depends(requires("read"))]
ADMIN = [Depends(requires("admin"))]

_ALERT = {"metric": "nps", "granularity": "month", "below": 20, "min_sample": 30}


class _PutAlertParameters(QueryParams):
    strict: bool = Field(
        True,
        description="Whether attributes, subjects and channels that have never been recorded are errors. `false` puts the alert "
        "before its data arrives.",
    )


class _AlertHistoryParameters(QueryParams):
    cursor: str | None = Field(None, max_length=1_000, description="The `next` of the page before.")
    limit: int = Field(100, ge=1, le=1_000, description="The maximum number of rows in a page.")


@router.put(
    "/alerts/{alert_id}",
    name="put_alert",
    dependencies=ADMIN,
    responses=ALERT_SCHEMA,
    openapi_extra=body_schema(AlertBody, _ALERT) | query_schema(_PutAlertParameters),
)
async def put_alert_definition(request: Request, alert_id: PathId) -> Response:
    """Put an alert: it triggers once when a number crosses a threshold, and resolves once when the number is back.

    It is evaluated within a minute after data that it depends on has changed, and after midnight. An alert that is changed
    begins anew; what it had triggered resolves.
    """
    parameters = parse_query(request, _PutAlertParameters)
    raw = await read_json(request)
    return json_response(request, await put_alert(books_of(request), alert_id, raw, strict=parameters.strict))


@router.get("/alerts", name="list_alerts", dependencies=READ, responses=ALERTS_SCHEMA)
async def get_alerts(request: Request) -> Response:
    """List all alerts by id, each with its state and with what is triggered now."""
    return json_response(request, {"alerts": await list_alerts(books_of(request))})


@router.get("/alerts/{alert_id}", dependencies=READ, responses=ALERT_SCHEMA)
async def get_alert(request: Request, alert_id: PathId) -> Response:
    """Return an alert with its state and with what is triggered now."""
    return json_response(request, await show_alert(books_of(request), alert_id))


@router.delete("/alerts/{alert_id}", status_code=204, response_class=Response, dependencies=ADMIN)
async def delete_alert(request: Request, alert_id: PathId) -> None:
    """Delete an alert with its history. What it has triggered resolves."""
    await remove_alert(books_of(request), alert_id)


@router.get(
    "/alerts/{alert_id}/history",
    dependencies=READ,
    responses=ALERT_HISTORY_SCHEMA,
    openapi_extra=query_schema(_AlertHistoryParameters),
)
async def get_alert_history(request: Request, alert_id: PathId) -> Response:
    """Return the transitions of an alert, the last first: when it triggered and resolved, and by which number."""
    parameters = parse_query(request, _AlertHistoryParameters)
    body = await alert_history(books_of(request), alert_id, cursor=parameters.cursor, limit=parameters.limit)
    return json_response(request, body, headers=next_link(request, body["next"]))
