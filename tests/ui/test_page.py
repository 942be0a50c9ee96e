"""The page in a browser that reaches nothing but the service: signing in, the overview, and what it may not do."""

import json
import re
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from app.ui.assets import FOLDER, load_assets
from tests.support.browser import browser_page
from tests.support.command import run_process
from tests.support.process import ServiceProcess, service_process
from tests.support.service import ADMIN_KEY, Service, event, session

HOSTILE = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def url(copy_database: Callable[..., Any]) -> Iterator[str]:
    with copy_database() as url:
        yield url


@pytest.fixture(scope="module")
def process(url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    """A service with one account of a hostile name, a detractor, and a target."""
    with service_process(tmp_path_factory.mktemp("page"), url) as process:
        events = [
            session(HOSTILE),
            event("subscription.changed", HOSTILE, subscription_id="s", mrr="100"),
            event("survey.responded", HOSTILE, survey="nps", score=2, comment=HOSTILE),
        ]
        answer = process.request("POST", "/v1/events", json=events)
        assert answer.json()["accepted"] == len(events), answer.text
        target = {"metric": "mrr", "granularity": "month", "value": "500"}
        assert process.request("PUT", "/v1/targets/mrr", json=target).status_code in (200, 201)
        yield process


@pytest.fixture
def page(process: ServiceProcess) -> Iterator[Page]:
    # Chromium reports each 401, which is what an unknown key gets.
    purpose = "NO BROWSER OPENS THE PAGE"
    with browser_page(process.url, purpose=purpose, is_fault=lambda text: "401" not in text) as page:
        yield page


def open_by_link(page: Page, process: ServiceProcess, url: str, tmp_path: Path) -> None:
    """Open the page by the link of `csmetrics open`."""
    printed = run_process("open", "--no-browser", folder=tmp_path, DATABASE_URL=url.replace("+psycopg", ""))
    assert printed.returncode == 0, printed.stderr
    page.goto(process.url + "/" + printed.stdout.strip().rpartition("/")[2])
    expect(page.get_by_role("navigation")).to_be_visible()


def test_the_link_of_the_command_line_opens_the_overview(
    page: Page, process: ServiceProcess, url: str, tmp_path: Path
) -> None:
    open_by_link(page, process, url, tmp_path)
    # The code is neither in the address, which somebody may share, nor in the log.
    assert page.url == f"{process.url}/"
    assert "code=" not in process.log.read_text()
    page.reload()
    expect(page.get_by_role("navigation")).to_be_visible()


def test_every_card_shows_what_its_request_answers(
    page: Page, process: ServiceProcess, url: str, tmp_path: Path
) -> None:
    open_by_link(page, process, url, tmp_path)
    expect(page.locator("[aria-busy=true]")).to_have_count(0)
    requests = [text.removeprefix("GET ") for text in page.locator(".card footer code").all_inner_texts()]
    assert len(requests) >= 9
    for path in requests:
        answer = process.request("GET", path)
        assert answer.status_code == 200, path
    # Charts are drawn, and a screen reader finds what they say.
    expect(page.locator(".chart svg[aria-label]")).to_have_count(page.locator(".chart").count())
    [tile] = process.request("GET", "/v1/scorecard").json()["rows"]
    expect(page.locator(".tile")).to_have_count(1)
    expect(page.locator(".tile")).to_contain_text(f"target ${tile['target']:.0f}")
    comments = process.request("GET", "/v1/feedback?class=detractor&status=open&limit=5").json()["feedback"]
    expect(page.get_by_text(f"“{comments[0]['comment']}”")).to_be_visible()


def test_hostile_names_are_text(page: Page, process: ServiceProcess, url: str, tmp_path: Path) -> None:
    open_by_link(page, process, url, tmp_path)
    expect(page.locator("[aria-busy=true]")).to_have_count(0)
    assert HOSTILE in page.inner_text("main")
    assert page.locator("img").count() == 0


def test_a_person_signs_in_with_a_key_and_out_again(page: Page, process: ServiceProcess) -> None:
    page.goto(process.url)
    page.get_by_label("API key").fill("csm_unheard")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("Unknown or revoked key")
    page.get_by_label("API key").fill(ADMIN_KEY)
    page.keyboard.press("Enter")
    expect(page.get_by_role("navigation")).to_be_visible()
    # No script can read what signs the browser in, and nothing of it is stored.
    assert page.evaluate("document.cookie + JSON.stringify({...localStorage, ...sessionStorage})").count("csm_") == 0
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_label("API key")).to_be_visible()
    assert page.request.get(f"{process.url}/v1/metrics").status == 401


def test_the_reader_chooses_the_colors(page: Page, process: ServiceProcess, url: str, tmp_path: Path) -> None:
    open_by_link(page, process, url, tmp_path)
    page.get_by_label("Colors").select_option("dark")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    page.reload()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")


def test_the_document_allows_nothing_inline_and_nothing_from_elsewhere(service: Service) -> None:
    answer = service.request("GET", "/", headers={"Accept": "text/html", "Authorization": ""})
    policy = dict(part.strip().split(" ", 1) for part in answer.headers["content-security-policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\bon\w+=|\bstyle=", answer.text)
    for address in re.findall(r'(?:href|src)="(/[^"]+\.\w+)"', answer.text):
        file = service.request("GET", address, headers={"Authorization": ""})
        assert (file.status_code, file.headers["cache-control"]) == (200, "public, max-age=31536000, immutable")


def test_files_are_compressed_as_the_browser_accepts_it(service: Service) -> None:
    path = f"/static/{load_assets().version}/style.css"
    content = (FOLDER / "style.css").read_bytes()
    for accepted in ("zstd, gzip", "gzip", "identity"):
        answer = service.request("GET", path, headers={"Accept-Encoding": accepted, "Authorization": ""})
        assert answer.content == content
        assert answer.headers.get("content-encoding", "identity") == accepted.split(",")[0]


@pytest.mark.parametrize("path", ["/explore", "/accounts/a%2Fb", "/data?x=1"])
def test_every_address_of_a_view_is_the_page(service: Service, path: str) -> None:
    answer = service.request("GET", path, headers={"Accept": "text/html", "Authorization": ""})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")


@pytest.mark.parametrize(
    "path",
    [
        "/static/0/main.js",
        "/static/{}/nothing.js",
        "/static/{}/vendor/preact.d.ts",
        "/static/{}/../routes.py",
        "/static/{}/",
    ],
)
def test_no_other_file_is_served(service: Service, path: str) -> None:
    answer = service.request("GET", path.format(load_assets().version), headers={"Authorization": ""})
    assert answer.status_code == 404


def test_the_manifest_describes_the_files_of_others() -> None:
    folder = FOLDER / "vendor"
    manifest = json.loads((folder / "manifest.json").read_text())
    assert {path.name for path in folder.glob("*.js")} == set(manifest)
    licences = (folder / "LICENCES.txt").read_text()
    sources = folder.parents[1] / "vendor"
    locked = json.loads((sources / "package-lock.json").read_text())["packages"]
    for name, module in manifest.items():
        assert module["sha256"] == sha256((folder / name).read_bytes()).hexdigest()
        for package in module["packages"]:
            assert locked[f"node_modules/{package['name']}"]["version"] == package["version"]
            assert f"\n{package['name']}\n" in f"\n{licences}"
