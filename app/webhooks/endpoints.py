"""Endpoints: where messages are sent to, and the topics that each subscribes to."""

import secrets as random
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal

import sqlalchemy as sa
from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError
from sqlalchemy.dialects.postgresql import insert

from app.books.books import Books
from app.core.errors import Conflict, Invalid, NotFound
from app.core.ids import FreeText
from app.core.names import build_fault
from app.database.connection import Connection
from app.database.webhook_tables import webhook_delivery as delivery
from app.database.webhook_tables import webhook_endpoint as endpoint
from app.http.openapi import name_schema, object_schema
from app.http.vocabularies import VOCABULARY
from app.webhooks.define import TOPICS, unknown_topic
from app.webhooks.destination import BadUrl, BlockedAddress, Rules, Unresolvable, parse_url, resolve_url
from app.webhooks.dispatch import DisableReason, disable_endpoints
from app.webhooks.signing import is_secret, live_secrets, new_secret

MAX_ENDPOINTS = 100
# With the newest. A message has a signature for each.
_MAX_SECRETS = 5
DEFAULT_OVERLAP_HOURS = 24
BY_HAND = "by_hand"

_TEXT: dict[str, Any] = {"type": "string"}
_TIME: dict[str, Any] = {"type": "string", "format": "date-time"}
_OPTIONAL_TIME: dict[str, Any] = {"type": ["string", "null"], "format": "date-time"}
ENDPOINT_SCHEMA = object_schema(
    "WebhookEndpoint",
    {
        "id": _TEXT,
        "url": _TEXT,
        "description": {"type": ["string", "null"]},
        "topics": {"type": "array", "items": name_schema("TopicName")},
        "state": {"type": "string", "enum": ["enabled", "disabled"]},
        "disabled_reason": {
            "type": ["string", "null"],
            "description": "`by_hand`, `gone` (the receiver answered 410) or `failing` (nothing arrived for about 28 hours).",
        },
        "disabled_at": _OPTIONAL_TIME,
        "failing_since": _OPTIONAL_TIME | {"description": "The first failure after the last success."},
        "paused_until": _OPTIONAL_TIME | {"description": "Until then the receiver wants no messages (`Retry-After`)."},
        "pending": {"type": "integer", "description": "How many deliveries wait for their next attempt."},
        "created_at": _TIME,
    },
)
NEW_SECRET_SCHEMA = {
    "secret": _TEXT | {"description": "Signs the messages. It is shown this time only."},
}


def _check_secret(text: str) -> str:
    if not is_secret(text):
        raise PydanticCustomError("secret", "A secret is whsec_ and the base64 of 24 to 64 random bytes.")
    return text


Secret = Annotated[str, Field(max_length=200), AfterValidator(_check_secret)]
Description = Annotated[FreeText, Field(max_length=200, description="For people.")]
TopicNames = Annotated[
    list[Annotated[str, Field(max_length=128, json_schema_extra={VOCABULARY: "TopicName"})]],
    Field(min_length=1, max_length=100, description="The topics to subscribe to: see `GET /v1/webhook-topics`."),
]
EndpointUrl = Annotated[
    str,
    Field(max_length=2_000, description="Where messages are sent to by POST: https, on port 443, 80 or from 1024 on."),
]


class NewEndpoint(BaseModel):
    """An endpoint to create."""

    model_config = ConfigDict(extra="forbid", strict=True)

    url: EndpointUrl
    topics: TopicNames
    description: Description | None = None
    secret: Secret | None = Field(None, description="Default: a random one, which only the response shows.")


class EndpointChange(BaseModel):
    """What to change of an endpoint. What is left out stays."""

    model_config = ConfigDict(extra="forbid", strict=True)

    url: EndpointUrl | None = None
    topics: TopicNames | None = None
    description: Description | None = None
    state: Literal["enabled", "disabled"] | None = Field(
        None,
        description="`disabled`: nothing is sent, and what waits fails. `enabled`: from now on everything is sent.",
    )


