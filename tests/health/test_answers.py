"""The list of all accounts, explanations, overrides, and health as a metric and within other answers."""

import re
from typing import Any

import pytest

from app.health import checks
from app.health.explanation import compare
from tests.health.models import SESSIONS, TICKETS, component, model
from tests.support.service import Service, account_update, event, session


def customers(service: Service, **sessions: int) -> None:
    """Send customers with so many sessions, and a model in which these are the score."""
    service.put("/v1/health-model", model(SESSIONS))
    for number, (account, count) in enumerate(sessions.items(), start=1):
        service.send(
            event("subscription.changed", account, at="2026-01-05", subscription_id="s", mrr=str(100 * number))
        )
        service.send(account_update(account, size=number), *[session(account) for _ in range(count)])


def listed(service: Service, **parameters: Any) -> list[str]:
    return [row["account"] for row in service.get("/v1/health", **parameters)["accounts"]]


def test_the_worst_come_first_and_those_without_a_score_last(service: Service) -> None:
    customers(service, acme=50, globex=10, initech=90)
    service.put("/v1/health-model", model(component("s", "sessions_per_active_user", 0, 100)))
    service.send(event("subscription.changed", "umbrella", subscription_id="s", mrr="1"))
    assert listed(service) == ["globex", "acme", "initech", "umbrella"]
    assert listed(service, order="-score") == ["initech", "acme", "globex", "umbrella"]
    assert listed(service, order="mrr") == ["umbrella", "acme", "globex", "initech"]
    assert listed(service, order="-mrr") == ["initech", "globex", "acme", "umbrella"]
    (last,) = service.get("/v1/health", band="none")["accounts"]
    assert (last["account"], last["score"], last["reason"]) == ("umbrella", None, "not_enough_data")


def test_the_list_is_narrowed_and_its_bands_count_all(service: Service) -> None:
    customers(service, acme=50, globex=10, initech=90)
    service.send(session("lead"))
    service.put("/v1/segments/large", {"filter": "size > 1"})
    assert listed(service, filter="size < 3") == ["globex", "acme"]
    assert listed(service, segment="large") == ["globex", "initech"]
    assert listed(service, segment="large", filter="size < 3") == ["globex"]
    assert listed(service, accounts="all") == ["lead", "globex", "acme", "initech"]
    answer = service.get("/v1/health", band="at_risk")
    assert [row["account"] for row in answer["accounts"]] == ["acme"]
    assert [(band["band"], band["accounts"], band["mrr"]) for band in answer["bands"]] == [
        ("critical", 1, "200.00"),
        ("at_risk", 1, "100.00"),
        ("healthy", 1, "300.00"),
        (None, 0, "0.00"),
    ]


def test_the_list_is_paged_by_a_cursor(service: Service) -> None:
    customers(service, acme=50, globex=10, initech=90)
    first = service.get("/v1/health", limit=2)
    assert [row["account"] for row in first["accounts"]] == ["globex", "acme"]
    second = service.get("/v1/health", limit=2, cursor=first["next"])
    assert [row["account"] for row in second["accounts"]] == ["initech"] and second["next"] is None
    assert service.request("GET", "/v1/health?cursor=x").status_code == 422


def test_accounts_are_found_by_any_part_of_their_name_or_id(service: Service) -> None:
    customers(service, **{"acme": 50, "a%b_c": 10, "ab-c": 20, "globex": 90})
    service.send(account_update("globex", name="Große Ökonomie_AG"), account_update("ab-c", name=17))
    found = {
        "CM": ["acme"],
        " ökon": ["globex"],
        "GLOB": ["globex"],
        "%": ["a%b_c"],
        "b_c": ["a%b_c"],
        "_": ["a%b_c", "globex"],
        "17": ["ab-c"],
        "\\": [],
    }
    assert {text: listed(service, q=text) for text in found} == found
    assert listed(service, q="c", band="critical,at_risk", filter="size < 3") == ["a%b_c", "acme"]
    # A search in a name finds what was its name then.
    service.later(days=2)
    service.send(account_update("globex", name="Other"))
    assert (listed(service, q="ökon"), listed(service, q="ökon", as_of="2026-03-15")) == ([], ["globex"])


