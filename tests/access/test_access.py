"""Authentication and authorization: every endpoint with every kind of key, the ways to send a key, and what is stored of it."""

import base64
import hashlib
import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import psycopg
import pytest
import sqlalchemy as sa
from fastapi.routing import iter_route_contexts

from app.core import logs
from app.ui.routes import VIEWS
from tests.support.everything import put_everything
from tests.support.service import ADMIN_KEY, Service, event, session

PUBLIC = {"/", "/healthz", "/readyz", "/docs", "/docs/oauth2-redirect", "/openapi.json", "/static-offline-docs"}
# The page says nothing about the data. It is tested in tests/ui, and its session in test_sessions.
PAGE = {f"/{view}" for view in VIEWS} | {
    "/accounts/{account_id}",
    "/static/{version}/{path:path}",
    "/session",
    "/answers",
}
# Authenticated by a signature instead of a key.
SIGNED = {"/v1/inbound/{source}"}
# The scopes that each endpoint requires. A new endpoint must be added here.
REQUIRED_SCOPES = {
    ("POST", "/v1/keys"): "admin",
    ("GET", "/v1/keys"): "admin",
    ("DELETE", "/v1/keys/{key_id}"): "admin",
    ("POST", "/v1/events"): "ingest",
    ("POST", "/v1/survey-responses"): "ingest",
    ("POST", "/v1/segment/batch"): "ingest",
    ("POST", "/v1/segment/v1/batch"): "ingest",
    ("POST", "/v1/segment/identify"): "ingest",
    ("POST", "/v1/segment/group"): "ingest",
    ("POST", "/v1/segment/track"): "ingest",
    ("POST", "/v1/segment/page"): "ingest",
    ("POST", "/v1/segment/screen"): "ingest",
    ("POST", "/v1/segment/alias"): "ingest",
    ("DELETE", "/v1/accounts/{account_id}/events/{event_id}"): "ingest",
    ("DELETE", "/v1/events/{event_id}"): "ingest",
    ("PUT", "/v1/accounts/{account_id}"): "ingest",
    ("GET", "/v1/accounts/{account_id}"): "read",
    ("GET", "/v1/accounts"): "read",
    ("POST", "/mcp"): "read",
    **{
        (method, f"/odata/v4{path}"): "read"
        for path in ("", "/", "/$metadata", "/{entity_set}", "/{entity_set}/$count")
        for method in ("GET", "OPTIONS")
    },
    ("PUT", "/v1/surveys/{survey_id}"): "admin",
    ("GET", "/v1/surveys"): "read",
    ("PUT", "/v1/exchange-rates"): "admin",
    ("GET", "/v1/exchange-rates"): "read",
    ("PUT", "/v1/segments/{name}"): "admin",
    ("DELETE", "/v1/segments/{name}"): "admin",
    ("GET", "/v1/segments"): "read",
    ("GET", "/v1/changes"): "read",
    ("PUT", "/v1/targets/{target_id}"): "admin",
    ("DELETE", "/v1/targets/{target_id}"): "admin",
    ("GET", "/v1/targets/{target_id}"): "read",
    ("GET", "/v1/targets/{target_id}/history"): "read",
    ("GET", "/v1/targets"): "read",
    ("POST", "/v1/targets/{target_id}/preview"): "read",
    ("GET", "/v1/scorecard"): "read",
    ("GET", "/v1/health"): "read",
    ("GET", "/v1/accounts/{account_id}/health"): "read",
    ("GET", "/v1/accounts/{account_id}/health/explanation"): "read",
    ("GET", "/v1/health-model"): "read",
    ("GET", "/v1/health-model/versions"): "read",
    ("GET", "/v1/health-model/backtest"): "read",
    ("GET", "/v1/health-model/backtest/scores"): "read",
    ("POST", "/v1/health-model/preview"): "read",
    ("PUT", "/v1/health-model"): "admin",
    ("PUT", "/v1/alerts/{alert_id}"): "admin",
    ("DELETE", "/v1/alerts/{alert_id}"): "admin",
    ("GET", "/v1/alerts/{alert_id}"): "read",
    ("GET", "/v1/alerts/{alert_id}/history"): "read",
    ("GET", "/v1/alerts"): "read",
    ("GET", "/v1/insights"): "read",
    ("GET", "/v1/insights/{insight_id}/accounts"): "read",
    ("GET", "/v1/insight-detectors"): "read",
    ("GET", "/v1/attributes"): "read",
    ("GET", "/v1/event-types"): "read",
    ("GET", "/v1/metrics"): "read",
    ("GET", "/v1/charts"): "read",
    ("GET", "/v1/metrics/{metric}"): "read",
    ("GET", "/v1/metrics/{metric}/conventions"): "read",
    ("GET", "/v1/metrics/{metric}/contributors"): "read",
    ("GET", "/v1/metrics/{metric}/restatements"): "read",
    ("GET", "/v1/metrics/{metric}/events"): "read",
    ("GET", "/v1/checks"): "read",
    ("GET", "/v1/books"): "read",
    ("GET", "/v1/cohorts"): "read",
    ("GET", "/v1/cohorts/accounts"): "read",
    ("GET", "/v1/onboarding/funnel"): "read",
    ("GET", "/v1/surveys/{survey_id}/distribution"): "read",
    ("GET", "/v1/accounts/{account_id}/overview"): "read",
    ("GET", "/v1/feedback"): "read",
    ("GET", "/v1/feedback/{feedback_id}"): "read",
    ("PATCH", "/v1/feedback/{feedback_id}"): "ingest read",
    ("GET", "/v1/feedback/themes"): "read",
    ("DELETE", "/v1/feedback/{feedback_id}"): "admin",
    ("DELETE", "/v1/accounts/{account_id}/users/{user_id}/personal-data"): "admin",
    ("GET", "/v1/query"): "read",
    ("POST", "/v1/query"): "read",
    ("GET", "/v1/inbound-vendors"): "read",
    ("GET", "/v1/sources"): "admin",
    ("GET", "/v1/sources/{source}"): "admin",
    ("PUT", "/v1/sources/{source}"): "admin",
    ("DELETE", "/v1/sources/{source}"): "admin",
    ("POST", "/v1/sources/{source}/preview"): "admin",
    ("POST", "/v1/sources/{source}/replay"): "admin",
    ("GET", "/v1/sources/{source}/deliveries"): "admin",
    ("GET", "/v1/sources/{source}/deliveries/{delivery}"): "admin",
    ("POST", "/v1/sources/{source}/deliveries/{delivery}/replay"): "admin",
    ("GET", "/v1/webhook-topics"): "read",
    ("POST", "/v1/webhook-endpoints"): "admin",
    ("GET", "/v1/webhook-endpoints"): "admin",
    ("GET", "/v1/webhook-endpoints/{endpoint_id}"): "admin",
    ("PATCH", "/v1/webhook-endpoints/{endpoint_id}"): "admin",
    ("DELETE", "/v1/webhook-endpoints/{endpoint_id}"): "admin",
    ("POST", "/v1/webhook-endpoints/{endpoint_id}/rotate-secret"): "admin",
    ("POST", "/v1/webhook-endpoints/{endpoint_id}/test"): "admin",
    ("GET", "/v1/webhook-endpoints/{endpoint_id}/deliveries"): "admin",
    ("GET", "/v1/webhook-endpoints/{endpoint_id}/deliveries/{delivery_id}"): "admin",
    ("POST", "/v1/webhook-endpoints/{endpoint_id}/deliveries/{delivery_id}/redeliver"): "admin",
    ("POST", "/v1/webhook-endpoints/{endpoint_id}/redeliver"): "admin",
    ("GET", "/metrics/prometheus"): "read",
    **{
        (method, f"/odata/v4{path}"): "read"
        for method in ("GET", "OPTIONS")
        for path in ("", "/", "/$metadata", "/{entity_set}", "/{entity_set}/$count")
    },
}
SCOPES: dict[str, list[str]] = {
    "ingest": ["ingest"],
    "read": ["read"],
    "admin": ["admin"],
    "ingest and read": ["ingest", "read"],
}


