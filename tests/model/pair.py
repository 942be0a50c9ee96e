"""The service and the model side by side: what happens, happens to both, and what one answers is held against the other."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from itertools import count, zip_longest
from typing import Any

from tests.model.calendar import Calendar
from tests.model.events import Survey
from tests.model.oracle import Filter, Model
from tests.support.service import Service

_numbers = count()
CHECKED = (
    "metric", "period", "start", "end", "complete", "group", "value", "numerator", "denominator", "sample_size", "interval",
    "reason", "amount", "previous", "change", "change_percent", "significant",
)  # fmt: skip
MORE_SURVEYS = {
    "visit": Survey("csat", 1, 10, satisfied_from=7),
    "effort": Survey("ces", 1, 7, easy_is="high"),
    "effort-low": Survey("ces", 1, 7, easy_is="low"),
}
# The euro's rate is known of all days, the pound's only of some.
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
    """Both, and the accounts of this history: others may be in the same database."""

    def __init__(self, service: Service, calendar: Calendar | None = None, accounts: int = 3) -> None:
        self.service = service
        self.model = Model(calendar or Calendar(), MORE_SURVEYS, RATES)
        self.numbers = count()
        self.accounts = [f"{next(_numbers):05}-{name}" for name in ("acme", "globex", "initech")[:accounts]]
        for id, survey in MORE_SURVEYS.items():
            more = {"satisfied_from": survey.satisfied_from, "easy_is": survey.easy_is}
            body = {"kind": survey.kind, "scale": {"min": survey.low, "max": survey.high}}
            service.put(f"/v1/surveys/{id}", body | {name: value for name, value in more.items() if value})
        for currency, rates in RATES.items():
            by_day = {str(day): rate for day, rate in rates.items()}
            service.put("/v1/exchange-rates", {"currency": currency, "rates": by_day})
        self.at(self.model.now)

    @property
    def now(self) -> datetime:
        return self.model.now

    @property
    def today(self) -> date:
        return self.model.today

    def at(self, now: datetime) -> "Pair":
        self.service.now = self.model.now = now
        return self

    def on(self, day: date, **after_midnight: int) -> "Pair":
        return self.at(self.model.calendar.midnight(day) + timedelta(**after_midnight))

    def send(self, *events: dict[str, Any]) -> dict[str, Any]:
        """Post a batch to both; they must agree about what became of it."""
        said = self.service.request("POST", "/v1/events", json=list(events)).json()
        expected = self.model.send(*events)
        rejected = [(rejected["index"], rejected["code"]) for rejected in said["rejected"]]
        # When all were rejected, the answer is a problem without the two counts.
        taken = [said.get("accepted", 0), said.get("duplicates", 0), rejected]
        assert taken == [expected["accepted"], expected["duplicates"], expected["rejected"]], (taken, expected, events)
        return expected

    def retract(self, account: str, id: str) -> None:
        self.service.retract(account, id)
        self.model.retract(account, id)

    def define(self, name: str, where: Filter | None) -> None:
        if where is None:
            assert self.service.request("DELETE", f"/v1/segments/{name}").status_code == 204
        else:
            self.service.put(f"/v1/segments/{name}", {"filter": where.text})
        self.model.define(name, where)

    def ask(self, metrics: str, **question: Any) -> list[dict[str, Any]]:
        """The whole rows that the service answers; the model must answer the same."""
        question = {"account": self.accounts} | question
        rows = query_service(self.service, metrics, **question)
        expected = [row for metric in sorted(metrics.split(",")) for row in self.model.rows(metric, **question)]
        pairs = zip_longest(map(checked_fields, rows), round_like(expected, rows))
        assert not (unlike := [pair for pair in pairs if repr(pair[0]) != repr(pair[1])]), (question, unlike[:2])
        return rows

    def differences(self) -> list[Any]:
        """What `verify` finds in this history's accounts."""
        return [found for found in self.service.differences() if found.account in self.accounts]


def query_service(service: Service, metrics: str, **question: Any) -> list[dict[str, Any]]:
    spelled = {name: value for name, value in question.items() if value}
    if where := spelled.pop("where", None):
        spelled["filter"] = where.text
    if "totals" in spelled:
        spelled["totals"] = "true"
    if "group_by" in spelled:
        spelled["group_by"] = ",".join(spelled["group_by"])
    return service.get("/v1/query", metrics=metrics, **spelled)["rows"]


def checked_fields(row: dict[str, Any]) -> dict[str, Any]:
    """What docs/metrics.md says of a row; the service may say more."""
    return {name: row.get(name) for name in CHECKED}


def round_like(expected: Sequence[dict[str, Any]], rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The expected rows with numbers as the service has them, where these are the exact ones rounded to six decimals."""

    def snap(exact: Any, found: Any) -> Any:
        if isinstance(exact, list) and isinstance(found, list):
            return [snap(*pair) for pair in zip(exact, found, strict=True)]
        numbers = not isinstance(exact, str | bool | None) and isinstance(found, int | float)
        return found if numbers and abs(exact - found) <= 5.001e-7 else exact

    padded = [*rows, *[{}] * (len(expected) - len(rows))]
    return [
        {name: snap(row.get(name), found.get(name)) for name in CHECKED} | {"group": row["group"]}
        for row, found in zip(expected, padded, strict=False)
    ]
