"""Targets and the health model on the page: what a change would do is shown before it is stored, and to those who may."""

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.support.browser import browser_page
from tests.support.process import ServiceProcess, service_process
from tests.support.service import ADMIN_KEY, event, session

_PURPOSE = "NO TARGET AND NO MODEL IS CHANGED"


@pytest.fixture(scope="module")
def process(copy_database: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    """A service with two customers, one of which uses the product, and a target."""
    with copy_database() as url, service_process(tmp_path_factory.mktemp("goals"), url) as process:
        now = datetime.now(UTC).isoformat()
        events = [
            *(event("subscription.changed", own, subscription_id=own, mrr="100") for own in ("acme", "globex")),
            *(session("acme", at=now) for _ in range(3)),
        ]
        answer = process.request("POST", "/v1/events", json=events)
        assert answer.json()["accepted"] == len(events), answer.text
        target = {"metric": "mrr", "granularity": "month", "value": "500"}
        assert process.request("PUT", "/v1/targets/revenue", json=target).status_code in (200, 201)
        yield process


def sign_in(page: Page, process: ServiceProcess, key: str) -> None:
    answer = page.request.post(f"{process.url}/session", data={"key": key}, headers={"Origin": process.url})
    assert answer.status == 201, answer.text()


@pytest.fixture
def page(process: ServiceProcess) -> Iterator[Page]:
    # Chromium reports each 422, which is what the fault of a field is.
    with browser_page(process.url, purpose=_PURPOSE, is_fault=lambda text: "422" not in text) as page:
        sign_in(page, process, ADMIN_KEY)
        yield page


def get(process: ServiceProcess, path: str) -> Any:
    answer = process.request("GET", path)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_target_is_shown_as_it_would_be_and_then_stored(page: Page, process: ServiceProcess) -> None:
    page.goto(f"{process.url}/scorecard")
    page.get_by_role("link", name="Monthly recurring revenue").click()
    page.get_by_role("button", name="Change", exact=True).press("Enter")
    form = page.get_by_role("form", name=re.compile("Change the target"))
    # A fault stands beside its field, and the keyboard goes on there.
    form.get_by_label("To reach").fill("a lot")
    form.get_by_role("button", name="Show what would change").click()
    field = form.get_by_label("To reach")
    expect(field).to_be_focused()
    expect(field).to_have_accessible_description(re.compile("must be a decimal number"))
    expect(form.get_by_role("button", name="Store")).to_have_count(0)

    field.fill("250.50")
    expect(form.get_by_role("status").locator("table")).to_have_count(0)
    field.press("Enter")
    body = {"metric": "mrr", "granularity": "month", "value": "250.50"}
    expected = process.request("POST", "/v1/targets/revenue/preview", json=body).json()
    rows = form.get_by_role("status").get_by_role("row")
    expect(rows.nth(1)).to_contain_text("$500.00")
    expect(rows.nth(2)).to_contain_text(f"${expected['after']['target']:.2f}")
    expect(rows.nth(2)).to_contain_text(f"{expected['after']['attainment']:.2f}")
    assert get(process, "/v1/targets/revenue")["value"] == "500"

    form.get_by_role("button", name="Store").press("Enter")
    expect(page.get_by_text(re.compile(r"Stored: .*\$250\.50, from "))).to_be_visible()
    expect(form).to_have_count(0)
    assert get(process, "/v1/targets/revenue")["value"] == "250.5"
    expect(page.get_by_role("table", name="Targets").get_by_role("row").nth(1)).to_contain_text("$250.50")


def test_a_new_target_is_stored_and_ended(page: Page, process: ServiceProcess) -> None:
    page.goto(f"{process.url}/scorecard?form=new")
    form = page.get_by_role("form", name="New target")
    form.get_by_role("button", name="Show what would change").click()
    expect(form.get_by_label("Short name")).to_be_focused()
    form.get_by_label("Short name").fill("use/all")
    form.get_by_label("Metric").select_option("sessions")
    form.get_by_label("To reach").fill("10")
    form.get_by_role("button", name="Show what would change").click()
    form.get_by_role("button", name="Store").click()
    expect(page.get_by_text(re.compile("Stored: Sessions"))).to_be_visible()
    assert get(process, "/v1/targets/use%2Fall")["state"] == "holds"
    page.get_by_role("button", name="End", exact=True).click()
    page.get_by_role("button", name="End the target").click()
    expect(page.get_by_text("Ended: Sessions")).to_be_visible()
    assert [own["id"] for own in get(process, "/v1/targets")["targets"]] == ["revenue"]


def test_a_model_shows_whom_it_moves_and_is_then_stored(page: Page, process: ServiceProcess) -> None:
    model = {
        "components": [
            {"id": "use", "title": "Use", "kind": "value", "metric": "sessions", "poor": 0, "good": 3, "weight": 1}
        ]
    }
    assert process.request("PUT", "/v1/health-model", json=model).status_code == 200
    page.goto(f"{process.url}/health-model")
    page.get_by_role("button", name="Change the model").press("Enter")
    form = page.get_by_role("form", name="Change the model")
    component = form.get_by_role("group", name="Use")
    component.get_by_label("All points at").fill("0")
    form.get_by_role("button", name="Show what would change").click()
    expect(component.get_by_label("All points at")).to_be_focused()
    expect(component.get_by_label("All points at")).to_have_accessible_description(re.compile("same value"))

    component.get_by_label("All points at").fill("30")
    form.get_by_role("button", name="Show what would change").click()
    version = get(process, "/v1/health-model")["version"]
    changed = get(process, "/v1/health-model")["model"]
    changed["components"][0]["good"] = 30
    expected = process.request("POST", "/v1/health-model/preview", json=changed).json()
    shown = form.get_by_role("status")
    expect(shown).to_contain_text(f"{expected['changed']} of {expected['accounts']} customers")
    assert [own["account"] for own in expected["moves"]] == ["acme"]
    expect(shown.get_by_role("link", name="acme")).to_have_attribute("href", "/accounts/acme")
    assert get(process, "/v1/health-model")["model"]["components"][0]["good"] == 3

    form.get_by_role("button", name="Store").click()
    expect(page.get_by_text(re.compile(rf"Stored: version {version} of the model holds from "))).to_be_visible()
    assert get(process, "/v1/health-model")["model"]["components"][0]["good"] == 30
    expect(page.get_by_role("row", name=re.compile("^Use "))).to_contain_text("all of them from 30 on")


def test_who_may_only_read_has_no_form_and_learns_why(process: ServiceProcess) -> None:
    key = process.request("POST", "/v1/keys", json={"name": "reader", "scopes": ["read"]}).json()["key"]
    with browser_page(process.url, purpose=_PURPOSE) as page:
        sign_in(page, process, key)
        for path, button in (("scorecard?form=new", "New target"), ("health-model?form=edit", "Change the model")):
            page.goto(f"{process.url}/{path}")
            expect(page.get_by_text("with a key of scope admin. Yours may only read.")).to_be_visible()
            expect(page.locator(".card footer").first).to_be_visible()
            expect(page.get_by_role("button", name=button)).to_have_count(0)
            expect(page.locator(".panel")).to_have_count(0)