def test_rows_have_names_changes_and_activity(service: Service) -> None:
    customers(service, acme=50, globex=10)
    service.send(
        account_update("globex", name="Zorg"),
        event("subscription.changed", "globex", at="2026-03-01", subscription_id="s", mrr="150"),
        session("acme", at="2026-02-01", user="ada"),
        event("subscription.changed", "new", at="2026-03-10", subscription_id="s", mrr="7"),
    )
    answer = service.get("/v1/health", include="change,activity", order="mrr_change")
    names = ("account", "name", "mrr_change", "active_users", "last_active_on")
    assert [tuple(row[name] for name in names) for row in answer["accounts"]] == [
        ("globex", "Zorg", "-50.00", 1, "2026-03-10"),
        ("acme", None, "0.00", 1, "2026-03-10"),
        ("new", None, "7.00", 0, None),
    ]
    for row in answer["accounts"]:
        path = f"/v1/accounts/{row['account']}/health"
        then = service.get(f"{path}/explanation", **{"from": "2026-02-13", "to": "2026-03-15"})
        assert row["score_change"] == then["difference"]
    assert listed(service, order="-mrr_change") == ["new", "acme", "globex"]
    assert listed(service, order="name") == ["acme", "new", "globex"]
    assert listed(service, order="-name") == ["globex", "new", "acme"]
    (recent,) = service.get("/v1/health", include="change", change_days=7, q="globex")["accounts"]
    assert recent["mrr_change"] == "0.00" and "active_users" not in recent
    header = service.request("GET", "/v1/health?format=csv&include=activity").text.splitlines()[0]
    assert header.endswith("name,active_users,last_active_on")


def test_the_list_is_a_table_as_well(service: Service) -> None:
    customers(service, acme=50)
    header, row = service.request("GET", "/v1/health?format=csv").text.splitlines()
    values = dict(zip(header.split(","), row.split(","), strict=True))
    assert [values[name] for name in ("account", "score", "band", "mrr", "weakest_component")] == [
        "acme", "50.0", "at_risk", "100.00", "sessions",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("parameters", "code"),
    [
        ({"filter": "plann = 1"}, "unrecorded_attribute"),
        ({"filter": "("}, "invalid_filter"),
        ({"segment": "none"}, "unknown_segment"),
        ({"band": "healthy,green"}, "literal_error"),
        ({"q": " "}, "string_too_short"),
        ({"q": "a\0"}, "control_character"),
        ({"include": "all"}, "literal_error"),
        ({"as_of": "2026-03-16"}, "invalid_as_of"),
    ],
)
def test_wrong_parameters_are_refused(service: Service, parameters: dict[str, str], code: str) -> None:
    answer = service.request("GET", "/v1/health", params=parameters)
    assert answer.status_code == 422 and code in answer.text


def test_before_the_first_recorded_day_nothing_is_known(service: Service) -> None:
    customers(service, acme=50)
    answer = service.get("/v1/health", as_of="2026-03-14")
    assert (answer["accounts"], answer["reason"]) == ([], "nothing_known_yet")
    assert service.get("/v1/accounts/acme/health", as_of="2026-03-14")["reason"] == "nothing_known_yet"


def test_an_account_whose_events_are_all_retracted_was_there_before(service: Service) -> None:
    service.on("2026-03-10").send(session(id="only", at="2026-03-10"))
    service.later(days=2)
    then = "/v1/accounts/acme/health/explanation?knowledge=then&from=2026-03-09&to=2026-03-11"
    paths = ["/v1/accounts/acme/health?as_of=2026-03-11", then]
    before = [service.request("GET", path).json() for path in paths]
    assert before[0]["components"]
    service.retract("acme", "only")
    assert [service.request("GET", path).json() for path in paths] == before
    assert [service.request("GET", path).status_code for path in ("/v1/accounts/acme/health", paths[0])] == [404, 200]


def test_an_unknown_account_is_not_found(service: Service) -> None:
    service.send(session())
    for path in ("health", "health/explanation"):
        answer = service.request("GET", f"/v1/accounts/acmee/{path}")
        assert answer.status_code == 404 and answer.json()["errors"][0]["did_you_mean"] == ["acme"]


def explanation(service: Service, **parameters: Any) -> dict[str, Any]:
    return service.get("/v1/accounts/acme/health/explanation", **parameters)


