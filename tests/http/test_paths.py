"""Paths and methods: HEAD, the methods that a path has, the index, and a service below a path of a proxy."""

import re
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from fastapi.routing import iter_route_contexts

from app import __version__
from app.ui.assets import load_assets
from tests.support.everything import put_everything
from tests.support.service import Service, session

PREFIX = "/csm/metrics-of.acme"
PUBLIC_URL = f"https://example.com{PREFIX}"


def templates(service: Service) -> dict[str, set[str]]:
    """Return the methods of the endpoints by path template."""
    methods: dict[str, set[str]] = {}
    for route in iter_route_contexts(service.app.routes):
        if route.methods:
            methods.setdefault(str(route.path), set()).update(route.methods)
    return methods


def example_path(service: Service, template: str) -> str:
    """Return a path that can be answered with 200."""
    if template.startswith("/static/"):
        return f"/static/{load_assets().version}/main.js"
    path = template.format_map(put_everything(service))
    if path.endswith("/cohorts/accounts"):
        return f"{path}?cohort={service.books.today():%Y-%m}&number=0"
    return f"{path}?metrics=nps" if path.endswith("/query") else path


# --- HEAD and Allow -----------------------------------------------------------------------------------------------------


def test_head_is_answered_like_get_without_a_body(shared: Service) -> None:
    paths = [template for template, methods in templates(shared).items() if "GET" in methods]
    assert len(paths) > 25
    for template in paths:
        path = example_path(shared, template)
        get, head = shared.request("GET", path), shared.request("HEAD", path)
        assert (head.status_code, head.content) == (get.status_code, b""), path
        assert get.is_success or get.is_redirect, path
        assert head.headers.get("content-type") == get.headers.get("content-type"), path
        # The page of Prometheus and the cursor of now change from one request to the next.
        if path not in ("/metrics/prometheus", "/v1/changes"):
            assert head.headers["content-length"] == get.headers["content-length"], path
            assert head.headers.get("etag") == get.headers.get("etag"), path
    get = shared.request("GET", "/v1/metrics")
    assert shared.request("HEAD", "/v1/metrics", headers={"If-None-Match": get.headers["etag"]}).status_code == 304
    assert shared.request("HEAD", "/v1/metrics", headers={"Authorization": ""}).status_code == 401
    assert shared.request("HEAD", "/v1/metrics/none").status_code == 404


def test_allow_names_all_methods_of_a_path_and_no_other(shared: Service) -> None:
    own_methods = templates(shared)
    for template in own_methods:
        path = example_path(shared, template).partition("?")[0]
        response = shared.request("TRACE", path)
        assert response.status_code == 405, path
        allowed = set(response.headers["allow"].split(", "))
        assert own_methods[template] <= allowed, path
        assert ("GET" in allowed) == ("HEAD" in allowed), path
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
            status = shared.request(method, path, headers={"Authorization": ""}).status_code
            assert (status == 405) == (method not in allowed), (method, path)


def test_allow_also_names_the_methods_of_other_endpoints_with_the_same_path(shared: Service) -> None:
    for path, methods in {
        "/v1/surveys": "GET, HEAD",
        "/v1/query": "GET, HEAD, POST",
        "/v1/keys": "GET, HEAD, POST",
        "/v1/accounts/acme": "GET, HEAD, PUT",
        "/v1/feedback/abc": "DELETE, GET, HEAD, PATCH",
        "/v1/events": "POST",
    }.items():
        assert shared.request("TRACE", path).headers["allow"] == methods, path


# --- The index ----------------------------------------------------------------------------------------------------------


def test_the_index_is_the_page_for_a_browser(shared: Service) -> None:
    browser = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "Authorization": ""}
    response = shared.request("GET", "/", headers=browser)
    assert (response.status_code, response.headers["content-type"]) == (200, "text/html; charset=utf-8")


@pytest.mark.parametrize("accept", ["*/*", "application/json", ""])
def test_the_index_tells_a_program_which_paths_there_are(accept: str, shared: Service) -> None:
    response = shared.request("GET", "/", headers={"Accept": accept, "Authorization": ""})
    assert response.json() == {
        "name": "Customer Success Metrics",
        "version": __version__,
        "documentation": "/docs",
        "openapi": "/openapi.json",
        "health": "/healthz",
        "readiness": "/readyz",
    }
    assert response.headers["vary"] == "Accept"
    for path in list(response.json().values())[2:]:
        assert shared.request("GET", path, headers={"Authorization": ""}).is_success, path


