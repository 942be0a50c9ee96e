"""A database of a version without streams and presence: after the migrations, a rebuild recomputes its ledger from the events."""

from collections.abc import Iterable
from typing import Any

import psycopg
import pytest
from alembic import command
from alembic.script import ScriptDirectory

from app.database.migrate import alembic_config
from app.ledger.measures import MEASURES, PRESENCES
from app.ledger.rebuild import rebuild
from tests.database.test_migrations import run_alembic
from tests.support.service import Service, account_update, event, session, survey_responses

pytestmark = pytest.mark.own_database

# The measures of that version; all others came with streams and presence.
OLD_MEASURES = {
    "sessions", "session_seconds", "feature_uses", "tickets_opened", "nps_promoters", "nps_detractors", "nps_responses",
    "survey_responses", "survey_invitations", "comments",
}  # fmt: skip
METRICS = (
    "mrr,mrr_opening,mrr_net_change,mrr_churned,customers,customers_new,nrr,grr,customer_churn_rate,clv,arpu,"
    "active_users,registered_users,customer_engagement_rate,product_usage_rate,stickiness,feature_adoption_rate,"
    "sessions,feature_uses,nps,"
    "support_tickets,tickets_resolved,first_contact_resolution_rate,average_resolution_hours,ticket_backlog,conversion_rate,"
    "onboarding_completion_rate,time_to_value_days"
)


def history(service: Service) -> None:
    """Send some weeks of events of all kinds, late, out of order and partly retracted."""
    service.on("2026-02-20").put("/v1/exchange-rates", {"currency": "EUR", "rates": {"2026-01-01": "1.1"}})
    base = {"subscription_id": "base", "plan": "pro", "seats": 5}
    service.send(
        event("subscription.changed", at="2026-02-10", mrr="120", **base),
        event("subscription.changed", at="2026-01-05", amount="1200", interval="year", currency="EUR", **base),
        event("subscription.changed", "globex", at="2026-01-20", mrr="80", **base),
        event("user.registered", user="ada", at="2026-01-07"),
        event("user.registered", "globex", user="eve", at="2026-01-20"),
        session(user="bob", at="2026-02-03", id="retracted"),
        session(user="ada", at="2026-02-11"),
        event("feature.used", user="ada", feature="export", at="2026-02-12"),
        account_update(plan="pro", at="2026-01-01T00:00:00Z"),
        *survey_responses("nps", [9, 10, 3], at="2026-02-12"),
        event("survey.sent", at="2026-02-11", survey="nps"),
        event("ticket.opened", at="2026-02-03", ticket_id="T 1", channel="email"),
        event("goal.entered", at="2026-02-03", goal="upgrade", user="ada"),
        event("onboarding.started", at="2026-01-07"),
        event("onboarding.completed", at="2026-02-07", id="too early"),
    )
    service.on("2026-03-02").send(
        event("subscription.canceled", "globex", at="2026-02-15", subscription_id="base", reason="price"),
        event("user.removed", "globex", user="eve", at="2026-02-15"),
        event("feature.used", user="bob", feature="search", at="2026-01-25"),
        session("globex", user="eve", at="2026-02-01"),
        event("ticket.resolved", at="2026-02-04", ticket_id="T 1"),
        event("goal.completed", at="2026-02-28", goal="upgrade", user="ada"),
    )
    service.on("2026-03-10").retract("acme", "retracted")
    service.retract("acme", "too early")
    service.on("2026-03-15")


def report(service: Service) -> list[Any]:
    """Return answers of today and as of some earlier days."""
    common = {"metrics": METRICS, "start": "2026-01-01", "end": "2026-04-01"}
    questions: Iterable[dict[str, Any]] = (
        {"group_by": "account", "totals": "true"},
        {"group_by": "plan", "granularity": "week"},
        *({"as_of": day} for day in ("2026-02-20", "2026-03-02", "2026-03-10")),
        {"start": "2026-01-06", "end": "2026-02-14", "granularity": "total"},
        {"metrics": "survey_response_rate,average_resolution_hours", "convention": "by_invitation"},
        {"metrics": "survey_response_rate,average_resolution_hours", "convention": "by_resolution"},
    )
    return [service.get("/v1/query", **common | question)["rows"] for question in questions]


def downgrade(url: str) -> None:
    """Make a database what the old version would have stored of the same events."""
    new = (MEASURES.keys() | PRESENCES.keys()) - OLD_MEASURES
    assert {measure for measure in new if "nps" in measure} == set()
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
        for table in ("entry", "total"):
            is_new = "measure IN (SELECT key FROM label WHERE text = ANY(%s))"
            connection.execute(f"DELETE FROM {table} WHERE {is_new}", [list(new)])
        connection.execute("DELETE FROM label WHERE text = ANY(%s)", [list(new)])
    run_alembic(url, command.downgrade, "0001")


async def rebuild_all(service: Service) -> int:
    return sum([step.events async for step in rebuild(service.books)])


@pytest.fixture
def rows_before(database: str) -> list[Any]:
    """Return the answers of a service that had all measures from the start, and make its database one of the old version."""
    with Service(database).open() as service:
        history(service)
        assert service.differences() == []
        rows = report(service)
    downgrade(database)
    return rows


