"""News, which need no alert: targets met and missed, bands of health, and restated numbers."""

from tests.alerts.alert_service import AlertService
from tests.alerts.test_alerts import subscription
from tests.health.models import component, model
from tests.support.service import Service, account_update, session, survey_responses


def test_a_target_is_met_once_in_a_period(service: Service, alerts: AlertService) -> None:
    service.put("/v1/targets/sessions", {"metric": "sessions", "granularity": "month", "value": 3})
    service.send(session(at="2026-02-10"), session(at="2026-03-10"))
    alerts.watch()
    assert alerts.data("target.met") == []
    service.send(session(at="2026-03-10"), session(at="2026-03-11"))
    for _ in range(3):
        alerts.watch()
    [data] = alerts.data("target.met")
    assert (data["target"], data["target_value"], data["number"]["value"], data["number"]["previous"]) == (
        "sessions",
        3,
        3,
        1,
    )
    assert data["number"]["period"] == "2026-03"
    service.on("2026-04-01")
    alerts.watch()
    assert len(alerts.data("target.met")) == 1


def test_a_target_is_missed_when_its_period_is_over(service: Service, alerts: AlertService) -> None:
    service.put("/v1/targets/mrr", {"metric": "mrr", "granularity": "month", "value": "200"})
    service.send(subscription("150", at="2026-03-01"))
    alerts.watch()
    assert alerts.messages() == []
    service.on("2026-04-02")
    for _ in range(2):
        alerts.watch()
    [data] = alerts.data("target.missed")
    assert (data["number"]["period"], data["number"]["complete"], data["gap"]) == ("2026-03", True, -50)
    assert (data["target_amount"], data["number"]["amount"]) == ("200.00", "150.00")
    [row] = service.request("GET", data["links"]["question"]).json()["rows"]
    assert row["value"] == 150


def test_targets_make_no_message_without_a_subscriber(service: Service, alerts: AlertService) -> None:
    [endpoint] = service.get("/v1/webhook-endpoints")["endpoints"]
    service.request("PATCH", f"/v1/webhook-endpoints/{endpoint['id']}", json={"topics": ["alert.triggered"]})
    service.put("/v1/targets/mrr", {"metric": "mrr", "granularity": "month", "value": "100"})
    service.send(subscription("150", at="2026-03-01"))
    alerts.watch()
    assert alerts.messages() == []


def test_a_customer_that_moves_to_another_band_makes_one_message_with_its_weakest_components(
    service: Service, alerts: AlertService
) -> None:
    service.put("/v1/health-model", model(component("use", "sessions", 0, 10)))
    service.send(account_update(name="Acme"), subscription("100", at="2026-01-01"))
    service.send(*(session(at="2026-03-10") for _ in range(10)))
    alerts.watch()
    assert alerts.messages() == []
    service.on("2026-05-18")
    for _ in range(2):
        alerts.watch()
    [data] = alerts.data("health.band_changed")
    assert (data["account"]["name"], data["previous_band"], data["band"], data["direction"]) == (
        "Acme",
        "healthy",
        "critical",
        "down",
    )
    assert (data["score"], data["previous"], data["mrr"]) == (0, 100, "100.00")
    assert [(own["component"], own["points_lost"]) for own in data["weakest"]] == [("use", 100)]


def test_a_closed_number_that_changes_is_published_with_its_events(service: Service, alerts: AlertService) -> None:
    alerts.put(id="low", metric="nps", granularity="month", below=0)
    service.send(*survey_responses("nps", [10, 9], at="2026-02-10", recorded_on="2026-02-10"))
    alerts.watch()
    service.on("2026-03-16")
    late = survey_responses("nps", [0, 0], at="2026-02-20")
    service.send(*late)
    alerts.watch()
    assert alerts.data("metric.restated") == []
    service.on("2026-03-17")
    for _ in range(2):
        alerts.watch()
    [data] = alerts.data("metric.restated")
    assert (data["number"]["period"], data["number"]["previous"], data["number"]["value"]) == ("2026-02", 100, 0)
    assert data["recorded_on"] == "2026-03-16"
    assert data["events"] == [{"type": "survey.responded", "arrived": 2, "retracted": 0}]
    assert data["event_ids"] == sorted(own["id"] for own in late)
    assert data["named_by"] == ["low"]
    [row] = service.request("GET", data["links"]["question"]).json()["rows"]
    assert (row["from"], row["to"]) == (100, 0)


def test_a_closed_number_of_each_account_is_published_with_the_events_of_that_account(
    service: Service, alerts: AlertService
) -> None:
    alerts.put(id="low", metric="nps", granularity="month", below=0, each_account=True)
    for account in ("acme", "globex", "initech"):
        service.send(*survey_responses("nps", [10, 9], account=account, at="2026-02-10", recorded_on="2026-02-10"))
    alerts.watch()
    service.on("2026-03-16")
    late = {
        account: survey_responses("nps", [0], account=account, at="2026-02-20") for account in ("globex", "initech")
    }
    service.send(*late["globex"], *late["initech"], account_update("globex", name="Globex"))
    service.on("2026-03-17")
    for _ in range(2):
        alerts.watch()
    by_account = {own["account"]["id"]: own for own in alerts.data("metric.restated")}
    assert by_account.keys() == late.keys()
    for account, data in by_account.items():
        assert data["number"]["group"] == {"account": account}
        assert (data["number"]["previous"], data["number"]["value"]) == (100, 33.333333)
        assert data["event_ids"] == [own["id"] for own in late[account]]
        [row] = service.request("GET", data["links"]["question"]).json()["rows"]
        assert (row["from"], row["to"]) == (100, 33.333333)
    assert by_account["globex"]["account"]["name"] == "Globex"


def test_a_number_that_changes_before_its_period_is_closed_is_not_published(
    service: Service, alerts: AlertService
) -> None:
    alerts.put(id="low", metric="nps", granularity="month", below=0)
    service.on("2026-04-02")
    alerts.watch()
    service.on("2026-04-03").send(*survey_responses("nps", [0, 0], at="2026-03-20"))
    service.on("2026-04-12")
    alerts.watch()
    assert alerts.data("metric.restated") == []
