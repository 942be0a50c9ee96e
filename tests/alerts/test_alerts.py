"""Alerts over HTTP: they trigger once on a crossing and resolve once, on time and with late data."""

from random import Random
from typing import Any

import pytest

from tests.alerts.alert_service import AlertService
from tests.alerts.test_hysteresis import model
from tests.support.service import Service, account_update, event, session, survey_responses


def subscription(mrr: str, account: str = "acme", **rest: Any) -> dict[str, Any]:
    return event("subscription.changed", account, subscription_id="base", mrr=mrr, **rest)


def test_an_alert_triggers_once_and_resolves_once(service: Service, alerts: AlertService) -> None:
    alerts.put(metric="mrr", granularity="month", below="100", margin="10")
    service.send(subscription("150", at="2026-03-01"))
    alerts.evaluate()
    assert alerts.alert()["state"] == "ok"
    service.send(subscription("80", at="2026-03-10"))
    for _ in range(3):
        alerts.evaluate()
    assert alerts.alert()["state"] == "triggered"
    service.send(subscription("200", at="2026-03-12"))
    for _ in range(3):
        alerts.evaluate()
    assert alerts.alert()["state"] == "ok"
    assert alerts.transitions() == [("triggered", "2026-03", 80), ("resolved", "2026-03", 200)]
    assert [(row["kind"], row["sentence"]) for row in alerts.history()] == [
        ("resolved", "Monthly recurring revenue (MRR) is 200.00 USD in 2026-03, no longer below 100.00 USD."),
        ("triggered", "Monthly recurring revenue (MRR) is 80.00 USD in 2026-03, below 100.00 USD."),
    ]


def test_a_message_has_all_that_a_receiver_needs(service: Service, alerts: AlertService) -> None:
    service.send(account_update(plan="pro", name="Acme"))
    service.send(subscription("150", at="2026-02-01"), subscription("80", at="2026-03-10"))
    alerts.put(metric="mrr", granularity="month", below="100", each_account=True)
    alerts.evaluate()
    [message] = alerts.messages()
    data = message["data"]
    assert data["account"] == {"id": "acme", "name": "Acme", "attributes": {"plan": "pro", "name": "Acme"}}
    number = data["number"]
    assert (number["value"], number["previous"], number["amount"]) == (80, 150, "80.00")
    assert number["group"] == {"account": "acme"}
    assert data["condition"] == {"below": 100, "margin": 10, "for_periods": 1}
    assert data["sentence"] == "Monthly recurring revenue (MRR) of Acme is 80.00 USD in 2026-03, below 100.00 USD."
    assert data["links"]["account"] == "/v1/accounts/acme/overview"
    [row] = service.request("GET", data["links"]["question"]).json()["rows"]
    assert row["value"] == 80
    assert alerts.alert()["triggered_count"] == 1


def test_a_number_that_flaps_around_its_threshold_makes_two_messages(service: Service, alerts: AlertService) -> None:
    alerts.put(metric="mrr", granularity="month", below="100")
    service.send(subscription("150", at="2026-03-01"))
    for number in range(20):
        service.send(subscription("99" if number % 2 else "101", at=f"2026-03-15T10:{number:02}:00Z"))
        alerts.evaluate()
    service.send(subscription("130", at="2026-03-15T11:00:00Z"))
    alerts.evaluate()
    assert alerts.transitions() == [("triggered", "2026-03", 99), ("resolved", "2026-03", 130)]


def test_late_data_triggers_once_and_names_its_period(service: Service, alerts: AlertService) -> None:
    alerts.put(metric="sessions", granularity="day", above="3")
    service.send(session(at="2026-03-14"), session(at="2026-03-15T01:00:00Z"))
    alerts.evaluate()
    service.on("2026-03-17")
    alerts.evaluate()
    assert alerts.transitions() == []
    service.send(*(session(at="2026-03-15T02:00:00Z") for _ in range(5)))
    for _ in range(3):
        alerts.evaluate()
    assert [kind for kind, *_ in alerts.transitions()] == ["triggered", "resolved"]
    assert alerts.transitions()[0] == ("triggered", "2026-03-15", 6)
    assert alerts.transitions()[1] == ("resolved", "2026-03-16", 0)


