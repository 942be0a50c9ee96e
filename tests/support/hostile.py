"""What tests of hostile input share: a canary, the endpoints with JSON bodies, and what an error response must be."""

import json
import unicodedata
from itertools import count
from typing import Any
from urllib.parse import quote

import httpx
from hypothesis import HealthCheck, settings

from tests.support.service import Service, session

CANARY = "c4narY"
JSON, NDJSON = "application/json", "application/x-ndjson"
CLOUDEVENT, CLOUDEVENTS = "application/cloudevents+json", "application/cloudevents-batch+json"
_TARGET: dict[str, Any] = {
    "metric": "nps",
    "granularity": "month",
    "value": 40,
    "baseline": "20.5",
    "from": "2026-01-01",
    "until": "2027-01-01",
    "path": [{"until": "2026-07-01", "value": 30}],
}
_HEALTH_MODEL: dict[str, Any] = {
    "effective_from": "2026-01-01",
    "description": "Usage only.",
    "window_days": 28,
    "min_coverage": 0.5,
    "bands": {"at_risk": 40, "healthy": 70},
    "categories": {"usage": {"cap": 0.6}},
    "components": [
        {"id": "use", "kind": "value", "metric": "sessions", "poor": 0, "good": 9, "weight": 1, "category": "usage"}
    ],
    "segment_weights": [],
}
# The endpoints with a JSON body, each with a valid one; None: the body is a batch of events.
ENDPOINTS: dict[tuple[str, str], dict[str, Any] | None] = {
    ("POST", "/v1/events"): None,
    ("POST", "/v1/survey-responses"): None,
    ("POST", "/v1/segment/batch"): None,
    ("POST", "/v1/segment/identify"): None,
    ("POST", "/v1/segment/group"): None,
    ("POST", "/v1/segment/track"): None,
    ("POST", "/v1/segment/page"): None,
    ("POST", "/v1/segment/screen"): None,
    ("POST", "/v1/segment/alias"): None,
    ("PUT", "/v1/accounts/acme"): {
        "name": "Acme",
        "attributes": {"plan": "pro"},
        "effective_at": "2026-03-01T00:00:00Z",
    },
    ("PUT", "/v1/surveys/review"): {
        "kind": "csat",
        "scale": {"min": 1, "max": 7},
        "satisfied_from": 6,
        "question": "How was it?",
    },
    ("PUT", "/v1/exchange-rates"): {"currency": "EUR", "rates": {"2026-01-01": "1.08"}},
    ("PUT", "/v1/segments/paying"): {"filter": 'plan != "free"'},
    ("PUT", "/v1/targets/goal"): _TARGET,
    ("POST", "/v1/targets/goal/preview"): _TARGET,
    ("PUT", "/v1/alerts/goal"): {
        "metric": "nps",
        "granularity": "month",
        "below": 20,
        "margin": "2.5",
        "each_account": True,
        "min_sample": 5,
        "for_periods": 2,
    },
    ("PUT", "/v1/sources/calls"): {
        "vendor": "generic",
        "secrets": ["a-secret-of-the-tests-0123456789"],
        "mapping": {"events": [{"type": "session.ended", "id": "payload.id"}]},
        "options": {},
    },
    # No endpoint has this id: a body is checked before the endpoint is looked up.
    ("POST", "/v1/webhook-endpoints"): {
        "url": "https://93.184.216.34/hooks",
        "topics": ["feedback.received"],
        "description": "A receiver.",
        "secret": "whsec_dGhpcyBpcyBhIHNlY3JldCBvZiB0aGUgdGVzdHM=",
    },
    ("PATCH", "/v1/webhook-endpoints/none"): {
        "url": "https://93.184.216.34/",
        "topics": ["mrr.moved"],
        "state": "disabled",
    },
    ("POST", "/v1/webhook-endpoints/none/rotate-secret"): {"overlap_hours": 1},
    ("POST", "/v1/webhook-endpoints/none/test"): {"topic": "mrr.moved"},
    ("POST", "/v1/webhook-endpoints/none/redeliver"): {"since": "2026-03-01T00:00:00Z"},
    ("PUT", "/v1/health-model"): _HEALTH_MODEL,
    ("POST", "/v1/health-model/preview"): _HEALTH_MODEL,
    ("POST", "/v1/keys"): {"name": "a", "scopes": ["read"]},
    ("POST", "/v1/query"): {"metrics": ["nps"]},
    ("PATCH", "/v1/feedback/YWNtZQByLTE"): {"status": "resolved", "note": "Thanked her."},
}
# Those that need no body at all.
OPTIONAL_BODIES = {("POST", "/v1/webhook-endpoints/none/rotate-secret"), ("POST", "/v1/webhook-endpoints/none/test")}
serial_numbers = count()

