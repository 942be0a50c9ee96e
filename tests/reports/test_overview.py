"""The overview of an account."""

from datetime import datetime
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.model.calendar import DAY
from tests.model.generators import random_event
from tests.model.pair import Pair
from tests.support.campaign import examples
from tests.support.service import Service, account_update, event, session, survey_responses

FEW_EXAMPLES = settings(deadline=None, max_examples=examples(6), suppress_health_check=list(HealthCheck))


def overview(service: Service, account: str = "acme", **parameters: Any) -> Any:
    return service.get(f"/v1/accounts/{account}/overview", **parameters)


def ticket(verb: str, at: str, id: str = "T-1", **data: Any) -> dict[str, Any]:
    return event(f"ticket.{verb}", at=at, ticket_id=id, **data)


def test_every_metric_is_the_same_as_in_an_answer_of_its_own(service: Service) -> None:
    service.send(
        session(at="2026-02-10"),
        *survey_responses("nps", [9, 3], at="2026-02-11"),
        event("subscription.changed", at="2026-01-10", subscription_id="one", mrr="100", seats=4),
        session("globex", at="2026-02-10"),
    )
    metrics = {entry["metric"]: entry for entry in overview(service)["metrics"]}
    names = {metric["name"] for metric in service.get("/v1/metrics")["metrics"]}
    assert metrics.keys() == names
    for name, entry in metrics.items():
        rows = service.rows(name, account="acme")
        alone = [{key: value for key, value in row.items() if key not in ("metric", "group")} for row in rows]
        assert (entry["latest"], entry["running"]) == (alone[-2], alone[-1])
        assert [point["value"] for point in entry["trend"]] == [row["value"] for row in rows]
    assert (metrics["sessions"]["latest"]["value"], metrics["sessions"]["latest"]["period"]) == (1, "2026-02")


def test_the_overview_has_name_and_attributes(service: Service) -> None:
    service.put(
        "/v1/accounts/acme", {"name": "Acme", "effective_at": "2026-01-01T00:00:00Z", "attributes": {"plan": "pro"}}
    )
    account = overview(service)
    assert (account["id"], account["name"], account["attributes"]) == ("acme", "Acme", {"name": "Acme", "plan": "pro"})


def test_mrr_movements_are_listed_newest_first(service: Service) -> None:
    service.send(
        event("subscription.changed", at="2026-01-10", subscription_id="one", mrr="100"),
        event("subscription.changed", at="2026-02-10", subscription_id="one", mrr="80.5"),
        event("subscription.canceled", at="2026-03-10", subscription_id="one", reason="price"),
    )
    retracted = event("subscription.changed", at="2026-02-20", subscription_id="one", mrr="500")
    service.send(retracted)
    service.retract("acme", retracted["id"])
    assert overview(service)["movements"] == [
        {"on": "2026-03-10", "kind": "churned", "amount": "80.50", "reason": "price"},
        {"on": "2026-02-10", "kind": "contraction", "amount": "19.50", "reason": None},
        {"on": "2026-01-10", "kind": "new", "amount": "100.00", "reason": None},
    ]


def test_open_tickets_are_listed_oldest_first(service: Service) -> None:
    service.send(
        ticket("opened", "2026-03-05", channel="email", priority="low"),
        ticket("replied", "2026-03-06", by="agent", priority="high"),
        ticket("opened", "2026-03-01", "resolved"),
        ticket("resolved", "2026-03-02", "resolved"),
        ticket("replied", "2026-03-03", "resolved", by="customer"),
        ticket("opened", "2026-03-01", "again"),
        ticket("resolved", "2026-03-02", "again"),
        ticket("reopened", "2026-03-03", "again"),
        ticket("resolved", "2026-03-04", "unheard"),
        ticket("replied", "2026-03-07", "only-a-reply"),
    )
    assert [(ticket["ticket_id"], ticket["opened_at"]) for ticket in overview(service)["open_tickets"]] == [
        ("again", "2026-03-01T12:00:00Z"),
        ("T-1", "2026-03-05T12:00:00Z"),
        ("only-a-reply", "2026-03-07T12:00:00Z"),
    ]
    first = overview(service)["open_tickets"][1]
    assert (first["channel"], first["priority"], first["last_at"]) == ("email", "high", "2026-03-06T12:00:00Z")


def test_an_open_ticket_begins_with_its_opening_whatever_the_times_say(service: Service) -> None:
    service.send(
        ticket("resolved", "2026-03-02", channel="chat", priority="low"),
        ticket("reopened", "2026-03-03"),
        ticket("opened", "2026-03-05", channel="email", priority="high"),
        ticket("opened", "2026-03-06"),
        ticket("resolved", "2026-03-04", "two-clocks"),
        ticket("opened", "2026-03-05", "two-clocks"),
        # It will be opened tomorrow.
        ticket("replied", "2026-03-15", "ahead-of-time"),
        ticket("opened", "2026-03-16", "ahead-of-time"),
    )
    (listed,) = overview(service)["open_tickets"]
    assert (listed["ticket_id"], listed["opened_at"]) == ("T-1", "2026-03-05T12:00:00Z")
    assert (listed["channel"], listed["priority"]) == ("email", "low")
    assert service.row("ticket_backlog", period="this_month")["value"] == 1


