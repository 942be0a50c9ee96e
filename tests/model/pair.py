"""The service and the model side by side: both get the same events, and their answers are compared."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from itertools import count, zip_longest
from typing import Any

import sqlalchemy as sa

from app.database.tables import event as event_table
from tests.model.calendar import Calendar
from tests.model.events import Survey
from tests.model.oracle import Filter, Model
from tests.support.service import Service

_numbers = count()
# The fields of a row that docs/metrics.md defines.
CHECKED_FIELDS = (
    "metric", "period", "start", "end", "complete", "group", "value", "numerator", "denominator", "sample_size", "interval",
    "reason", "amount", "previous", "change", "change_percent", "significant", "is_new",
)  # fmt: skip
MORE_SURVEYS = {
    "visit": Survey("csat", 1, 10, satisfied_from=7),
    "effort": Survey("ces", 1, 7, easy_is="high"),
    "effort-low": Survey("ces", 1, 7, easy_is="low"),
}
# The euro has a rate on every day, the pound only on some days.
RATES = {
    "EUR": {
        date(2025, 1, 1): "1.0832",
        date(2025, 12, 20): "1.1745",
        date(2026, 2, 1): "0.985",
        date(2026, 3, 1): "1.25",
        date(2026, 3, 9): "1.084337",
        date(2026, 3, 10): "1.1",
        date(2026, 3, 29): "1.333333",
        date(2026, 4, 24): "0.9",
    },
    "GBP": {date(2026, 3, 9): "1.3"},
}


class Pair:
    """A service and a model, and the accounts of this pair's history: the database may have others."""

    def __init__(self, service: Service, calendar: Calendar | None = None, accounts: int = 3) -> None:
        self.service = service.forget_last_day()
        self.model = Model(calendar or Calendar(), MORE_SURVEYS, RATES)
        self.numbers = count()
        self.accounts = [f"{next(_numbers):05}-{name}" for name in ("acme", "globex", "initech")[:accounts]]
        for id, survey in MORE_SURVEYS.items():
            optional = {"satisfied_from": survey.satisfied_from, "easy_is": survey.easy_is}
            body = {"kind": survey.kind, "scale": {"min": survey.low, "max": survey.high}}
            service.put(f"/v1/surveys/{id}", body | {name: value for name, value in optional.items() if value})
        for currency, rates in RATES.items():
            rate_by_day = {str(day): rate for day, rate in rates.items()}
            service.put("/v1/exchange-rates", {"currency": currency, "rates": rate_by_day})
        self.at(self.model.now)

    @property
    def now(self) -> datetime:
        return self.model.now

    @property
    def today(self) -> date:
        return self.model.today

    def at(self, now: datetime) -> "Pair":
        """Set both clocks."""
        self.service.now = self.model.now = now
        return self

    def on(self, day: date, **after_midnight: int) -> "Pair":
        """Set both clocks to a time of a day."""
        return self.at(self.model.calendar.midnight(day) + timedelta(**after_midnight))

    def send(self, *events: dict[str, Any]) -> dict[str, Any]:
        """Post a batch to both, and check that they accept and reject the same events."""
        answer = self.service.request("POST", "/v1/events", json=list(events)).json()
        expected = self.model.send(*events)
        rejected = [(rejected["index"], rejected["code"]) for rejected in answer["rejected"]]
        # When all events are rejected, the answer is a problem without the two counts.
        actual = [answer.get("accepted", 0), answer.get("duplicates", 0), rejected]
        assert actual == [expected["accepted"], expected["duplicates"], expected["rejected"]], (
            actual,
            expected,
            events,
        )
        return expected

    def retract(self, account: str, id: str) -> None:
        self.service.retract(account, id)
        self.model.retract(account, id)

    def define(self, name: str, where: Filter | None) -> None:
        """Define a segment in both; None deletes it."""
        if where is None:
            assert self.service.request("DELETE", f"/v1/segments/{name}").status_code == 204
        else:
            self.service.put(f"/v1/segments/{name}?strict=false", {"filter": where.text})
        self.model.define(name, where)

    @property
    def first_recorded_on(self) -> date | None:
        """The first day on which an event was recorded, of this pair's accounts or of any other."""
        query = sa.select(sa.func.min(event_table.c.recorded_on))
        return self.service.run(self.service.books.database.read(lambda connection: connection.scalar(query)))

    def is_known_on(self, day: date | None) -> bool:
        """Return whether anything was known at the end of a day; today, with None, even if it is nothing."""
        first = self.first_recorded_on
        return day in (None, self.today) or (first is not None and first <= day)

    def ask(self, metrics: str, **question: Any) -> list[dict[str, Any]]:
        """Return the complete rows that the service answers, and check that the model answers the same."""
        question = {"account": self.accounts} | question
        rows = query_service(self.service, metrics, **question)
        question["first_recorded_on"] = self.first_recorded_on if question.get("as_of") else None
        expected = [row for metric in sorted(metrics.split(",")) for row in self.model.rows(metric, **question)]
        pairs = zip_longest(map(checked_fields, rows), round_like(expected, rows))
        assert not (different := [pair for pair in pairs if repr(pair[0]) != repr(pair[1])]), (question, different[:2])
        return rows

    def differences(self) -> list[Any]:
        """Return what `verify` finds in the accounts of this pair."""
        return [difference for difference in self.service.differences() if difference.account in self.accounts]


def query_service(service: Service, metrics: str, **question: Any) -> list[dict[str, Any]]:
    """Return the service's rows for a question as the model takes it. Names that were never recorded count as empty."""
    parameters = {"strict": "false"} | {name: value for name, value in question.items() if value}
    if where := parameters.pop("where", None):
        parameters["filter"] = where.text
    if "totals" in parameters:
        parameters["totals"] = "true"
    if "group_by" in parameters:
        parameters["group_by"] = ",".join(parameters["group_by"])
    return service.get("/v1/query", metrics=metrics, **parameters)["rows"]


def checked_fields(row: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of a row that docs/metrics.md defines; the service may have more."""
    return {name: row.get(name) for name in CHECKED_FIELDS}


def round_like(expected: Sequence[dict[str, Any]], rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the expected rows with the service's number wherever that is the exact number rounded to six decimals."""

    def rounded(exact: Any, actual: Any) -> Any:
        if isinstance(exact, list) and isinstance(actual, list):
            return [rounded(*pair) for pair in zip(exact, actual, strict=True)]
        are_numbers = not isinstance(exact, str | bool | None) and isinstance(actual, int | float)
        return actual if are_numbers and abs(exact - actual) <= 5.001e-7 else exact

    padded = [*rows, *[{}] * (len(expected) - len(rows))]
    return [
        {name: rounded(row.get(name), actual.get(name)) for name in CHECKED_FIELDS} | {"group": row["group"]}
        for row, actual in zip(expected, padded, strict=False)
    ]
