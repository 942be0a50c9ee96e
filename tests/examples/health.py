"""Published examples of health scores: how components add up to a score."""

from typing import Any

from tests.examples.define import Case, example, subscription
from tests.health.models import component, model
from tests.support.service import event, session, survey_responses


def health(case: Case, account: str, *components: dict[str, Any]) -> dict[str, Any]:
    """Put a model of these components and return the health of an account of the example."""
    case.service.put("/v1/health-model", model(*components))
    answer: dict[str, Any] = case.service.get(f"/v1/accounts/{case.account_id(account)}/health")
    return answer


@example("health-vitally-average")
def two_healthy_conditions_and_a_poor_one_are_two_thirds(case: Case) -> None:
    case.send(session("acme"), subscription("acme", 100))
    good, poor = component("good", "sessions", 0, 1), component("poor", "sessions", 1, 2)
    assert health(case, "acme", good, good | {"id": "other"}, poor)["score"] == 66.67


@example("health-saastainednumbers")
def nps_usage_tickets_and_the_last_login_are_weighed(case: Case) -> None:
    case.send(
        *survey_responses("nps", [10] * 6 + [8] * 2 + [0] * 2, account="acme"),
        subscription("acme", 100, seats=10),
        *[session("acme", user=f"user-{number}", at="2026-03-10") for number in range(7)],
        *[event("ticket.opened", "acme", ticket_id=ticket) for ticket in ("1", "2")],
    )
    shown = health(
        case,
        "acme",
        component("nps", "nps", -100, 100, weight=0.25),
        component("usage", "product_usage_rate", 0, 100, weight=0.35),
        component("tickets", "ticket_backlog", 10, 0, weight=0.2),
        component("login", "sessions", 50, 0, weight=0.2, kind="days_since"),
    )
    assert shown["score"] == 76
    assert [own["contribution"] for own in shown["components"]] == [17.5, 24.5, 16, 18]
