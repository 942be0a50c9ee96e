"""A number that was reported on a day stays the answer as of that day, and restatements have its later changes."""

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any, NamedTuple

import pytest

from tests.support.busy import BOTH_MONTHS, MONTHS, RowKey, all_rows, busy_month_events, send_busy_history
from tests.support.service import Service, account_update, event, session, survey_responses

REPORT, LATE_DATA, CORRECTION, RETRACTION, ERASURE, REGROUPING = DAYS = (
    "2026-05-10",
    "2026-05-20",
    "2026-05-25",
    "2026-06-01",
    "2026-06-05",
    "2026-06-10",
)
# May has not ended on the day of the report.
THREE_MONTHS = BOTH_MONTHS | {"end": "2026-06-01"}
GROUPINGS: list[dict[str, Any]] = [{}, {"group_by": "plan"}, {"group_by": "account"}, {"segment": "large"}]
Answers = dict[RowKey, dict[str, Any]]


class Reports(NamedTuple):
    """The service, and what it answered on each of the days, for each grouping."""

    service: Service
    answers_by_day: dict[str, list[Answers]]


@pytest.fixture(scope="module")
def reports(copy_database: Callable[..., Any]) -> Iterator[Reports]:
    """Reports of March and April; afterwards events arrive late, are corrected, retracted and erased, and accounts regrouped."""
    with copy_database() as url, Service(url).open() as service:
        answers_by_day = {}
        for day, change in zip(DAYS, (_report, _late, _correct, _retract, _erase, _regroup), strict=True):
            change(service.on(day))
            answers_by_day[day] = [all_rows(service, **THREE_MONTHS, **grouping) for grouping in GROUPINGS]
        yield Reports(service.on("2026-06-20"), answers_by_day)
        assert service.differences() == []


def _report(service: Service) -> None:
    service.put("/v1/segments/large", {"filter": "seats >= 20"})
    send_busy_history(service)
    service.send(*(account_update(account, seats=25) for account in ("stays-pro", "moves")))
    service.send(*survey_responses("csat", [1], "stays-pro", at="2026-03-20", id="wrong-score"))


def _late(service: Service) -> None:
    service.send(account_update("late", plan="pro", seats=30), *_late_customer())
    service.send(session("moves", user="new", at="2026-04-02", id="late-session"))


def _late_customer() -> list[dict[str, Any]]:
    subscription = event("subscription.changed", "late", at="2026-02-10", subscription_id="main", mrr="35", seats=7)
    first = event("purchase.completed", "late", at="2026-02-11", order_id="first", amount="5")
    canceled = event("subscription.canceled", "late", at="2026-04-25", subscription_id="main", id="late-end")
    purchase = event("purchase.completed", "won-late", at="2026-03-21", order_id="only", amount="5")
    subscriptions = [
        event("subscription.changed", "won-late", at=f"{month}-21", subscription_id=month, mrr="15") for month in MONTHS
    ]
    months = [event for month in MONTHS for event in busy_month_events("late", month, 4)]
    return [subscription, first, canceled, purchase, *subscriptions, *months]


def _correct(service: Service) -> None:
    service.retract("stays-pro", "wrong-score")
    service.send(*survey_responses("csat", [5], "stays-pro", at="2026-03-20"))
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
    service.send(account_update("stays-enterprise", at="2026-02-20T00:00:00Z", plan="pro"))
    service.put("/v1/segments/large", {"filter": "seats >= 1000"})


@pytest.mark.parametrize("day", DAYS)
def test_as_of_a_day_answers_exactly_what_was_reported_on_it(reports: Reports, day: str) -> None:
    for grouping, reported in zip(GROUPINGS, reports.answers_by_day[day], strict=True):
        again = all_rows(reports.service, **THREE_MONTHS, **grouping, as_of=day)
        assert again == reported, (day, grouping)


def test_every_metric_has_changed_since_it_was_reported(reports: Reports) -> None:
    first, last = (reports.answers_by_day[day][0] for day in (REPORT, REGROUPING))
    before = {key: row["value"] for key, row in first.items() if row["period"] in MONTHS}
    changed = {key[0] for key, value in before.items() if last[key]["value"] != value}
    assert changed == {metric for metric, *_ in first}


def test_an_erasure_changes_no_number(reports: Reports) -> None:
    assert reports.answers_by_day[ERASURE] == reports.answers_by_day[RETRACTION]


@pytest.mark.parametrize("number", range(3), ids=["the whole", "by plan", "by account"])
def test_restatements_have_the_days_values_and_events(reports: Reports, number: int) -> None:
    expected: dict[tuple[str, str], list[Any]] = {}
    empty_values = _values_without_events(reports.service)
    for before, after in pairwise(DAYS):
        for (metric, convention, period, group), row in reports.answers_by_day[after][number].items():
            key = metric, convention, period, group
            previous = reports.answers_by_day[before][number].get(key, {"value": empty_values[metric, convention]})[
                "value"
            ]
            changes = expected.setdefault((metric, convention), [])
            if period in MONTHS and previous != row["value"]:
                changes.append((period, group, after, previous, row["value"]))
    for (metric, convention), changes in expected.items():
        params = BOTH_MONTHS | GROUPINGS[number] | {"convention": convention}
        rows = reports.service.get(f"/v1/metrics/{metric}/restatements", **params)["rows"]
        rows = [row for row in rows if row["recorded_on"] > REPORT]
        actual = [(row["period"], repr(row["group"]), row["recorded_on"], row["from"], row["to"]) for row in rows]
        assert sorted(actual) == sorted(changes), (metric, convention)
        for row in rows:
            assert sum(event_count["arrived"] + event_count["retracted"] for event_count in row["events"]) > 0, row
            assert row["recorded_on"] != ERASURE


def _values_without_events(service: Service) -> dict[tuple[str, str], Any]:
    rows = all_rows(service, period="2026-03", account="nobody")
    return {(metric, convention): row["value"] for (metric, convention, *_), row in rows.items()}


def test_the_events_of_a_restatement_are_counted_by_type(reports: Reports) -> None:
    def events_of(metric: str, **params: Any) -> list[Any]:
        rows = reports.service.get(f"/v1/metrics/{metric}/restatements", period="2026-03", **params)["rows"]
        return [
            (row["recorded_on"], [tuple(event_count.values()) for event_count in row["events"]])
            for row in rows
            if row["recorded_on"] > REPORT
        ]

    assert events_of("sessions") == [(LATE_DATA, [("session.ended", 6, 0)])]
    assert events_of("csat") == [(LATE_DATA, [("survey.responded", 5, 0)]), (CORRECTION, [("survey.responded", 1, 1)])]
    assert events_of("feedback_comments") == [
        (LATE_DATA, [("feedback.received", 5, 0)]),
        (RETRACTION, [("feedback.received", 0, 4)]),
    ]
    by_plan = events_of("customers_opening", group_by="plan")
    assert by_plan[-1] == (REGROUPING, [("account.updated", 1, 0)])
