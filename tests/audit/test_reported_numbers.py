"""A number that was reported on a day is what the books say of that day for ever, and how it changed since is told."""

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any, NamedTuple

import pytest

from tests.support.busy import BOTH_MONTHS, MONTHS, RowKey, all_rows, busy_month_events, send_busy_history
from tests.support.service import Service, answers, event, moved, session

REPORTED, LATE, CORRECTED, RETRACTED, ERASED, REGROUPED = DAYS = (
    "2026-05-10",
    "2026-05-20",
    "2026-05-25",
    "2026-06-01",
    "2026-06-05",
    "2026-06-10",
)
# On the day of the report May is not over.
THREE_MONTHS = BOTH_MONTHS | {"end": "2026-06-01"}
GROUPINGS: list[dict[str, Any]] = [{}, {"group_by": "plan"}, {"group_by": "account"}, {"segment": "large"}]
Answers = dict[RowKey, dict[str, Any]]


class Books(NamedTuple):
    """The service, and what it answered on each of the days, by each grouping."""

    service: Service
    told: dict[str, list[Answers]]


@pytest.fixture(scope="module")
def books(copied: Callable[..., Any]) -> Iterator[Books]:
    """Reports of March and April, after which more came, was corrected, taken back, erased and put elsewhere."""
    with copied() as url, Service(url).running() as service:
        told = {}
        for day, happens in zip(DAYS, (_report, _late, _correct, _retract, _erase, _regroup), strict=True):
            happens(service.on(day))
            told[day] = [all_rows(service, **THREE_MONTHS, **grouping) for grouping in GROUPINGS]
        yield Books(service.on("2026-06-20"), told)
        assert service.differences() == []


def _report(service: Service) -> None:
    service.put("/v1/segments/large", {"filter": "seats >= 20"})
    send_busy_history(service)
    service.send(*(moved(account, seats=25) for account in ("stays-pro", "moves")))
    service.send(*answers("csat", [1], "stays-pro", at="2026-03-20", id="wrong-score"))


def _late(service: Service) -> None:
    service.send(moved("late", plan="pro", seats=30), *_customer_told_late())
    service.send(session("moves", user="new", at="2026-04-02", id="late-session"))


def _customer_told_late() -> list[dict[str, Any]]:
    since = event("subscription.changed", "late", at="2026-02-10", subscription_id="main", mrr="35", seats=7)
    first = event("purchase.completed", "late", at="2026-02-11", order_id="first", amount="5")
    gone = event("subscription.canceled", "late", at="2026-04-25", subscription_id="main", id="late-end")
    once = event("purchase.completed", "won-late", at="2026-03-21", order_id="only", amount="5")
    came = [
        event("subscription.changed", "won-late", at=f"{month}-21", subscription_id=month, mrr="15") for month in MONTHS
    ]
    months = [told for month in MONTHS for told in busy_month_events("late", month, 4)]
    return [since, first, gone, once, *came, *months]


def _correct(service: Service) -> None:
    service.retract("stays-pro", "wrong-score")
    service.send(*answers("csat", [5], "stays-pro", at="2026-03-20"))
    service.retract("late", "late-end")
    service.send(event("subscription.canceled", "late", at="2026-03-25", subscription_id="main"))


def _retract(service: Service) -> None:
    service.retract("moves", "late-session")
    for number in range(4):
        service.retract("late", f"comment-late-2026-03-{number}")


def _erase(service: Service) -> None:
    for account in ("stays-pro", "late"):
        answer = service.request("DELETE", f"/v1/accounts/{account}/users/user-1/personal-data")
        assert answer.status_code == 204


def _regroup(service: Service) -> None:
    service.send(moved("stays-enterprise", at="2026-02-20T00:00:00Z", plan="pro"))
    service.put("/v1/segments/large", {"filter": "seats >= 1000"})


@pytest.mark.parametrize("day", DAYS)
def test_what_was_reported_on_a_day_is_the_answer_as_of_that_day_to_the_digit(books: Books, day: str) -> None:
    for grouping, told in zip(GROUPINGS, books.told[day], strict=True):
        again = all_rows(books.service, **THREE_MONTHS, **grouping, as_of=day)
        assert again == told, (day, grouping)


def test_every_metric_has_changed_since_it_was_reported(books: Books) -> None:
    first, last = (books.told[day][0] for day in (REPORTED, REGROUPED))
    was = {place: row["value"] for place, row in first.items() if row["period"] in MONTHS}
    changed = {place[0] for place, value in was.items() if last[place]["value"] != value}
    assert changed == {metric for metric, *_ in first}


def test_an_erasure_changes_no_number(books: Books) -> None:
    assert books.told[ERASED] == books.told[RETRACTED]


@pytest.mark.parametrize("number", range(3), ids=["the whole", "by plan", "by account"])
def test_restatements_name_the_days_the_values_and_the_events(books: Books, number: int) -> None:
    expected: dict[tuple[str, str], list[Any]] = {}
    nothing = _values_of_nothing(books.service)
    for before, after in pairwise(DAYS):
        for (metric, convention, period, group), row in books.told[after][number].items():
            place = metric, convention, period, group
            was = books.told[before][number].get(place, {"value": nothing[metric, convention]})["value"]
            changes = expected.setdefault((metric, convention), [])
            if period in MONTHS and was != row["value"]:
                changes.append((period, group, after, was, row["value"]))
    for (metric, convention), changes in expected.items():
        asked = BOTH_MONTHS | GROUPINGS[number] | {"convention": convention}
        rows = books.service.get(f"/v1/metrics/{metric}/restatements", **asked)["rows"]
        rows = [row for row in rows if row["recorded_on"] > REPORTED]
        found = [(row["period"], repr(row["group"]), row["recorded_on"], row["from"], row["to"]) for row in rows]
        assert sorted(found) == sorted(changes), (metric, convention)
        for row in rows:
            assert sum(one["arrived"] + one["retracted"] for one in row["events"]) > 0, row
            assert row["recorded_on"] != ERASED


def _values_of_nothing(service: Service) -> dict[tuple[str, str], Any]:
    rows = all_rows(service, period="2026-03", account="nobody")
    return {(metric, convention): row["value"] for (metric, convention, *_), row in rows.items()}


def test_what_did_it_is_counted_by_type(books: Books) -> None:
    def did_it(metric: str, **asked: Any) -> list[Any]:
        rows = books.service.get(f"/v1/metrics/{metric}/restatements", period="2026-03", **asked)["rows"]
        return [
            (row["recorded_on"], [tuple(one.values()) for one in row["events"]])
            for row in rows
            if row["recorded_on"] > REPORTED
        ]

    assert did_it("sessions") == [(LATE, [("session.ended", 6, 0)])]
    assert did_it("csat") == [(LATE, [("survey.responded", 5, 0)]), (CORRECTED, [("survey.responded", 1, 1)])]
    assert did_it("feedback_comments") == [
        (LATE, [("feedback.received", 5, 0)]),
        (RETRACTED, [("feedback.received", 0, 4)]),
    ]
    by_plan = did_it("customers_opening", group_by="plan")
    assert by_plan[-1] == (REGROUPED, [("account.updated", 1, 0)])