def test_a_number_that_adds_up_is_too_low_only_when_its_period_is_over(service: Service, alerts: AlertService) -> None:
    alerts.put(metric="sessions", granularity="day", below="3")
    service.send(session(at="2026-03-15T01:00:00Z"))
    alerts.evaluate()
    alerts.evaluate()
    # The day before had none.
    assert alerts.transitions() == [("triggered", "2026-03-14", 0)]
    service.send(*(session(at="2026-03-15T02:00:00Z") for _ in range(5)))
    alerts.evaluate()
    assert len(alerts.transitions()) == 1
    service.on("2026-03-16")
    alerts.evaluate()
    assert alerts.transitions()[1:] == [("resolved", "2026-03-15", 6)]


def test_an_alert_is_evaluated_once_a_minute_when_its_data_has_changed_and_after_midnight(
    service: Service, alerts: AlertService
) -> None:
    alerts.put(metric="mrr", granularity="month", below="100")
    assert alerts.evaluate() == 1
    assert alerts.evaluate() == 0
    service.send(*survey_responses("nps", [9]))
    assert alerts.evaluate() == 0
    service.send(subscription("150", at="2026-03-01"))
    assert alerts.evaluate() == 1
    service.send(subscription("160", at="2026-03-02"))
    assert alerts.evaluate(minutes=0) == 0
    assert alerts.evaluate() == 1
    service.on("2026-03-16")
    assert alerts.evaluate(minutes=0) == 1
    assert alerts.evaluate() == 0


def test_several_periods_in_a_row_are_needed(service: Service, alerts: AlertService) -> None:
    alerts.put(metric="mrr", granularity="month", below="100", for_periods=2)
    service.send(subscription("150", at="2026-01-01"), subscription("80", at="2026-03-01"))
    alerts.evaluate()
    assert alerts.transitions() == []
    service.on("2026-04-02")
    alerts.evaluate()
    assert alerts.transitions() == [("triggered", "2026-04", 80)]


def test_a_change_is_compared_with_the_period_before(service: Service, alerts: AlertService) -> None:
    alerts.put(metric="mrr", granularity="month", change_percent="-20")
    service.send(subscription("100", at="2026-02-01"), subscription("80", at="2026-03-10"))
    alerts.evaluate()
    assert [row["sentence"] for row in alerts.history()] == [
        "Monthly recurring revenue (MRR) is 80.00 USD in 2026-03, 20% less than 100.00 USD before."
    ]


def test_numbers_with_a_small_sample_are_ignored(service: Service, alerts: AlertService) -> None:
    alerts.put(metric="nps", granularity="month", below="20", min_sample=3)
    service.send(*survey_responses("nps", [0, 0]))
    alerts.evaluate()
    assert alerts.transitions() == []
    service.send(*survey_responses("nps", [0]))
    alerts.evaluate()
    assert alerts.transitions() == [("triggered", "2026-03", -100)]


def test_each_account_has_a_state_of_its_own_and_customers_without_data_have_a_number(
    service: Service, alerts: AlertService
) -> None:
    service.send(*(subscription("100", account, at="2026-01-01") for account in ("acme", "globex", "initech")))
    service.send(*(session(account, at="2026-03-14") for account in ("acme", "acme", "globex")))
    alerts.put(metric="sessions", granularity="day", below="1", each_account=True)
    alerts.evaluate()
    triggered = [own["account"] for own in alerts.alert()["triggered"]]
    assert triggered == ["initech"]
    service.on("2026-03-16")
    alerts.evaluate()
    assert [own["account"] for own in alerts.alert()["triggered"]] == ["acme", "globex", "initech"]


