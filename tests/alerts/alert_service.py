"""What the tests of alerts share: put an alert, evaluate, and read the messages."""

import json
from collections.abc import Callable
from typing import Any

import jsonschema

from app.alerts.evaluate import evaluate_alerts
from app.alerts.health import publish_health_news
from app.alerts.restatements import publish_restatements
from app.alerts.targets import publish_target_news
from app.webhooks.define import TOPICS
from tests.support.service import Service


class AlertService:
    """A service whose alerts are evaluated when the test says so."""

    def __init__(self, service: Service, query_database: Callable[[str], list[Any]]) -> None:
        self.service, self._query = service, query_database
        # Nobody listens there, and nothing is delivered: the tests read the outbox.
        body = {
            "url": "https://93.184.216.34/hooks",
            "topics": sorted(TOPICS.keys() - {"feedback.received", "mrr.moved"}),
        }
        answer = service.request("POST", "/v1/webhook-endpoints", json=body)
        assert answer.status_code == 201, answer.text

    def put(self, id: str = "own", **body: Any) -> dict[str, Any]:
        return self.service.put(f"/v1/alerts/{id}?strict=false", body).json()

    def alert(self, id: str = "own") -> dict[str, Any]:
        return self.service.get(f"/v1/alerts/{id}")

    def history(self, id: str = "own", **parameters: Any) -> list[dict[str, Any]]:
        return self.service.get(f"/v1/alerts/{id}/history", **parameters)["rows"]

    def evaluate(self, *, minutes: int = 2) -> int:
        """Let so many minutes pass, and evaluate the alerts that are due; return how many those were."""
        self.service.later(minutes=minutes)
        return self.service.run(evaluate_alerts(self.service.books))

    def watch(self, *, minutes: int = 15) -> None:
        """Let so many minutes pass, and search for all news."""
        self.service.later(minutes=minutes)
        books = self.service.books
        self.service.run(evaluate_alerts(books))
        for news in (
            publish_target_news(books),
            publish_health_news(books),
            publish_restatements(books, closing_days=5),
        ):
            self.service.run(news)

    def data(self, topic: str) -> list[dict[str, Any]]:
        """Return the data of the messages of a topic."""
        return [own["data"] for own in self.messages() if own["type"] == topic]

    def messages(self) -> list[dict[str, Any]]:
        """Return all payloads in the order of their time, each checked by the schema of its topic."""
        rows = self._query("SELECT body FROM webhook_message ORDER BY created_at, topic DESC, id")
        messages = [json.loads(bytes(body)) for (body,) in rows]
        for message in messages:
            jsonschema.validate(message["data"], TOPICS[message["type"]].schema)
        return messages

    def transitions(self) -> list[tuple[str, str, Any]]:
        """Return kind, period and value of each message of an alert."""
        return [
            (own["type"].removeprefix("alert."), own["data"]["number"]["period"], own["data"]["number"]["value"])
            for own in self.messages()
            if own["type"].startswith("alert.")
        ]
