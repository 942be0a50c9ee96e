"""Published examples about tickets, goals and onboardings: of those begun, how many came to an end, and how soon."""

from typing import Any

from tests.examples.define import DURING, Case, example
from tests.support.service import event

FIRST_CONTACT = {"fcr-selvo": (320, 400, 80), "fcr-sparrowdesk": (120, 200, 60), "fcr-zapscale": (70, 100, 70)}


@example(*FIRST_CONTACT)
def tickets_resolved_at_the_first_contact_per_ticket_are_its_rate(case: Case) -> None:
    at_once, of, expected = FIRST_CONTACT[case.id]
    for number in range(of):
        ticket = {"ticket_id": str(number)}
        replies = 1 if number < at_once else 2
        case.send(
            event("ticket.opened", at=f"{DURING}T08:00:00Z", **ticket),
            *(event("ticket.replied", at=f"{DURING}T09:00:00Z", by="agent", **ticket) for _ in range(replies)),
            event("ticket.resolved", at=f"{DURING}T10:00:00Z", **ticket),
        )
    case.gives({"first_contact_resolution_rate": expected, "support_tickets": of, "average_resolution_hours": 2})


@example("checkout-conversion-polar")
def the_conversion_of_two_months_is_that_of_all_checkouts_and_no_average_of_the_months(case: Case) -> None:
    checkouts = [("2026-01-10", True), ("2026-01-10", False), ("2026-02-10", True), *[("2026-02-10", False)] * 2]
    for number, (day, succeeds) in enumerate(checkouts):
        checkout = {"goal": "checkout", "who": f"checkout {number}", "at": day}
        case.send(event("goal.entered", **checkout), *[event("goal.completed", **checkout)] * succeeds)
    both = {"start": "2026-01-01", "end": "2026-03-01"}
    case.gives({"conversion_rate": [50, 100 / 3]}, **both)
    case.gives({"conversion_rate": 40}, granularity="total", **both)
    case.never({"conversion_rate": 41.6667}, granularity="total", **both)


@example("onboarding-80")
def eight_hundred_of_a_thousand_onboardings_completed_are_eighty_percent(case: Case) -> None:
    started = [event("onboarding.started", user=f"user-{number}", at=DURING) for number in range(1000)]
    completed = [event("onboarding.completed", user=f"user-{number}", at="2026-03-10") for number in range(800)]
    case.send(*started, *completed)
    case.gives({"onboarding_completion_rate": 80})


@example("onboarding-cos-open-only")
def an_onboarding_that_goes_on_is_not_completed(case: Case) -> None:
    case.send(
        onboarding("started", "10"), onboarding("step_completed", "11", step="import"), onboarding("started", "12")
    )
    case.gives({"onboarding_completion_rate": 0, "time_to_value_days": None})


@example("time-to-onboard-cos")
def the_time_to_onboard_is_the_average_of_those_completed(case: Case) -> None:
    for account, hours in {"two": 2, "four": 4, "twelve": 12, "eight": 8}.items():
        case.send(onboarding("started", "00", account), onboarding("completed", f"{hours:02}", account))
    # A hundred days, with something in between.
    case.send(
        event("onboarding.started", "long", at="2025-12-01T00:00:00Z"),
        event("onboarding.step_completed", "long", at="2026-01-10T00:00:00Z", step="import"),
        event("onboarding.completed", "long", at="2026-03-11T00:00:00Z"),
    )
    case.gives({"time_to_value_days": 100}, period="2025-12")
    found = {account: round(days, 1) for account, (days,) in case.by_account("time_to_value_days").items()}
    assert found == {"two": 0.1, "four": 0.2, "twelve": 0.5, "eight": 0.3}
    of_two = [case.named(account) for account in ("four", "eight")]
    case.gives({"time_to_value_days": 0.3}, within=0.051, account=of_two, period="2026-02")


def onboarding(verb: str, hour: str, account: str = "acme", **data: Any) -> dict[str, Any]:
    return event(f"onboarding.{verb}", account, at=f"{DURING}T{hour}:00:00Z", **data)