def endpoints(service: Service) -> set[tuple[str, str]]:
    """Return every route of the application, also those that the OpenAPI document does not show."""
    routes = {
        (method, route.path)
        for route in iter_route_contexts(service.app.routes)
        for method in getattr(route, "methods", None) or ["GET"]
    }
    return routes - {("HEAD", path) for _, path in routes}


def create_key(service: Service, *scopes: str, name: str = "a key") -> dict[str, Any]:
    response = service.request("POST", "/v1/keys", json={"name": name, "scopes": list(scopes)})
    assert response.status_code == 201, response.text
    return response.json()


def request(service: Service, method: str, path: str, key: str | None = None, **options: Any) -> httpx.Response:
    """Send a request with this key as bearer token, or without a key."""
    options["headers"] = httpx.Headers(options.pop("headers", {}))
    if key is not None:
        options["headers"]["Authorization"] = f"Bearer {key}"
    client = httpx.AsyncClient(transport=service.client._transport, base_url="http://service")
    return service.run(client.request(method, path, **options))


def basic(user: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


@pytest.fixture(scope="module")
def keys(shared: Service) -> dict[str, str]:
    """One key of each kind, and a revoked one."""
    keys = {kind: create_key(shared, *scopes)["key"] for kind, scopes in SCOPES.items()}
    revoked = create_key(shared, "admin")
    assert shared.request("DELETE", f"/v1/keys/{revoked['id']}").status_code == 204
    return keys | {"revoked": revoked["key"]}


def test_every_endpoint_requires_a_scope_or_is_public(shared: Service) -> None:
    assert {endpoint for endpoint in endpoints(shared) if endpoint[1] not in PUBLIC | SIGNED | PAGE} == set(
        REQUIRED_SCOPES
    )


def test_public_endpoints_need_no_key(shared: Service) -> None:
    assert {path for _, path in endpoints(shared)} - {path for _, path in REQUIRED_SCOPES} == PUBLIC | SIGNED | PAGE
    for path in PUBLIC - {"/static-offline-docs"} | {"/static-offline-docs/swagger-ui.css"}:
        assert request(shared, "GET", path).status_code == 200, path


@pytest.mark.parametrize("endpoint", REQUIRED_SCOPES, ids=" ".join)
def test_an_endpoint_accepts_keys_with_its_scope_only(
    endpoint: tuple[str, str], shared: Service, keys: dict[str, str]
) -> None:
    method, path = endpoint
    path = path.replace("{", "").replace("}", "")

    def status_with(key: str | None) -> int:
        return request(shared, method, path, key).status_code

    for key in (None, "csm_unheard", "", keys["revoked"]):
        assert status_with(key) == 401
    for kind, scopes in SCOPES.items():
        status = status_with(keys[kind])
        if set(REQUIRED_SCOPES[endpoint].split()) <= {*scopes} or "admin" in scopes:
            assert status not in (401, 403) and status < 500, kind
        else:
            assert status == 403, kind


@pytest.mark.parametrize("endpoint", REQUIRED_SCOPES, ids=" ".join)
def test_a_response_to_a_missing_or_unknown_key_reveals_nothing(
    endpoint: tuple[str, str], shared: Service, keys: dict[str, str]
) -> None:
    without, unknown, revoked = (request(shared, *endpoint, key) for key in (None, "csm_unheard", keys["revoked"]))
    for response in (without, unknown, revoked):
        scheme = "Bearer" if endpoint[1] == "/mcp" else "Basic"
        assert response.headers["www-authenticate"] == f'{scheme} realm="Customer Success Metrics"'
        is_odata = endpoint[1].startswith("/odata")
        assert response.headers["content-type"] == f"application/{'json' if is_odata else 'problem+json'}"
        assert (response.json()["error"] if is_odata else response.json())["code"] == "unauthenticated"
        assert "csm_" not in response.text
    assert unknown.json() == revoked.json()


def test_a_path_that_resembles_an_endpoint_does_not_exist(shared: Service) -> None:
    for path in (
        "/v1/keys/",
        "/v1//keys",
        "/v1/accounts/",
        "/v1/metrics/nps/",
        "/V1/keys",
        "/v1/keys/%2e%2e",
        "//v1/keys",
    ):
        response = request(shared, "GET", path)
        assert (response.status_code, "location" in response.headers) in ((404, False), (405, False)), path


def test_a_key_is_sent_as_bearer_token_as_user_or_password_or_in_its_header(
    shared: Service, keys: dict[str, str]
) -> None:
    key = keys["read"]
    for headers in (
        {"Authorization": f"Bearer {key}"},
        {"Authorization": f"bearer  {key} "},
        basic("", key),
        basic("anybody", key),
        basic(key, ""),
        {"X-API-Key": key},
    ):
        assert request(shared, "GET", "/v1/surveys", headers=headers).status_code == 200, headers


MALFORMED_KEYS: dict[str, dict[str, Any]] = {
    "no scheme": {"Authorization": ADMIN_KEY},
    "an unknown scheme": {"Authorization": f"Digest {ADMIN_KEY}"},
    "an empty bearer token": {"Authorization": "Bearer "},
    "half a key": {"Authorization": f"Bearer {ADMIN_KEY[:-1]}"},
    "a key with a suffix": {"Authorization": f"Bearer {ADMIN_KEY}x"},
    "another case": {"Authorization": f"Bearer {ADMIN_KEY.upper()}"},
    "a bearer token that is not ASCII": {"Authorization": b"Bearer \xe9\xff"},
    "basic that is not base64": {"Authorization": "Basic ***"},
    "basic that is truncated": {"Authorization": "Basic YTpi" + "Yw"},
    "basic that is not ASCII": {"Authorization": b"Basic \xe9\xff"},
    "basic that is not UTF-8": {"Authorization": b"Basic " + base64.b64encode(b"\xff:\xfe")},
    "empty basic": basic("", ""),
    "basic with U+0000": basic("\0", "\0"),
    "a header that is not ASCII": {"X-API-Key": b"\xe9\xff"},
    "an empty header": {"X-API-Key": ""},
    "a very long key": {"X-API-Key": "k" * 20_000},
}


@pytest.mark.parametrize("case", MALFORMED_KEYS)
def test_a_malformed_key_is_unauthenticated(case: str, shared: Service) -> None:
    response = request(shared, "GET", "/v1/surveys", headers=MALFORMED_KEYS[case])
    assert (response.status_code, response.json()["code"]) == (401, "unauthenticated")
    assert ADMIN_KEY not in response.text


READABLE = sorted(path for (method, path), scope in REQUIRED_SCOPES.items() if (method, scope) == ("GET", "read"))


@pytest.fixture(scope="module")
def ids(shared: Service) -> dict[str, str]:
    """The ids of one of each thing that has one in a path, by the names in the paths."""
    return put_everything(shared)


@pytest.mark.parametrize("path", READABLE)
def test_a_read_only_key_may_be_in_the_url(
    path: str, shared: Service, keys: dict[str, str], ids: dict[str, str]
) -> None:
    path = path.format_map(ids)
    by_end = {
        "query": {"metrics": "nps"},
        "explanation": {"from": "2026-03-01"},
        "cohorts/accounts": {"cohort": "2026-03", "number": 0},
    }
    params: dict[str, Any] = next((own for end, own in by_end.items() if path.endswith(f"/{end}")), {})
    response = request(shared, "GET", path, params={"api_key": keys["read"], **params})
    assert response.status_code == 200, response.text
    assert keys["read"] not in response.text


@pytest.mark.parametrize("kind", ["ingest", "admin", "ingest and read", "revoked"])
def test_no_other_key_may_be_in_the_url(kind: str, shared: Service, keys: dict[str, str]) -> None:
    assert request(shared, "GET", "/v1/surveys", params={"api_key": keys[kind]}).status_code == 401
    assert request(shared, "GET", "/v1/surveys", params={"api_key": ADMIN_KEY}).status_code == 401


def test_a_key_in_the_url_is_accepted_on_get_and_once_only(shared: Service, keys: dict[str, str]) -> None:
    key = keys["read"]
    assert request(shared, "POST", f"/v1/query?api_key={key}", json={"metrics": ["nps"]}).status_code == 401
    assert request(shared, "POST", "/v1/query", key, json={"metrics": ["nps"], "api_key": key}).status_code == 422
    for twice in (f"api_key={key}&api_key={key}", f"api_key=x&api_key={key}", f"api_key={key}&api_key=x"):
        assert request(shared, "GET", f"/v1/surveys?{twice}").status_code == 401


def test_the_link_to_the_next_page_does_not_contain_the_key(shared: Service, keys: dict[str, str]) -> None:
    shared.send(session("first"), session("second"))
    for path in ("/v1/accounts?limit=1", "/v1/metrics/sessions?group_by=account&limit=1"):
        response = request(shared, "GET", f"{path}&api_key={keys['read']}")
        assert 'rel="next"' in response.headers["link"]
        assert keys["read"] not in response.headers["link"]


@pytest.mark.parametrize("name", ["authorization", "x-api-key"])
def test_two_keys_are_an_error(name: str, shared: Service, keys: dict[str, str]) -> None:
    value = f"Bearer {keys['read']}" if name == "authorization" else keys["read"]
    response = request(shared, "GET", "/v1/surveys", headers=httpx.Headers([(name, value), (name, value)]))
    assert (response.status_code, response.json()["code"]) == (400, "repeated_header")


def test_only_an_admin_may_set_recorded_on(shared: Service, keys: dict[str, str]) -> None:
    events = [session("past"), session("past", recorded_on="2026-03-11"), session("past")]
    response = request(shared, "POST", "/v1/events", keys["ingest"], json=events).json()
    assert response["accepted"] == 2
    assert [(r["index"], r["code"], r["pointer"]) for r in response["rejected"]] == [(1, "forbidden", "/recorded_on")]
    response_event = {
        "id": "1",
        "survey": "nps",
        "account_id": "past",
        "score": 9,
        "responded_at": "2026-03-10T12:00:00Z",
    }
    for body in (response_event | {"recorded_on": "2026-03-11"}, response_event | {"recorded_on": None}):
        response = request(shared, "POST", "/v1/survey-responses", keys["ingest"], json=body)
        assert response.json()["rejected"][0]["pointer"] == "/recorded_on"
    attributes = {"ce-recordedon": "2026-03-11", "ce-specversion": "1.0", "ce-id": "1", "ce-source": "/crm"}
    attributes |= {
        "ce-type": "session.ended",
        "ce-subject": "past",
        "ce-userid": "ada",
        "ce-time": "2026-03-10T12:00:00Z",
    }
    response = request(shared, "POST", "/v1/events", keys["ingest"], json={"duration_seconds": 1}, headers=attributes)
    assert response.json()["rejected"][0]["code"] == "forbidden"
    assert request(
        shared, "POST", "/v1/events", keys["admin"], json=session("new", recorded_on="2026-03-11")
    ).is_success


def test_a_key_has_each_of_its_scopes_once(shared: Service) -> None:
    created = create_key(shared, "read", "ingest", "read", name="Zoë's laptop")
    assert (created["name"], created["scopes"]) == ("Zoë's laptop", ["ingest", "read"])
    assert created["key"].startswith(f"csm_{created['id']}_")
    assert len(created["key"].removeprefix(f"csm_{created['id']}_")) == 43  # 256 bits in base64


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": "a"},
        {"scopes": ["read"]},
        {"name": "a", "scopes": []},
        {"name": "a", "scopes": "read"},
        {"name": "a", "scopes": ["write"]},
        {"name": "a", "scopes": ["READ"]},
        {"name": "a", "scopes": [None]},
        {"name": "a", "scopes": ["read", "ingest", "admin", "read"]},
        {"name": "", "scopes": ["read"]},
        {"name": None, "scopes": ["read"]},
        {"name": "a\0", "scopes": ["read"]},
        {"name": "a" * 129, "scopes": ["read"]},
        {"name": "a", "scopes": ["read"], "key": "mine"},
        {"name": "a", "scopes": ["read"], "id": "mine"},
        [],
        None,
    ],
    ids=json.dumps,
)
def test_an_invalid_key_is_not_created(body: Any, shared: Service) -> None:
    before = len(shared.get("/v1/keys")["keys"])
    options = {"content": json.dumps(body).encode(), "headers": {"content-type": "application/json"}}
    assert shared.request("POST", "/v1/keys", **options).status_code == 422
    assert len(shared.get("/v1/keys")["keys"]) == before


