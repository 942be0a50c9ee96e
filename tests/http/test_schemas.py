"""The OpenAPI document tells the truth: answers fit their schemas, and the examples of requests work as they are."""

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from app.alerts.evaluate import evaluate_alerts
from app.core.settings import Settings
from app.http.components import OPEN_ENUM
from app.http.encoding import JSON
from app.main import build_app
from tests.inbound.senders import put_source, send
from tests.support.service import NOON, Service, account_update, event, session, survey_responses
from tests.webhooks.hooks import allowing_hooks

EVENTS = [
    account_update(plan="pro", seats=3, vip=True, region=None),
    account_update("other", plan="free"),
    event("user.registered", user="ada", at="2026-01-02"),
    session(),
    session("other", at="2026-02-03"),
    event("subscription.changed", at="2026-01-05", subscription_id="s", mrr="100.50", plan="pro"),
    event("subscription.canceled", at="2026-03-01", subscription_id="s", reason="price"),
    event("onboarding.started", at="2026-02-01"),
    event("onboarding.step_completed", at="2026-02-02", step="import"),
    *survey_responses("nps", [10, 9, 2], comment="Exports are slow.", tags=["export"]),
    # Of the earlier days only, so that the class has no comments in the current period.
    *survey_responses("nps", [8], at="2026-02-03", comment="Exports were fine.", tags=["export"]),
    event("feedback.received", comment="Fine."),
]
STATES = ["nothing", "events", "before the events"]


