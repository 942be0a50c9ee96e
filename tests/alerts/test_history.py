"""What is kept of alerts, for how long, and that it says nothing of persons."""

from collections.abc import Callable
from typing import Any

from app.alerts.watch import Watch
from tests.alerts.alert_service import AlertService
from tests.alerts.test_alerts import subscription
from tests.support.service import Service, session, survey_responses

Query = Callable[[str], list[Any]]
_TABLES = ("alert", "alert_change", "alert_state", "alert_transition", "target_news", "account_band", "news_search")


def test_history_that_is_older_than_it_is_kept_is_deleted_and_what_is_triggered_stays(
    service: Service, alerts: AlertService, query_database: Query
) -> None:
    alerts.put(metric="mrr", granularity="month", below="100", margin=0)
    service.put("/v1/targets/sessions", {"metric": "sessions", "granularity": "month", "value": 1})
    service.send(session(at="2026-03-10"))
    for mrr in ("90", "110", "80"):
        service.send(subscription(mrr, at="2026-03-15T01:00:00Z"))
        alerts.watch()
    days = service.settings.alert_history_days
    service.later(days=days - 1)
    service.run(Watch(service.books, service.settings).step())
    assert [row["kind"] for row in alerts.history()] == ["triggered", "resolved", "triggered"]
    service.later(days=20)
    service.run(Watch(service.books, service.settings).step())
    assert alerts.history() == []
    assert query_database("SELECT count(*) FROM target_news WHERE period_start = '2026-03-01'") == [(0,)]
    assert alerts.alert()["triggered"][0]["number"]["value"] == 80


def test_old_history_is_deleted_in_parts(
    service: Service, alerts: AlertService, query_database: Query, monkeypatch: Any
) -> None:
    alerts.put(metric="mrr", granularity="month", below="100", margin=0)
    for number in range(5):
        service.send(subscription("110" if number % 2 else "90", at="2026-03-15T01:00:00Z"))
        alerts.evaluate()
    monkeypatch.setattr("app.alerts.history._MAX_ROWS", 1)
    service.later(days=service.settings.alert_history_days + 1)
    service.run(Watch(service.books, service.settings).step())
    assert query_database("SELECT count(*) FROM alert_transition") == [(0,)]


def test_an_account_without_anything_to_remember_has_no_state(
    service: Service, alerts: AlertService, query_database: Query
) -> None:
    alerts.put(metric="mrr", granularity="day", below="100", margin=0, each_account=True)
    service.send(*(subscription(mrr, account, at="2026-01-01") for account, mrr in (("acme", "90"), ("globex", "200"))))
    alerts.evaluate()
    assert query_database("SELECT account FROM alert_state") == [("acme",)]
    service.send(subscription("150", at="2026-03-16"))
    service.later(days=20)
    alerts.evaluate()
    assert query_database("SELECT account FROM alert_state") == []
    assert [row["kind"] for row in alerts.history()] == ["resolved", "triggered"]


def test_alerts_keep_nothing_of_a_person(service: Service, alerts: AlertService, query_database: Query) -> None:
    alerts.put(metric="nps", granularity="month", below=0, each_account=True)
    alerts.put(id="users", metric="active_users", granularity="day", above=0, each_account=True)
    alerts.put(id="comments", metric="nps", granularity="month", below=0, channel="email")
    response = survey_responses("nps", [0], user="ada.lovelace", comment="Too slow.", channel="email")
    service.send(*response, session(user="ada.lovelace", at="2026-03-15T01:00:00Z"))
    alerts.watch()
    assert {own["type"] for own in alerts.messages()} == {"alert.triggered"}
    assert len(alerts.messages()) == 3
    kept = [repr(query_database(f"SELECT * FROM {table}")) for table in _TABLES]
    texts = [*kept, repr(alerts.messages())]
    assert not any("lovelace" in text or "Too slow" in text for text in texts)
    assert service.request("DELETE", "/v1/accounts/acme/users/ada.lovelace/personal-data").status_code == 204
    alerts.watch()
    assert [repr(query_database(f"SELECT * FROM {table}")) for table in _TABLES[2:4]] == kept[2:4]