class NewEndpointSecret(BaseModel):
    """The secret that takes the place of another one."""

    model_config = ConfigDict(extra="forbid", strict=True)

    secret: Secret | None = Field(None, description="Default: a random one, which only the response shows.")
    overlap_hours: int = Field(
        DEFAULT_OVERLAP_HOURS, ge=0, le=168, description="Hours for which messages are signed with the old one, too."
    )


async def create_endpoint(books: Books, new: NewEndpoint, rules: Rules) -> dict[str, Any]:
    """Create an endpoint and return it with its secret, which is never shown again. Raises Invalid, or Conflict when too many."""
    _check_topics(new.topics)
    await check_url(new.url, rules)
    secret = new.secret or new_secret()
    row = {
        "id": f"ep_{random.token_hex(8)}",
        "url": new.url,
        "description": new.description,
        "topics": list(dict.fromkeys(new.topics)),
        "secrets": [{"secret": secret, "expires_at": None}],
        "created_at": books.clock(),
    }

    async def write(connection: Connection) -> dict[str, Any]:
        await connection.execute(sa.text("LOCK TABLE webhook_endpoint IN SHARE ROW EXCLUSIVE MODE"))
        if await connection.scalar(sa.select(sa.func.count()).select_from(endpoint)) >= MAX_ENDPOINTS:
            raise Conflict(f"There are {MAX_ENDPOINTS} endpoints. Delete one first.", code="too_many_endpoints")
        # An earlier attempt whose commit was never confirmed may have inserted it.
        await connection.execute(insert(endpoint).values(row).on_conflict_do_nothing(index_elements=["id"]))
        return await fetch_endpoint(connection, str(row["id"]))

    return await books.database.write_aside(write) | {"secret": secret}


def _check_topics(names: Sequence[str]) -> None:
    """Raise Invalid for names of topics that do not exist."""
    faults = [unknown_topic(name, f"/topics/{number}") for number, name in enumerate(names) if name not in TOPICS]
    if faults:
        raise Invalid.of(faults, subject="The body")


async def check_url(text: str, rules: Rules) -> None:
    """Raise Invalid for a URL to which nothing may be sent. The error names no address of a host, which may be internal."""
    try:
        await resolve_url(parse_url(text, rules), rules)
    except BadUrl as error:
        raise Invalid.at("/url", str(error), code="webhook_url") from None
    except Unresolvable:
        raise Invalid.at("/url", "The host of the URL has no address.", code="webhook_host") from None
    except BlockedAddress:
        detail = (
            "The host of the URL has an address that is not public. WEBHOOK_ALLOWED_NETWORKS allows internal receivers."
        )
        raise Invalid.at("/url", detail, code="webhook_address") from None


def _select() -> Any:
    pending = sa.select(sa.func.count()).where(delivery.c.endpoint_id == endpoint.c.id, delivery.c.state == "pending")
    return sa.select(endpoint, pending.scalar_subquery().label("pending")).order_by(
        endpoint.c.created_at, endpoint.c.id
    )


def _as_json(row: Any) -> dict[str, Any]:
    """Return an endpoint as the API shows it, without its secrets."""
    return {name: getattr(row, name) for name in ENDPOINT_SCHEMA["properties"]}


async def fetch_endpoint(connection: Connection, id: str) -> dict[str, Any]:
    """Return an endpoint as the API shows it. Raises NotFound."""
    row = next(iter(await connection.execute(_select().where(endpoint.c.id == id))), None)
    if row is None:
        raise endpoint_not_found()
    return _as_json(row)


def endpoint_not_found() -> NotFound:
    """Return the error of an endpoint that does not exist."""
    return NotFound("There is no endpoint with this id. GET /v1/webhook-endpoints lists all endpoints.")


