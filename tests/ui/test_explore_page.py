"""The view Explore: its controls make the question, and a row leads to what is behind it."""

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from playwright.sync_api import Locator, Page, expect

from tests.support.company import HOSTILE
from tests.support.process import ServiceProcess
from tests.support.service import ADMIN_KEY
from tests.support.views import Reader, View, reader_of

EXPLORE = View("explore")
_CLIENT = Path(__file__).parents[2] / "clients" / "python" / "src"
_COPIED = "window.copied.at(-1)"
_NO_BROWSER = "NOTHING IS EXPLORED"


def question_of(page: Page) -> dict[str, list[str]]:
    """Return the parameters of the request that is shown beside the rows."""
    return parse_qs(urlsplit(card(page, "Numbers").locator("> footer code").inner_text()).query)


def card(page: Page, title: str) -> Locator:
    return page.locator(".card", has=page.get_by_role("heading", name=title, exact=True))


def test_a_metric_is_found_by_what_its_description_says(company: ServiceProcess) -> None:
    with reader_of(company, purpose=_NO_BROWSER) as reader:
        page = reader.page
        reader.open(EXPLORE, "?subject=pro&metric=mrr&strict=false")
        metric = page.get_by_role("combobox", name="Metric")
        metric.fill("promoter")
        page.keyboard.press("ArrowDown")
        expect(metric).to_have_attribute("aria-expanded", "true")
        page.keyboard.press("Enter")
        reader.wait()
        assert parse_qs(urlsplit(page.url).query) == {"metric": ["nps"], "strict": ["false"]}
        expect(metric).to_have_value("Net Promoter Score (NPS)")
        expect(page.get_by_text("percentage of promoters", exact=False).first).to_be_visible()
        # Escape leaves what was chosen.
        metric.fill("churn")
        page.keyboard.press("Escape")
        expect(metric).to_have_value("Net Promoter Score (NPS)")
        page.go_back()
        expect(metric).to_have_value("Monthly recurring revenue (MRR)")


def test_a_filter_is_completed_with_the_keys_and_values_of_the_accounts(company: ServiceProcess) -> None:
    with reader_of(company, purpose=_NO_BROWSER) as reader:
        page = reader.page
        reader.open(EXPLORE, "?metric=customers")
        attributes = {own["key"]: own for own in ask(reader, "/v1/attributes?limit=200")["attributes"]}
        field = page.get_by_role("combobox", name="Filter")
        for part in ("pla", f'= "{attributes["plan"]["values"][0]["value"][:2]}'):
            field.focus()
            page.keyboard.press("End")
            page.keyboard.type(part)
            page.keyboard.press("ArrowDown")
            page.keyboard.press("Enter")
        plan = attributes["plan"]["values"][0]["value"]
        expect(field).to_have_value(f'plan = "{plan}" ')
        page.keyboard.press("Enter")
        reader.wait()
        assert question_of(page)["filter"] == [f'plan = "{plan}"']
        # Whatever keys and values are called, what is offered is a filter that the service understands.
        for attribute in attributes.values():
            for value in attribute["values"][:3]:
                filter = page.evaluate(
                    """async ([key, value]) => {
                      const own = document.querySelector("script[type=module]").src.replace("main.js", "filters.js");
                      const { writeKey, writeValue } = await import(own);
                      return `${writeKey(key)} = ${writeValue(value)}`;
                    }""",
                    [attribute["key"], value["value"]],
                )
                answer = reader.process.request("GET", "/v1/accounts", params={"filter": filter, "limit": 1})
                assert answer.status_code == 200 and answer.json()["accounts"], filter