without_deadline = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def post(
    service: Service,
    body: Any,
    kind: str | None = JSON,
    *,
    path: str = "/v1/events",
    method: str = "POST",
    **headers: str,
) -> httpx.Response:
    """Return the response to a body: bytes as they are, a text in UTF-8, anything else as JSON."""
    content = body if isinstance(body, bytes) else (body if isinstance(body, str) else json.dumps(body)).encode()
    all_headers = {name.replace("_", "-"): text for name, text in headers.items()}
    all_headers |= {"content-type": kind} if kind else {}
    return service.request(method, path, content=content, headers=all_headers)


def is_problem(response: httpx.Response, status: int, code: str | None = None) -> bool:
    """Return whether a response is a problem with this status and code that repeats no value that was sent."""
    assert response.status_code < 500, response.text
    assert response.headers["content-type"] == "application/problem+json", response.text
    problem = response.json()
    assert problem["status"] == response.status_code
    assert problem.keys() >= {"type", "title", "status", "detail", "code"}
    assert repeats_no_value(response)
    return (response.status_code, problem["code"]) == (status, code or problem["code"])


def repeats_no_value(response: httpx.Response) -> bool:
    """Return whether a response repeats no value that was sent.

    Names may be repeated: `pointer` and `id` name the field and the event, `name` is a short one that does not exist.
    """
    names: list[str] = []

    def without_names(members: dict[str, Any]) -> dict[str, Any]:
        if "name" in members and "did_you_mean" in members:
            assert len(members["name"]) <= 128 and members["name"].isprintable()
            names.append(members["name"])
        return {name: value for name, value in members.items() if name not in ("pointer", "id", "name")}

    text = json.dumps(json.loads(response.text, object_hook=without_names))
    for name in names:
        text = text.replace(json.dumps(f'"{name}"')[1:-1], "")
    return CANARY not in text


def valid_event(**fields: Any) -> dict[str, Any]:
    """Return a valid event of the account `healthy`."""
    return session("healthy", seconds=60, **fields)


def count_stored(service: Service, account: str = "healthy") -> int:
    """Return how many sessions of an account have been counted."""
    return int(service.row("sessions", account=account, strict="false")["value"])


def codes_by_index(response: httpx.Response) -> dict[int, str]:
    """Return the codes of the rejected events by their index."""
    return {rejection["index"]: rejection["code"] for rejection in response.json()["rejected"]}


def normalize(id: str) -> str:
    return unicodedata.normalize("NFC", id)


def is_id(id: str) -> bool:
    return 1 <= len(normalize(id)) <= 128 and not any(unicodedata.category(c) in ("Cc", "Cs") for c in normalize(id))


def in_path(id: str) -> str:
    return quote(id, safe="")


# Values that are invalid in almost every field.
INVALID_VALUES: list[Any] = [None, True, "", "12", -1, 1.5, 2**63, -(10**30), [], {}, [[]], {"__proto__": 1}]
INVALID_VALUES += [[CANARY], {CANARY: CANARY}, "a\0" + CANARY, "a\n" + CANARY, CANARY * 2000, "\x1b[31m"]
# The fields in which some of them are valid: name -> values.
VALID_VALUES: dict[str, list[Any]] = {
    "id": ["12"],
    "account_id": ["12"],
    "user_id": ["12"],
    "subscription_id": ["12"],
    "trial_id": ["12"],
    "contract_id": ["12"],
    "order_id": ["12"],
    "ticket_id": ["12"],
    "name": ["12"],
    "feature": ["12"],
    "goal": ["12"],
    "who": ["12"],
    "step": ["12"],
    "plan": ["12"],
    "reason": ["12"],
    "channel": ["12"],
    "priority": ["12"],
    "mrr": ["12", 1.5],
    "amount": ["12", 1.5],
    "first_contact": [True],
    "feedback": ["12"],
    "note": ["", "12", "a\n" + CANARY, "\x1b[31m"],
    "attributes": [{}, {"__proto__": 1}, {CANARY: CANARY}],
    "tags": [[], [CANARY]],
    "comment": ["12", "a\n" + CANARY, "\x1b[31m"],
    "extra": [{}, {"__proto__": 1}, {CANARY: CANARY}],
    "author": ["12"],
}
