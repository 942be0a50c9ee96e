"""Periods of alerts and targets where the fiscal year, the week and the clocks are not those of UTC."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.alerts.alert_service import AlertService
from tests.support.service import Service, session


@pytest.mark.parametrize("unit", ["day", "week", "month", "quarter", "year"])
def test_a_message_names_the_period_of_the_books_on_the_day_on_which_clocks_change(
    unit: str, start_service: Callable[..., Service], query_database: Callable[[str], list[Any]]
) -> None:
    service = start_service(fiscal_year_start=2, reporting_timezone="America/New_York", week_start="sunday")
    alerts = AlertService(service, query_database)
    service.put("/v1/targets/own", {"metric": "sessions", "granularity": unit, "value": 2})
    alerts.put(metric="sessions", granularity=unit, above=1)
    # Half past eleven in the evening of November 1, which had 25 hours.
    service.now = datetime(2026, 11, 2, 4, 30, tzinfo=UTC)
    alerts.watch(minutes=6)
    service.send(session(at="2026-11-01T04:10:00Z"), session(at="2026-11-02T04:40:00Z"))
    alerts.watch(minutes=6)
    for topic in ("alert.triggered", "target.met"):
        [data] = alerts.data(topic)
        number = data["number"]
        [row] = service.request("GET", data["links"]["question"]).json()["rows"]
        assert (row["value"], row["period"], row["start"], row["end"]) == (
            number["value"],
            number["period"],
            number["start"],
            number["end"],
        )
        assert number["value"] == 2
    service.now = datetime(2026, 11, 2, 4, 58, tzinfo=UTC)
    assert alerts.evaluate(minutes=1) == 0
    assert alerts.evaluate(minutes=1) == 1, "it is midnight"