# --- Below a path -------------------------------------------------------------------------------------------------------


@pytest.fixture(params=["removes the prefix", "keeps the prefix"])
def proxied(request: pytest.FixtureRequest, start_service: Callable[..., Service]) -> tuple[Service, str]:
    """A service below a path, and what its proxy puts before the paths that the service gets."""
    return start_service(public_url=f"{PUBLIC_URL}/"), "" if request.param == "removes the prefix" else PREFIX


def path_of(url: str) -> str:
    """Return the path below the prefix to which a client's request to a URL leads."""
    target = httpx.URL("https://example.com").join(url)
    assert str(target).startswith(f"{PUBLIC_URL}/"), url
    return str(target).removeprefix(PUBLIC_URL)


def test_links_lead_to_the_next_page_below_a_path(proxied: tuple[Service, str]) -> None:
    service, prefix = proxied
    service.send(session("a/1"), session("b"), session("c"))
    path, ids = "/v1/accounts?limit=1", []
    while path:
        response = service.request("GET", prefix + path)
        ids += [account["id"] for account in response.json()["accounts"]]
        link = response.headers.get("link")
        path = path_of(re.fullmatch(r'<(.*)>; rel="next"', link)[1]) if link else ""
    assert ids == ["a/1", "b", "c"]
    assert service.request("GET", f"{prefix}/v1/accounts/a%2F1").json()["id"] == "a/1"
    link = service.request("GET", f"{prefix}/v1/metrics/sessions?group_by=account&limit=1").headers["link"]
    assert link.startswith(f"<{PUBLIC_URL}/v1/metrics/sessions?group_by=account")


def test_the_documentation_page_works_below_a_path(proxied: tuple[Service, str]) -> None:
    service, prefix = proxied
    browser = {"Accept": "text/html", "Authorization": ""}
    page = service.request("GET", f"{prefix}/docs", headers=browser).text
    files = re.findall(r"""(?:src|href|url)(?:=|: )["']([^"']+)["']""", page)
    assert len(files) >= 4
    for file in files:
        assert service.request("GET", prefix + path_of(file), headers=browser).status_code == 200, file
    [document_path] = [file for file in files if file.endswith("openapi.json")]
    document = service.request("GET", prefix + path_of(document_path), headers=browser).json()
    [server] = document["servers"]
    assert service.request("GET", prefix + path_of(f"{server['url']}/v1/metrics")).is_success


def test_the_service_also_answers_without_its_prefix_and_to_nothing_like_it(proxied: tuple[Service, str]) -> None:
    service, _ = proxied
    for path in ("/healthz", "/v1/metrics", "/docs", f"{PREFIX}/healthz", PREFIX, f"{PREFIX}/"):
        assert service.request("GET", path).status_code == 200, path
    for path in (f"{PREFIX}x/healthz", f"{PREFIX}{PREFIX}/healthz", f"{PREFIX}//healthz", "/csm/healthz"):
        assert service.request("GET", path).status_code == 404, path


@pytest.mark.parametrize(
    ("url", "is_valid"),
    [
        ("https://metrics.example", True),
        ("http://metrics.example:8443/", True),
        ("https://example.com/a/b-c_d.e~f/", True),
        ("https://[::1]:8000/csm", True),
        ("example.com", False),
        ("ftp://example.com", False),
        ("https://example.com/csm?x=1", False),
        ("https://example.com/c%20sm", False),
        ("https://user:password@example.com", False),
        ("https://example.com/v1", False),
        ("https://example.com/docs/csm", False),
    ],
)
def test_a_public_url_has_a_host_and_a_plain_path(url: str, is_valid: bool) -> None:
    from pydantic import ValidationError

    from app.core.settings import Settings

    def create() -> Any:
        return Settings(_env_file=None, public_url=url)

    if is_valid:
        assert create().public_url == url.rstrip("/")
    else:
        with pytest.raises(ValidationError):
            create()
