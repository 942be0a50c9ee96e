"""Sessions of browsers: signing in with a key or with the code of a link, what the cookie may do, and when it ends."""

import json
from datetime import timedelta
from typing import Any

import httpx
import pytest

from app.access.sessions import COOKIE, create_code
from tests.support.service import ADMIN_KEY, Service, session

# What browsers send with the requests of a page of this service.
OF_PAGE = {"Authorization": "", "Sec-Fetch-Site": "same-origin", "Sec-Fetch-Dest": "empty"}


@pytest.fixture
def key(service: Service) -> dict[str, Any]:
    body: dict[str, Any] = service.request("POST", "/v1/keys", json={"name": "board", "scopes": ["read"]}).json()
    return body


def sign_in(service: Service, **body: str) -> httpx.Response:
    return service.request("POST", "/session", json=body, headers={"Authorization": ""})


def cookie_of(answer: httpx.Response) -> dict[str, str]:
    """Return the headers of a page that has the cookie of this answer."""
    assert answer.status_code == 201, answer.text
    return OF_PAGE | {"Cookie": answer.headers["set-cookie"].partition(";")[0]}


def status(
    service: Service, headers: dict[str, str], method: str = "GET", path: str = "/v1/metrics", **more: Any
) -> int:
    return service.request(method, path, headers=headers, **more).status_code


def test_a_key_becomes_a_cookie_that_no_script_can_read(service: Service, key: dict[str, Any]) -> None:
    answer = sign_in(service, key=key["key"])
    assert answer.json() == {"id": answer.json()["id"], "name": "board", "scopes": ["read"]}
    attributes = [part.strip() for part in answer.headers["set-cookie"].split(";")]
    assert attributes[0].startswith(f"{COOKIE}=csm_") and key["key"] not in attributes[0]
    assert {part.lower() for part in attributes[1:]} == {"httponly", "path=/", "samesite=strict"}
    headers = cookie_of(answer)
    assert status(service, headers) == 200
    assert service.request("GET", "/session", headers=headers).json()["scopes"] == ["read"]


def test_the_cookie_is_secure_where_the_service_is_reached_by_https(service: Service, key: dict[str, Any]) -> None:
    settings = service.app.state.settings
    service.app.state.settings = settings.model_copy(update={"public_url": "https://example.com/csm"})
    try:
        cookie = sign_in(service, key=key["key"]).headers["set-cookie"].lower()
    finally:
        service.app.state.settings = settings
    assert "; secure" in cookie


def test_a_session_has_the_scopes_of_its_key(service: Service, key: dict[str, Any]) -> None:
    reader = cookie_of(sign_in(service, key=key["key"]))
    assert status(service, reader, "PUT", "/v1/segments/all", json={"filter": "plan = 'pro'"}) == 403
    admin = cookie_of(sign_in(service, key=ADMIN_KEY))
    assert status(service, admin, "PUT", "/v1/segments/all?strict=false", json={"filter": "plan = 'pro'"}) == 200


def test_a_session_ends_with_its_key(service: Service, key: dict[str, Any]) -> None:
    headers = cookie_of(sign_in(service, key=key["key"]))
    assert status(service, headers) == 200
    assert service.request("DELETE", f"/v1/keys/{key['id']}").status_code == 204
    assert status(service, headers) == 401


def test_a_session_ends_when_the_browser_signs_out(service: Service, key: dict[str, Any]) -> None:
    headers, other = (cookie_of(sign_in(service, key=key["key"])) for _ in range(2))
    assert status(service, headers, "DELETE", "/session") == 204
    assert (status(service, headers), status(service, other)) == (401, 200)
    # A key that is no session is not revoked.
    assert status(service, {"Authorization": f"Bearer {key['key']}"}, "DELETE", "/session") == 204
    assert status(service, {"Authorization": f"Bearer {key['key']}"}) == 200


def test_a_session_lasts_until_the_end_of_the_next_day(service: Service, key: dict[str, Any]) -> None:
    headers = cookie_of(sign_in(service, key=key["key"]))
    service.now += timedelta(days=1)
    assert status(service, headers) == 200
    service.now += timedelta(days=1)
    assert status(service, headers) == 401


def test_sessions_are_not_listed_among_the_keys(service: Service, key: dict[str, Any]) -> None:
    sign_in(service, key=key["key"])
    keys = service.request("GET", "/v1/keys").json()["keys"]
    assert [own["name"] for own in keys].count("board") == 1