def test_a_difference_is_explained_in_one_sentence(service: Service) -> None:
    service.send(*[session(user=f"user-{n}", at="2026-01-20") for n in range(3)], session(user="user-0"))
    service.send(event("subscription.changed", at="2026-01-05", subscription_id="s", mrr="100", seats=5))
    service.send(
        event("ticket.opened", at="2026-01-06", ticket_id="1"), event("ticket.resolved", at="2026-03-01", ticket_id="1")
    )
    parts = [
        component("engagement", "product_usage_rate", 0, 100, weight=3),
        component("tickets", "ticket_backlog", 4, 0, title="Open tickets"),
    ]
    service.put("/v1/health-model", model(*parts))
    answer = explanation(service, **{"from": "2026-01-31"})
    assert (answer["from"]["score"], answer["to"]["score"], answer["difference"]) == (63.75, 40, -23.75)
    assert answer["sentence"] == "−23.8: engagement fell from 60% to 20%"
    assert [(own["component"], own["difference"], own["by_weight"]) for own in answer["differences"]] == [
        ("engagement", -30, 0),
        ("tickets", 6.25, 0),
    ]
    assert answer["differences"][1]["sentence"] == "open tickets fell from 1 to 0"


def reasons(service: Service, since: str) -> dict[str, str]:
    """Return the sentence of each component's difference since a day."""
    return {own["component"]: own["sentence"] for own in explanation(service, **{"from": since})["differences"]}


def test_sentences_say_what_a_baseline_and_days_are_compared_with(service: Service) -> None:
    days = [f"2026-{month:02}-{day:02}" for month in (1, 2) for day in (1, 6, 11, 16, 21, 26)]
    service.send(*[session(user=f"user-{n}", at=day) for day in days for n in range(4)], session(at="2026-03-14"))
    usage = {"id": "usage", "kind": "baseline", "metric": "active_user_days", "poor": 0, "good": 85, "weight": 1}
    silence = {"id": "last_activity", "kind": "days_since", "poor": 30, "good": 7, "weight": 1}
    service.put("/v1/health-model", model(usage, silence))
    found = reasons(service, "2026-03-13")
    assert re.fullmatch("usage fell from [0-9.]+% to [0-9.]+% of its usual level", found["usage"])
    assert found["last_activity"] == "last activity moved from 15 to 1 day ago"


def test_a_value_that_changes_beyond_its_anchors_changes_no_score(service: Service) -> None:
    service.send(*[session(at="2026-02-20") for _ in range(120)], *[session() for _ in range(10)])
    service.put("/v1/health-model", model(SESSIONS))
    answer = explanation(service, **{"from": "2026-02-28"})
    assert answer["sentence"] == "The score has not changed."
    assert answer["differences"][0]["sentence"] == "sessions rose from 120 to 130"


def test_sentences_say_when_the_model_and_not_the_account_has_changed(service: Service) -> None:
    service.send(event("ticket.opened", at="2026-01-06", ticket_id="1"))
    tickets = component("tickets", "ticket_backlog", 10, 0, title="Open tickets")
    service.put("/v1/health-model", model(SESSIONS, tickets))
    service.on("2026-03-16").put(
        "/v1/health-model", model(SESSIONS, tickets | {"poor": 5}, effective_from="2026-03-16")
    )
    assert reasons(service, "2026-03-15")["tickets"] == "open tickets stayed at 1, which scores 80 now instead of 90"
    service.on("2026-03-17").put(
        "/v1/health-model",
        model(component("uses", "feature_uses", 1, 0), tickets | {"poor": 5, "weight": 3}, effective_from="2026-03-17"),
    )
    assert reasons(service, "2026-03-16") == {
        "sessions": "the model no longer has sessions",
        "uses": "the model has uses now",
        "tickets": "open tickets stayed at 1, with more weight",
    }