def test_what_is_triggered_resolves_when_the_alert_is_changed_or_deleted(
    service: Service, alerts: AlertService
) -> None:
    service.send(subscription("80", at="2026-03-10"))
    alerts.put(metric="mrr", granularity="month", below="100")
    alerts.evaluate()
    alerts.put(metric="mrr", granularity="month", below="100")
    assert alerts.alert()["state"] == "triggered"
    alerts.put(metric="mrr", granularity="month", below="90")
    assert alerts.history()[0]["sentence"] == 'The alert "own" was changed.'
    alerts.evaluate()
    assert service.request("DELETE", "/v1/alerts/own").status_code == 204
    assert [kind for kind, *_ in alerts.transitions()] == ["triggered", "resolved", "triggered", "resolved"]
    assert service.request("GET", "/v1/alerts/own").status_code == 404
    assert service.get("/v1/alerts")["alerts"] == []


@pytest.mark.parametrize(("seed", "kind"), [(1, "below"), (2, "above"), (3, "below")])
def test_a_random_walk_makes_the_transitions_of_the_model(
    service: Service, alerts: AlertService, seed: int, kind: str
) -> None:
    random = Random(seed)
    walk = [5]
    for _ in range(30):
        walk.append(max(0, walk[-1] + random.choice([-2, -1, 1, 2])))
    alerts.put(metric="mrr", granularity="month", margin=2, **{kind: 5})
    for number, value in enumerate(walk):
        service.send(subscription(str(value), at=f"2026-03-15T{1 + number // 6:02}:{number % 6}0:00Z"))
        alerts.evaluate()
    assert alerts.transitions() == [
        (kind_of_message, "2026-03", walk[at]) for kind_of_message, at in model(walk, kind, 2, 1)
    ]


def test_an_alert_on_each_account_of_a_segment_knows_only_those(service: Service, alerts: AlertService) -> None:
    service.request("PUT", "/v1/segments/pro?strict=false", json={"filter": 'plan = "pro"'})
    for account, plan in (("acme", "pro"), ("globex", "free"), ("initech", "pro")):
        service.send(account_update(account, plan=plan), subscription("50", account, at="2026-02-01"))
    alerts.put(metric="mrr", granularity="month", below="100", segment="pro", each_account=True)
    alerts.put(id="filtered", metric="mrr", granularity="month", below="100", filter='plan = "free"', each_account=True)
    alerts.put(id="all", metric="mrr", granularity="month", below="150", segment="pro")
    alerts.evaluate()
    assert [own["account"] for own in alerts.alert()["triggered"]] == ["acme", "initech"]
    assert [own["account"] for own in alerts.alert("filtered")["triggered"]] == ["globex"]
    assert alerts.alert("all")["triggered"][0]["number"]["value"] == 100


def test_an_account_that_is_gone_resolves(service: Service, alerts: AlertService) -> None:
    service.send(*survey_responses("nps", [0], id="only"))
    alerts.put(metric="nps", granularity="month", below=0, each_account=True)
    alerts.evaluate()
    assert alerts.alert()["triggered_count"] == 1
    service.retract("acme", "only")
    alerts.evaluate()
    assert alerts.history()[0]["sentence"] == "Net Promoter Score (NPS) of acme no longer has a value in 2026-03."
    assert alerts.alert()["triggered_count"] == 0