@pytest.mark.parametrize(
    "body", [{}, {"key": "csm_unheard"}, {"code": "csm_unheard"}, {"key": "a", "code": "b"}, {"key": ""}, {"key": 1}]
)
def test_nobody_signs_in_without_a_key_or_a_code(service: Service, body: dict[str, Any]) -> None:
    answer = service.request("POST", "/session", json=body, headers={"Authorization": ""})
    assert answer.status_code in (401, 422)
    assert "set-cookie" not in answer.headers


def test_a_code_signs_in_once(service: Service) -> None:
    code = service.run(create_code(service.books, scopes=["read"]))
    # It is no key.
    assert status(service, {"Authorization": f"Bearer {code}"}) == 401
    assert sign_in(service, key=code).status_code == 401
    headers = cookie_of(sign_in(service, code=code))
    assert status(service, headers) == 200
    again = sign_in(service, code=code)
    assert (again.status_code, again.json()["code"]) == (401, "code_used")


def test_a_code_is_good_for_ten_minutes(service: Service) -> None:
    code = service.run(create_code(service.books, scopes=["read"]))
    service.now += timedelta(minutes=11)
    assert sign_in(service, code=code).status_code == 401


@pytest.mark.parametrize(
    ("method", "headers", "is_accepted"),
    [
        ("GET", {"Sec-Fetch-Site": "same-origin"}, True),
        ("GET", {"Sec-Fetch-Site": "none"}, True),
        ("GET", {"Sec-Fetch-Site": ""}, True),
        ("GET", {"Sec-Fetch-Site": "same-site"}, False),
        ("GET", {"Sec-Fetch-Site": "cross-site"}, False),
        ("PUT", {"Sec-Fetch-Site": "same-origin"}, True),
        ("PUT", {"Sec-Fetch-Site": "same-site"}, False),
        ("PUT", {"Sec-Fetch-Site": "", "Origin": "http://testserver"}, True),
        ("PUT", {"Sec-Fetch-Site": "", "Origin": "http://other.example"}, False),
        ("PUT", {"Sec-Fetch-Site": "", "Origin": "null"}, False),
    ],
)
def test_a_cookie_is_worth_nothing_in_requests_of_other_pages(
    service: Service, method: str, headers: dict[str, str], is_accepted: bool
) -> None:
    own = cookie_of(sign_in(service, key=ADMIN_KEY)) | headers | {"Host": "testserver"}
    if not own["Sec-Fetch-Site"]:
        del own["Sec-Fetch-Site"]
    path, body = ("/v1/surveys/nps", {"min_score": 0, "max_score": 10}) if method == "PUT" else ("/v1/metrics", None)
    assert (status(service, own, method, path, json=body) not in (401, 403)) == is_accepted


def test_a_script_is_not_asked_for_a_password_by_the_browser(service: Service) -> None:
    script = service.request("GET", "/v1/metrics", headers=OF_PAGE)
    person = service.request("GET", "/v1/metrics", headers={"Authorization": ""})
    assert script.headers["www-authenticate"].startswith("Bearer ")
    assert person.headers["www-authenticate"].startswith("Basic ")


def test_a_view_asks_several_questions_at_once(service: Service) -> None:
    service.send(session("one"))
    headers = cookie_of(sign_in(service, key=ADMIN_KEY))
    paths = ["/v1/metrics/sessions?period=this_month", "/v1/metrics/sesions", "/v1/scorecard"]
    lines = service.request("POST", "/answers", json={"paths": paths}, headers=headers).text.splitlines()
    answers = {own["number"]: own for own in map(json.loads, lines)}
    assert {number: own["status"] for number, own in answers.items()} == {0: 200, 1: 404, 2: 200}
    assert answers[0]["body"] == service.request("GET", paths[0]).json()
    assert "sessions" in answers[1]["body"]["detail"]


@pytest.mark.parametrize(
    "path",
    ["", "/", "/session", "http://example.com/v1/metrics", "/v1/metrics#a", "/v1/é", "/v1/%ff", "/v1/metrics?x=%ff"],
)
def test_a_view_asks_the_api_only(service: Service, path: str) -> None:
    answer = service.request("POST", "/answers", json={"paths": ["/v1/metrics", path]})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/paths/1")