def test_the_error_of_a_key_without_scopes_lists_the_scopes(shared: Service) -> None:
    response = shared.request("POST", "/v1/keys", json={"name": "a", "scopes": []})
    [fault] = response.json()["errors"]
    assert (fault["pointer"], fault["code"]) == ("/scopes", "too_short")
    assert fault["detail"] == '"scopes" needs at least one of: ingest, read, admin.'


def test_a_key_is_shown_once(shared: Service) -> None:
    created = create_key(shared, "read")
    response = shared.request("GET", "/v1/keys")
    assert created["id"] in response.text
    assert created["key"] not in response.text
    listed_key = next(key for key in response.json()["keys"] if key["id"] == created["id"])
    assert listed_key.keys() == {"id", "name", "scopes", "created_at", "revoked_at", "last_used_on", "expires_on"}


def texts_in(url: str) -> Iterator[str]:
    """Yield every row of every table of a database as text, and every value of bytes as hex."""
    with psycopg.connect(
        sa.make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    ) as connection:
        tables = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
        assert ("api_key",) in tables
        for (table,) in tables:
            for row in connection.execute(f'SELECT * FROM "{table}"'):
                yield repr(row)
                yield from (value.hex() for value in row if isinstance(value, bytes))


def test_only_the_hash_of_a_key_is_stored(service: Service, database: str) -> None:
    created = create_key(service, "read", "ingest")
    assert request(service, "POST", "/v1/events", created["key"], json=session()).is_success
    assert request(service, "GET", "/v1/metrics/nps", headers=basic("", created["key"])).is_success
    secret = created["key"].removeprefix(f"csm_{created['id']}_")
    texts = list(texts_in(database))
    assert not [text for text in texts if secret in text or secret.encode().hex() in text or ADMIN_KEY in text]
    assert hashlib.sha256(created["key"].encode()).hexdigest() in texts