def test_responses_and_comments_are_listed_with_the_class_of_the_score(service: Service) -> None:
    service.put("/v1/surveys/effort", {"kind": "ces", "scale": {"min": 1, "max": 7}, "easy_is": "low"})
    service.send(
        *survey_responses("nps", [9], at="2026-03-01", comment="Fast help.", channel="email", user="ada"),
        *survey_responses("csat", [3], at="2026-03-02"),
        *survey_responses("effort", [4], at="2026-03-03"),
        *survey_responses("effort", [2], at="2026-03-04"),
        event("feedback.received", at="2026-03-05", comment="Dark mode?", tags=["ui"]),
        *survey_responses("nps", [0], "globex", at="2026-03-06"),
    )
    responses = overview(service)["answers"]
    assert [(response["survey"], response["score"], response["class"]) for response in responses] == [
        (None, None, None),
        ("effort", 2, "easy"),
        ("effort", 4, "neutral"),
        ("csat", 3, "unsatisfied"),
        ("nps", 9, "promoter"),
    ]
    assert (responses[0]["comment"], responses[0]["tags"]) == ("Dark mode?", ["ui"])
    assert (responses[-1]["comment"], responses[-1]["channel"], responses[-1]["user_id"]) == (
        "Fast help.",
        "email",
        "ada",
    )


def test_the_last_activity_is_the_last_session_or_use_of_a_feature(service: Service) -> None:
    assert service.send(account_update())["accepted"] == 1
    assert overview(service)["last_activity"] is None
    service.send(
        session(at="2026-03-10"),
        event("feature.used", at="2026-03-09", user="bob", feature="export"),
        # A session of tomorrow does not count yet.
        session(at="2026-03-16T09:00:00Z", user="eve"),
        session("globex", at="2026-03-11"),
    )
    assert overview(service)["last_activity"] == {
        "at": "2026-03-10T12:00:00Z",
        "type": "session.ended",
        "user_id": "ada",
    }


def test_the_trend_has_the_periods_of_the_question(service: Service) -> None:
    service.send(session(at="2026-02-10"))
    metric = overview(service, start="2025-10-01", end="2026-01-01", granularity="quarter")["metrics"][0]
    assert [point["period"] for point in metric["trend"]] == ["2025-Q4"]
    assert (metric["latest"]["period"], metric["running"]) == ("2025-Q4", None)


@pytest.mark.parametrize(
    ("parameters", "pointer"),
    [
        ({"granularity": "day", "period": "2026"}, "/query/granularity"),
        ({"granularity": "minute"}, "/query/granularity"),
        ({"period": "soon"}, "/query/period"),
        ({"as_of": "2026-01-01"}, "/query/as_of"),
    ],
)
def test_invalid_parameters_of_an_overview_are_errors(service: Service, parameters: Any, pointer: str) -> None:
    service.send(session())
    answer = service.request("GET", "/v1/accounts/acme/overview", params=parameters)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, pointer)


def test_an_unknown_account_is_not_found(service: Service) -> None:
    assert service.request("GET", "/v1/accounts/nobody/overview").status_code == 404


def test_an_unchanged_overview_is_answered_304(service: Service) -> None:
    service.send(session())
    tag = service.request("GET", "/v1/accounts/acme/overview").headers["etag"]
    path, headers = "/v1/accounts/acme/overview", {"If-None-Match": tag}
    assert service.request("GET", path, headers=headers).status_code == 304
    service.send(session())
    assert service.request("GET", path, headers=headers).status_code == 200


def test_the_open_tickets_agree_with_the_ticket_backlog(service: Service) -> None:
    @FEW_EXAMPLES
    @given(st.builds(Random, st.integers(0, 2**32)))
    def run(random: Random) -> None:
        pair = Pair(service)
        for _ in range(3):
            pair.send(*(random_event(random, pair) for _ in range(20)))
            pair.on(pair.today + DAY * random.randrange(1, 9), hours=8)
        for history in pair.model.histories(pair.today):
            listed = overview(service, history.account)["open_tickets"]
            backlog = service.row("ticket_backlog", account=history.account, period="this_month")["value"]
            assert len(listed) == backlog
            opened_at = {ticket.events[0].data["ticket_id"]: ticket.opened for ticket in history.tickets}
            for row in listed:
                assert datetime.fromisoformat(row["opened_at"]) == opened_at[row["ticket_id"]]

    run()


def test_the_whole_range_can_be_one_period(service: Service) -> None:
    service.send(
        event("subscription.changed", at="2025-01-10", subscription_id="one", mrr="100"),
        event("subscription.changed", at="2025-09-10", subscription_id="one", mrr="130"),
        event("subscription.changed", at="2026-03-10", subscription_id="one", mrr="150"),
    )
    year = overview(service, period="last_12_months", granularity="total")
    nrr = next(entry for entry in year["metrics"] if entry["metric"] == "nrr")
    assert (nrr["latest"]["start"], nrr["latest"]["end"], nrr["latest"]["value"]) == ("2025-03-01", "2026-03-01", 130)
    assert (nrr["running"], [point["value"] for point in nrr["trend"]]) == (None, [130])
    running = next(entry for entry in overview(service, granularity="total")["metrics"] if entry["metric"] == "nrr")
    assert (running["latest"], running["running"]["value"]) == (None, 150)