def test_differences_add_up_when_the_model_has_changed(service: Service) -> None:
    service.send(*[session(at="2026-01-20") for _ in range(10)], *[session() for _ in range(30)])
    service.put("/v1/health-model", model(SESSIONS, TICKETS))
    service.put(
        "/v1/health-model",
        model(SESSIONS | {"weight": 2}, component("new", "feature_uses", 1, 0), effective_from="2026-03-01"),
    )
    answer = explanation(service, **{"from": "2026-01-31"})
    assert (answer["from"]["score"], answer["to"]["score"]) == (55, 53.33)
    by_component = {own["component"]: own for own in answer["differences"]}
    assert by_component["tickets"]["to"] is None and by_component["new"]["from"] is None
    assert round(sum(own["difference"] for own in answer["differences"]), 2) == answer["difference"] == -1.67
    assert by_component["sessions"]["by_value"] + by_component["sessions"]["by_weight"] == pytest.approx(15)
    assert "the model changed to version 2" in answer["sentence"]


def test_knowledge_of_then_explains_what_a_late_event_changed(service: Service) -> None:
    service.on("2026-03-01").put("/v1/health-model", model(SESSIONS))
    service.send(session(at="2026-02-20"))
    service.on("2026-03-02").send(*[session(at="2026-02-20") for _ in range(4)])
    days = {"from": "2026-03-01", "to": "2026-03-02"}
    assert explanation(service, **days)["difference"] == 0
    assert explanation(service, **days, knowledge="then")["difference"] == 4


def test_without_a_score_there_is_nothing_to_explain(service: Service) -> None:
    service.send(session())
    answer = explanation(service)
    assert (answer["difference"], answer["differences"], answer["reason"]) == (None, [], "not_enough_data")


@pytest.mark.parametrize(
    "days", [{"from": "2026-03-15"}, {"to": "2026-03-16"}, {"from": "2026-03-10", "to": "2026-03-09"}]
)
def test_days_that_are_not_in_order_are_refused(service: Service, days: dict[str, str]) -> None:
    service.send(session())
    assert service.request("GET", "/v1/accounts/acme/health/explanation", params=days).status_code == 422


def override(score: int, *, at: str = "2026-03-10", **data: Any) -> dict[str, Any]:
    return event("health.overridden", at=at, score=score, reason="They said so.", author="grace", **data)


def stands(service: Service, **parameters: Any) -> Any:
    """Return the score of the override that stands, which both answers have."""
    (row,) = service.get("/v1/health", accounts="all", **parameters)["accounts"]
    card = service.get("/v1/accounts/acme/health", **parameters)
    assert row["override"] == card["override"] and row["score"] == card["score"] == 1
    return row["override"] and row["override"]["score"]


def test_an_override_stands_beside_the_score_until_it_expires_is_withdrawn_or_replaced(service: Service) -> None:
    service.on("2026-03-09").put("/v1/health-model", model(SESSIONS))
    service.send(session(at="2026-03-01"))
    service.on("2026-03-10").send(override(20, expires_on="2026-03-12"))
    assert [stands(service.on(f"2026-03-{day}")) for day in (10, 12, 13)] == [20, 20, None]
    service.on("2026-03-14").send(override(30, at="2026-03-14"))
    assert stands(service) == 30
    service.send(override(40, at="2026-03-15T09:00:00Z"))
    assert stands(service) == 30
    service.on("2026-03-15")
    assert stands(service) == 40
    service.send(event("health.override_withdrawn", at="2026-03-15T11:00:00Z"))
    assert stands(service) is None
    assert stands(service, as_of="2026-03-14") == 30


def test_an_override_that_is_retracted_stood_until_then(service: Service) -> None:
    service.on("2026-03-10").put("/v1/health-model", model(SESSIONS))
    service.send(session(at="2026-03-01"), override(20, id="o-1"))
    service.on("2026-03-12").retract("acme", "o-1")
    assert (stands(service), stands(service, as_of="2026-03-11")) == (None, 20)


def test_a_late_override_was_not_known_before(service: Service) -> None:
    service.on("2026-03-10").put("/v1/health-model", model(SESSIONS))
    service.send(session(at="2026-03-01"))
    service.on("2026-03-12").send(override(20, at="2026-03-01"))
    assert (stands(service), stands(service, as_of="2026-03-11")) == (20, None)


