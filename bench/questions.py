"""The ten questions: how the service is asked, what of the SQL's answer each of its numbers has to equal, and the check."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any
from urllib.parse import urlencode

from bench import events
from bench.peers import Rows

# metric, field of its row, first day of the period, group
Key = tuple[str, str, str, str]


@dataclass(frozen=True)
class Same:
    """A number of the service, and the column of the SQL that it has to equal when divided by `per`."""

    metric: str
    column: str
    field: str = "value"
    per: int = 1


@dataclass(frozen=True)
class Question:
    """`also`: metrics that are asked for although the SQL has nothing to compare them with."""

    name: str
    title: str
    same: tuple[Same, ...]
    start: str = "2024-01-01"
    granularity: str = "month"
    group_by: str = ""
    column: str = ""
    also: tuple[str, ...] = ()
    of_account: bool = False
    note: str = ""
    metrics: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        names = dict.fromkeys([*(same.metric for same in self.same), *self.also])
        object.__setattr__(self, "metrics", tuple(names))

    def path(self, metrics: Iterable[str], *, account: int) -> str:
        """Where the service answers it."""
        asked = {
            "metrics": ",".join(metrics),
            "start": self.start,
            "end": "2026-01-01",
            "granularity": self.granularity,
        }
        if self.group_by:
            asked["group_by"] = self.group_by
        if self.of_account:
            asked["account"] = events.account_id(account)
        return f"/v1/query?{urlencode(asked)}"


_MOVEMENTS = ("new", "expansion", "contraction", "churned", "reactivated")

QUESTIONS = (
    Question(
        "q1",
        "NPS by plan and month",
        (Same("nps", "nps"), Same("nps", "responses", "sample_size")),
        group_by="plan",
        column="plan",
    ),
    Question(
        "q2",
        "monthly active users by region",
        (Same("active_users", "active"),),
        group_by="region",
        column="region",
    ),
    Question(
        "q3",
        "session time by plan and month",
        (
            Same("average_session_minutes", "seconds", per=60),
            Same("average_session_minutes", "sessions", "denominator"),
        ),
        group_by="plan",
        column="plan",
    ),
    Question(
        "q4",
        "first-contact resolution by industry, a year",
        (Same("first_contact_resolution_rate", "first_contacts", "numerator"),),
        start="2025-01-01",
        granularity="total",
        group_by="industry",
        column="industry",
        note="The service divides by tickets opened, the SQL by tickets resolved: only the numerators are the same.",
    ),
    Question(
        "q5",
        "MRR movements by month",
        tuple(Same(f"mrr_{movement}", movement, per=100) for movement in _MOVEMENTS),
    ),
    Question(
        "q6",
        "NRR by plan and month",
        (Same("nrr", "nrr"), Same("mrr_opening", "opening", per=100)),
        group_by="plan",
        column="plan",
        note="The SQL's NRR takes all changes of paying accounts; the same as long as an account changes once a month.",
    ),
    Question(
        "q7",
        "customer churn by month",
        (
            Same("customer_churn_rate", "churn"),
            Same("customer_churn_rate", "churned", "numerator"),
            Same("customer_churn_rate", "opening", "denominator"),
        ),
        note="The SQL counts cancellations, the service customers lost; the same as long as an account changes once a month.",
    ),
    Question(
        "q8",
        "adoption by feature, a quarter",
        (
            Same("feature_adoption_rate", "adoption"),
            Same("feature_adoption_rate", "users", "numerator"),
            Same("feature_adoption_rate", "active", "denominator"),
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
            Same("sessions", "sessions"),
            Same("feature_uses", "sessions"),
            Same("active_users", "active"),
            Same("average_session_minutes", "seconds", per=60),
            Same("registered_users", "registered"),
            Same("customer_engagement_rate", "engagement"),
            Same("nps", "nps"),
            Same("csat_average", "csat"),
            Same("ces", "ces"),
            Same("support_tickets", "opened"),
            Same("first_contact_resolution_rate", "first_contacts", "numerator"),
            Same("average_resolution_hours", "seconds_to_resolve", per=3_600),
            Same("mrr", "mrr", per=100),
        ),
        also=("csat",),
        start="2025-12-01",
        of_account=True,
        note="The SQL has no share of satisfied answers (`csat`), and divides first contacts by tickets resolved.",
    ),
    Question(
        "q10",
        "engagement by plan and month",
        (
            Same("active_users", "active"),
            Same("registered_users", "registered"),
            Same("customer_engagement_rate", "engagement"),
        ),
        group_by="plan",
        column="plan",
        note="The service divides by users registered at any time in the month, the SQL by those at its end; the same as "
        "long as nobody is removed.",
    ),
)


def of_service(rows: Rows) -> dict[Key, Any]:
    """Every number of an answer of the service."""
    fields = ("value", "numerator", "denominator", "sample_size")
    return {
        (row["metric"], field, row["start"], _group(row["group"].values())): row[field]
        for row in rows
        for field in fields
    }


def of_sql(question: Question, rows: Rows) -> dict[Key, Any]:
    """Of an answer in SQL the numbers that the service, too, should have."""
    found = {}
    for row in rows:
        month: datetime | None = row.get("month")
        start = question.start if month is None else date(month.year, month.month, 1).isoformat()
        group = [row[question.column]] if question.column else []
        if question.group_by == "subject":
            group = [events.feature(number) for number in group]
        for same in question.same:
            value = row[same.column]
            key = (same.metric, same.field, start, _group(group))
            found[key] = None if value is None else float(value) / same.per
    return found


def _group(values: Iterable[Any]) -> str:
    return ", ".join(map(str, values))


def check(answered: dict[Key, Any], told: dict[Key, Any], *, metrics: Iterable[str]) -> dict[str, Any]:
    """Whether numbers agree that both have of these metrics: `compared`, `different`, and the `first` that differs.

    Nothing and zero are the same: SQL has no rows for months in which nothing was.
    """
    comparable = {key[:2] for key in told if key[0] in metrics}
    keys = {key for numbers in (answered, told) for key in numbers if key[:2] in comparable and numbers[key]}
    different = [key for key in sorted(keys) if not _same(answered.get(key), told.get(key))]
    first = None
    if different:
        metric, name, start, group = key = different[0]
        place = f"{metric} {name}, {start}{', ' if group else ''}{group}"
        first = f"{place}: {_shown(answered.get(key))} instead of {_shown(told.get(key))}"
    return {"compared": len(keys), "different": len(different), "first": first}


def _same(one: float | None, other: float | None) -> bool:
    return math.isclose(float(one or 0), float(other or 0), rel_tol=1e-9, abs_tol=1e-6)


def _shown(number: float | None) -> str:
    return "nothing" if number is None else f"{float(number):.10g}"
