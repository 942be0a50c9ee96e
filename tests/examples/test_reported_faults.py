"""Faults of other products, from their public reports, with the answer that those who reported them asked for."""

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import pytest

from app.core.errors import Invalid
from tests.support.imports import import_files
from tests.support.service import Service, event, survey_responses

Values = dict[str, list[Any]]


class Report(NamedTuple):
    """A report with a short history, questions about it, and by metric the values of the rows in their order.

    field: what is compared of each row. refused: by event, the code with which it is refused.
    """

    source: str
    events: list[dict[str, Any]]
    questions: list[dict[str, str]]
    expected: Values
    field: str = "value"
    refused: Mapping[str, str] = MappingProxyType({})


def use(at: str, user: str = "u") -> dict[str, Any]:
    """Return an event of a feature that was used, recorded on its day."""
    return event("feature.used", at=at, user=user, recorded_on=at[:10], feature="x")


def price(at: str, mrr: str, of: str = "s", **data: Any) -> dict[str, Any]:
    return event("subscription.changed", at=at, subscription_id=of, mrr=mrr, **data)


def cancellation(at: str, of: str = "s", **data: Any) -> dict[str, Any]:
    return event("subscription.canceled", at=at, subscription_id=of, **data)


def order(type: str, at: str, order_id: str) -> dict[str, Any]:
    return event(f"purchase.{type}", at=at, order_id=order_id, amount="500")


def ticket(type: str, at: str, **data: Any) -> dict[str, Any]:
    return event(f"ticket.{type}", at=at, ticket_id="1", **data)


WHOLE_TERM = {"metrics": "mrr,customers_churned,customers_reactivated,nrr", "start": "2025-12-01", "end": "2026-02-01"}
NO_CHURN: Values = {"mrr": [100, 110], "customers_churned": [0, 0], "customers_reactivated": [0, 0], "nrr": [100, 110]}
USES = {"metrics": "feature_uses", "compare": "previous_period"}
MARCH_1_TO_28 = USES | {"start": "2026-03-01", "end": "2026-03-29"}
ON_28_MARCH, ON_30_MARCH = USES | {"as_of": "2026-03-28"}, USES | {"as_of": "2026-03-30"}