def test_the_author_of_an_override_is_erased_with_what_was_written(service: Service) -> None:
    service.put("/v1/health-model", model(SESSIONS))
    service.send(
        session(at="2026-03-01", user="ada"),
        override(20),
        event("subscription.canceled", subscription_id="x", reason="price"),
    )
    assert service.request("DELETE", "/v1/accounts/acme/users/grace/personal-data").status_code == 204
    own = service.get("/v1/accounts/acme/health")["override"]
    assert own["score"] == 20 and own["reason"] == "[erased]" and own["author"].startswith("erased-")
    assert service.differences() == []


@pytest.mark.parametrize(
    "change", [{"score": 101}, {"score": 1.5}, {"reason": ""}, {"expires_on": "soon"}, {"author": None}]
)
def test_a_wrong_override_is_rejected(service: Service, change: dict[str, Any]) -> None:
    body = override(20)
    answer = service.request("POST", "/v1/events", json=body | {"data": body["data"] | change})
    assert answer.status_code == 422


def test_health_is_a_metric_by_group_segment_and_band(service: Service) -> None:
    customers(service, acme=50, globex=10, initech=90)
    service.put("/v1/segments/large", {"filter": "size > 1"})
    assert service.row("health_score", period="2026-03") | {"value": 50, "denominator": 3} == service.row(
        "health_score", period="2026-03"
    )
    assert [row["value"] for row in service.rows("health_score", period="2026-03", group_by="size")] == [50, 10, 90]
    assert service.value("health_score", segment="large") == 50
    assert service.value("health_score", filter="size = 3") == 90
    bands = service.rows("accounts_by_band", period="2026-03", group_by="subject")
    assert {row["group"]["subject"]: row["value"] for row in bands} == {"critical": 1, "at_risk": 1, "healthy": 1}
    assert service.value("accounts_by_band") == 3 and service.value("accounts_by_band", subject="healthy") == 1
    answer = service.request("GET", "/v1/metrics/accounts_by_band?subject=green")
    assert (answer.status_code, answer.json()["code"]) == (422, "unknown_subject")


def test_health_of_a_period_is_that_of_its_last_day(service: Service) -> None:
    customers(service, acme=50)
    service.send(*[session(at="2026-02-20") for _ in range(20)])
    rows = service.rows("health_score", start="2026-02-01", end="2026-04-01", compare="previous_period")
    assert [(row["value"], row.get("previous")) for row in rows] == [(20, 0), (70, 0)]
    contributors = service.get("/v1/metrics/health_score/contributors", period="2026-03")["rows"]
    assert [(row["account"], row["contribution"], row["share"]) for row in contributors] == [("acme", 70, 100)]


def test_a_restated_score_is_a_restatement_of_the_metric(service: Service) -> None:
    service.on("2026-02-28")
    customers(service, acme=0)
    service.send(*[session(at="2026-02-20") for _ in range(20)])
    service.on("2026-03-05").send(*[session(at="2026-02-21") for _ in range(10)])
    (change,) = service.get("/v1/metrics/health_score/restatements", period="2026-02")["rows"]
    assert (change["recorded_on"], change["from"], change["to"]) == ("2026-03-05", 20, 30)


def test_the_overview_of_an_account_has_its_health(service: Service) -> None:
    customers(service, acme=50)
    overview = service.get("/v1/accounts/acme/overview")
    assert overview["health"] == service.get("/v1/accounts/acme/health")
    values = {metric["metric"]: metric["running"]["value"] for metric in overview["metrics"]}
    assert values["health_score"] == 50


def test_checks_hold_and_name_those_of_health(service: Service) -> None:
    customers(service, acme=50, globex=33)
    found = {check["name"]: check for check in service.get("/v1/checks")["checks"]}
    names = ["health_contributions", "health_differences", "health_bands"]
    assert [(found[name]["ok"], found[name]["compared"]) for name in names] == [(True, 2)] * 3


def test_a_check_fails_where_the_differences_of_a_customer_do_not_add_up(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    customers(service, acme=50, globex=33)
    monkeypatch.setattr(checks, "compare", lambda before, after: compare(before, after)[1:])
    failed = [check for check in service.get("/v1/checks")["checks"] if not check["ok"]]
    assert [check["name"] for check in failed] == ["health_differences"]
    differences = {own["account"]: (own["one"], own["other"]) for own in failed[0]["differences"]}
    assert differences == {"acme": (50, 0), "globex": (33, 0)}
