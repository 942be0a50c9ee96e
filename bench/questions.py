"""The ten questions: how to ask the service, which column of the SQL each of its numbers has to equal, and the comparison."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any
from urllib.parse import urlencode

from bench.event_stream import account_id, feature_name
from bench.sql_engines import Rows

# metric, field of its row, first day of the period, group
Key = tuple[str, str, str, str]


@dataclass(frozen=True)
class Expectation:
    """A number of the service, and the column of the SQL whose value, divided by `per`, it has to equal."""

    metric: str
    column: str
    field: str = "value"
    per: int = 1


@dataclass(frozen=True)
class Question:
    """A question. expectations: what to compare; also: metrics to ask for that the SQL has nothing to compare with."""

    name: str
    title: str
    expectations: tuple[Expectation, ...]
    start: str = "2024-01-01"
    granularity: str = "month"
    group_by: str = ""
    column: str = ""
    also: tuple[str, ...] = ()
    of_account: bool = False
    note: str = ""
    metrics: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        names = dict.fromkeys([*(expectation.metric for expectation in self.expectations), *self.also])
        object.__setattr__(self, "metrics", tuple(names))

    def path(self, metrics: Iterable[str], *, account: int) -> str:
        """Return the path and query of the request to the service."""
        parameters = {
            "metrics": ",".join(metrics),
            "start": self.start,
            "end": "2026-01-01",
            "granularity": self.granularity,
        }
        if self.group_by:
            parameters["group_by"] = self.group_by
        if self.of_account:
            parameters["account"] = account_id(account)
        return f"/v1/query?{urlencode(parameters)}"


_MOVEMENTS = ("new", "expansion", "contraction", "churned", "reactivated")

QUESTIONS = (
    Question(
        "q1",
        "NPS by plan and month",
        (Expectation("nps", "nps"), Expectation("nps", "responses", "sample_size")),
        group_by="plan",
        column="plan",
    ),
    Question(
        "q2",
        "monthly active users by region",
        (Expectation("active_users", "active"),),
        group_by="region",
        column="region",
    ),
    Question(
        "q3",
        "session time by plan and month",
        (
            Expectation("average_session_minutes", "seconds", per=60),
            Expectation("average_session_minutes", "sessions", "denominator"),
        ),
        group_by="plan",
        column="plan",
    ),
    Question(
        "q4",
        "first-contact resolution by industry, a year",
        (Expectation("first_contact_resolution_rate", "first_contacts", "numerator"),),
        start="2025-01-01",
        granularity="total",
        group_by="industry",
        column="industry",
        note="The service divides by opened tickets, the SQL by resolved ones, so only the numerators are compared.",
    ),
    Question(
        "q5",
        "MRR movements by month",
        tuple(Expectation(f"mrr_{movement}", movement, per=100) for movement in _MOVEMENTS),
    ),
    Question(
        "q6",
        "NRR by plan and month",
        (Expectation("nrr", "nrr"), Expectation("mrr_opening", "opening", per=100)),
        group_by="plan",
        column="plan",
        note="The SQL's NRR includes all changes of paying accounts. It is the same as long as an account changes at most once a "
        "month.",
    ),
    Question(
        "q7",
        "customer churn by month",
        (
            Expectation("customer_churn_rate", "churn"),
            Expectation("customer_churn_rate", "churned", "numerator"),
            Expectation("customer_churn_rate", "opening", "denominator"),
        ),
        note="The SQL counts cancellations, the service lost customers. It is the same as long as an account changes at most "
        "once a month.",
    ),
    Question(
        "q8",
        "adoption by feature, a quarter",
        (
            Expectation("feature_adoption_rate", "adoption"),
            Expectation("feature_adoption_rate", "users", "numerator"),
            Expectation("feature_adoption_rate", "active", "denominator"),
        ),
        start="2025-10-01",
        granularity="quarter",
        group_by="subject",
        column="feature_id",
    ),
    Question(
        "q9",
        "everything of one account, a month",
        (
            Expectation("sessions", "sessions"),
            Expectation("feature_uses", "sessions"),
            Expectation("active_users", "active"),
            Expectation("average_session_minutes", "seconds", per=60),
            Expectation("registered_users", "registered"),
            Expectation("customer_engagement_rate", "engagement"),
            Expectation("nps", "nps"),
            Expectation("csat_average", "csat"),
            Expectation("ces", "ces"),
            Expectation("support_tickets", "opened"),
            Expectation("first_contact_resolution_rate", "first_contacts", "numerator"),
            Expectation("average_resolution_hours", "seconds_to_resolve", per=3_600),
            Expectation("mrr", "mrr", per=100),
        ),
        also=("csat",),
        start="2025-12-01",
        of_account=True,
        note="The SQL has no `csat`, and divides first contacts by tickets resolved.",
    ),
    Question(
        "q10",
        "engagement by plan and month",
        (
            Expectation("active_users", "active"),
            Expectation("registered_users", "registered"),
            Expectation("customer_engagement_rate", "engagement"),
        ),
        group_by="plan",
        column="plan",
        note="The service divides by users registered at any time in the month, the SQL by those at its end. It is the same as "
        "long as nobody is removed.",
    ),
)


def numbers_of_service(rows: Rows) -> dict[Key, Any]:
    """Return every number of an answer of the service."""
    fields = ("value", "numerator", "denominator", "sample_size")
    return {
        (row["metric"], field, row["start"], _group_name(row["group"].values())): row[field]
        for row in rows
        for field in fields
    }


def numbers_of_sql(question: Question, rows: Rows) -> dict[Key, Any]:
    """Return the numbers of an answer in SQL that the service should have as well."""
    numbers = {}
    for row in rows:
        month: datetime | None = row.get("month")
        start = question.start if month is None else date(month.year, month.month, 1).isoformat()
        group = [row[question.column]] if question.column else []
        if question.group_by == "subject":
            group = [feature_name(number) for number in group]
        for expectation in question.expectations:
            value = row[expectation.column]
            key = (expectation.metric, expectation.field, start, _group_name(group))
            numbers[key] = None if value is None else float(value) / expectation.per
    return numbers


def _group_name(values: Iterable[Any]) -> str:
    return ", ".join(map(str, values))


def compare_numbers(actual: dict[Key, Any], expected: dict[Key, Any], *, metrics: Iterable[str]) -> dict[str, Any]:
    """Compare the numbers of these metrics that both have: return `compared`, `different`, and the `first` that differs.

    A missing number equals zero, because SQL has no rows for months in which nothing happened.
    """
    comparable = {key[:2] for key in expected if key[0] in metrics}
    keys = {key for numbers in (actual, expected) for key in numbers if key[:2] in comparable and numbers[key]}
    different = [key for key in sorted(keys) if not _is_equal(actual.get(key), expected.get(key))]
    first = None
    if different:
        metric, name, start, group = key = different[0]
        where = f"{metric} {name}, {start}{', ' if group else ''}{group}"
        first = f"{where}: {_format(actual.get(key))} instead of {_format(expected.get(key))}"
    return {"compared": len(keys), "different": len(different), "first": first}


def _is_equal(number: float | None, other: float | None) -> bool:
    return math.isclose(float(number or 0), float(other or 0), rel_tol=1e-9, abs_tol=1e-6)


def _format(number: float | None) -> str:
    return "nothing" if number is None else f"{float(number):.10g}"
