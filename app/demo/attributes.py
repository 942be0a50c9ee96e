"""The name and attributes of an account in its CRM, and how they change."""

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from math import inf
from random import Random

from app.demo.accounts import MANAGERS
from app.demo.events import DemoEvent, make_event
from app.demo.lifecycle import Lifecycle
from app.demo.timeline import BAD_RELEASE, MANAGER_HANDOVER, Timeline, opening_time, time_on

SOURCES = ("webinar", "referral", "search", "trade_fair", "partner")
SPONSORS = ("head_of_facilities", "coo", "operations_manager", "owner")
LEAVING_MANAGER, OTHER_MANAGERS = MANAGERS[0], MANAGERS[1:]


def account_updates(lifecycle: Lifecycle, *, timeline: Timeline, rng: Random) -> Iterator[DemoEvent]:
    """Yield `account.updated` on the first day and at each change; plan and seats change with the subscription."""
    account = lifecycle.account
    attributes = {
        "plan": account.plan,
        "region": account.region,
        "country": account.country if rng.random() < 0.9 else None,
        "industry": account.industry if rng.random() < 0.75 else None,
        "seats": account.seats,
        "csm": account.csm if account.has_manager else None,
        "lifecycle": "lead" if account.role == "lead" else "trial" if account.has_trial else "onboarding",
        "sponsor": rng.choice(SPONSORS) if rng.random() < 0.7 else None,
        "source": rng.choice(SOURCES) if rng.random() < 0.6 else None,
        "employees": account.seats * rng.randint(3, 30) if rng.random() < 0.45 else None,
        "design_partner": True if rng.random() < 0.07 else None,
    }
    # Nobody fills in everything: what is not known is not sent.
    profile = {name: value for name, value in attributes.items() if value is not None}
    yield make_event("account.updated", time_on(account.joined_on, 60), name=account.name, attributes=profile)
    for step in lifecycle.steps[1:]:
        # The partner has not told the number of seats of resold accounts.
        if step.cause != "price" and account.role != "resold":
            at = opening_time(step.day, account.region)
            yield make_event("account.updated", at, attributes={"plan": step.plan, "seats": step.seats})
    for at, changes in _later_changes(lifecycle, timeline, rng):
        yield make_event("account.updated", at, attributes=changes)


def _later_changes(
    lifecycle: Lifecycle, timeline: Timeline, rng: Random
) -> Iterator[tuple[datetime, dict[str, str | bool | None]]]:
    """Yield the changes of lifecycle, sponsor and manager.

    Each has a time of day of its own, so that an attribute never changes twice at the same instant.
    """
    account = lifecycle.account
    if account.role == "lead":
        if rng.random() < 0.7:
            yield time_on(account.joined_on + timedelta(days=rng.randint(20, 120)), 20 * 3600), {"lifecycle": "lost"}
        return
    if account.won_on is None:
        yield time_on(lifecycle.trials[0].decided_on, 20 * 3600), {"lifecycle": "lost"}
        return
    if account.has_trial:
        yield time_on(account.won_on, 120), {"lifecycle": "onboarding"}
    live_on = account.won_on + timedelta(days=rng.randint(25, 45))
    if not lifecycle.churned_on or live_on < (lifecycle.silent_from or lifecycle.churned_on):
        yield time_on(live_on, 180), {"lifecycle": "live"}
    if account.role == "whale":
        yield time_on(timeline.day_at(BAD_RELEASE + 1.2), 240), {"lifecycle": "at_risk", "sponsor": None}
        yield time_on(timeline.day_at(13.5), 240), {"lifecycle": "won_back", "sponsor": "coo"}
    if lifecycle.silent_from:
        yield time_on(lifecycle.silent_from, 300), {"lifecycle": "at_risk", "sponsor": None}
    if lifecycle.churned_on:
        yield time_on(lifecycle.churned_on, 21 * 3600), {"lifecycle": "churned"}
    if lifecycle.returned_on:
        yield time_on(lifecycle.returned_on, 22 * 3600), {"lifecycle": "won_back"}
    if lifecycle.route_planner_at < inf:
        plans_routes_on = timeline.day_at(lifecycle.route_planner_at)
        if plans_routes_on <= timeline.last_day and lifecycle.step_on(plans_routes_on):
            yield time_on(plans_routes_on, 420), {"route_planner": True}
    handover: date = timeline.day_at(MANAGER_HANDOVER)
    if account.has_manager and account.csm == LEAVING_MANAGER and account.joined_on < handover:
        yield time_on(handover, 360), {"csm": rng.choice(OTHER_MANAGERS)}
