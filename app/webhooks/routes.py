"""Endpoints of webhooks that go out: topics, the endpoints of receivers, their deliveries."""

import secrets
from datetime import UTC, datetime

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from app.access.auth import books_of, requires
from app.core.errors import Invalid
from app.core.ids import PathId
from app.database.connection import Connection
from app.database.work_counts import add_counts
from app.http.body import read_body, read_optional_body
from app.http.openapi import (
    body_schema,
    conflict_response,
    list_schema,
    map_schema,
    name_schema,
    object_schema,
    query_schema,
    response_schema,
)
from app.http.params import QueryParams, parse_query
from app.http.responses import json_response, next_link
from app.ingest.fields import Time
from app.webhooks import deliveries, endpoints
from app.webhooks.define import TOPICS, describe_topic, unknown_topic
from app.webhooks.deliver import WebhookSender
from app.webhooks.deliveries import DELIVERIES_SCHEMA, DELIVERY_SCHEMA, DeliveryState
from app.webhooks.destination import Rules, rules_of
from app.webhooks.dispatch import record_attempts
from app.webhooks.endpoints import (
    ENDPOINT_SCHEMA,
    NEW_SECRET_SCHEMA,
    EndpointChange,
    NewEndpoint,
    NewEndpointSecret,
)
from app.webhooks.verdicts import DeliveryAttempt, count_attempt, delivery_row

router = APIRouter(prefix="/v1", tags=["webhooks"], default_response_class=Response)
READ = [Depends(requires("read"))]
ADMIN = [Depends(requires("admin"))]

_TEXT = {"type": "string"}
_ENDPOINT = response_schema("The endpoint.", ENDPOINT_SCHEMA)
_CREATED = response_schema(
    "The endpoint with its secret.",
    object_schema("NewWebhookEndpoint", ENDPOINT_SCHEMA["properties"] | NEW_SECRET_SCHEMA),
    status=201,
)
_ENDPOINTS = response_schema(
    "All endpoints, without their secrets.",
    object_schema("WebhookEndpointList", {"endpoints": {"type": "array", "items": ENDPOINT_SCHEMA}}),
)
_SECRET = response_schema(
    "The new secret.",
    object_schema(
        "WebhookSecret",
        {"id": _TEXT}
        | NEW_SECRET_SCHEMA
        | {
            "previous_expire_at": {
                "type": ["string", "null"],
                "format": "date-time",
                "description": "Until then messages are signed with the former secrets as well.",
            }
        },
    ),
)
_TOPIC = {
    "name": name_schema("TopicName"),
    "title": _TEXT,
    "description": _TEXT,
    "schema": map_schema("JsonSchema", description="Of its data."),
    "example": map_schema("WebhookData", description="Valid data."),
}
_TOPICS = response_schema(
    "All topics.", object_schema("WebhookTopicList", {"topics": list_schema("WebhookTopic", _TOPIC)})
)
_DELIVERY = response_schema("The delivery.", DELIVERY_SCHEMA)
_COUNT = response_schema("How many there are.", object_schema("RedeliveryCount", {"redelivered": {"type": "integer"}}))


class _DeliveryParams(QueryParams):
    state: DeliveryState | None = Field(None, description="Only deliveries in this state.")
    topic: str | None = Field(None, max_length=128, description="Only messages of this topic.")
    cursor: str | None = Field(None, max_length=1_000, description="`next` of the page before.")
    limit: int = Field(100, ge=1, le=1_000, description="The maximum number of deliveries in a page.")


class WebhookTest(BaseModel):
    """A message to try an endpoint with."""

    model_config = ConfigDict(extra="forbid", strict=True)

    topic: str | None = Field(
        None, max_length=128, description="Its example is sent. Default: the first of the endpoint."
    )


class FailedSince(BaseModel):
    """Which failed deliveries are meant."""

    model_config = ConfigDict(extra="forbid", strict=True)

    since: Time = Field(description="Those of messages from this time on.")


def _rules(request: Request) -> Rules:
    return rules_of(request.app.state.settings)


def _check_topic(name: str | None, pointer: str) -> None:
    if name is not None and name not in TOPICS:
        raise Invalid.of([unknown_topic(name, pointer)])


@router.get("/webhook-topics", dependencies=READ, responses=_TOPICS)
async def list_webhook_topics(request: Request) -> Response:
    """List the topics that endpoints subscribe to: what makes a message, the schema of its data, and an example."""
    return json_response(request, {"topics": [describe_topic(TOPICS[name]) for name in sorted(TOPICS)]})


@router.post(
    "/webhook-endpoints",
    status_code=201,
    dependencies=ADMIN,
    responses=_CREATED | conflict_response("There are 100 endpoints (`too_many_endpoints`)."),
    openapi_extra=body_schema(NewEndpoint, {"url": "https://example.com/hooks", "topics": ["feedback.received"]}),
)
async def create_webhook_endpoint(request: Request) -> Response:
    """Create an endpoint: from now on the messages of its topics are sent to its URL, signed with its secret.

    Only this response shows the secret. The address of the host must be public, now and at each attempt.
    """
    body = await read_body(request, NewEndpoint)
    new = await endpoints.create_endpoint(books_of(request), body, _rules(request))
    response = json_response(request, new)
    response.status_code = 201
    return response


@router.get("/webhook-endpoints", dependencies=ADMIN, responses=_ENDPOINTS)
async def list_webhook_endpoints(request: Request) -> Response:
    """List the endpoints with their states. Secrets are never shown."""
    return json_response(request, {"endpoints": await endpoints.list_endpoints(books_of(request))})