def test_a_row_leads_to_its_accounts_events_and_restatements(company: ServiceProcess) -> None:
    with reader_of(company, purpose=_NO_BROWSER) as reader:
        page = reader.page
        reader.open(EXPLORE, "?metric=mrr&group_by=plan&period=last_3_months")
        rows = ask(reader, "/v1/metrics/mrr?period=last_3_months&group_by=plan")["rows"]
        row = rows[len(rows) // 2]
        card(page, "Numbers").get_by_role("button", name="Open").nth(len(rows) // 2).click()
        reader.wait()
        behind = page.locator(".card", has=page.get_by_role("button", name="Events"))
        body = ask(reader, behind.locator("> footer code").inner_text().removeprefix("GET "))
        assert body["totals"][0]["value"] == row["value"]
        assert [own["account"] for own in body["rows"]] == behind.locator("tbody th").all_inner_texts()
        for name, key in (("Events", "id"), ("Restatements", "recorded_on")):
            behind.get_by_role("button", name=name).click()
            reader.wait()
            body = ask(reader, behind.locator("> footer code").inner_text().removeprefix("GET "))
            assert behind.locator("tbody tr").count() == len(body["rows"])
            assert key == "recorded_on" or behind.locator("tbody th").all_text_contents() == [
                own[key] for own in body["rows"]
            ]
        reader.page.reload()
        reader.wait()
        expect(behind.get_by_role("button", name="Restatements")).to_have_attribute("aria-pressed", "true")
        behind.get_by_role("button", name="Close").click()
        expect(behind).to_have_count(0)


def test_a_click_on_a_point_opens_its_row(company: ServiceProcess) -> None:
    with reader_of(company, purpose=_NO_BROWSER) as reader:
        page = reader.page
        reader.open(EXPLORE, "?metric=customers&period=last_3_months")
        points = page.locator('.chart [aria-roledescription="point"]')
        points.nth(1).click(force=True)
        reader.wait()
        starts = [own["start"] for own in ask(reader, "/v1/metrics/customers?period=last_3_months")["rows"]]
        assert parse_qs(urlsplit(page.url).query)["at"] == [starts[1]]


def test_what_is_copied_asks_the_same(company: ServiceProcess) -> None:
    with reader_of(company, purpose=_NO_BROWSER) as reader:
        page = reader.page
        page.add_init_script(
            "window.copied = []; navigator.clipboard.writeText = async (text) => void copied.push(text);"
        )
        reader.open(EXPLORE, "?metric=mrr&segment=enterprise&granularity=quarter&start=2026-01-01&end=2026-07-01")
        own = card(page, "Numbers")
        own.get_by_role("button", name="curl").click()
        command = page.evaluate(_COPIED)
        shown = ask(reader, own.locator("> footer code").inner_text().removeprefix("GET "))["rows"]
        assert shown
        printed = run(["sh", "-c", command.replace("curl ", "curl -s ")])
        assert json.loads(printed)["rows"] == shown
        own.get_by_role("button", name="Python").click()
        printed = run(
            [
                sys.executable,
                "-c",
                page.evaluate(_COPIED).replace(
                    "print(answer.rows)", "print(len(answer.rows), answer.rows[0]['value'])"
                ),
            ]
        )
        assert printed.split() == [str(len(shown)), str(shown[0]["value"])]
        own.get_by_role("button", name="OData").click()
        answer = httpx.get(page.evaluate(_COPIED), headers={"Authorization": f"Bearer {ADMIN_KEY}"})
        assert [row["value"] for row in answer.json()["value"]] == [row["value"] for row in shown]


def test_an_insight_leads_to_the_question_behind_it(company: ServiceProcess) -> None:
    with reader_of(company, purpose=_NO_BROWSER) as reader:
        page = reader.page
        reader.open(View("overview"))
        insights = ask(reader, "/v1/insights?limit=5")["rows"]
        links = card(page, "What needs attention").locator(".content a[data-view]")
        metrics = [own for own in insights if own["question"].startswith("/v1/metrics/")]
        for insight in metrics:
            link = links.and_(page.get_by_label(insight["title"])).first
            query = parse_qs(urlsplit(link.get_attribute("href") or "").query)
            asked = urlsplit(insight["question"])
            params = {name: values for name, values in parse_qs(asked.query).items() if name != "limit"}
            assert query == {"metric": [asked.path.split("/")[3]], **params}


def test_a_fault_of_a_filter_is_shown_with_its_place(company: ServiceProcess) -> None:
    with reader_of(company, purpose=_NO_BROWSER, is_fault=lambda text: "422" not in text) as reader:
        reader.page.goto(f"{company.url}/explore?metric=customers&filter=plan%20%3D")
        expect(card(reader.page, "Numbers").get_by_role("alert")).to_contain_text("position")


@pytest.mark.parametrize("account", HOSTILE[:4])
def test_an_account_can_be_taken_out_of_the_question(company: ServiceProcess, account: str) -> None:
    with reader_of(company, purpose=_NO_BROWSER) as reader:
        reader.open(EXPLORE)
        reader.go(
            reader.page.evaluate(
                "account => new URL('explore?' + new URLSearchParams({ account }), document.baseURI).href", account
            )
        )
        assert question_of(reader.page)["account"] == [account]
        reader.page.get_by_title("Show all accounts").click()
        reader.wait()
        assert "account" not in question_of(reader.page)


def ask(reader: Reader, path: str) -> dict[str, Any]:
    answer = reader.process.request("GET", path)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def run(command: list[str]) -> str:
    environment = os.environ | {"KEY": ADMIN_KEY, "PYTHONPATH": str(_CLIENT)}
    result = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, f"{shlex.join(command)}\n{result.stderr}"
    return result.stdout
