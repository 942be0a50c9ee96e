"""What tests of OData share: requests to the feed, and a small company with awkward names."""

from typing import Any
from urllib.parse import quote

import httpx

from tests.support.service import Service, account_update, event, session, survey_responses

ROOT = "/odata/v4"
SETS = ("Metrics", "MetricValues", "Accounts", "Surveys", "SurveyResponses", "Feedback", "Health", "Scorecard")
# Names that a spreadsheet could run, that quotes and URLs could break on, and that are no ASCII.
NAMES = ["=1+1", "o'neil & co", 'a "b"', "a/b?c#d", "Zürich Ost", "日本", "100%", "x y", "-5"]


def get(service: Service, path: str, **parameters: Any) -> httpx.Response:
    """Return the answer of a GET. A parameter `filter` stands for `$filter`."""
    headers = parameters.pop("headers", {})
    names = {name: f"${name}" for name in ("filter", "select", "orderby", "top", "skip", "count", "format")}
    params = {names.get(name, name): value for name, value in parameters.items()}
    return service.request("GET", f"{ROOT}/{path}", params=params, headers=headers)


def rows(service: Service, path: str, **parameters: Any) -> list[dict[str, Any]]:
    """Return the rows of all pages of a feed."""
    answer = get(service, path, **parameters)
    headers = parameters.get("headers", {})
    result: list[dict[str, Any]] = []
    while True:
        assert answer.status_code == 200, answer.text
        body = answer.json()
        result += body["value"]
        if "@odata.nextLink" not in body:
            return result
        answer = service.request("GET", body["@odata.nextLink"], headers=headers)


def text(value: str) -> str:
    """Return a text as a literal, its quotes doubled."""
    return "'" + value.replace("'", "''") + "'"


def key(value: str) -> str:
    """Return a text as a key in a path."""
    return quote(text(value), safe="'")


def fill(service: Service) -> None:
    """Send the events of a company whose accounts, plans and surveys have awkward names."""
    for number, name in enumerate(NAMES):
        plan = NAMES[number % 3]
        seats = {"seats": number * 10 + 0.5} if number % 2 else {}
        service.send(
            account_update(name, name=f"Account {name}", plan=plan, vip=number % 4 == 0, **seats),
            session(name, seconds=60 * (number + 1), user=f"u{number}"),
            session(name, at="2026-01-20", user="ada"),
            event(
                "subscription.changed", name, at="2026-01-05", subscription_id="s", mrr=f"{number * 7}.25", plan=plan
            ),
            *survey_responses(
                "nps", [number, 10], name, comment=f"{name} is {name}", tags=["a", name], channel="email"
            ),
            *survey_responses("csat", [number % 5 + 1], name, at="2026-02-11"),
        )
    service.send(event("feedback.received", NAMES[0], comment="free", at="2026-02-01", id="free"))
    service.put("/v1/segments/vips", {"filter": "vip = true"})
    service.put("/v1/segments/o'neil", {"filter": 'plan = "=1+1"'})
    service.put("/v1/targets/goal", {"metric": "nps", "granularity": "month", "value": 40})
    service.put("/v1/targets/mrr's", {"metric": "mrr", "granularity": "quarter", "value": 500.5, "segment": "vips"})
