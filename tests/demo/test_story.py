"""The demo's events: valid by the API's table, the same every time, and telling the story that they promise."""

import os
import re
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from datetime import date, datetime, timedelta
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from app.demo.story import events, exchange_rates, segments, surveys

Event = dict[str, Any]
TODAY = date(2026, 3, 18)
OTHER_DAYS = [date(2024, 2, 29), date(2024, 3, 1), date(2025, 3, 31), date(2025, 12, 31), date(2026, 1, 1)]
SCALES = {"nps": (0, 10), "csat": (1, 5), "onboarding-effort": (1, 7), "business-review": (1, 5)}


# The table of API.md: what the data of each type may have; a question mark is a field that may be left out.
TRIAL, CONTRACT, ORDER = "trial_id plan?", "contract_id amount? currency?", "order_id amount currency?"
TICKET, GOAL = "ticket_id channel? priority? by? first_contact?", "goal who?"
TABLE = {
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
}
NEEDS_USER = ("user.registered", "user.removed", "session.ended", "feature.used")


def is_text(value: Any) -> bool:
    return isinstance(value, str) and 1 <= len(value) <= 128 and value.isprintable()


def is_count(value: Any) -> bool:
    return type(value) is int and value >= 1


def is_money(value: Any) -> bool:
    return isinstance(value, str) and bool(re.fullmatch(r"\d{1,11}(\.\d{1,4})?", value)) and float(value) > 0


