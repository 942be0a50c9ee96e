"""Builders of Segment's calls, and a client that sends them as its libraries do."""

import base64
import json
from collections.abc import Sequence
from datetime import datetime
from itertools import count
from typing import Any

import httpx

from tests.support.service import ADMIN_KEY, Service

_numbers = count()


def call(kind: str = "track", *, group: str | None = "acme", user: str | None = "ada", **fields: Any) -> dict[str, Any]:
    """Return a call, by default at noon of 14 March 2026. The account is in its context."""
    context = {} if group is None else {"groupId": group}
    made = {"type": kind, "messageId": f"message-{next(_numbers)}", "timestamp": "2026-03-14T12:00:00.000Z"}
    made |= {"userId": user, "context": context}
    return {name: value for name, value in (made | fields).items() if value is not None}


def track(event: str, *, user: str | None = "ada", group: str | None = "acme", **properties: Any) -> dict[str, Any]:
    return call("track", user=user, group=group, event=event, properties=properties)


def post(service: Service, path: str, body: Any, *, key: str | None = ADMIN_KEY, **headers: str) -> httpx.Response:
    """Post a body with the write key as user name of HTTP Basic; None: without a key."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    own_headers = {"Content-Type": "application/json", **headers}
    if key is not None:
        own_headers["Authorization"] = "Basic " + base64.b64encode(f"{key}:".encode()).decode()
    client = httpx.AsyncClient(transport=service.client._transport, base_url="http://service")
    return service.run(client.post(f"/v1/segment/{path}", content=content, headers=own_headers))


def send_batch(
    service: Service, calls: Sequence[Any], *, sent_at: datetime | None = None, **more: Any
) -> dict[str, Any]:
    """Send a batch and return the answer."""
    body: dict[str, Any] = {"batch": calls, **more}
    if sent_at is not None:
        body["sentAt"] = sent_at.isoformat()
    response = post(service, "batch", body)
    assert response.status_code == 200, response.text
    assert response.json()["success"] is True
    return response.json()


def counts(answer: dict[str, Any]) -> tuple[int, int, int, int]:
    """Return how many calls were accepted, duplicates, ignored and rejected."""
    return answer["accepted"], answer["duplicates"], len(answer["ignored"]), len(answer["rejected"])


def stored_events(service: Service) -> list[dict[str, Any]]:
    """Return all stored events, ordered by account and id: type, account, id, user, time and data."""

    async def load(connection: Any) -> list[dict[str, Any]]:
        statement = (
            "SELECT event.id, event.type, account.id AS account, user_id, occurred_at, data FROM event "
            "JOIN account USING (account_id) ORDER BY account.id, event.id"
        )
        return [row._asdict() for row in await connection.execute(statement)]

    return service.run(service.books.database.read(load))
