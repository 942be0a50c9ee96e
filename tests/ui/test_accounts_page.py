"""The views of all accounts and of one: search, order, pages, and what an account's page adds up to."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.support.process import ServiceProcess, service_process
from tests.support.service import account_update, event
from tests.support.views import Reader, View, reader_of

ACCOUNTS = View("accounts")
COUNT = 230


@pytest.fixture(scope="module")
def process(copy_database: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    """A service with some pages of accounts, whose names and MRR are in the opposite order of their ids."""
    with copy_database() as url, service_process(tmp_path_factory.mktemp("accounts"), url) as process:
        events = [
            own
            for number in range(COUNT)
            for own in (
                event("subscription.changed", f"a-{number:03}", subscription_id="s", mrr=str(COUNT - number)),
                account_update(f"a-{number:03}", name=f"Company {COUNT - number:03}"),
            )
        ]
        answer = process.request("POST", "/v1/events", json=events)
        assert answer.json()["accepted"] == len(events), answer.text
        yield process


def names(reader: Reader) -> list[str]:
    reader.wait()
    return reader.page.locator(".accounts tbody th a").all_inner_texts()


def test_accounts_are_searched_sorted_and_read_to_the_end(process: ServiceProcess) -> None:
    with reader_of(process, purpose="NO ACCOUNT IS SEARCHED") as reader:
        page = reader.page
        reader.open(ACCOUNTS)
        page.get_by_role("button", name="Account", exact=True).click()
        expect(page).to_have_url(re.compile(r"order=name"))
        expect(page.locator("th[aria-sort=ascending]")).to_have_count(1)
        # Whoever scrolls sees all of them, in the order that was asked for, each once.
        while page.locator(".accounts tbody tr").count() < COUNT:
            page.locator(".accounts tbody tr").last.scroll_into_view_if_needed()
            reader.wait()
        assert names(reader) == [f"Company {number:03}" for number in range(1, COUNT + 1)]
        page.get_by_label("Search").fill("PANY 01")
        expect(page).to_have_url(re.compile(r"q=PANY(\+|%20)01"))
        expect(page.locator(".accounts tbody tr")).to_have_count(10)
        page.reload()
        assert names(reader) == [f"Company {number:03}" for number in range(10, 20)]
        page.get_by_role("link", name="Company 013").press("Enter")
        expect(page.get_by_role("heading", level=1)).to_have_text("Company 013")
        page.go_back()
        assert page.get_by_label("Search").input_value() == "PANY 01" and len(names(reader)) == 10


def test_the_page_of_an_account_at_risk_explains_its_health(company: ServiceProcess) -> None:
    with reader_of(company, purpose="NO ACCOUNT IS LOOKED AT") as reader:
        page = reader.page
        reader.open(ACCOUNTS)
        page.locator(".accounts tbody th a").first.click()
        reader.wait()
        card = page.locator(".card").filter(has=page.get_by_role("heading", name="Health", exact=True))
        points = [float(text) for text in card.locator("tbody td:last-child").all_inner_texts()]
        assert points and round(sum(points), 2) == float(card.locator(".sum strong").inner_text())
        page.get_by_label("Explain health from").fill("2026-03-01")
        expect(page).to_have_url(re.compile(r"from=2026-03-01"))
        reader.wait()
        expect(page.get_by_text("GET /v1/accounts/").filter(has_text="explanation?from=2026-03-01")).to_be_visible()
        history = page.locator(".card").filter(has=page.get_by_role("heading", name="Attributes and their history"))
        expect(history.get_by_role("columnheader", name="Known since")).to_be_visible()
        assert history.locator("tbody tr").count() > 0