@router.get("/webhook-endpoints/{endpoint_id}", dependencies=ADMIN, responses=_ENDPOINT)
async def get_webhook_endpoint(request: Request, endpoint_id: PathId) -> Response:
    """Return an endpoint: whether it is enabled, since when it fails, and how many deliveries wait."""
    return json_response(request, await endpoints.load_endpoint(books_of(request), endpoint_id))


@router.patch(
    "/webhook-endpoints/{endpoint_id}",
    name="patch_webhook_endpoint",
    dependencies=ADMIN,
    responses=_ENDPOINT,
    openapi_extra=body_schema(EndpointChange, {"topics": ["feedback.received", "mrr.moved"]}),
)
async def change_webhook_endpoint(request: Request, endpoint_id: PathId) -> Response:
    """Change the URL, topics, description or state of an endpoint. Also one that was disabled can be enabled again."""
    change = await read_body(request, EndpointChange)
    changed_endpoint = await endpoints.change_endpoint(books_of(request), endpoint_id, change, _rules(request))
    return json_response(request, changed_endpoint)


@router.delete("/webhook-endpoints/{endpoint_id}", status_code=204, response_class=Response, dependencies=ADMIN)
async def delete_webhook_endpoint(request: Request, endpoint_id: PathId) -> None:
    """Delete an endpoint with its deliveries, also those that wait."""
    await endpoints.delete_endpoint(books_of(request), endpoint_id)


@router.post(
    "/webhook-endpoints/{endpoint_id}/rotate-secret",
    dependencies=ADMIN,
    responses=_SECRET,
    openapi_extra=body_schema(NewEndpointSecret, {"overlap_hours": 24}, required=False),
)
async def rotate_webhook_secret(request: Request, endpoint_id: PathId) -> Response:
    """Replace the secret of an endpoint. Until the overlap ends, each message has a signature by either."""
    new = await read_optional_body(request, NewEndpointSecret)
    return json_response(request, await endpoints.rotate_secret(books_of(request), endpoint_id, new))


@router.post(
    "/webhook-endpoints/{endpoint_id}/test",
    name="test_webhook_endpoint",
    dependencies=ADMIN,
    responses=_DELIVERY,
    openapi_extra=body_schema(WebhookTest, {"topic": "feedback.received"}, required=False),
)
async def try_webhook_endpoint(request: Request, endpoint_id: PathId) -> Response:
    """Send the example of a topic to an endpoint, as a test, and return how that ended. It is not repeated.

    A disabled endpoint can be tried, too. What the receiver has answered is not shown, but for the status.
    """
    body = await read_optional_body(request, WebhookTest)
    _check_topic(body.topic, "/topic")
    books, lease, sender = books_of(request), secrets.token_hex(8), WebhookSender(_rules(request))
    due = await deliveries.create_test(books, endpoint_id, body.topic, lease=lease)
    at = books.clock()
    try:
        outcome = await sender.send(due, now=at)
    finally:
        await sender.close()
    row = delivery_row(DeliveryAttempt(due, outcome, at), retry_at=None, is_test=True)

    async def record(connection: Connection) -> None:
        await record_attempts(connection, lease, [row])
        await connection.enqueue(add_counts([count_attempt(outcome)]))

    await books.database.write_aside(record)
    return json_response(request, await deliveries.load_delivery(books, endpoint_id, due.message_id))


@router.get(
    "/webhook-endpoints/{endpoint_id}/deliveries",
    dependencies=ADMIN,
    responses=response_schema("A page of deliveries.", DELIVERIES_SCHEMA),
    openapi_extra=query_schema(_DeliveryParams),
)
async def list_webhook_deliveries(request: Request, endpoint_id: PathId) -> Response:
    """List what was sent to an endpoint, or waits to be, the newest first, with the attempts of each."""
    params = parse_query(request, _DeliveryParams)
    _check_topic(params.topic, "/query/topic")
    rows, cursor = await deliveries.list_deliveries(
        books_of(request),
        endpoint_id,
        state=params.state,
        topic=params.topic,
        limit=params.limit,
        cursor=params.cursor,
    )
    return json_response(request, {"deliveries": rows, "next": cursor}, headers=next_link(request, cursor))


@router.get("/webhook-endpoints/{endpoint_id}/deliveries/{delivery_id}", dependencies=ADMIN, responses=_DELIVERY)
async def get_webhook_delivery(request: Request, endpoint_id: PathId, delivery_id: PathId) -> Response:
    """Return a delivery with the payload of its message."""
    return json_response(request, await deliveries.load_delivery(books_of(request), endpoint_id, delivery_id))


@router.post(
    "/webhook-endpoints/{endpoint_id}/deliveries/{delivery_id}/redeliver",
    dependencies=ADMIN,
    responses=_DELIVERY | conflict_response("The endpoint is disabled (`endpoint_disabled`)."),
)
async def redeliver_webhook(request: Request, endpoint_id: PathId, delivery_id: PathId) -> Response:
    """Send a message again, with the same id and bytes: at once, and if that fails as often as a new one."""
    return json_response(request, await deliveries.redeliver(books_of(request), endpoint_id, delivery_id))


@router.post(
    "/webhook-endpoints/{endpoint_id}/redeliver",
    dependencies=ADMIN,
    responses=_COUNT,
    openapi_extra=body_schema(FailedSince, {"since": "2026-03-14T00:00:00Z"}),
)
async def redeliver_failed_webhooks(request: Request, endpoint_id: PathId) -> Response:
    """Send all messages again that have failed since a time: after the receiver was away for long. Tests are left out."""
    body = await read_body(request, FailedSince)
    since: datetime = body.since.astimezone(UTC)
    count = await deliveries.redeliver_failed(books_of(request), endpoint_id, since=since)
    return json_response(request, {"redelivered": count})