def test_an_alert_on_many_accounts_shows_the_first_of_them_and_their_number(
    service: Service, alerts: AlertService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.alerts.alerts._MAX_SHOWN", 2)
    for id in ("low", "lower"):
        alerts.put(id=id, metric="mrr", granularity="month", below="100", each_account=True)
    alerts.put(id="none", metric="mrr", granularity="month", above="1000", each_account=True)
    service.send(*(subscription("50", account, at="2026-02-01") for account in ("acme", "globex", "initech")))
    alerts.evaluate()
    for alert in (*service.get("/v1/alerts")["alerts"], alerts.alert("low"), alerts.alert("none")):
        accounts = [own["account"] for own in alert["triggered"]]
        assert (alert["triggered_count"], accounts) == ((0, []) if alert["id"] == "none" else (3, ["acme", "globex"]))


def test_a_customer_that_is_gone_resolves_what_it_had_triggered_long_before(
    service: Service, alerts: AlertService
) -> None:
    service.send(subscription("150", at="2026-01-01"))
    alerts.put(metric="sessions", granularity="day", below="5", each_account=True)
    alerts.evaluate()
    assert alerts.alert()["triggered_count"] == 1
    service.on("2026-05-01")
    alerts.evaluate()
    service.send(event("subscription.canceled", at="2026-05-01", subscription_id="base"))
    service.on("2026-05-03")
    alerts.evaluate()
    assert [kind for kind, *_ in alerts.transitions()] == ["triggered", "resolved"]
    assert alerts.alert()["triggered_count"] == 0


def test_an_alert_on_a_segment_that_is_deleted_resolves_what_it_had_triggered_long_before(
    service: Service, alerts: AlertService
) -> None:
    service.send(subscription("150", at="2026-01-01"), account_update(plan="pro"))
    service.put("/v1/segments/pro", {"filter": 'plan = "pro"'})
    for metric in ("mrr", "sessions"):
        alerts.put(metric, metric=metric, granularity="day", below="1000", segment="pro")
    alerts.evaluate()
    service.on("2026-04-20")
    alerts.evaluate()
    assert service.request("DELETE", "/v1/segments/pro").status_code == 204
    service.on("2026-04-21")
    alerts.evaluate()
    for metric in ("mrr", "sessions"):
        assert [row["kind"] for row in alerts.history(metric)] == ["resolved", "triggered"]
        assert alerts.alert(metric)["state"] == "ok"


def test_the_history_comes_in_pages(service: Service, alerts: AlertService) -> None:
    alerts.put(metric="mrr", granularity="month", below="100", margin=0)
    for number in range(6):
        service.send(subscription("90" if number % 2 == 0 else "110", at=f"2026-03-15T0{number}:00:00Z"))
        alerts.evaluate()
    first = service.request("GET", "/v1/alerts/own/history?limit=4")
    second = service.request("GET", first.links["next"]["url"])
    assert first.json()["next"] and second.json()["next"] is None and "next" not in second.links
    assert first.json()["rows"] + second.json()["rows"] == alerts.history()
    assert len(alerts.history()) == 6
    assert service.request("GET", "/v1/alerts/own/history?cursor=x").status_code == 422
    assert service.request("GET", "/v1/alerts/other/history").json()["code"] == "unknown_alert"


@pytest.mark.parametrize(
    ("body", "faults"),
    [
        ({}, {"/metric": "missing", "/granularity": "missing", "/above": "one_threshold"}),
        (
            {"metric": "npss", "granularity": "month", "above": "x", "for_periods": 0},
            {"/metric": "unknown_metric", "/above": "invalid_number", "/for_periods": "greater_than_equal"},
        ),
        ({"metric": "nps", "granularity": "month", "above": 1, "below": 2}, {"/below": "one_threshold"}),
        ({"metric": "nps", "granularity": "month", "above": 100}, {"/above": "impossible_value"}),
        ({"metric": "nps", "granularity": "month", "below": 90, "margin": 20}, {"/margin": "impossible_value"}),
        ({"metric": "nps", "granularity": "month", "change_percent": 0}, {"/change_percent": "impossible_value"}),
        ({"metric": "nps", "granularity": "total", "below": 9}, {"/granularity": "literal_error"}),
        (
            {"metric": "cac", "granularity": "month", "above": 9, "each_account": True, "segment": "no"},
            {"/metric": "metric_not_by_account", "/segment": "unknown_segment"},
        ),
    ],
)
def test_all_faults_are_found_at_once(shared: Service, body: dict[str, Any], faults: dict[str, str]) -> None:
    answer = shared.request("PUT", "/v1/alerts/own", json=body)
    assert answer.status_code == 422
    assert {own["pointer"]: own["code"] for own in answer.json()["errors"]} == faults