REPORTS = {
    "a seat update after a cancellation keeps its end": Report(
        "https://github.com/themeteorchef/subscriptions-with-stripe/issues/1",
        [
            price("2026-01-05T10:00:00Z", "30", seats=3),
            cancellation("2026-03-03T09:00:00Z", ends_at="2026-04-05T00:00:00Z", reason="price"),
            price("2026-03-04T09:00:00Z", "20", seats=2),
        ],
        [{"metrics": "mrr,mrr_contraction,mrr_churned", "start": "2026-03-01", "end": "2026-07-01"}],
        {"mrr": [20, 0, 0, 0], "mrr_contraction": [10, 0, 0, 0], "mrr_churned": [0, 20, 0, 0]},
    ),
    "an end date that is the last paid day, renewed on the next day, is no churn": Report(
        "https://github.com/sourcegraph/handbook/pull/4800",
        [
            price("2025-01-01T00:00:00Z", "100", of="first term"),
            cancellation("2025-01-01T00:00:01Z", of="first term", paid_through="2025-12-31"),
            price("2026-01-01T00:00:00Z", "110", of="second term"),
        ],
        [WHOLE_TERM],
        NO_CHURN,
    ),
    "a downgrade for next year takes effect next year": Report(
        "https://github.com/anonaddy/anonaddy/issues/442",
        [
            price("2026-01-15T10:00:00Z", "50"),
            price("2026-02-15T10:00:00Z", "5", effective_at="2027-01-15T10:00:00Z"),
        ],
        [{"metrics": "mrr", "start": "2026-01-01", "end": "2026-08-01"}],
        {"mrr": [50] * 7},
    ),
    "a change that is dated a year ahead is refused": Report(
        "https://github.com/aerele/jarvis/issues/403",
        [price("2026-01-15T10:00:00Z", "50"), price("2027-01-15T10:00:00Z", "5", id="ahead")],
        [{"metrics": "mrr", "period": "2026-01"}],
        {"mrr": [50]},
        refused={"ahead": "in_the_future"},
    ),
    "a resolution that is stamped before its opening resolves it": Report(
        "https://github.com/hackforla/311-data/issues/456",
        [
            ticket("opened", "2026-03-24T10:00:00Z"),
            ticket("resolved", "2026-03-24T09:59:58Z", first_contact=True),
        ],
        [
            {
                "metrics": "support_tickets,ticket_backlog,average_resolution_hours,first_contact_resolution_rate",
                "start": "2026-03-01",
                "end": "2026-06-01",
                "granularity": "total",
            }
        ],
        {
            "support_tickets": [1],
            "ticket_backlog": [0],
            "average_resolution_hours": [0],
            "first_contact_resolution_rate": [100],
        },
    ),
    "a ticket that is resolved twice is one resolved ticket, in the month of the last": Report(
        "https://github.com/chatwoot/chatwoot/pull/7293",
        [
            ticket("opened", "2026-04-30T10:00:00Z"),
            ticket("resolved", "2026-05-04T10:00:00Z"),
            ticket("reopened", "2026-05-08T10:00:00Z"),
            ticket("resolved", "2026-05-09T10:00:00Z"),
        ],
        [{"metrics": "tickets_resolved,support_tickets,ticket_backlog", "start": "2026-04-01", "end": "2026-06-01"}],
        {"tickets_resolved": [0, 1], "support_tickets": [1, 0], "ticket_backlog": [1, 0]},
    ),
    "the first reply after a reopening is measured from there": Report(
        "https://github.com/chatwoot/chatwoot/pull/12058",
        [
            ticket("opened", "2026-05-04T09:00:00Z"),
            ticket("resolved", "2026-05-04T09:05:00Z"),
            ticket("reopened", "2026-05-08T14:00:00Z"),
            ticket("replied", "2026-05-08T14:10:00Z", by="agent"),
        ],
        [{"metrics": "average_first_response_hours", "period": "2026-05"}],
        {"average_first_response_hours": [1 / 6]},
    ),
    "answers without a score are refused and not in the denominator; 4.0 is 4": Report(
        "https://github.com/department-of-veterans-affairs/va.gov-team/issues/87053",
        [
            event("survey.responded", id="no score", survey="csat"),
            event("survey.responded", id="null", survey="csat", score=None),
            *survey_responses("csat", [4.0, 5]),  # type: ignore[list-item]
            event("feedback.received", comment="no rating given"),
        ],
        [{"metrics": "csat,survey_responses,feedback_comments", "period": "2026-03"}],
        {"csat": [100], "survey_responses": [2], "feedback_comments": [1]},
        refused={"no score": "missing", "null": "missing"},
    ),
    "weeks and weekly cohorts begin on the same day": Report(
        "https://github.com/PostHog/posthog/issues/25841",
        [use("2026-03-01T23:59:00Z"), use("2026-03-02T00:00:00Z")],
        [{"metrics": "feature_uses", "start": "2026-02-23", "end": "2026-03-09", "granularity": "week"}],
        {"feature_uses": [1, 1]},
    ),
    "1 to 28 March is compared with 1 to 28 February": Report(
        "https://github.com/eltaiguer/tatu/issues/50",
        [use("2026-02-28T10:00:00Z"), use("2026-03-28T10:00:00Z")],
        [
            MARCH_1_TO_28,
            MARCH_1_TO_28 | {"granularity": "total"},
            ON_28_MARCH | {"period": "month_to_date"},
            ON_28_MARCH | {"period": "this_month"},
        ],
        {"feature_uses": [1]},
        field="previous",
    ),
    "a row and the total of the same days are compared with the same days": Report(
        "https://github.com/Automattic/jetpack/pull/52215",
        [use(f"2026-{day}T10:00:00Z") for day in ("01-30", "01-31", "02-01", "02-15", "02-28", "03-01", "03-30")],
        [ON_30_MARCH | {"period": period, "totals": "true"} for period in ("month_to_date", "this_month")],
        {"feature_uses": [3]},
        field="previous",
    ),
    "a customer who gave everything back has no value": Report(
        "https://github.com/liberusoftware/ecommerce-laravel/pull/748",
        [
            order("completed", "2026-01-01T00:00:00Z", "1"),
            order("refunded", "2026-01-05T10:00:00Z", "1"),
            order("completed", "2026-02-01T00:00:00Z", "2"),
            order("refunded", "2026-02-05T10:00:00Z", "2"),
        ],
        [
            {
                "metrics": "revenue,clv_purchases",
                "convention": "net_of_refunds",
                "start": "2026-01-01",
                "end": "2026-03-01",
                "granularity": "total",
            }
        ],
        {"revenue": [0], "clv_purchases": [0]},
    ),
}


