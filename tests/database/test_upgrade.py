"""Books that were kept before there were streams and presence: brought up to date, they are written again from the events."""

from collections.abc import Iterable
from typing import Any

import psycopg
import pytest
from alembic import command

from app.ledger.measures import MEASURES, PRESENCES
from app.ledger.rebuild import rebuild
from tests.database.test_migrations import go
from tests.support.service import Service, answers, event, moved, session

pytestmark = pytest.mark.own_database

# What the version before posted; every other measure came with streams and presence.
BEFORE = {
    "sessions", "session_seconds", "feature_uses", "tickets_opened", "nps_promoters", "nps_detractors", "nps_responses",
    "survey_responses", "survey_invitations", "comments",
}  # fmt: skip
ASKED = (
    "mrr,mrr_opening,mrr_net_change,mrr_churned,customers,customers_new,nrr,grr,customer_churn_rate,clv,arpu,"
    "active_users,registered_users,customer_engagement_rate,product_usage_rate,stickiness,feature_adoption_rate,"
    "sessions,feature_uses,nps,"
    "support_tickets,first_contact_resolution_rate,average_resolution_hours,ticket_backlog,conversion_rate,"
    "onboarding_completion_rate,time_to_value_days"
)


def history(service: Service) -> None:
    """Some weeks of everything, late, out of order and partly taken back."""
    service.on("2026-02-20").put("/v1/exchange-rates", {"currency": "EUR", "rates": {"2026-01-01": "1.1"}})
    base = {"subscription_id": "base", "plan": "pro", "seats": 5}
    service.send(
        event("subscription.changed", at="2026-02-10", mrr="120", **base),
        event("subscription.changed", at="2026-01-05", amount="1200", interval="year", currency="EUR", **base),
        event("subscription.changed", "globex", at="2026-01-20", mrr="80", **base),
        event("user.registered", user="ada", at="2026-01-07"),
        event("user.registered", "globex", user="eve", at="2026-01-20"),
        session(user="bob", at="2026-02-03", id="taken back"),
        session(user="ada", at="2026-02-11"),
        event("feature.used", user="ada", feature="export", at="2026-02-12"),
        moved(plan="pro", at="2026-01-01T00:00:00Z"),
        *answers("nps", [9, 10, 3], at="2026-02-12"),
        event("ticket.opened", at="2026-02-03", ticket_id="T 1", channel="email"),
        event("goal.entered", at="2026-02-03", goal="upgrade", user="ada"),
        event("onboarding.started", at="2026-01-07"),
        event("onboarding.completed", at="2026-02-07", id="not yet"),
    )
    service.on("2026-03-02").send(
        event("subscription.canceled", "globex", at="2026-02-15", subscription_id="base", reason="price"),
        event("user.removed", "globex", user="eve", at="2026-02-15"),
        event("feature.used", user="bob", feature="search", at="2026-01-25"),
        session("globex", user="eve", at="2026-02-01"),
        event("ticket.resolved", at="2026-02-04", ticket_id="T 1"),
        event("goal.completed", at="2026-02-28", goal="upgrade", user="ada"),
    )
    service.on("2026-03-10").retract("acme", "taken back")
    service.retract("acme", "not yet")
    service.on("2026-03-15")


def report(service: Service) -> list[Any]:
    """What is answered now, and what was on some days."""
    way = {"metrics": ASKED, "start": "2026-01-01", "end": "2026-04-01"}
    asked: Iterable[dict[str, Any]] = (
        {"group_by": "account", "totals": "true"},
        {"group_by": "plan", "granularity": "week"},
        *({"as_of": day} for day in ("2026-02-20", "2026-03-02", "2026-03-10")),
        {"start": "2026-01-06", "end": "2026-02-14", "granularity": "total"},
    )
    return [service.get("/v1/query", **way | more)["rows"] for more in asked]


def age(url: str) -> None:
    """Make of a database what the version before would have kept of the same events."""
    new = (MEASURES.keys() | PRESENCES.keys()) - BEFORE
    assert {measure for measure in new if "nps" in measure} == set()
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
        for table in ("entry", "total"):
            of_new = "measure IN (SELECT key FROM label WHERE text = ANY(%s))"
            connection.execute(f"DELETE FROM {table} WHERE {of_new}", [list(new)])
        connection.execute("DELETE FROM label WHERE text = ANY(%s)", [list(new)])
    go(url, command.downgrade, "0001")


async def write_again(service: Service) -> int:
    return sum([step.events async for step in rebuild(service.books)])


@pytest.fixture
def told(database: str) -> list[Any]:
    """The answers of a service that kept everything from the start; its database is then one of the version before."""
    with Service(database).running() as service:
        history(service)
        assert service.differences() == []
        rows = report(service)
    age(database)
    return rows


def test_a_rebuild_makes_the_books_right_that_were_kept_before(told: list[Any], database: str) -> None:
    with Service(database).running() as service:
        assert service.value("sessions", period="2026-02") == 2
        assert service.value("active_users", period="2026-02") == service.value("ticket_backlog", period="2026-02") == 0
        assert service.value("conversion_rate", period="2026-02") is None
        assert {found.what.split()[0] for found in service.differences()} >= {
            "entry",
            "totals",
            "stream",
            "registration",
        }
        assert service.run(write_again(service)) == 22
        assert report(service) == told
        assert service.differences() == []
        # A second time changes nothing.
        service.run(write_again(service))
        assert report(service) == told
        assert service.differences() == []


def test_what_comes_between_the_upgrade_and_the_rebuild_is_not_lost(told: list[Any], database: str) -> None:
    more = [
        event("subscription.changed", at="2026-02-20", mrr="150", subscription_id="base"),
        event("subscription.changed", "globex", at="2026-03-14", mrr="10", subscription_id="base"),
        session("globex", user="eve", at="2026-02-15T09:00:00Z"),
        session(user="bob", at="2026-02-03"),
        event("user.removed", user="ada", at="2026-03-14"),
    ]
    with Service(database).running() as service:
        assert service.send(*more)["accepted"] == len(more)
        # One that was posted while the rest of its user's days were not.
        service.retract("acme", more[3]["id"])
        service.run(write_again(service))
        assert service.differences() == []
        assert service.value("mrr") == 160
        assert service.value("mrr_reactivated") == 10
        assert service.value("mrr_expansion", period="2026-02") == 40
        assert service.value("active_users", period="2026-02") == 2
        assert service.value("registered_users") == 1
        before = service.rows("mrr", start="2026-01-01", end="2026-04-01", as_of="2026-03-10")
        rows = told[4]
        assert before == [row for row in rows if row["metric"] == "mrr"]
