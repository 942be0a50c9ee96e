"""The events of the demo: valid for the API, reproducible, and with the numbers that the story describes."""

import os
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import date, datetime, timedelta
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from app.demo.accounts import EARLIER_MONTHS
from app.demo.story import events, exchange_rates, health_models, segments, surveys, targets
from app.health.model import HealthModel

Event = dict[str, Any]
TODAY = date(2026, 3, 18)
OTHER_DAYS = [date(2024, 2, 29), date(2024, 3, 1), date(2025, 3, 31), date(2025, 12, 31), date(2026, 1, 1)]
SCALES = {"nps": (0, 10), "csat": (1, 5), "onboarding-effort": (1, 7), "business-review": (1, 5)}


# The fields in the data of each event type, independent of the service; a question mark marks an optional field.
TRIAL, CONTRACT, ORDER = "trial_id plan?", "contract_id amount? currency?", "order_id amount currency?"
TICKET, GOAL = "ticket_id channel? priority? by? first_contact?", "goal who?"
FIELDS = {
    "account.updated": "name? attributes?",
    "user.registered": "",
    "user.removed": "",
    "session.ended": "duration_seconds",
    "feature.used": "feature count?",
    "subscription.changed": "subscription_id mrr? amount? interval? interval_count? currency? plan? seats?",
    "subscription.canceled": "subscription_id ends_at? reason?",
    **dict.fromkeys(("trial.started", "trial.converted", "trial.expired"), TRIAL),
    **dict.fromkeys(("renewal.due", "renewal.completed", "renewal.declined"), CONTRACT),
    **dict.fromkeys(("purchase.completed", "purchase.refunded"), ORDER),
    **dict.fromkeys(("ticket.opened", "ticket.replied", "ticket.resolved", "ticket.reopened"), TICKET),
    **dict.fromkeys(("goal.entered", "goal.completed"), GOAL),
    "onboarding.started": "",
    "onboarding.step_completed": "step",
    "onboarding.completed": "",
    "survey.sent": "survey channel? tags?",
    "survey.responded": "survey score comment? channel? tags?",
    "feedback.received": "comment channel? tags?",
    "feedback.updated": "feedback status? note?",
    "cost.recorded": "category amount currency?",
    "health.overridden": "score reason author expires_on?",
    "health.override_withdrawn": "author reason",
}
TYPES_WITH_USER = ("user.registered", "user.removed", "session.ended", "feature.used")


def is_text(value: Any) -> bool:
    return isinstance(value, str) and 1 <= len(value) <= 128 and value.isprintable()


def is_count(value: Any) -> bool:
    return type(value) is int and value >= 1


def is_money(value: Any) -> bool:
    return isinstance(value, str) and bool(re.fullmatch(r"\d{1,11}(\.\d{1,4})?", value)) and float(value) > 0