def test_no_key_is_in_the_log(start_service: Callable[..., Service], capsys: pytest.CaptureFixture[str]) -> None:
    service = start_service()
    logs.configure("debug")
    try:
        read, admin = create_key(service, "read")["key"], create_key(service, "admin")["key"]
        request(service, "GET", "/v1/surveys", params={"api_key": read})
        request(service, "GET", "/v1/surveys", params={"api_key": admin})
        request(service, "GET", f"/v1/surveys?API%5FKEY={read}&api%5fkey={read}")
        request(service, "GET", "/v1/surveys", headers=basic(admin, ""))
        request(service, "GET", "/v1/surveys", headers={"X-API-Key": admin})
        request(service, "POST", "/v1/events", admin, content=b"{")
        request(service, "DELETE", "/v1/keys/unheard", admin)
        log = capsys.readouterr().err
        assert log.count('"event": "request"') >= 9
        assert not [line for line in log.splitlines() if any(key in line for key in (read, admin, ADMIN_KEY))]
    finally:
        logs.configure("error")


def test_a_revoked_key_stops_working_at_once_in_every_process(start_service: Callable[..., Service]) -> None:
    first, second = start_service(), start_service()
    for revoking, using in ((first, second), (second, first), (first, first)):
        created = create_key(revoking, "read")
        assert request(using, "GET", "/v1/surveys", created["key"]).status_code == 200
        assert revoking.request("DELETE", f"/v1/keys/{created['id']}").status_code == 204
        assert request(using, "GET", "/v1/surveys", created["key"]).status_code == 401
        assert using.request("DELETE", f"/v1/keys/{created['id']}").status_code == 204


