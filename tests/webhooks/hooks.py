"""What the tests of webhooks share: a service that may send to a receiver of the test, and its worker."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from app.webhooks.worker import DeliveryWorker
from tests.support.service import Service

ALLOWED = {"webhook_allow_http": True, "webhook_allowed_networks": "127.0.0.0/8", "webhook_timeout": 20.0}


class Hooks:
    """A service with webhooks, whose worker goes one step when the test says so."""

    def __init__(self, service: Service) -> None:
        self.service = service

    def create(self, url: str, *topics: str, **fields: Any) -> dict[str, Any]:
        """Create an endpoint and return it."""
        body = {"url": url, "topics": list(topics or ("mrr.moved", "feedback.received"))} | fields
        answer = self.service.request("POST", "/v1/webhook-endpoints", json=body)
        assert answer.status_code == 201, answer.text
        return answer.json()

    def post(self, path: str, body: Any = None) -> httpx.Response:
        return self.service.request("POST", f"/v1/webhook-endpoints/{path}", json={} if body is None else body)

    def patch(self, id: str, **fields: Any) -> httpx.Response:
        return self.service.request("PATCH", f"/v1/webhook-endpoints/{id}", json=fields)

    def endpoint(self, id: str) -> dict[str, Any]:
        return self.service.get(f"/v1/webhook-endpoints/{id}")

    def deliveries(self, id: str, **parameters: Any) -> list[dict[str, Any]]:
        return self.service.get(f"/v1/webhook-endpoints/{id}/deliveries", **parameters)["deliveries"]

    def deliver(self, rounds: int = 1) -> None:
        """Let a worker make all attempts that are due, in so many rounds."""

        async def work() -> None:
            worker = DeliveryWorker(self.service.books, self.service.settings)
            for _ in range(rounds):
                await worker.step()
                await worker.finish()
            await worker.stop()

        self.service.run(work())

    def give_up_after(self, seconds: float) -> None:
        """Set how long a receiver may take."""
        settings = self.service.settings.model_copy(update={"webhook_timeout": seconds})
        self.service.settings = self.service.app.state.settings = settings

    def messages(self, query_database: Callable[[str], list[Any]]) -> list[dict[str, Any]]:
        """Return the payloads in the outbox, in the order of their time."""
        rows = query_database("SELECT body FROM webhook_message ORDER BY created_at, id")
        return [json.loads(bytes(body)) for (body,) in rows]


@contextmanager
def allowing_hooks(service: Service, **settings: Any) -> Iterator[Hooks]:
    """Let the service of the test send to receivers on this machine."""
    before = service.settings
    service.settings = service.app.state.settings = before.model_copy(update=ALLOWED | settings)
    try:
        yield Hooks(service)
    finally:
        service.settings = service.app.state.settings = before