def is_time(value: Any) -> bool:
    return bool(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", value)) and bool(datetime.fromisoformat(value))


# The check of each field's value; a field that is not named here is a text.
CHECKS: dict[str, Callable[[Any], bool]] = {
    **dict.fromkeys(("amount", "mrr"), is_money),
    **dict.fromkeys(("count", "interval_count", "seats"), is_count),
    "attributes": lambda value: all(type(v) in (str, int, bool, type(None)) for v in value.values()),
    "by": lambda value: value in ("agent", "customer"),
    "category": lambda value: value in ("acquisition", "retention"),
    "comment": lambda value: isinstance(value, str) and bool(value.strip()),
    "currency": lambda value: value in ("USD", "EUR", "GBP"),
    "duration_seconds": lambda value: is_count(value) and value <= 31 * 86400,
    "ends_at": is_time,
    "expires_on": lambda value: bool(date.fromisoformat(value)),
    "first_contact": lambda value: type(value) is bool,
    "interval": lambda value: value in ("week", "month", "quarter", "year"),
    "score": lambda value: type(value) is int,
    "survey": lambda value: value in SCALES,
    "tags": lambda value: isinstance(value, list) and all(map(is_text, value)),
}


@cache
def story(today: date = TODAY, months: int = 24) -> list[Event]:
    """Return all events of a demo, computed once."""
    return list(events(today=today, months=months))


def events_of(type: str, *months: int, **data: Any) -> list[Event]:
    """Return the events of a type with these data, in these months of the story; without months, in all of them."""
    return [
        event
        for event in story()
        if event["type"] == type
        and (not months or month_of(event) in months)
        and all(event["data"].get(name) == value for name, value in data.items())
    ]


def day_of(event: Event) -> date:
    return date.fromisoformat(event["occurred_at"][:10])


def month_of(event: Event) -> int:
    """Return the month of the story in which an event happened, counted from 1."""
    day = day_of(event)
    return (day.year - TODAY.year + 2) * 12 + day.month - TODAY.month + 1


def delay_of(event: Event) -> int:
    return (date.fromisoformat(event["recorded_on"]) - day_of(event)).days


def is_resold(event: Event) -> bool:
    return event["type"] == "subscription.changed" and event["recorded_on"] == "2026-02-25" and delay_of(event) > 20


def accounts_in(plan: str, region: str) -> set[str]:
    """Return the accounts that began with a plan in a region."""
    begun = [event for event in events_of("account.updated") if "name" in event["data"]]
    return {
        event["account_id"]
        for event in begun
        if (event["data"]["attributes"]["plan"], event["data"]["attributes"]["region"]) == (plan, region)
    }


def nps(month: int) -> float:
    scores: list[int] = [event["data"]["score"] for event in events_of("survey.responded", month, survey="nps")]
    return 100 * sum((score >= 9) - (score <= 6) for score in scores) / len(scores)


def users(events: Iterable[Event]) -> set[tuple[str, str]]:
    return {(event["account_id"], event["user_id"]) for event in events}


def share(start: str, end: str, months: Iterable[int]) -> float:
    """Return the share of the trials (or accounts) with a start event in these months that have an end event at any time."""

    def subjects(events: list[Event]) -> set[str]:
        return {event["data"].get("trial_id", event["account_id"]) for event in events}

    starts = subjects(events_of(start, *months))
    return len(starts & subjects(events_of(end))) / len(starts)


def fault_of(event: Event) -> str | None:
    """Return the part of an event that the API would reject, or None."""
    fields, data = FIELDS[event["type"]].split(), event["data"]
    required = {"id", "type", "occurred_at", "data", "recorded_on"} | (
        {"user_id"} if event["type"] in TYPES_WITH_USER else set()
    )
    required |= {"account_id"} if event["type"] != "cost.recorded" else set()
    if not required <= event.keys() <= required | {"user_id", "account_id"}:
        return "envelope"
    if not all(is_text(event[name]) for name in ("id", "user_id", "account_id") if name in event):
        return "ids"
    if not is_time(event["occurred_at"]) or not event["occurred_at"][:10] <= event["recorded_on"]:
        return "times"
    if not {name for name in fields if name[-1] != "?"} <= data.keys() <= {name.rstrip("?") for name in fields}:
        return "fields"
    if not all(CHECKS.get(name, is_text)(value) for name, value in data.items()):
        return "values"
    if event["type"] == "subscription.changed" and ("mrr" in data) == ({"amount", "interval"} <= data.keys()):
        return "price"
    if (
        "survey" in data
        and "score" in data
        and not SCALES[data["survey"]][0] <= data["score"] <= SCALES[data["survey"]][1]
    ):
        return "score"
    return None


@pytest.mark.parametrize("today, months", [(TODAY, 24), *((day, 6) for day in OTHER_DAYS), (date(2024, 2, 29), 24)])
def test_every_event_is_valid_ordered_by_recorded_day_and_recorded_by_yesterday(today: date, months: int) -> None:
    all_events = story() if (today, months) == (TODAY, 24) else list(events(today=today, months=months))
    assert [(fault, event) for event in all_events if (fault := fault_of(event))] == []
    assert {event["type"] for event in all_events} == FIELDS.keys()
    assert len({event["id"] for event in all_events}) == len(all_events)
    keys = [(event["recorded_on"], event["occurred_at"], event["id"]) for event in all_events]
    assert keys == sorted(keys)
    assert all_events[-1]["recorded_on"] == (today - timedelta(days=1)).isoformat()
    first = min(map(day_of, all_events))
    assert (today.year - first.year) * 12 + today.month - first.month == months + EARLIER_MONTHS
    used = min(day_of(event) for event in all_events if event["type"] == "session.ended")
    assert used >= date(first.year + 3, first.month, 1)


def test_the_demo_has_the_size_of_a_company_and_is_made_in_seconds() -> None:
    start = time.process_time()
    all_events = list(events(today=TODAY))
    assert time.process_time() - start < 5  # seconds
    assert 95_000 < len(all_events) < 125_000
    assert 300 < len({event.get("account_id") for event in all_events}) < 400
    assert 2_500 < len(users(event for event in all_events if "user_id" in event)) < 4_000


def test_the_same_arguments_give_the_same_events_and_another_seed_gives_others() -> None:
    assert story(TODAY, 6) == list(events(today=TODAY, months=6)) != list(events(today=TODAY, months=6, seed=1))


def test_the_events_do_not_depend_on_the_order_of_sets() -> None:
    code = "from app.demo.story import *; from datetime import date; print(*events(today=date(2026, 3, 18), months=2))"
    command, root = [sys.executable, "-c", code], Path(__file__).parents[2]
    first, second = (
        subprocess.run(command, cwd=root, env=os.environ | {"PYTHONHASHSEED": seed}, capture_output=True, check=True)
        for seed in ("1", "2")
    )
    assert first.stdout == second.stdout


def test_a_demo_made_a_day_later_only_adds_one_day() -> None:
    earlier, later = story(TODAY, 6), story(TODAY + timedelta(days=1), 6)
    assert later[: len(earlier)] == earlier
    assert {event["recorded_on"] for event in later[len(earlier) :]} == {TODAY.isoformat()}


def test_less_than_one_month_is_an_error() -> None:
    with pytest.raises(ValueError, match="one whole month"):
        events(today=TODAY, months=0)


def test_a_few_percent_of_the_events_are_recorded_up_to_twenty_days_late() -> None:
    delays = [delay_of(event) for event in story() if not is_resold(event)]
    assert 0.01 < sum(delay > 0 for delay in delays) / len(delays) < 0.06
    assert max(delays) <= 20


def test_a_partner_reports_fewer_seats_months_later_on_the_25th_of_the_last_whole_month() -> None:
    late = [event for event in story() if is_resold(event)]
    assert len({event["account_id"] for event in late}) == len(late) == 4
    assert {month_of(event) for event in late} <= {21, 22}
    assert min(map(delay_of, late)) > 62  # days, so that the months were closed


def test_there_is_an_exchange_rate_for_every_event_with_money() -> None:
    long, short = (
        {body["currency"]: body["rates"] for body in rates} for rates in (exchange_rates(), exchange_rates(today=TODAY))
    )
    for event in story():
        currency = event["data"].get("currency", "USD")
        assert currency == "USD" or min(short[currency]) <= event["occurred_at"][:10]
    assert all(short[currency].items() <= long[currency].items() for currency in ("EUR", "GBP"))
    assert all(re.fullmatch(r"1\.\d{4}", rate) for rates in long.values() for rate in rates.values())
    assert max(short["EUR"]) == "2026-03-01" and len(short["EUR"]) == 25 + EARLIER_MONTHS


def test_surveys_and_segments_use_what_the_events_have() -> None:
    declared = {body["id"]: (body["scale"]["min"], body["scale"]["max"]) for body in surveys()}
    assert declared.items() <= SCALES.items() and declared.keys() | {"nps", "csat"} == SCALES.keys()
    assert {event["data"]["survey"] for event in events_of("survey.responded")} == SCALES.keys()
    attributes = {key for event in events_of("account.updated") for key in event["data"].get("attributes", {})}
    assert {re.split(r"\W", condition)[0] for condition in segments().values()} <= attributes


@pytest.mark.parametrize("months", [1, 6, 24])
def test_health_models_are_valid_and_put_one_after_the_other(months: int) -> None:
    models = health_models(today=TODAY, months=months)
    for model in models:
        assert HealthModel.model_validate(model.document).faults(segments()) == []
    days = [model.recorded_on for model in models]
    assert days == sorted(set(days))
    assert all(day < TODAY for day in days)
    assert len(days) == 2 or months == 1


@pytest.mark.parametrize("months", [1, 6, 24])
def test_targets_hold_today_and_were_put_on_the_day_from_which_they_hold(months: int) -> None:
    known = targets(today=TODAY, months=months)
    assert len({target.id for target in known}) == len(known) > 6
    for target in known:
        assert target.body["from"] == target.recorded_on.isoformat()
        assert target.recorded_on < TODAY < date.fromisoformat(target.body.get("until", "9999-01-01"))


def test_the_health_of_most_accounts_that_fall_silent_is_overridden_before_they_churn() -> None:
    noticed = {event["account_id"] for event in events_of("health.overridden", score=10)}
    churned = {event["account_id"] for event in events_of("account.updated", attributes={"lifecycle": "churned"})}
    at_risk = {
        event["account_id"]
        for event in events_of("account.updated", attributes={"lifecycle": "at_risk", "sponsor": None})
    }
    assert noticed <= at_risk
    assert len(noticed & churned) > len(at_risk & churned) / 2
    [withdrawn] = events_of("health.override_withdrawn")
    [overridden] = events_of("health.overridden", score=15)
    assert overridden["account_id"] == withdrawn["account_id"]
    assert overridden["occurred_at"] < withdrawn["occurred_at"]


@pytest.mark.parametrize("today", [date(2026, 3, 1), date(2026, 3, 31)])
def test_one_account_fades_whatever_the_day_of_the_month(today: date) -> None:
    own = [event for event in events(today=today) if event.get("account_id") == "demo-0003"]
    last_response = [event["data"] for event in own if event["type"] == "survey.responded"][-1]
    assert last_response["score"] == 3 and "head of facilities" in last_response["comment"]
    sessions = [(today - day_of(event)).days for event in own if event["type"] == "session.ended"]
    recent = sum(days <= 21 for days in sessions) / 3
    before = sum(60 < days <= 116 for days in sessions) / 8
    assert recent < before / 3
    [override] = [event["data"] for event in own if event["type"] == "health.overridden"]
    assert date.fromisoformat(override["expires_on"]) > today + timedelta(days=21)
    assert not any(event["type"] == "subscription.canceled" for event in own)


def test_the_bad_release_raises_tickets_and_reduces_the_use_of_mobile_sync() -> None:
    assert len(events_of("ticket.opened", 9)) > 2.5 * len(events_of("ticket.opened", 8))
    before, after = (len(events_of("feature.used", month, feature="mobile_sync")) for month in (8, 9))
    assert after < before / 2


def test_nps_falls_below_zero_and_rises_above_its_former_value() -> None:
    assert nps(10) < 0 < nps(7)
    assert nps(10) < nps(13) < nps(16) < nps(22)
    assert nps(22) > nps(7)


def test_starter_accounts_in_emea_churn_two_months_later_and_some_return() -> None:
    churned = [event["account_id"] for event in events_of("subscription.canceled", 10, 11, reason="product")]
    starters = [account for account in churned if account in accounts_in("starter", "emea")]
    assert len(starters) >= 5
    assert len(starters) > len(churned) / 2 > len(events_of("subscription.canceled", 7, 8))
    assert len({event["account_id"] for event in events_of("subscription.changed", 16)} & set(starters)) >= 2


def test_mobile_sync_stays_broken_for_starter_accounts_in_emea_who_say_so_and_leave() -> None:
    hit, last_year = accounts_in("starter", "emea"), range(13, 25)
    others = accounts_in("starter", "amer") | accounts_in("starter", "uk") | accounts_in("starter", "apac")

    def count(accounts: set[str], type: str, **data: Any) -> int:
        return sum(event["account_id"] in accounts for event in events_of(type, *last_year, **data))

    def rate(accounts: set[str], type: str, per: str, **data: Any) -> float:
        return count(accounts, type, **data) / count(accounts, per)

    assert rate(hit, "feature.used", "session.ended", feature="mobile_sync") < (
        rate(others, "feature.used", "session.ended", feature="mobile_sync") / 3
    )
    assert rate(hit, "ticket.opened", "session.ended") > 2 * rate(others, "ticket.opened", "session.ended")
    assert count(hit, "subscription.canceled", reason="product") > count(hit, "subscription.canceled") / 3
    complaints = Counter(
        event["account_id"] in hit
        for event in events_of("survey.responded", *range(14, 25))
        if "sync" in event["data"].get("tags", ())
    )
    assert complaints[True] > 20 and complaints[False] == 0


def test_accounts_that_plan_routes_seldom_leave() -> None:
    larger = [
        accounts_in(plan, region) for plan in ("growth", "enterprise") for region in ("amer", "emea", "uk", "apac")
    ]
    paying = {event["account_id"] for event in events_of("subscription.changed")} & set().union(*larger)
    left = {event["account_id"] for event in events_of("subscription.canceled", *range(16, 25))} & paying
    planning = {e["account_id"] for e in events_of("account.updated", attributes={"route_planner": True})} & paying
    gone_before = {event["account_id"] for event in events_of("subscription.canceled", *range(-40, 16))}
    others = paying - planning - gone_before
    assert len(left & planning) / len(planning) < len(left & others) / len(others) / 2


def test_companies_differ_and_what_is_known_of_them_has_gaps() -> None:
    begun = [event["data"] for event in events_of("account.updated") if "name" in event["data"]]
    assert len({data["name"] for data in begun}) == len(begun)
    for key, least, most in (("industry", 0.6, 0.9), ("sponsor", 0.5, 0.9), ("employees", 0.3, 0.6), ("region", 1, 1)):
        assert least <= sum(key in data["attributes"] for data in begun) / len(begun) <= most
    tried = {event["account_id"] for event in events_of("trial.started")}
    paid = {event["account_id"] for event in events_of("subscription.changed")}
    assert (
        len(tried - paid) > 80
        and len({event["account_id"] for event in story() if "account_id" in event} - tried - paid) > 10
    )


def test_the_overhaul_improves_onboarding_and_trial_conversion() -> None:
    before, after = (
        [event["data"]["score"] for event in events_of("survey.responded", *months, survey="onboarding-effort")]
        for months in (range(1, 12), range(13, 25))
    )
    assert sum(after) / len(after) > sum(before) / len(before) + 1
    early, late = range(1, 12), range(12, 24)
    assert share("onboarding.started", "onboarding.completed", early) < 0.5
    assert share("onboarding.started", "onboarding.completed", late) > 0.55
    assert share("trial.started", "trial.converted", early) < 0.25
    assert 0.25 < share("trial.started", "trial.converted", late) < 0.4


def test_the_route_planner_is_launched_in_month_14_and_its_adoption_grows() -> None:
    uses = events_of("feature.used", feature="route_planner")
    assert min(map(month_of, uses)) == 14
    adoption = [
        len(users(event for event in uses if month_of(event) == month)) / len(users(events_of("session.ended", month)))
        for month in range(14, 25, 2)
    ]
    assert all(earlier < later for earlier, later in pairwise(adoption))
    assert adoption[-1] > 0.25
    assert len({event["data"]["feature"] for event in events_of("feature.used")}) == 12


def test_prices_rise_in_month_15_without_more_seats() -> None:
    price_rises: Counter[int] = Counter()
    last: dict[str, tuple[Any, ...]] = {}
    for event in sorted(events_of("subscription.changed"), key=lambda event: str(event["occurred_at"])):
        data = event["data"]
        current = (data["plan"], data["seats"], float(data.get("mrr") or data["amount"]))
        before = last.get(data["subscription_id"])
        if before and before[:2] == current[:2] and before[2] < current[2]:
            price_rises[month_of(event)] += 1
        last[data["subscription_id"]] = current
    assert price_rises.most_common(1)[0][0] == 15 and price_rises[15] >= 10
    assert min(price_rises) == 15
    assert len(events_of("subscription.canceled", 15, 16, 17, reason="price")) >= 2


def test_the_whale_shrinks_and_is_won_back() -> None:
    whale = [event for event in story() if event.get("account_id") == "demo-0001"]
    seats = {month_of(e): e["data"]["seats"] for e in whale if e["type"] == "subscription.changed"}
    assert seats[6] > seats[11] and seats[14] > seats[6] and seats[20] > seats[14]
    due_on, completed_on = (
        next(day_of(e) for e in whale if e["type"] == f"renewal.{outcome}") for outcome in ("due", "completed")
    )
    assert (completed_on - due_on).days > 10
    sessions = Counter(month_of(e) for e in whale if e["type"] == "session.ended")
    assert sessions[12] < sessions[8] / 2 < sessions[18]


def test_there_is_less_activity_on_weekends_and_some_accounts_are_silent_before_they_churn() -> None:
    session_days = [(event["account_id"], day_of(event)) for event in events_of("session.ended")]
    weekdays = Counter(day.weekday() for _, day in session_days)
    assert weekdays[5] + weekdays[6] < weekdays[2] / 2
    silent = [
        cancellation
        for cancellation in events_of("subscription.canceled")
        if not any(
            account == cancellation["account_id"] and 0 <= (day_of(cancellation) - day).days < 10
            for account, day in session_days
        )
    ]
    assert len(silent) >= 3


def test_comments_fit_their_scores_and_months() -> None:
    responses = [event for event in events_of("survey.responded", survey="nps") if "comment" in event["data"]]
    complaints = [event for event in responses if "release" in event["data"]["tags"]]
    assert complaints and all(event["data"]["score"] <= 6 and 9 <= month_of(event) <= 12 for event in complaints)
    assert all(event["data"]["score"] >= 9 for event in responses if "route_planner" in event["data"]["tags"])
    assert len({event["data"]["comment"] for event in responses}) > 40
