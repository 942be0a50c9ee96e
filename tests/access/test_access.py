"""Who may do what: every door by every kind of key, the ways in which a key is given, and what is kept of it."""

import base64
import hashlib
import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import psycopg
import pytest
import sqlalchemy as sa
from fastapi.routing import iter_route_contexts

from app.core import logs
from tests.support.service import ADMIN_KEY, Service, event, session

PUBLIC = {"/healthz", "/readyz", "/docs", "/docs/oauth2-redirect", "/openapi.json", "/static-offline-docs"}
# The scopes that each door needs, from API.md; a new door has to be added here.
NEEDED = {
    ("POST", "/v1/keys"): "admin",
    ("GET", "/v1/keys"): "admin",
    ("DELETE", "/v1/keys/{key_id}"): "admin",
    ("POST", "/v1/events"): "ingest",
    ("POST", "/v1/survey-responses"): "ingest",
    ("DELETE", "/v1/accounts/{account_id}/events/{event_id}"): "ingest",
    ("DELETE", "/v1/events/{event_id}"): "ingest",
    ("PUT", "/v1/accounts/{account_id}"): "ingest",
    ("GET", "/v1/accounts/{account_id}"): "read",
    ("GET", "/v1/accounts"): "read",
    ("PUT", "/v1/surveys/{survey_id}"): "admin",
    ("GET", "/v1/surveys"): "read",
    ("PUT", "/v1/exchange-rates"): "admin",
    ("GET", "/v1/exchange-rates"): "read",
    ("PUT", "/v1/segments/{name}"): "admin",
    ("DELETE", "/v1/segments/{name}"): "admin",
    ("GET", "/v1/segments"): "read",
    ("GET", "/v1/metrics"): "read",
    ("GET", "/v1/metrics/{metric}"): "read",
    ("GET", "/v1/metrics/{metric}/conventions"): "read",
    ("GET", "/v1/metrics/{metric}/contributors"): "read",
    ("GET", "/v1/metrics/{metric}/restatements"): "read",
    ("GET", "/v1/metrics/{metric}/events"): "read",
    ("GET", "/v1/checks"): "read",
    ("GET", "/v1/cohorts"): "read",
    ("GET", "/v1/onboarding/funnel"): "read",
    ("GET", "/v1/surveys/{survey_id}/distribution"): "read",
    ("GET", "/v1/accounts/{account_id}/overview"): "read",
    ("GET", "/v1/feedback"): "read",
    ("GET", "/v1/feedback/{feedback_id}"): "read",
    ("PATCH", "/v1/feedback/{feedback_id}"): "ingest read",
    ("GET", "/v1/feedback/themes"): "read",
    ("DELETE", "/v1/accounts/{account_id}/users/{user_id}/personal-data"): "admin",
    ("GET", "/v1/query"): "read",
    ("POST", "/v1/query"): "read",
}
SCOPES: dict[str, list[str]] = {
    "ingest": ["ingest"],
    "read": ["read"],
    "admin": ["admin"],
    "ingest and read": ["ingest", "read"],
}


def doors(service: Service) -> set[tuple[str, str]]:
    """Every route of the application, also those that the OpenAPI document does not show."""
    found = {
        (method, route.path)
        for route in iter_route_contexts(service.app.routes)
        for method in getattr(route, "methods", None) or ["GET"]
    }
    return found - {("HEAD", path) for _, path in found}


def make(service: Service, *scopes: str, name: str = "a key") -> dict[str, Any]:
    answer = service.request("POST", "/v1/keys", json={"name": name, "scopes": list(scopes)})
    assert answer.status_code == 201, answer.text
    return answer.json()


def ask(service: Service, method: str, path: str, key: str | None = None, **request: Any) -> httpx.Response:
    """A request with this key as bearer, or without any."""
    request["headers"] = httpx.Headers(request.pop("headers", {}))
    if key is not None:
        request["headers"]["Authorization"] = f"Bearer {key}"
    client = httpx.AsyncClient(transport=service.client._transport, base_url="http://service")
    return service.run(client.request(method, path, **request))