@pytest.mark.parametrize("report", REPORTS.values(), ids=REPORTS)
def test_a_reported_fault_has_the_answer_that_was_asked_for(service: Service, report: Report) -> None:
    service.on("2026-08-01")
    answer = service.request("POST", "/v1/events", json=report.events)
    assert answer.status_code == 200, answer.text
    refused = {rejected["id"]: rejected["code"] for rejected in answer.json()["rejected"]}
    assert refused == report.refused
    for question in report.questions:
        body = service.get("/v1/query", **question)
        rows = body["rows"] + body.get("totals", [])
        for metric, expected in report.expected.items():
            values = [row[report.field] for row in rows if row["metric"] == metric]
            copies = len(values) // len(expected)
            assert values and values == pytest.approx(expected * copies, abs=1e-6), (question, metric)
    assert service.differences() == []


def test_cohorts_by_week_of_people_have_rows_of_whole_weeks(service: Service) -> None:
    service.send(use("2026-03-01T23:59:00Z"), use("2026-03-02T00:00:00Z", "v"))
    cohorts = service.get("/v1/cohorts", by="week", measure="users", start="2026-02-23", end="2026-03-09")
    assert {row["cohort"] for row in cohorts["rows"]} == {"2026-W09", "2026-W10"}


ORDERS = '"Bestellung";"Kunde";"Datum";"Betrag"\n"o1";"NX";"05.03.2026";"5,00"\n'
MAPPING = """
[[source]]
file = "orders*.csv"
{options}
[source.columns]
Betrag = {{ type = "money", decimal_point = ",", thousands = "." }}
Datum = {{ type = "datetime", format = {format}, zone = "UTC" }}
[[source.event]]
type = "purchase.completed"
id = "order-{{Bestellung}}"
account_id = "{{Kunde}}"
occurred_at = "{{Datum}}"
data = {{ order_id = "{{Bestellung}}", amount = "{{Betrag}}" }}
"""
SEMICOLON, GERMAN = 'delimiter = ";"', '"%d.%m.%Y"'
RunImport = Callable[..., str]


@pytest.fixture
def import_orders(service: Service, tmp_path: Path) -> RunImport:
    """Import a file and return what the service says about it: the sentences of the report or of the error."""

    def run(content: bytes, *, options: str = SEMICOLON, format: str = GERMAN) -> str:
        (tmp_path / "orders.csv").write_bytes(content)
        try:
            import_files(service, tmp_path, "orders.csv", mapping=MAPPING.format(options=options, format=format))
        except Invalid as error:
            return f"{error.detail} {error.errors}"
        return (tmp_path / "report.csv").read_text()

    return run


def days_of_revenue(service: Service) -> dict[str, float]:
    rows = service.rows("revenue", start="2026-03-01", end="2026-04-01", granularity="day")
    return {row["period"]: row["value"] for row in rows if row["value"]}


def test_a_file_of_quoted_cells_with_another_delimiter_is_refused_with_its_name(import_orders: RunImport) -> None:
    # https://github.com/firefly-iii/firefly-iii/issues/1183
    assert 'delimiter = ";"' in import_orders(ORDERS.encode(), options="")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig", "utf-8"])
def test_a_file_that_was_saved_as_unicode_text_is_read(
    service: Service, import_orders: RunImport, encoding: str
) -> None:
    # https://github.com/glific/glific/issues/5657
    import_orders(ORDERS.encode(encoding))
    assert days_of_revenue(service) == {"2026-03-05": 5.0}


def test_the_serial_dates_of_excel_are_named_and_read_with_their_format(
    service: Service, import_orders: RunImport
) -> None:
    # https://github.com/tableflowhq/csv-import/issues/243
    rows = ORDERS.replace("05.03.2026", "46086").encode() + b'"x2";"N5";"46086,75";"5,00"\n'
    assert "as a number of Excel it is 2026-03-05: set format = " in import_orders(rows)
    assert days_of_revenue(service) == {}
    import_orders(rows.replace(b"46086,75", b"46086.75"), format='"excel"')
    assert days_of_revenue(service) == {"2026-03-05": 10.0}
