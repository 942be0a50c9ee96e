"""What needs attention, over HTTP: histories in which a detector fires, and those in which it does not."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest

from app.database.connection import Connection
from app.insights import answers
from app.insights.define import DETECTORS
from tests.insights.histories import activity, cancellations, customers, follow, insights, names
from tests.support.command import run_command
from tests.support.service import Service, account_update, event, session, survey_responses


def test_an_empty_database_needs_no_attention(service: Service) -> None:
    answer = service.get("/v1/insights")
    summary = {"critical": 0, "warning": 0, "notice": 0}
    assert answer == {"question": {}, "summary": summary, "small_samples": 0, "rows": [], "next": None}


def test_a_calm_company_needs_no_attention(service: Service) -> None:
    accounts = names(30)
    service.send(*customers(*accounts, seats=2))
    service.send(*(own for account in accounts for own in activity(account, first=80, last=1, every=7)))
    assert insights(service) == {}


def test_a_churn_spike_names_the_accounts_that_left(service: Service) -> None:
    accounts = names(100)
    service.send(*customers(*accounts[:99]), *customers(accounts[99], mrr="900"))
    service.send(*cancellations(accounts[92:], "2026-02-10"))
    own = insights(service)["churn_spike"]
    assert own["severity"] == "warning"
    assert own["sentence"].startswith("8% of customers (8 of 100) left in 2026-02, against 0% a month")
    assert (own["period"], own["start"], own["end"]) == ("2026-02", "2026-02-01", "2026-03-01")
    assert (own["sample_size"], own["confidence"]) == (100, "high")
    assert own["accounts"]["count"] == 8
    assert own["accounts"]["first"][0] == {"account": "customer-099", "detail": "MRR lost: 900.00 USD"}
    assert len(own["accounts"]["first"]) == 5
    assert follow(service, own["question"])["rows"][-1]["value"] == 8
    everyone = follow(service, own["accounts"]["link"])
    assert everyone["rows"][:5] == own["accounts"]["first"]
    assert {row["account"] for row in everyone["rows"]} == {*accounts[92:]}


def test_the_same_churn_in_the_running_month_is_no_spike_yet(service: Service) -> None:
    accounts = names(100)
    service.send(*customers(*accounts), *cancellations(accounts[:20], "2026-03-10"))
    assert "churn_spike" not in insights(service)
    service.on("2026-04-01")
    assert insights(service)["churn_spike"]["severity"] == "critical"


@pytest.mark.parametrize(("count", "confidence"), [(4, None), (6, "low"), (30, "medium"), (100, "high")])
def test_few_customers_are_no_evidence(service: Service, count: int, confidence: str | None) -> None:
    """All customers pay the same, and half of the MRR of each is lost in February."""
    accounts = names(count)
    service.send(*customers(*accounts), *customers(*accounts, at="2026-02-10", mrr="50"))
    answer = service.get("/v1/insights", detector="grr_drop")
    assert [row["confidence"] for row in answer["rows"]] == ([confidence] if confidence else [])
    assert answer["small_samples"] == (confidence is None)


def test_an_account_that_used_the_product_and_stopped_is_silent(service: Service) -> None:
    service.send(*customers("acme", mrr="500"), *customers("globex", mrr="9500"), *customers("initech"))
    service.send(*activity("acme", first=69, last=15, every=4), *activity("globex", first=69, last=1, every=4))
    own = insights(service)["account_gone_silent"]
    assert own["severity"] == "warning"
    assert own["sentence"].startswith(
        "1 customer with MRR of 500.00 USD (5% of all) had no active user in the last 14 days"
    )
    assert own["accounts"]["first"] == [{"account": "acme", "detail": "MRR 500.00 USD"}]
    assert {row["group"]["account"] for row in follow(service, own["question"])["rows"]} == {"acme"}


@pytest.mark.parametrize("history", ["active since", "never active", "now and then", "gone"])
def test_other_accounts_are_not_silent(service: Service, history: str) -> None:
    service.send(*customers("acme", "globex"), *activity("globex", first=69, last=1))
    if history == "active since":
        service.send(*activity("acme", first=69, last=14))
    elif history == "now and then":
        service.send(*activity("acme", first=69, last=60), *activity("acme", first=20, last=15))
    elif history == "gone":
        service.send(*activity("acme", first=69, last=15), *cancellations(["acme"], "2026-02-20"))
    assert "account_gone_silent" not in insights(service)


def test_silence_of_everybody_is_a_fault_of_the_data(service: Service) -> None:
    service.send(*customers("acme"), *activity("acme", first=69, last=4, users=3))
    assert [own for own in insights(service) if own in ("usage_stopped", "account_gone_silent")] == ["usage_stopped"]
    service.send(*activity("acme", first=3, last=3))
    assert "usage_stopped" not in insights(service)


def test_nps_has_to_fall_by_more_than_chance(service: Service) -> None:
    for month in ("2025-11", "2025-12", "2026-01"):
        service.send(*survey_responses("nps", [10] * 30 + [8] * 20, at=f"{month}-10"))
    service.send(*survey_responses("nps", [10] * 3 + [0] * 2, "globex", at="2026-02-10"))
    assert "nps_drop" not in insights(service)
    service.send(*survey_responses("nps", [10] * 17 + [0] * 18, "globex", at="2026-02-11"))
    own = insights(service)["nps_drop"]
    assert own["sentence"].startswith("NPS fell to 0 in 2026-02 (40 responses), 60 points below")
    assert own["accounts"]["first"] == [{"account": "globex", "detail": "20 detractors"}]
    assert own["confidence"] == "medium"


def test_a_feature_that_loses_users_is_named(service: Service) -> None:
    for month, exporters in (("2025-11", 30), ("2025-12", 30), ("2026-01", 30), ("2026-02", 8)):
        users = [f"user-{number}" for number in range(60)]
        service.send(*(session(at=f"{month}-10", user=user) for user in users))
        service.send(
            *(event("feature.used", at=f"{month}-11", user=user, feature="export/all") for user in users[:exporters])
        )
    own = insights(service, detector="feature_losing_users")["feature_losing_users:export/all"]
    assert own["subject"] == "export/all"
    assert own["sentence"].startswith("export/all had 8 users in 2026-02, 73.3% less than the median")
    assert [row["numerator"] for row in follow(service, own["question"])["rows"]] == [30, 30, 30, 8]


def test_seats_that_nobody_uses_are_counted(service: Service) -> None:
    service.send(
        *customers("acme", seats=40), *customers("globex", mrr="900", seats=10), *customers("initech", seats=50)
    )
    service.send(*activity("acme", first=40, last=16, users=4), *activity("globex", first=40, last=16, users=3))
    own = insights(service)["seats_unused"]
    assert own["sentence"].startswith("1 customer with 40 seats had 4 active users in 2026-02 (10% of its seats)")
    (row,) = follow(service, own["question"])["rows"]
    assert (row["group"], row["value"]) == ({"account": "acme"}, 10)


def test_seats_are_those_of_the_month_whose_users_are_counted(service: Service) -> None:
    service.send(*customers("acme", seats=40), *customers("globex", seats=20), *customers("initech", seats=60))
    service.send(*customers("umbrella", at="2026-02-20", seats=50), *customers("hooli", at="2026-03-02", seats=90))
    service.send(*(own for account in names(0) for own in activity(account, first=40, last=16, users=4)))
    for account in ("acme", "globex", "initech", "umbrella"):
        service.send(*activity(account, first=23, last=16, users=4))
    # One has more seats since, which nobody could use in that month; another has given back those that nobody used.
    service.send(
        event("subscription.changed", "globex", at="2026-03-03", subscription_id="s", mrr="100", seats=200),
        event("subscription.changed", "initech", at="2026-03-03", subscription_id="s", mrr="100", seats=12),
    )
    own = insights(service)["seats_unused"]
    assert [part["account"] for part in own["accounts"]["first"]] == ["acme", "globex"]
    assert own["sentence"].startswith("2 customers with 60 seats had 8 active users in 2026-02 (13.3% of their seats)")
    rows = follow(service, own["question"])["rows"]
    assert [(row["numerator"], row["denominator"]) for row in rows] == [(4, 40), (4, 20)]


def test_trials_that_nobody_uses_stall(service: Service) -> None:
    trials = names(10, "trial")
    service.send(*(event("trial.started", own, at="2026-02-25", trial_id="t") for own in trials))
    service.send(event("trial.converted", trials[9], at="2026-03-02", trial_id="t"))
    service.send(*(session(own, at="2026-03-05") for own in trials[4:9]))
    own = insights(service)["trials_stalling"]
    assert own["sentence"].startswith(
        "4 of 9 accounts with a running trial had no active user in the last 14 days (44.4%)"
    )
    assert own["accounts"]["count"] == 4
    assert own["confidence"] == "low"


def test_a_contract_that_is_due_while_nobody_is_active(service: Service) -> None:
    service.send(*customers("acme", "globex", "initech"), *activity("globex", first=30, last=1))
    service.send(
        *(event("renewal.due", own, at="2026-03-01", contract_id="c") for own in ("acme", "globex", "initech"))
    )
    service.send(event("renewal.completed", "initech", at="2026-03-02", contract_id="c"))
    own = insights(service)["renewals_without_activity"]
    assert own["accounts"]["first"] == [{"account": "acme", "detail": "MRR 100.00 USD, due: 1"}]
    assert (own["severity"], own["sample_size"], own["confidence"]) == ("critical", None, "high")
    follow(service, own["question"])


def test_slower_first_replies_are_seen(service: Service) -> None:
    for month, hour in (("2025-11", 14), ("2025-12", 14), ("2026-01", 14), ("2026-02", 17)):
        for number in range(10):
            id = f"{month}-{number}"
            service.send(
                event("ticket.opened", at=f"{month}-10", ticket_id=id),
                event("ticket.replied", at=f"{month}-10T{hour}:00:00Z", ticket_id=id, by="agent"),
            )
    own = insights(service)["first_response_slower"]
    assert own["sentence"].startswith("First replies took 5 hours on average in 2026-02 (10 tickets), against 2 hours")


def test_detractors_wait_for_an_answer(service: Service) -> None:
    service.send(*survey_responses("nps", [2], at="2026-03-01", comment="Slow."))
    own = insights(service)["detractors_unanswered"]
    assert own["sentence"].startswith("1 comment of detractors has no answer, the oldest for 14 days.")
    (comment,) = follow(service, own["question"])["feedback"]
    assert own["accounts"]["first"] == [
        {"account": "acme", "detail": f"1 comment, the oldest for 14 days: {comment['id']}"}
    ]
    service.request("PATCH", f"/v1/feedback/{comment['id']}", json={"status": "in_progress"})
    assert "detractors_unanswered" not in insights(service)


def test_all_accounts_with_detractors_without_an_answer_are_listed(service: Service) -> None:
    for account, days in (("globex", ["02-10", "03-02"]), ("acme", ["03-01"]), ("initech", ["03-14"])):
        for day in days:
            service.send(*survey_responses("nps", [2], account, at=f"2026-{day}", comment="Slow."))
    own = insights(service)["detractors_unanswered"]
    assert own["sentence"].startswith("4 comments of detractors have no answer, the oldest for 33 days.")
    assert own["accounts"]["count"] == 3
    rows = follow(service, own["accounts"]["link"])["rows"]
    assert [(row["account"], row["detail"].partition(": ")[0]) for row in rows] == [
        ("globex", "2 comments, the oldest for 33 days"),
        ("acme", "1 comment, the oldest for 14 days"),
        ("initech", "1 comment, the oldest for 1 day"),
    ]


def test_a_month_that_was_closed_has_changed(service: Service) -> None:
    service.on("2026-02-05").send(*customers(*names(10)))
    service.on("2026-03-15").send(
        event("subscription.changed", "late", at="2025-11-10", subscription_id="s", mrr="100")
    )
    own = insights(service)["restated_month"]
    assert own["severity"] == "warning"
    assert own["sentence"].startswith("MRR of 2026-01 is 1100.00 USD now and was 1000.00 USD 30 days ago (+10%).")
    assert [(row["from"], row["to"]) for row in follow(service, own["question"])["rows"]][-1] == (1000, 1100)
    assert "restated_month" not in insights(service.on("2026-04-20"))


def test_a_history_that_was_imported_later_is_no_restatement(service: Service) -> None:
    service.send(*customers(*names(10)))
    assert "restated_month" not in insights(service.on("2026-03-25"))


def test_revenue_insights_have_working_questions(service: Service) -> None:
    service.send(*customers(*names(9), at="2025-01-10"), *customers("acme", at="2025-01-10", mrr="900"))
    service.send(*customers("acme", at="2026-02-10", mrr="600"))
    found = insights(service)
    assert {"nrr_under_100", "grr_drop", "mrr_concentration"} <= found.keys()
    assert found["mrr_concentration"]["severity"] == "warning"
    assert found["mrr_concentration"]["accounts"]["count"] == 1
    assert follow(service, found["nrr_under_100"]["question"])["rows"][0]["value"] == pytest.approx(83.333333)
    assert follow(service, found["mrr_concentration"]["question"])["rows"][0]["account"] == "acme"
    assert found["grr_drop"]["accounts"]["first"] == [{"account": "acme", "detail": "MRR lost: 300.00 USD"}]


def test_a_target_that_is_behind_is_named(service: Service) -> None:
    service.send(*survey_responses("nps", [10] * 20 + [5] * 20, at="2026-02-10"))
    service.put(
        "/v1/targets/nps%20goal", {"metric": "nps", "granularity": "quarter", "value": 40, "from": "2026-01-01"}
    )
    own = insights(service)["target_behind:nps goal"]
    assert own["subject"] == "nps goal"
    assert own["sentence"].startswith("nps is 0 in 2026-Q1: behind its target of 40 (nps goal).")
    assert follow(service, own["question"])["rows"][0]["value"] == 0


def test_a_target_of_few_things_is_behind_although_few_have_happened(service: Service) -> None:
    service.send(*customers("acme", at="2026-02-02"))
    service.send(account_update("acme", plan="free"))
    target = {"metric": "customers_new", "granularity": "quarter", "value": 10, "from": "2026-01-01"}
    service.put("/v1/segments/paid", {"filter": "plan is null"})
    service.put("/v1/targets/new", target)
    service.put("/v1/targets/none", target | {"segment": "paid"})
    found = insights(service)
    for id in ("new", "none"):
        assert (found[f"target_behind:{id}"]["confidence"], found[f"target_behind:{id}"]["sample_size"]) == (
            "high",
            None,
        )
    assert found["target_behind:none"]["sentence"].startswith(
        "customers_new (segment paid) is 0 in 2026-Q1, where 8.2 "
    )


def test_the_sentence_of_a_target_has_the_units_of_its_metric(service: Service) -> None:
    service.send(*customers(*names(200)), *cancellations(names(3), "2026-03-02"))
    service.send(*(event("ticket.opened", at="2026-03-01", ticket_id=f"t-{number}") for number in range(3)))
    plan = {"from": "2026-01-01", "until": "2027-01-01", "path": "linear", "baseline": 100, "granularity": "month"}
    service.put("/v1/targets/revenue", {"metric": "mrr", "value": 120000} | plan)
    service.put("/v1/targets/churn", {"metric": "customer_churn_rate", "granularity": "month", "value": 1.49})
    service.put("/v1/targets/tickets", {"metric": "support_tickets", "granularity": "month", "value": 2})
    found = insights(service, detector="target_behind")
    assert [found[f"target_behind:{id}"]["sentence"] for id in ("revenue", "churn", "tickets")] == [
        "mrr is 19700.00 USD in 2026-03, where 24408.49 USD was expected by now: behind its target of 29664.38 USD (revenue). "
        "It fires after 25% of the period.",
        "customer_churn_rate is 1.5% in 2026-03: behind its target of 1.49% (churn). It fires after 25% of the period.",
        "support_tickets is 3 in 2026-03: its target of 2 is missed (tickets). It fires as soon as that is certain.",
    ]


def test_a_large_account_whose_health_is_worse(service: Service) -> None:
    accounts = names(9)
    service.send(*customers(*accounts), *customers("acme", mrr="900"))
    service.send(*activity("acme", first=160, last=20, users=4))
    service.send(*(own for account in accounts for own in activity(account, first=160, last=1, every=3)))
    own = insights(service)["health_worsened"]
    assert [part["account"] for part in own["accounts"]["first"]] == ["acme"]
    assert "healthy" in own["accounts"]["first"][0]["detail"]
    follow(service, own["question"])


def company_in_trouble(service: Service) -> None:
    accounts = names(60)
    service.send(*customers(*accounts, at="2025-01-10"), *customers("acme", at="2025-01-10", mrr="9000"))
    service.send(*cancellations(accounts[50:], "2026-02-10"), *activity("acme", first=69, last=15, users=2))
    service.send(*activity("customer-000", first=69, last=1))
    service.send(*survey_responses("nps", [2], at="2026-03-01", comment="Slow."))


def test_insights_of_a_day_stay_the_same(service: Service) -> None:
    company_in_trouble(service)
    now = service.get("/v1/insights")
    assert len(now["rows"]) >= 4
    service.on("2026-03-16").send(
        *cancellations(names(40), "2026-02-11"), *activity("acme", first=14, last=1), *survey_responses("nps", [9] * 40)
    )
    later = service.get("/v1/insights", as_of="2026-03-15")
    differences = [(a, b) for a, b in zip(now["rows"], later["rows"], strict=True) if a["id"] != b["id"]]
    assert differences == []
    for before, after in zip(now["rows"], later["rows"], strict=True):
        assert {**before, "question": "", "accounts": before["accounts"]["first"]} == {
            **after,
            "question": "",
            "accounts": after["accounts"]["first"],
        }
        follow(service, after["question"])
        if link := after["accounts"]["link"]:
            assert len(follow(service, link)["rows"]) == after["accounts"]["count"]
    assert service.get("/v1/insights")["rows"] != now["rows"]


def test_before_the_first_day_nothing_is_known(service: Service) -> None:
    company_in_trouble(service)
    answer = service.get("/v1/insights", as_of="2026-03-14")
    assert (answer["rows"], answer["reason"]) == ([], "nothing_known_yet")


def test_insights_are_filtered_by_severity_and_detector_and_come_in_pages(service: Service) -> None:
    company_in_trouble(service)
    everything = service.get("/v1/insights")
    severities = [row["severity"] for row in everything["rows"]]
    assert severities == sorted(severities, key=["critical", "warning", "notice"].index)
    critical = service.get("/v1/insights", severity="critical")
    assert [row["id"] for row in critical["rows"]] == [
        row["id"] for row in everything["rows"] if row["severity"] == "critical"
    ]
    assert critical["summary"] == everything["summary"]
    chosen = service.get("/v1/insights", detector=["churn_spike", "nps_drop"])
    assert [row["detector"] for row in chosen["rows"]] == ["churn_spike"]
    pages, cursor = [], None
    while True:
        page = service.get("/v1/insights", limit=2, **({"cursor": cursor} if cursor else {}))
        pages += page["rows"]
        if (cursor := page["next"]) is None:
            break
    assert pages == everything["rows"]


def test_insights_come_as_csv_and_with_an_etag(service: Service) -> None:
    company_in_trouble(service)
    response = service.request("GET", "/v1/insights", params={"format": "csv"})
    rows = list(csv.DictReader(io.StringIO(response.text)))
    assert [row["id"] for row in rows] == [row["id"] for row in service.get("/v1/insights")["rows"]]
    churn = next(row for row in rows if row["id"] == "churn_spike")
    assert churn["account_count"] == "10"
    assert set(churn["first_accounts"].split(", ")) < {*names(60)[50:]}
    assert churn["accounts"] == "/v1/insights/churn_spike/accounts"
    headers = {"If-None-Match": response.headers["etag"]}
    assert service.request("GET", "/v1/insights", params={"format": "csv"}, headers=headers).status_code == 304
    accounts = service.request("GET", "/v1/insights/churn_spike/accounts", params={"format": "csv"})
    assert len(accounts.text.splitlines()) == 11


def test_the_catalogue_lists_every_detector(service: Service) -> None:
    entries = service.get("/v1/insight-detectors")["detectors"]
    assert [entry["name"] for entry in entries] == sorted(DETECTORS)
    churn = next(entry for entry in entries if entry["name"] == "churn_spike")
    assert churn["thresholds"]["material"] == {
        "value": 3,
        "unit": "percent",
        "description": "Churn of the month from which it fires.",
    }


@pytest.mark.parametrize(
    ("path", "parameters", "status", "code"),
    [
        ("/v1/insights", {"severity": "urgent"}, 422, "invalid"),
        ("/v1/insights", {"detector": "churn_spikes"}, 422, "unknown_detector"),
        ("/v1/insights", {"as_of": "2026-03-16"}, 422, "invalid_as_of"),
        ("/v1/insights", {"as_of": "1970-01-01"}, 422, "invalid_as_of"),
        ("/v1/insights", {"cursor": "nothing"}, 422, "invalid_cursor"),
        ("/v1/insights/churn_spikes/accounts", {}, 404, "unknown_insight"),
    ],
)
def test_a_wrong_question_is_a_clear_problem(
    service: Service, path: str, parameters: dict[str, Any], status: int, code: str
) -> None:
    response = service.request("GET", path, params=parameters)
    assert (response.status_code, response.json()["code"]) == (status, code)


def test_an_insight_that_does_not_fire_has_no_accounts(service: Service) -> None:
    assert service.get("/v1/insights/churn_spike/accounts")["rows"] == []


def test_the_number_of_statements_is_fixed(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[int] = []
    fetch_batch, execute, find = Connection.fetch_batch, Connection.execute, answers.find_insights

    async def count_batch(self: Connection, *bound: Any) -> Any:
        sent.append(len(bound))
        return await fetch_batch(self, *bound)

    async def count_one(self: Connection, *arguments: Any, **more: Any) -> Any:
        sent.append(1)
        return await execute(self, *arguments, **more)

    async def count_statements(*arguments: Any) -> Any:
        """Count what is sent for insights, and not what is now and then sent for the books."""
        sent.clear()
        with monkeypatch.context() as patch:
            patch.setattr(Connection, "fetch_batch", count_batch)
            patch.setattr(Connection, "execute", count_one)
            return await find(*arguments)

    def statements_of_an_answer() -> list[int]:
        service.get("/v1/insights")  # The labels are in memory after the first.
        service.get("/v1/insights")
        return sorted(sent)

    company_in_trouble(service)
    monkeypatch.setattr(answers, "find_insights", count_statements)
    few = statements_of_an_answer()
    more = names(150, "more")
    service.send(*customers(*more), *cancellations(more[:30], "2026-02-12"))
    service.send(*(own for account in more[30:60] for own in activity(account, first=60, last=15, every=9)))
    assert statements_of_an_answer() == few
    assert sum(few) < 50


def test_the_command_prints_what_http_answers(database: str, service: Service, tmp_path: Path) -> None:
    company_in_trouble(service)
    settings = {"DATABASE_URL": database}
    json_text = run_command("insights", "--format", "json", "--as-of", "2026-03-15", folder=tmp_path, **settings).stdout
    assert [row["id"] for row in json.loads(json_text)["rows"]] == [*insights(service, as_of="2026-03-15")]
    text = run_command("insights", "--detector", "churn_spike", "--as-of", "2026-03-15", folder=tmp_path, **settings)
    assert "CRITICAL  Churn spike" in text.stdout and "5 more" in text.stdout
    nothing = run_command("insights", "--detector", "nps_drop", folder=tmp_path, **settings)
    assert "Nothing needs attention." in nothing.stdout
    wrong = run_command("insights", "--detector", "churn", folder=tmp_path, **settings)
    assert wrong.returncode == 1 and 'Did you mean "churn_spike"?' in wrong.stdout + wrong.stderr