def basic(user: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


@pytest.fixture(scope="module")
def keys(shared: Service) -> dict[str, str]:
    """One key of each kind, and one that was revoked."""
    made = {kind: make(shared, *scopes)["key"] for kind, scopes in SCOPES.items()}
    gone = make(shared, "admin")
    assert shared.request("DELETE", f"/v1/keys/{gone['id']}").status_code == 204
    return made | {"revoked": gone["key"]}


def test_every_door_is_in_the_table_of_scopes_or_public(shared: Service) -> None:
    assert {door for door in doors(shared) if door[1] not in PUBLIC} == set(NEEDED)


def test_the_public_doors_are_those_of_the_contract_and_answer_without_a_key(shared: Service) -> None:
    assert {path for _, path in doors(shared)} - {path for _, path in NEEDED} == PUBLIC
    for path in PUBLIC - {"/static-offline-docs"} | {"/static-offline-docs/swagger-ui.css"}:
        assert ask(shared, "GET", path).status_code == 200, path


@pytest.mark.parametrize("door", NEEDED, ids=" ".join)
def test_a_door_opens_to_its_scope_and_to_no_other(
    door: tuple[str, str], shared: Service, keys: dict[str, str]
) -> None:
    method, path = door
    path = path.replace("{", "").replace("}", "")

    def answer(key: str | None) -> int:
        return ask(shared, method, path, key).status_code

    for key in (None, "csm_unheard", "", keys["revoked"]):
        assert answer(key) == 401
    for kind, scopes in SCOPES.items():
        status = answer(keys[kind])
        if set(NEEDED[door].split()) <= {*scopes} or "admin" in scopes:
            assert status not in (401, 403) and status < 500, kind
        else:
            assert status == 403, kind


@pytest.mark.parametrize("door", NEEDED, ids=" ".join)
def test_a_refusal_for_want_of_a_key_says_how_to_give_one_and_nothing_else(
    door: tuple[str, str], shared: Service, keys: dict[str, str]
) -> None:
    without, unknown, revoked = (ask(shared, *door, key) for key in (None, "csm_unheard", keys["revoked"]))
    for answer in (without, unknown, revoked):
        assert answer.headers["www-authenticate"].startswith("Basic realm=")
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["code"] == "unauthenticated"
        assert "csm_" not in answer.text
    assert unknown.json() == revoked.json()


def test_a_path_that_is_nearly_a_door_leads_nowhere(shared: Service) -> None:
    for path in (
        "/v1/keys/",
        "/v1//keys",
        "/v1/accounts/",
        "/v1/metrics/nps/",
        "/V1/keys",
        "/v1/keys/%2e%2e",
        "//v1/keys",
    ):
        answer = ask(shared, "GET", path)
        assert (answer.status_code, "location" in answer.headers) in ((404, False), (405, False)), path


def test_a_key_is_given_as_bearer_as_user_or_password_or_in_its_header(shared: Service, keys: dict[str, str]) -> None:
    key = keys["read"]
    for headers in (
        {"Authorization": f"Bearer {key}"},
        {"Authorization": f"bearer  {key} "},
        basic("", key),
        basic("anybody", key),
        basic(key, ""),
        {"X-API-Key": key},
    ):
        assert ask(shared, "GET", "/v1/surveys", headers=headers).status_code == 200, headers


GARBLED: dict[str, dict[str, Any]] = {
    "no scheme": {"Authorization": ADMIN_KEY},
    "an unknown scheme": {"Authorization": f"Digest {ADMIN_KEY}"},
    "a bearer of nothing": {"Authorization": "Bearer "},
    "half a key": {"Authorization": f"Bearer {ADMIN_KEY[:-1]}"},
    "a key and more": {"Authorization": f"Bearer {ADMIN_KEY}x"},
    "another case": {"Authorization": f"Bearer {ADMIN_KEY.upper()}"},
    "a bearer that is no ASCII": {"Authorization": b"Bearer \xe9\xff"},
    "basic that is no base64": {"Authorization": "Basic ***"},
    "basic that is cut off": {"Authorization": "Basic YTpi" + "Yw"},
    "basic that is no ASCII": {"Authorization": b"Basic \xe9\xff"},
    "basic that is no UTF-8": {"Authorization": b"Basic " + base64.b64encode(b"\xff:\xfe")},
    "basic of nothing": basic("", ""),
    "basic with U+0000": basic("\0", "\0"),
    "a header that is no ASCII": {"X-API-Key": b"\xe9\xff"},
    "a header of nothing": {"X-API-Key": ""},
    "a very long key": {"X-API-Key": "k" * 20_000},
}


@pytest.mark.parametrize("case", GARBLED)
def test_what_is_no_key_is_refused_as_such(case: str, shared: Service) -> None:
    answer = ask(shared, "GET", "/v1/surveys", headers=GARBLED[case])
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")
    assert ADMIN_KEY not in answer.text


READABLE = sorted(path for (method, path), scope in NEEDED.items() if (method, scope) == ("GET", "read"))


@pytest.mark.parametrize("path", READABLE)
def test_a_key_that_may_only_read_may_stand_in_the_url(path: str, shared: Service, keys: dict[str, str]) -> None:
    shared.send(session(), event("feedback.received", "acme", id="said", comment="Fine."))
    [comment] = shared.get("/v1/feedback", account="acme", limit=1)["feedback"]
    path = path.format(account_id="acme", metric="nps", survey_id="nps", feedback_id=comment["id"], key_id="")
    answer = ask(
        shared, "GET", path, params={"api_key": keys["read"]} | ({"metrics": "nps"} if "query" in path else {})
    )
    assert answer.status_code == 200, answer.text
    assert keys["read"] not in answer.text


@pytest.mark.parametrize("kind", ["ingest", "admin", "ingest and read", "revoked"])
def test_no_other_key_may_stand_in_the_url(kind: str, shared: Service, keys: dict[str, str]) -> None:
    assert ask(shared, "GET", "/v1/surveys", params={"api_key": keys[kind]}).status_code == 401
    assert ask(shared, "GET", "/v1/surveys", params={"api_key": ADMIN_KEY}).status_code == 401


def test_a_key_in_the_url_is_for_get_alone_and_stands_there_once(shared: Service, keys: dict[str, str]) -> None:
    key = keys["read"]
    assert ask(shared, "POST", f"/v1/query?api_key={key}", json={"metrics": ["nps"]}).status_code == 401
    assert ask(shared, "POST", "/v1/query", key, json={"metrics": ["nps"], "api_key": key}).status_code == 422
    for twice in (f"api_key={key}&api_key={key}", f"api_key=x&api_key={key}", f"api_key={key}&api_key=x"):
        assert ask(shared, "GET", f"/v1/surveys?{twice}").status_code == 401


def test_a_key_in_the_url_is_not_handed_on_to_the_next_page(shared: Service, keys: dict[str, str]) -> None:
    shared.send(session("first"), session("second"))
    for path in ("/v1/accounts?limit=1", "/v1/metrics/sessions?group_by=account&limit=1"):
        answer = ask(shared, "GET", f"{path}&api_key={keys['read']}")
        assert 'rel="next"' in answer.headers["link"]
        assert keys["read"] not in answer.headers["link"]


@pytest.mark.parametrize("name", ["authorization", "x-api-key"])
def test_two_keys_are_one_too_many(name: str, shared: Service, keys: dict[str, str]) -> None:
    value = f"Bearer {keys['read']}" if name == "authorization" else keys["read"]
    answer = ask(shared, "GET", "/v1/surveys", headers=httpx.Headers([(name, value), (name, value)]))
    assert (answer.status_code, answer.json()["code"]) == (400, "repeated_header")


def test_only_admin_may_say_when_an_event_became_known(shared: Service, keys: dict[str, str]) -> None:
    events = [session("past"), session("past", recorded_on="2026-03-11"), session("past")]
    answer = ask(shared, "POST", "/v1/events", keys["ingest"], json=events).json()
    assert answer["accepted"] == 2
    assert [(r["index"], r["code"], r["pointer"]) for r in answer["rejected"]] == [(1, "forbidden", "/recorded_on")]
    answered = {"id": "1", "survey": "nps", "account_id": "past", "score": 9, "responded_at": "2026-03-10T12:00:00Z"}
    for body in (answered | {"recorded_on": "2026-03-11"}, answered | {"recorded_on": None}):
        answer = ask(shared, "POST", "/v1/survey-responses", keys["ingest"], json=body)
        assert answer.json()["rejected"][0]["pointer"] == "/recorded_on"
    attributes = {"ce-recordedon": "2026-03-11", "ce-specversion": "1.0", "ce-id": "1", "ce-source": "/crm"}
    attributes |= {
        "ce-type": "session.ended",
        "ce-subject": "past",
        "ce-userid": "ada",
        "ce-time": "2026-03-10T12:00:00Z",
    }
    answer = ask(shared, "POST", "/v1/events", keys["ingest"], json={"duration_seconds": 1}, headers=attributes)
    assert answer.json()["rejected"][0]["code"] == "forbidden"
    assert ask(shared, "POST", "/v1/events", keys["admin"], json=session("new", recorded_on="2026-03-11")).is_success


def test_a_key_has_the_scopes_it_was_given_each_once(shared: Service) -> None:
    made = make(shared, "read", "ingest", "read", name="Zoë's laptop")
    assert (made["name"], made["scopes"]) == ("Zoë's laptop", ["ingest", "read"])
    assert made["key"].startswith(f"csm_{made['id']}_")
    assert len(made["key"].removeprefix(f"csm_{made['id']}_")) == 43  # 256 bits in base64


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
def test_a_key_that_makes_no_sense_is_not_made(body: Any, shared: Service) -> None:
    before = len(shared.get("/v1/keys")["keys"])
    sent = {"content": json.dumps(body).encode(), "headers": {"content-type": "application/json"}}
    assert shared.request("POST", "/v1/keys", **sent).status_code == 422
    assert len(shared.get("/v1/keys")["keys"]) == before


def test_a_key_is_shown_once(shared: Service) -> None:
    made = make(shared, "read")
    listed = shared.request("GET", "/v1/keys")
    assert made["id"] in listed.text
    assert made["key"] not in listed.text
    shown = next(key for key in listed.json()["keys"] if key["id"] == made["id"])
    assert shown.keys() == {"id", "name", "scopes", "created_at", "revoked_at", "last_used_on"}


def cells(url: str) -> Iterator[str]:
    """Every row of every table of a database, as text; bytes as hex and as they are."""
    with psycopg.connect(
        sa.make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    ) as connection:
        tables = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
        assert ("api_key",) in tables
        for (table,) in tables:
            for row in connection.execute(f'SELECT * FROM "{table}"'):
                yield repr(row)
                yield from (value.hex() for value in row if isinstance(value, bytes))


def test_of_a_key_nothing_but_its_hash_is_kept(service: Service, database: str) -> None:
    made = make(service, "read", "ingest")
    assert ask(service, "POST", "/v1/events", made["key"], json=session()).is_success
    assert ask(service, "GET", "/v1/metrics/nps", headers=basic("", made["key"])).is_success
    secret = made["key"].removeprefix(f"csm_{made['id']}_")
    kept = list(cells(database))
    assert not [cell for cell in kept if secret in cell or secret.encode().hex() in cell or ADMIN_KEY in cell]
    assert hashlib.sha256(made["key"].encode()).hexdigest() in kept


def test_no_key_is_in_the_log(start: Callable[..., Service], capsys: pytest.CaptureFixture[str]) -> None:
    service = start()
    logs.configure("debug")
    try:
        read, admin = make(service, "read")["key"], make(service, "admin")["key"]
        ask(service, "GET", "/v1/surveys", params={"api_key": read})
        ask(service, "GET", "/v1/surveys", params={"api_key": admin})
        ask(service, "GET", f"/v1/surveys?API%5FKEY={read}&api%5fkey={read}")
        ask(service, "GET", "/v1/surveys", headers=basic(admin, ""))
        ask(service, "GET", "/v1/surveys", headers={"X-API-Key": admin})
        ask(service, "POST", "/v1/events", admin, content=b"{")
        ask(service, "DELETE", "/v1/keys/unheard", admin)
        log = capsys.readouterr().err
        assert log.count('"event": "request"') >= 9
        assert not [line for line in log.splitlines() if any(key in line for key in (read, admin, ADMIN_KEY))]
    finally:
        logs.configure("error")


def test_a_revoked_key_ends_at_once_in_every_process(start: Callable[..., Service]) -> None:
    one, other = start(), start()
    for revoking, asked in ((one, other), (other, one), (one, one)):
        made = make(revoking, "read")
        assert ask(asked, "GET", "/v1/surveys", made["key"]).status_code == 200
        assert revoking.request("DELETE", f"/v1/keys/{made['id']}").status_code == 204
        assert ask(asked, "GET", "/v1/surveys", made["key"]).status_code == 401
        assert asked.request("DELETE", f"/v1/keys/{made['id']}").status_code == 204


def test_a_key_may_revoke_itself_and_its_end_stays_the_first(service: Service) -> None:
    made = make(service, "admin")
    assert ask(service, "DELETE", f"/v1/keys/{made['id']}", made["key"]).status_code == 204
    assert ask(service, "DELETE", f"/v1/keys/{made['id']}", made["key"]).status_code == 401
    ended = service.get("/v1/keys")["keys"][0]["revoked_at"]
    service.later(hours=3).request("DELETE", f"/v1/keys/{made['id']}")
    assert service.get("/v1/keys")["keys"][0]["revoked_at"] == ended == "2026-03-15T12:00:00Z"


def test_a_key_that_does_not_exist_cannot_be_revoked(shared: Service) -> None:
    for id in ("unheard", "%00", "%FF", "a" * 129, "..%2F", "%F0%9F%98%80"):
        assert shared.request("DELETE", f"/v1/keys/{id}").status_code in (400, 404, 422), id


def test_the_day_of_its_last_use_is_known(service: Service) -> None:
    def last_used() -> Any:
        return service.get("/v1/keys")["keys"][0]["last_used_on"]

    made = make(service, "read")
    assert last_used() is None
    ask(service, "GET", "/v1/surveys", made["key"])
    assert last_used() == "2026-03-15"
    ask(service.on("2026-04-01"), "GET", "/v1/surveys", made["key"])
    assert last_used() == "2026-04-01"
    service.request("DELETE", f"/v1/keys/{made['id']}")
    ask(service.on("2026-05-01"), "GET", "/v1/surveys", made["key"])
    assert last_used() == "2026-04-01"


def test_the_admin_key_of_the_environment_is_in_no_list_and_cannot_be_revoked(service: Service) -> None:
    assert service.get("/v1/keys") == {"keys": []}
    assert ask(service, "GET", "/v1/keys", ADMIN_KEY).status_code == 200


def test_without_an_admin_key_the_first_start_makes_one_and_shows_it_once(
    start: Callable[..., Service], capsys: pytest.CaptureFixture[str]
) -> None:
    first = start(admin_key=None)
    printed = capsys.readouterr()
    key = printed.out.strip().rpartition(" ")[2]
    assert key not in printed.err
    assert ask(first, "GET", "/v1/keys", ADMIN_KEY).status_code == 401
    assert [key["scopes"] for key in ask(first, "GET", "/v1/keys", key).json()["keys"]] == [["admin"]]
    again = start(admin_key=None)
    assert capsys.readouterr().out == ""
    assert ask(again, "GET", "/v1/keys", key).status_code == 200


def test_a_key_is_asked_for_before_the_body_is_looked_at(shared: Service) -> None:
    for content in (b"{", b"\xff", b"[" * 100_000, json.dumps([event("no such")] * 10_001).encode()):
        answer = ask(shared, "POST", "/v1/events", content=content, headers={"content-type": "application/json"})
        assert answer.status_code == 401