async def load_endpoint(books: Books, id: str) -> dict[str, Any]:
    """Return an endpoint. Raises NotFound."""
    return await books.database.read(lambda connection: fetch_endpoint(connection, id))


async def list_endpoints(books: Books) -> list[dict[str, Any]]:
    """Return all endpoints, in the order in which they were created."""

    async def read(connection: Connection) -> list[dict[str, Any]]:
        return [_as_json(row) for row in await connection.execute(_select())]

    return await books.database.read(read)


async def change_endpoint(books: Books, id: str, change: EndpointChange, rules: Rules) -> dict[str, Any]:
    """Change an endpoint and return it. Raises NotFound and Invalid."""
    fields = change.model_dump(exclude_unset=True)
    nulls = [name for name in ("url", "topics", "state") if name in fields and fields[name] is None]
    if nulls:
        detail = "This field cannot be null. Leave it out to keep what it is."
        raise Invalid.of([build_fault(f"/{name}", detail, code="invalid") for name in nulls], subject="The body")
    _check_topics(change.topics or ())
    if change.url is not None:
        await check_url(change.url, rules)
    if change.topics is not None:
        fields["topics"] = list(dict.fromkeys(change.topics))
    state, now = fields.pop("state", None), books.clock()
    if state == "enabled":
        fields |= {"state": state, "disabled_reason": None, "disabled_at": None}
    if state == "enabled" or change.url is not None:
        fields |= {"failing_since": None, "paused_until": None}

    async def write(connection: Connection) -> dict[str, Any]:
        await fetch_endpoint(connection, id)
        if fields:
            await connection.execute(sa.update(endpoint).where(endpoint.c.id == id).values(fields))
        if state == "disabled":
            await disable_endpoints(connection, [DisableReason(id, BY_HAND)], now=now)
        return await fetch_endpoint(connection, id)

    return await books.database.write_aside(write)


async def delete_endpoint(books: Books, id: str) -> None:
    """Delete an endpoint with its deliveries. Raises NotFound."""

    async def write(connection: Connection) -> bool:
        # First the endpoint: whoever makes deliveries holds a lock of it, and they are seen by the statement after this.
        rows = await connection.execute(sa.delete(endpoint).where(endpoint.c.id == id))
        await connection.execute(sa.delete(delivery).where(delivery.c.endpoint_id == id))
        return bool(rows.row_count)

    if not await books.database.write_aside(write):
        raise endpoint_not_found()


async def rotate_secret(books: Books, id: str, new: NewEndpointSecret) -> dict[str, Any]:
    """Put another secret before those of an endpoint, and return it. Raises NotFound.

    The others expire after the overlap, and until then messages are signed with all of them.
    """
    secret, now = new.secret or new_secret(), books.clock()
    overlap_end = now + timedelta(hours=new.overlap_hours)

    async def write(connection: Connection) -> dict[str, Any]:
        query = sa.select(endpoint.c.secrets).where(endpoint.c.id == id).with_for_update()
        row = next(iter(await connection.execute(query)), None)
        if row is None:
            raise endpoint_not_found()
        live = live_secrets(row.secrets, now) if new.overlap_hours else []
        former = [own for own in row.secrets if own["secret"] in live and own["secret"] != secret]
        former = [_expire(own, overlap_end) for own in former[: _MAX_SECRETS - 1]]
        secrets = [{"secret": secret, "expires_at": None}, *former]
        await connection.execute(sa.update(endpoint).where(endpoint.c.id == id).values(secrets=secrets))
        return {"id": id, "secret": secret, "previous_expire_at": overlap_end if former else None}

    return await books.database.write_aside(write)


def _expire(stored_secret: dict[str, Any], at: datetime) -> dict[str, Any]:
    """Return a stored secret that expires at a time, or earlier if it did before."""
    expires_at = stored_secret["expires_at"]
    earliest = at if expires_at is None else min(at, datetime.fromisoformat(expires_at))
    return stored_secret | {"expires_at": earliest.isoformat()}