def test_a_key_works_until_the_day_on_which_it_expires(service: Service) -> None:
    created = service.request(
        "POST", "/v1/keys", json={"name": "guest", "scopes": ["read"], "expires_on": "2026-03-17"}
    )
    assert created.status_code == 201 and created.json()["expires_on"] == "2026-03-17"
    key = created.json()["key"]
    for day, status in (("2026-03-15", 200), ("2026-03-16", 200), ("2026-03-17", 401), ("2026-03-18", 401)):
        response = request(service.on(day), "GET", "/v1/surveys", key)
        assert response.status_code == status, day
    assert response.json()["code"] == "key_expired"
    [listed] = service.get("/v1/keys")["keys"]
    assert (listed["expires_on"], listed["last_used_on"]) == ("2026-03-17", "2026-03-16")


@pytest.mark.parametrize("day", ["2026-03-15", "2026-03-14", "1999-01-01"])
def test_a_key_cannot_be_created_after_it_has_expired(service: Service, day: str) -> None:
    response = service.request("POST", "/v1/keys", json={"name": "late", "scopes": ["read"], "expires_on": day})
    assert (response.status_code, response.json()["errors"][0]["pointer"]) == (422, "/expires_on")
    assert service.get("/v1/keys")["keys"] == []


def test_a_key_may_revoke_itself_and_revoking_it_again_changes_nothing(service: Service) -> None:
    created = create_key(service, "admin")
    assert request(service, "DELETE", f"/v1/keys/{created['id']}", created["key"]).status_code == 204
    assert request(service, "DELETE", f"/v1/keys/{created['id']}", created["key"]).status_code == 401
    revoked_at = service.get("/v1/keys")["keys"][0]["revoked_at"]
    service.later(hours=3).request("DELETE", f"/v1/keys/{created['id']}")
    assert service.get("/v1/keys")["keys"][0]["revoked_at"] == revoked_at == "2026-03-15T12:00:00Z"


