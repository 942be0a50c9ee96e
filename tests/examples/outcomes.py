"""Published examples about tickets, goals and onboardings: how many were completed, and how soon."""

from typing import Any

from tests.examples.define import FEBRUARY_10, Case, example
from tests.support.service import event

FIRST_CONTACT = {"fcr-selvo": (320, 400, 80), "fcr-sparrowdesk": (120, 200, 60), "fcr-zapscale": (70, 100, 70)}


@example(*FIRST_CONTACT)
def the_first_contact_rate_is_the_share_of_tickets_resolved_at_first_contact(case: Case) -> None:
    resolved, of, expected = FIRST_CONTACT[case.id]
    for number in range(of):
        ticket = {"ticket_id": str(number)}
        replies = 1 if number < resolved else 2
        case.send(
            event("ticket.opened", at=f"{FEBRUARY_10}T08:00:00Z", **ticket),
            *(event("ticket.replied", at=f"{FEBRUARY_10}T09:00:00Z", by="agent", **ticket) for _ in range(replies)),
            event("ticket.resolved", at=f"{FEBRUARY_10}T10:00:00Z", **ticket),
        )
    case.expect({"first_contact_resolution_rate": expected, "support_tickets": of, "average_resolution_hours": 2})


@example("checkout-conversion-polar")
def the_conversion_rate_of_two_months_is_no_average_of_the_months(case: Case) -> None:
    checkouts = [("2026-01-10", True), ("2026-01-10", False), ("2026-02-10", True), *[("2026-02-10", False)] * 2]
    for number, (day, succeeds) in enumerate(checkouts):
        checkout = {"goal": "checkout", "who": f"checkout {number}", "at": day}
        case.send(event("goal.entered", **checkout), *[event("goal.completed", **checkout)] * succeeds)
    both = {"start": "2026-01-01", "end": "2026-03-01"}
    case.expect({"conversion_rate": [50, 100 / 3]}, **both)
    case.expect({"conversion_rate": 40}, granularity="total", **both)
    case.expect_not({"conversion_rate": 41.6667}, granularity="total", **both)


@example("onboarding-80")
def eight_hundred_of_a_thousand_onboardings_are_eighty_percent(case: Case) -> None:
    started = [event("onboarding.started", user=f"user-{number}", at=FEBRUARY_10) for number in range(1000)]
    completed = [event("onboarding.completed", user=f"user-{number}", at="2026-03-10") for number in range(800)]
    case.send(*started, *completed)
    case.expect({"onboarding_completion_rate": 80})


@example("onboarding-cos-open-only")
def an_open_onboarding_is_not_completed(case: Case) -> None:
    case.send(
        onboarding("started", "10"), onboarding("step_completed", "11", step="import"), onboarding("started", "12")
    )
    case.expect({"onboarding_completion_rate": 0, "time_to_value_days": None})


@example("time-to-onboard-cos")
def the_time_to_value_is_the_average_of_completed_onboardings(case: Case) -> None:
    for account, hours in {"two": 2, "four": 4, "twelve": 12, "eight": 8}.items():
        case.send(onboarding("started", "00", account), onboarding("completed", f"{hours:02}", account))
    # An onboarding of a hundred days, with a step in between.
    case.send(
        event("onboarding.started", "long", at="2025-12-01T00:00:00Z"),
        event("onboarding.step_completed", "long", at="2026-01-10T00:00:00Z", step="import"),
        event("onboarding.completed", "long", at="2026-03-11T00:00:00Z"),
    )
    case.expect({"time_to_value_days": 100}, period="2025-12")
    days_by_account = {account: round(days, 1) for account, (days,) in case.by_account("time_to_value_days").items()}
    assert days_by_account == {"two": 0.1, "four": 0.2, "twelve": 0.5, "eight": 0.3}
    two_accounts = [case.account_id(account) for account in ("four", "eight")]
    case.expect({"time_to_value_days": 0.3}, within=0.051, account=two_accounts, period="2026-02")


def onboarding(verb: str, hour: str, account: str = "acme", **data: Any) -> dict[str, Any]:
    return event(f"onboarding.{verb}", account, at=f"{FEBRUARY_10}T{hour}:00:00Z", **data)