def is_time(value: Any) -> bool:
    return bool(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", value)) and bool(datetime.fromisoformat(value))


# What a field's value has to be; a text when it is not named here.
VALUES: dict[str, Callable[[Any], bool]] = {
    **dict.fromkeys(("amount", "mrr"), is_money),
    **dict.fromkeys(("count", "interval_count", "seats"), is_count),
    "attributes": lambda value: all(type(v) in (str, int, bool, type(None)) for v in value.values()),
    "by": lambda value: value in ("agent", "customer"),
    "category": lambda value: value in ("acquisition", "retention"),
    "comment": lambda value: isinstance(value, str) and bool(value.strip()),
    "currency": lambda value: value in ("USD", "EUR", "GBP"),
    "duration_seconds": lambda value: is_count(value) and value <= 31 * 86400,
    "ends_at": is_time,
    "first_contact": lambda value: type(value) is bool,
    "interval": lambda value: value in ("week", "month", "quarter", "year"),
    "score": lambda value: type(value) is int,
    "survey": lambda value: value in SCALES,
    "tags": lambda value: isinstance(value, list) and all(map(is_text, value)),
}


@cache
def story(today: date = TODAY, months: int = 24) -> list[Event]:
    return list(events(today=today, months=months))


def happened(kind: str, *months: int, **data: Any) -> list[Event]:
    """The events of a type in these months of the story (all without any), with these data."""
    return [
        event
        for event in story()
        if event["type"] == kind
        and (not months or month_of(event) in months)
        and all(event["data"].get(name) == value for name, value in data.items())
    ]


def day_of(event: Event) -> date:
    return date.fromisoformat(event["occurred_at"][:10])


def month_of(event: Event) -> int:
    day = day_of(event)
    return (day.year - TODAY.year + 2) * 12 + day.month - TODAY.month + 1


def nps(month: int) -> float:
    scores: list[int] = [event["data"]["score"] for event in happened("survey.responded", month, survey="nps")]
    return 100 * sum((score >= 9) - (score <= 6) for score in scores) / len(scores)


def users(found: Iterable[Event]) -> set[tuple[str, str]]:
    return {(event["account_id"], event["user_id"]) for event in found}


def share(first: str, then: str, months: Iterable[int]) -> float:
    """Of the trials (or accounts) that began in these months, the share that came to the end, whenever it was."""

    def subjects(found: list[Event]) -> set[str]:
        return {event["data"].get("trial_id", event["account_id"]) for event in found}

    began = subjects(happened(first, *months))
    return len(began & subjects(happened(then))) / len(began)


def fault_of(event: Event) -> str | None:
    """What the API would refuse in an event, if anything."""
    fields, data = TABLE[event["type"]].split(), event["data"]
    needed = {"id", "type", "occurred_at", "data", "recorded_on"} | (
        {"user_id"} if event["type"] in NEEDS_USER else set()
    )
    needed |= {"account_id"} if event["type"] != "cost.recorded" else set()
    if not needed <= event.keys() <= needed | {"user_id", "account_id"}:
        return "envelope"
    if not all(is_text(event[name]) for name in ("id", "user_id", "account_id") if name in event):
        return "ids"
    if not is_time(event["occurred_at"]) or not event["occurred_at"][:10] <= event["recorded_on"]:
        return "times"
    if not {name for name in fields if name[-1] != "?"} <= data.keys() <= {name.rstrip("?") for name in fields}:
        return "fields"
    if not all(VALUES.get(name, is_text)(value) for name, value in data.items()):
        return "values"
    if event["type"] == "subscription.changed" and ("mrr" in data) == ({"amount", "interval"} <= data.keys()):
        return "price"
    if "score" in data and not SCALES[data["survey"]][0] <= data["score"] <= SCALES[data["survey"]][1]:
        return "score"
    return None


@pytest.mark.parametrize("today, months", [(TODAY, 24), *((day, 6) for day in OTHER_DAYS), (date(2024, 2, 29), 24)])
def test_every_event_is_valid_known_in_order_and_not_after_yesterday(today: date, months: int) -> None:
    found = story() if (today, months) == (TODAY, 24) else list(events(today=today, months=months))
    assert [(fault, event) for event in found if (fault := fault_of(event))] == []
    assert {event["type"] for event in found} == TABLE.keys()
    assert len({event["id"] for event in found}) == len(found)
    order = [(event["recorded_on"], event["occurred_at"], event["id"]) for event in found]
    assert order == sorted(order)
    assert found[-1]["recorded_on"] == (today - timedelta(days=1)).isoformat()
    first = min(map(day_of, found))
    assert (first.day, (today.year - first.year) * 12 + today.month - first.month) == (1, months)


def test_the_story_has_the_size_of_a_company_and_is_told_in_seconds() -> None:
    began = time.process_time()
    found = list(events(today=TODAY))
    assert time.process_time() - began < 5  # seconds
    assert 95_000 < len(found) < 125_000
    assert 110 < len({event.get("account_id") for event in found}) < 140
    assert 2_000 < len(users(event for event in found if "user_id" in event)) < 3_000


def test_the_same_question_gives_the_same_story_and_another_seed_another() -> None:
    assert story(TODAY, 6) == list(events(today=TODAY, months=6)) != list(events(today=TODAY, months=6, seed=1))


def test_the_story_does_not_hang_on_the_order_of_sets() -> None:
    code = "from app.demo.story import *; from datetime import date; print(*events(today=date(2026, 3, 18), months=2))"
    command, root = [sys.executable, "-c", code], Path(__file__).parents[2]
    one, two = (
        subprocess.run(command, cwd=root, env=os.environ | {"PYTHONHASHSEED": seed}, capture_output=True, check=True)
        for seed in ("1", "2")
    )
    assert one.stdout == two.stdout


def test_a_day_later_there_is_only_one_day_more() -> None:
    earlier, later = story(TODAY, 6), story(TODAY + timedelta(days=1), 6)
    assert later[: len(earlier)] == earlier
    assert {event["recorded_on"] for event in later[len(earlier) :]} == {TODAY.isoformat()}


def test_less_than_a_month_is_refused() -> None:
    with pytest.raises(ValueError, match="one whole month"):
        events(today=TODAY, months=0)


def test_a_few_percent_became_known_up_to_twenty_days_late() -> None:
    delays = [(date.fromisoformat(event["recorded_on"]) - day_of(event)).days for event in story()]
    assert 0.01 < sum(delay > 0 for delay in delays) / len(delays) < 0.06
    assert max(delays) <= 20


def test_there_is_a_rate_for_every_day_on_which_money_moved() -> None:
    long, short = (
        {body["currency"]: body["rates"] for body in rates} for rates in (exchange_rates(), exchange_rates(today=TODAY))
    )
    for event in story():
        currency = event["data"].get("currency", "USD")
        assert currency == "USD" or min(short[currency]) <= event["occurred_at"][:10]
    assert all(short[currency].items() <= long[currency].items() for currency in ("EUR", "GBP"))
    assert all(re.fullmatch(r"1\.\d{4}", rate) for rates in long.values() for rate in rates.values())
    assert max(short["EUR"]) == "2026-03-01" and len(short["EUR"]) == 25


def test_surveys_and_segments_ask_for_what_the_story_has() -> None:
    declared = {body["id"]: (body["scale"]["min"], body["scale"]["max"]) for body in surveys()}
    assert declared.items() <= SCALES.items() and declared.keys() | {"nps", "csat"} == SCALES.keys()
    assert {event["data"]["survey"] for event in happened("survey.responded")} == SCALES.keys()
    attributes = {key for event in happened("account.updated") for key in event["data"].get("attributes", {})}
    assert {re.split(r"\W", condition)[0] for condition in segments().values()} <= attributes


def test_the_bad_release_brings_tickets_and_keeps_people_from_syncing() -> None:
    assert len(happened("ticket.opened", 9)) > 2.5 * len(happened("ticket.opened", 8))
    before, after = (len(happened("feature.used", month, feature="mobile_sync")) for month in (8, 9))
    assert after < before / 2


def test_nps_falls_below_zero_and_climbs_above_where_it_was() -> None:
    assert nps(10) < 0 < nps(7)
    assert nps(10) < nps(13) < nps(16) < nps(22)
    assert nps(22) > nps(7)


def test_starters_in_emea_leave_two_months_later_and_some_come_back() -> None:
    of_account: dict[str, dict[str, Any]] = defaultdict(dict)
    for event in happened("account.updated", *range(1, 12)):
        of_account[event["account_id"]] |= event["data"].get("attributes", {})
    left = [event["account_id"] for event in happened("subscription.canceled", 10, 11, reason="product")]
    let_down = [a for a in left if (of_account[a]["plan"], of_account[a]["region"]) == ("starter", "emea")]
    assert len(let_down) >= 5
    assert len(let_down) > len(left) / 2 > len(happened("subscription.canceled", 7, 8))
    assert len({event["account_id"] for event in happened("subscription.changed", 16)} & set(let_down)) >= 2


def test_the_overhaul_makes_onboarding_easier_and_trials_convert() -> None:
    before, after = (
        [event["data"]["score"] for event in happened("survey.responded", *months, survey="onboarding-effort")]
        for months in (range(1, 12), range(13, 25))
    )
    assert sum(after) / len(after) > sum(before) / len(before) + 1
    early, late = range(1, 12), range(12, 24)
    assert share("onboarding.started", "onboarding.completed", early) < 0.55
    assert share("onboarding.started", "onboarding.completed", late) > 0.65
    assert share("trial.started", "trial.converted", early) < 0.5
    assert share("trial.started", "trial.converted", late) > 0.6


def test_the_route_planner_is_launched_in_month_14_and_taken_up() -> None:
    found = happened("feature.used", feature="route_planner")
    assert min(map(month_of, found)) == 14
    adoption = [
        len(users(event for event in found if month_of(event) == month)) / len(users(happened("session.ended", month)))
        for month in range(14, 25, 2)
    ]
    assert all(earlier < later for earlier, later in pairwise(adoption))
    assert adoption[-1] > 0.25
    assert len({event["data"]["feature"] for event in happened("feature.used")}) == 12


def test_the_new_prices_of_month_15_are_paid_without_more_seats() -> None:
    dearer: Counter[int] = Counter()
    last: dict[str, tuple[Any, ...]] = {}
    for event in sorted(happened("subscription.changed"), key=lambda event: str(event["occurred_at"])):
        data = event["data"]
        now = (data["plan"], data["seats"], float(data.get("mrr") or data["amount"]))
        before = last.get(data["subscription_id"])
        if before and before[:2] == now[:2] and before[2] < now[2]:
            dearer[month_of(event)] += 1
        last[data["subscription_id"]] = now
    assert dearer.most_common(1)[0][0] == 15 and dearer[15] >= 10
    assert min(dearer) == 15
    assert len(happened("subscription.canceled", 15, 16, 17, reason="price")) >= 2


def test_the_whale_nearly_leaves_and_is_won_back() -> None:
    whale = [event for event in story() if event.get("account_id") == "demo-0001"]
    seats = {month_of(e): e["data"]["seats"] for e in whale if e["type"] == "subscription.changed"}
    assert seats[6] > seats[11] and seats[14] > seats[6] and seats[20] > seats[14]
    due, renewed = (next(day_of(e) for e in whale if e["type"] == f"renewal.{kind}") for kind in ("due", "completed"))
    assert (renewed - due).days > 10
    sessions = Counter(month_of(e) for e in whale if e["type"] == "session.ended")
    assert sessions[12] < sessions[8] / 2 < sessions[18]


def test_weekends_are_quiet_and_some_fall_silent_before_they_leave() -> None:
    seen = [(event["account_id"], day_of(event)) for event in happened("session.ended")]
    weekdays = Counter(day.weekday() for _, day in seen)
    assert weekdays[5] + weekdays[6] < weekdays[2] / 2
    silent = [
        left
        for left in happened("subscription.canceled")
        if not any(a == left["account_id"] and 0 <= (day_of(left) - day).days < 10 for a, day in seen)
    ]
    assert len(silent) >= 3


def test_comments_fit_their_scores_and_their_time() -> None:
    answers = [event for event in happened("survey.responded", survey="nps") if "comment" in event["data"]]
    angry = [event for event in answers if "release" in event["data"]["tags"]]
    assert angry and all(event["data"]["score"] <= 6 and 9 <= month_of(event) <= 12 for event in angry)
    assert all(event["data"]["score"] >= 9 for event in answers if "route_planner" in event["data"]["tags"])
    assert len({event["data"]["comment"] for event in answers}) > 40