def test_an_unknown_key_cannot_be_revoked(shared: Service) -> None:
    for id in ("unheard", "%00", "%FF", "a" * 129, "..%2F", "%F0%9F%98%80"):
        assert shared.request("DELETE", f"/v1/keys/{id}").status_code in (400, 404, 422), id


def test_the_day_of_the_last_use_of_a_key_is_stored(service: Service) -> None:
    def last_used() -> Any:
        return service.get("/v1/keys")["keys"][0]["last_used_on"]

    created = create_key(service, "read")
    assert last_used() is None
    request(service, "GET", "/v1/surveys", created["key"])
    assert last_used() == "2026-03-15"
    request(service.on("2026-04-01"), "GET", "/v1/surveys", created["key"])
    assert last_used() == "2026-04-01"
    service.request("DELETE", f"/v1/keys/{created['id']}")
    request(service.on("2026-05-01"), "GET", "/v1/surveys", created["key"])
    assert last_used() == "2026-04-01"


def test_the_admin_key_of_the_settings_is_not_listed(service: Service) -> None:
    assert service.get("/v1/keys") == {"keys": []}
    assert request(service, "GET", "/v1/keys", ADMIN_KEY).status_code == 200


def test_without_an_admin_key_the_first_start_creates_one_and_prints_it_once(
    start_service: Callable[..., Service], capsys: pytest.CaptureFixture[str]
) -> None:
    first = start_service(admin_key=None)
    printed = capsys.readouterr()
    [key] = set(re.findall(r"csm_[\w-]+", printed.out))
    assert key not in printed.err
    assert request(first, "GET", "/v1/keys", ADMIN_KEY).status_code == 401
    assert [key["scopes"] for key in request(first, "GET", "/v1/keys", key).json()["keys"]] == [["admin"]]
    again = start_service(admin_key=None)
    assert capsys.readouterr().out == ""
    assert request(again, "GET", "/v1/keys", key).status_code == 200


def test_the_key_is_checked_before_the_body(shared: Service) -> None:
    for content in (b"{", b"\xff", b"[" * 100_000, json.dumps([event("no such")] * 10_001).encode()):
        response = request(shared, "POST", "/v1/events", content=content, headers={"content-type": "application/json"})
        assert response.status_code == 401