def test_a_rebuild_completes_the_ledger_of_an_old_version(rows_before: list[Any], database: str) -> None:
    with Service(database).open() as service:
        assert service.value("sessions", period="2026-02") == 2
        assert service.value("active_users", period="2026-02") == service.value("ticket_backlog", period="2026-02") == 0
        assert service.value("conversion_rate", period="2026-02") is None
        assert service.value("survey_response_rate", period="2026-02", convention="by_invitation") == 0
        assert {difference.item.split()[0] for difference in service.differences()} >= {
            "entry",
            "totals",
            "stream",
            "registration",
        }
        assert service.run(rebuild_all(service)) == 23
        assert report(service) == rows_before
        assert service.differences() == []
        # A second time changes nothing.
        service.run(rebuild_all(service))
        assert report(service) == rows_before
        assert service.differences() == []


def test_events_between_the_upgrade_and_the_rebuild_are_counted(rows_before: list[Any], database: str) -> None:
    more = [
        event("subscription.changed", at="2026-02-20", mrr="150", subscription_id="base"),
        event("subscription.changed", "globex", at="2026-03-14", mrr="10", subscription_id="base"),
        session("globex", user="eve", at="2026-02-15T09:00:00Z"),
        session(user="bob", at="2026-02-03"),
        event("user.removed", user="ada", at="2026-03-14"),
    ]
    with Service(database).open() as service:
        assert service.send(*more)["accepted"] == len(more)
        # An event that was posted while the other days of its user were not.
        service.retract("acme", more[3]["id"])
        service.run(rebuild_all(service))
        assert service.differences() == []
        assert service.value("mrr") == 160
        assert service.value("mrr_reactivated") == 10
        assert service.value("mrr_expansion", period="2026-02") == 40
        assert service.value("active_users", period="2026-02") == 2
        assert service.value("registered_users") == 1
        before = service.rows("mrr", start="2026-01-01", end="2026-04-01", as_of="2026-03-10")
        assert before == [row for row in rows_before[4] if row["metric"] == "mrr"]


# ---- from a version that kept MRR per month ----

YEARLY = {"subscription_id": "s", "amount": "100", "interval": "year"}


def revision_before(migration: str) -> str:
    """Return the revision before a migration, which is named as in its file."""
    revisions = ScriptDirectory.from_config(alembic_config()).walk_revisions()
    (revision,) = (revision.down_revision for revision in revisions if migration in revision.path)
    return str(revision)


@pytest.fixture
def monthly_books(database: str) -> str:
    """Return a database as the version before stored it: MRR per month, and what its rules made of these events."""
    with Service(database).open() as service:
        service.on("2026-07-10").send(
            *(event("subscription.changed", f"yearly-{n}", at="2026-01-05", **YEARLY) for n in range(12)),
            event("subscription.changed", "acme", at="2026-01-05", subscription_id="s", mrr="30"),
            event(
                "subscription.canceled", "acme", at="2026-03-03", subscription_id="s", ends_at="2026-04-05T00:00:00Z"
            ),
            event("subscription.changed", "acme", at="2026-03-04", subscription_id="s", mrr="20"),
            event("goal.completed", "acme", at="2026-03-24T09:59:58Z", goal="upgrade"),
            event("goal.entered", "acme", at="2026-03-24T10:00:00Z", goal="upgrade"),
        )
    run_alembic(database, command.downgrade, revision_before("amounts_per_year"))
    with psycopg.connect(database.replace("+psycopg", ""), autocommit=True) as connection:
        # The change withdrew the cancellation, and the goal was entered twice.
        connection.execute("DELETE FROM entry WHERE effective_on = '2026-04-05'")
        connection.execute(
            "UPDATE entry SET value = 2 FROM label WHERE label.key = entry.measure AND label.text = 'goals_entered'"
        )
        assert connection.execute(
            "SELECT DISTINCT value FROM entry JOIN label ON measure = key WHERE text = 'mrr_new'"
        ).fetchall() == [(83_333,), (300_000,)]
        connection.execute("UPDATE books SET posted_by = 4")
    return database


def test_books_that_kept_mrr_per_month_are_right_to_the_digit_after_a_rebuild(monthly_books: str) -> None:
    months = {"start": "2026-03-01", "end": "2026-05-01"}

    def values(service: Service, metric: str, **question: Any) -> list[Any]:
        return [row["value"] for row in service.rows(metric, **months, **question)]

    with Service(monthly_books).open() as service:
        service.on("2026-07-10")
        # The migration alone: as before, with the rounding of each subscription.
        yearly = [f"yearly-{n}" for n in range(12)]
        assert values(service, "mrr", account=yearly) == [99.9996, 99.9996]
        assert service.differences() != []
        service.run(rebuild_all(service))
        assert service.differences() == []
        assert values(service, "mrr", account=yearly) == [100, 100]
        assert values(service, "arr") == [1440, 1200]
        assert values(service, "mrr_churned") == [0, 20]
        assert values(service, "conversion_rate") == [100, None]
        assert service.value("conversion_rate") == 100


def test_events_between_the_migration_and_the_rebuild_count_per_year(monthly_books: str) -> None:
    with Service(monthly_books).open() as service:
        service.on("2026-07-10").send(
            event("subscription.changed", "yearly-0", at="2026-07-09", **YEARLY | {"amount": "160"})
        )
        assert service.row("mrr_expansion", period="2026-07")["value"] == 5
        service.run(rebuild_all(service))
        assert service.differences() == []
        assert service.value("arr", period="2026-07") == 1260
