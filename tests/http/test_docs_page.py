"""The page /docs in a browser that reaches nothing but the service."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.support.browser import browser_page
from tests.support.process import ServiceProcess, service_process
from tests.support.service import ADMIN_KEY


@pytest.fixture
def process(database: str, tmp_path: Path) -> Iterator[ServiceProcess]:
    with service_process(tmp_path, database) as process:
        yield process


@pytest.fixture
def page(process: ServiceProcess) -> Iterator[Page]:
    with browser_page(process.url, purpose="NO BROWSER OPENS /docs") as page:
        yield page


def test_docs_sends_the_example_of_an_event_without_the_internet(page: Page, process: ServiceProcess) -> None:
    page.goto(f"{process.url}/docs")
    page.get_by_role("button", name="Authorize").first.click()
    dialog = page.locator(".modal-ux")
    bearer = dialog.locator(".auth-container").filter(has_text="http, Bearer")
    bearer.get_by_role("textbox").fill(ADMIN_KEY)
    bearer.get_by_role("button", name="Apply credentials").click()
    dialog.get_by_role("button", name="Close").first.click()
    operation = page.locator(".opblock").filter(has=page.locator('[data-path="/v1/events"]')).first
    operation.locator(".opblock-summary-control").click()
    operation.get_by_role("button", name="Try it out").click()
    operation.get_by_role("button", name="Execute").click()
    answer = operation.locator(".live-responses-table .response-col_description pre").first
    expect(answer).to_contain_text("accepted")
    assert json.loads(answer.inner_text())["accepted"] == 1
    rows = process.request("GET", "/v1/accounts").json()["accounts"]
    assert len(rows) == 1