def operations(service: Service, method: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, members in service.get("/openapi.json")["paths"].items():
        if method in members:
            yield path, members[method]


# Nobody listens there.
ENDPOINT: dict[str, Any] = {"url": "http://127.0.0.1:1025/", "topics": ["feedback.received"]}


def validator(service: Service, schema: dict[str, Any]) -> Draft202012Validator:
    """The validator of a schema; names that answers have so far are all that they may have."""
    document = service.get("/openapi.json")
    return Draft202012Validator(close_enums(schema | {"components": document["components"]}))


def close_enums(part: Any) -> Any:
    if isinstance(part, list):
        return [close_enums(own) for own in part]
    if not isinstance(part, dict):
        return part
    own = {name: close_enums(value) for name, value in part.items()}
    if isinstance(names := own.get(OPEN_ENUM), list):
        own["enum"] = [*names, *([None] if "null" in own["type"] else [])]
    return own


def answer(service: Service, path: str, **parameters: Any) -> Any:
    """Return the JSON answer of a GET; None where this data has nothing at the path."""
    comments = service.get("/v1/feedback", limit=1)["feedback"]
    endpoints = service.get("/v1/webhook-endpoints")["endpoints"]
    endpoint_id = endpoints[0]["id"] if endpoints else "x"
    deliveries = service.get(f"/v1/webhook-endpoints/{endpoint_id}/deliveries")["deliveries"] if endpoints else ()
    ids = {
        "endpoint_id": endpoint_id,
        "delivery_id": deliveries[0]["id"] if deliveries else "x",
        "account_id": "acme",
        "metric": "nps",
        "survey_id": "nps",
        "target_id": "recurring",
        "alert_id": "nps-low",
        "insight_id": "detractors_unanswered",
        "feedback_id": comments[0]["id"] if comments else "x",
        "source": "calls",
        "delivery": "%2Fx%201",
    }
    if path.endswith("/query"):
        parameters["metrics"] = "nps,mrr,sessions,revenue_churn_rate,average_resolution_hours"
    response = service.request("GET", path.format_map(ids), params=parameters)
    assert response.status_code in (200, 404, 422), response.text
    return response.json() if response.status_code == 200 else None


@pytest.mark.parametrize("state", STATES)
def test_every_answer_fits_its_schema(state: str, service: Service) -> None:
    if state != "nothing":
        service.send(*EVENTS)
        with allowing_hooks(service) as hooks:
            hooks.post(f"{hooks.create(ENDPOINT['url'], *ENDPOINT['topics'])['id']}/test")
        target = {"metric": "mrr", "granularity": "month", "from": "2026-01-01", "until": "2027-01-01", "baseline": 1}
        service.put(
            "/v1/targets/recurring", target | {"value": "200.50", "path": [{"until": "2026-06-01", "value": 150}]}
        )
        put_source(service, "calls", "cloudevents")
        send(service, "calls", {"specversion": "1.0", "id": "1", "source": "/x"})
        service.put("/v1/targets/small", {"metric": "nps", "granularity": "quarter", "value": 10})
        service.put("/v1/alerts/nps-low", {"metric": "nps", "granularity": "month", "below": 50, "each_account": True})
        service.run(evaluate_alerts(service.books))
    variants: list[dict[str, Any]] = [{}, {"period": "2026-03"}, {"group_by": "plan"}, {"compare": "previous_year"}]
    variants += [{"totals": "true"}, {"min_sample": 5}, {"by": "class"}]
    if state == "before the events":
        variants = [{"as_of": "2026-02-01"} | variant for variant in variants]
    checked = set()
    for path, operation in operations(service, "get"):
        content = operation["responses"]["200"].get("content", {}).get(JSON, {})
        if not (schema := content.get("schema")):
            continue
        check = validator(service, schema)
        names = {parameter["name"] for parameter in operation.get("parameters", ())}
        for variant in (variant for variant in variants if variant.keys() <= names):
            if (body := answer(service, path, **variant)) is not None:
                checked.add(path)
                errors = [f"{error.json_path}: {error.message[:300]}" for error in check.iter_errors(body)]
                assert errors == [], (path, variant)
    assert len(checked) >= 7


def test_a_schema_refuses_another_answer(shared: Service) -> None:
    [schema] = [
        operation["responses"]["200"]["content"][JSON]["schema"]
        for path, operation in operations(shared, "get")
        if path == "/v1/feedback/themes"
    ]
    themes = shared.get("/v1/feedback/themes")
    assert validator(shared, schema).is_valid(themes)
    assert not validator(shared, schema).is_valid(themes | {"tags": [{"class": 1}]})


def test_no_summary_has_backquotes_which_the_page_shows_as_they_are(shared: Service) -> None:
    methods = ("get", "put", "post", "patch", "delete")
    summaries = [own["summary"] for method in methods for _, own in operations(shared, method)]
    assert summaries and [text for text in summaries if "`" in text] == []


@pytest.mark.usefixtures("example_host")
@pytest.mark.parametrize("days_later", [0, 40])
def test_the_example_of_a_request_works_as_it_is(days_later: int, start_service: Callable[..., Service]) -> None:
    service = start_service(webhook_allow_http=True, webhook_allowed_networks="127.0.0.1")
    service.now = NOON + timedelta(days=days_later)
    endpoint = service.request("POST", "/v1/webhook-endpoints", json=ENDPOINT).json()
    service.send(event("feedback.received", id="c", comment="Fine."))
    [comment] = service.get("/v1/feedback")["feedback"]
    count = 0
    # Attributes come before the segment that names them.
    for method in ("put", "post", "patch"):
        for path, operation in sorted(operations(service, method)):
            # What another system sends has no example here, and a replay has no body.
            contents = operation.get("requestBody", {"content": {}})["content"].items()
            for media_type, media in ((name, own) for name, own in contents if own.keys() & {"example", "examples"}):
                ids = {"survey_id": "s", "target_id": "t", "alert_id": "a", "account_id": "acme", "name": "large"}
                url = path.format(
                    **ids, source="s", delivery="d", feedback_id=comment["id"], endpoint_id=endpoint["id"]
                )
                # /docs sends the first one.
                example = media["example"] if "example" in media else next(iter(media["examples"].values()))["value"]
                content = example if isinstance(example, str) else json.dumps(example)
                headers = {"Content-Type": media_type}
                for _ in range(2):  # /docs makes it easy to send it twice
                    response = service.request(method.upper(), url, content=content, headers=headers)
                    assert response.is_success, (path, media_type, response.text)
                validator(service, media.get("schema", {})).validate(example)
                count += 1
    assert count >= 12
    # What was sent is in the answer that one asks for first.
    yesterday = (service.now - timedelta(days=1)).date().isoformat()
    assert service.value("sessions", period=yesterday, granularity="day") == 2
    # As itself, and as a call of Segment by itself and in a batch.
    assert service.value("survey_responses", period=yesterday, granularity="day") == 3


def test_the_published_examples_always_have_the_same_day() -> None:
    app = build_app(Settings(_env_file=None))
    assert '"2026-03-14T09:30:00Z"' in json.dumps(app.openapi())
