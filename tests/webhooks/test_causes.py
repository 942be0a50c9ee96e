"""What ingest causes: in the transaction of the events, once, and only what is news."""

from collections.abc import Callable
from typing import Any

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.core.errors import Unavailable
from app.ingest import write
from app.webhooks.define import TOPICS
from tests.support.campaign import examples
from tests.support.service import Service, account_update, event
from tests.webhooks.hooks import Hooks
from tests.webhooks.test_delivery import detractor

Query = Callable[[str], list[Any]]


def subscription(mrr: str | None = None, account: str = "acme", **rest: Any) -> dict[str, Any]:
    type = "subscription.canceled" if mrr is None else "subscription.changed"
    data = {} if mrr is None else {"mrr": mrr}
    return event(type, account, subscription_id=rest.pop("subscription_id", "base"), **data, **rest)


@pytest.fixture
def subscribed(hooks: Hooks) -> Hooks:
    hooks.create("http://127.0.0.1:1025/")
    return hooks


def moves(hooks: Hooks, query_database: Query) -> list[dict[str, Any]]:
    """Return the data of the messages about MRR, each checked by its schema."""
    messages = [own["data"] for own in hooks.messages(query_database) if own["type"] == "mrr.moved"]
    for data in messages:
        jsonschema.validate(data, TOPICS["mrr.moved"].schema)
    return messages


def movements(data: dict[str, Any]) -> list[tuple[str, str, str]]:
    return [(own["kind"], own["effective_on"], own["amount"]) for own in data["movements"]]


def test_each_movement_of_mrr_makes_one_message_with_the_value_before_and_after(
    service: Service, subscribed: Hooks, query_database: Query
) -> None:
    service.send(account_update(plan="pro", name="ignored"))
    for mrr, day in (("100", "2026-03-01"), ("130.50", "2026-03-05"), ("80", "2026-03-09"), (None, "2026-03-12")):
        service.send(subscription(mrr, at=day, id=f"on-{day}", **({} if mrr else {"reason": "price"})))
        service.later(seconds=1)
    service.send(subscription("60", at="2026-03-14", subscription_id="new"))
    found = moves(subscribed, query_database)
    assert [movements(data) for data in found] == [
        [("new", "2026-03-01", "100.00")],
        [("expansion", "2026-03-05", "30.50")],
        [("contraction", "2026-03-09", "50.50")],
        [("churned", "2026-03-12", "80.00")],
        [("reactivated", "2026-03-14", "60.00")],
    ]
    assert [(data["previous"], data["value"], data["change"]) for data in found] == [
        (0, 100, 100),
        (100, 130.5, 30.5),
        (130.5, 80, -50.5),
        (80, 0, -80),
        (0, 60, 60),
    ]
    assert found[1]["events"] == ["on-2026-03-05"] and found[3]["movements"][0]["reason"] == "price"
    assert found[0]["account"]["attributes"]["plan"] == "pro"
    assert service.request("GET", found[-1]["links"]["question"]).json()["rows"][0]["value"] == 60


def test_a_scheduled_change_is_told_when_it_becomes_known(
    service: Service, subscribed: Hooks, query_database: Query
) -> None:
    service.send(subscription("100", at="2026-03-01"))
    service.later(seconds=1)
    service.send(subscription(at="2026-03-10", ends_at="2026-04-01T00:00:00Z"))
    data = moves(subscribed, query_database)[-1]
    assert (data["previous"], data["value"]) == (100, 100)
    assert data["movements"][0] == {
        "kind": "churned", "effective_on": "2026-04-01", "scheduled": True, "amount": "100.00"
    }  # fmt: skip
    service.later(seconds=1)
    service.send(subscription("140", at="2026-03-11", subscription_id="second"))
    data = moves(subscribed, query_database)[-1]
    assert (data["previous"], data["value"]) == (100, 240), "what is scheduled for this month is not there yet"


def test_a_late_event_and_a_retraction_tell_the_differences(
    service: Service, subscribed: Hooks, query_database: Query
) -> None:
    service.send(subscription("100", at="2026-03-10", id="first"))
    service.later(seconds=1)
    service.send(subscription("70", at="2026-03-05", id="late"))
    late = moves(subscribed, query_database)[-1]
    assert movements(late) == [
        ("new", "2026-03-05", "70.00"),
        ("new", "2026-03-10", "-100.00"),
        ("expansion", "2026-03-10", "30.00"),
    ]
    assert (late["previous"], late["value"]) == (100, 100)
    service.later(seconds=1)
    service.retract("acme", "first")
    back = moves(subscribed, query_database)[-1]
    assert (back["previous"], back["value"], back["events"]) == (100, 70, ["first"])
    assert movements(back) == [("expansion", "2026-03-10", "-30.00")]


def test_a_change_that_moves_nothing_is_no_message(service: Service, subscribed: Hooks, query_database: Query) -> None:
    service.send(subscription("100", at="2026-03-01", plan="pro"))
    service.send(subscription("100", at="2026-03-02", plan="team"))
    service.send(subscription("100", at="2026-03-02", plan="team", seats=4))
    assert len(moves(subscribed, query_database)) == 1


def test_a_batch_makes_one_message_for_each_account(service: Service, subscribed: Hooks, query_database: Query) -> None:
    accounts = [f"account-{number}" for number in range(30)]
    service.send(*(subscription("10", name, at="2026-03-01") for name in accounts))
    service.send(*(subscription("15", name, at="2026-03-02") for name in accounts), detractor())
    found = moves(subscribed, query_database)
    assert sorted(data["account"]["id"] for data in found) == sorted(2 * accounts)


def test_history_is_not_told(service: Service, subscribed: Hooks, query_database: Query) -> None:
    service.send(subscription("100", at="2026-02-11", account="old"), detractor(at="2026-02-11"))
    service.send(detractor(account="imported", at="2026-03-10", recorded_on="2026-03-10"))
    service.send(subscription("100", at="2026-03-10", account="imported"), recorded_on="2026-03-10")
    assert subscribed.messages(query_database) == []
    service.send(subscription("120", at="2026-02-12", account="old"), detractor(at="2026-02-12"))
    assert len(subscribed.messages(query_database)) == 2


def test_a_repeated_event_is_told_once(service: Service, subscribed: Hooks, query_database: Query) -> None:
    events = [detractor(id="r-1"), subscription("100", at="2026-03-10", id="s-1")]
    for _ in range(3):
        service.send(*events)
    assert len(subscribed.messages(query_database)) == 2


def test_feedback_without_a_score_and_scores_without_a_comment_are_told(
    service: Service, subscribed: Hooks, query_database: Query
) -> None:
    service.put("/v1/surveys/effort", {"kind": "ces", "scale": {"min": 1, "max": 7}, "easy_is": "high"})
    service.send(
        event("feedback.received", comment="Dark mode!", tags=["ui"], channel="call"),
        event("feedback.received", comment="  "),
        event("survey.responded", survey="effort", score=2),
        event("survey.responded", survey="nps", score=10, comment=""),
    )
    found = [own["data"] for own in subscribed.messages(query_database)]
    for data in found:
        jsonschema.validate(data, TOPICS["feedback.received"].schema)
    assert sorted((str(data["class"]), data["comment"]) for data in found) == [
        ("None", "Dark mode!"),
        ("difficult", None),
        ("promoter", None),
    ]
    assert all(("feedback" in data["links"]) == (data["comment"] is not None) for data in found)


def test_nothing_is_written_without_a_subscriber(service: Service, hooks: Hooks, query_database: Query) -> None:
    service.send(detractor(), subscription("100", at="2026-03-10"))
    endpoint = hooks.create("http://127.0.0.1:1025/", "mrr.moved")
    service.send(detractor(), subscription("110", at="2026-03-11"))
    assert [own["type"] for own in hooks.messages(query_database)] == ["mrr.moved"]
    hooks.patch(endpoint["id"], state="disabled")
    service.send(subscription("120", at="2026-03-12"))
    assert len(hooks.messages(query_database)) == 1


def test_a_transaction_that_fails_tells_nothing(
    service: Service, subscribed: Hooks, query_database: Query, monkeypatch: pytest.MonkeyPatch
) -> None:
    own_post = write.post_events

    async def fail(*arguments: Any, **options: Any) -> None:
        await own_post(*arguments, **options)
        raise Unavailable("after all statements")

    with monkeypatch.context() as patch:
        patch.setattr(write, "post_events", fail)
        assert service.request("POST", "/v1/events", json=[detractor(id="r-1")]).status_code == 503
    assert subscribed.messages(query_database) == []
    service.send(detractor(id="r-1"))
    assert len(subscribed.messages(query_database)) == 1


def test_links_begin_with_the_public_url(start_service: Callable[..., Service], query_database: Query) -> None:
    service = start_service(
        public_url="https://metrics.example.com/csm", webhook_allow_http=True, webhook_allowed_networks="127.0.0.1"
    )
    hooks = Hooks(service)
    hooks.create("http://127.0.0.1:1025/")
    service.send(detractor(account="a/b c"))
    [message] = hooks.messages(query_database)
    assert message["data"]["links"]["account"] == "https://metrics.example.com/csm/v1/accounts/a%2Fb%20c/overview"


_CHANGES = st.lists(
    st.tuples(st.sampled_from(["acme", "globex"]), st.sampled_from([None, "10", "25.5", "40"]), st.integers(1, 15)),
    min_size=1,
    max_size=8,
)


@given(_CHANGES)
@settings(max_examples=examples(10), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_messages_of_an_account_add_up_to_its_mrr(
    shared: Service, changes: list[tuple[str, str | None, int]]
) -> None:
    """Whatever comes, in any order: what the messages say was added is what the account has."""
    from tests.webhooks.hooks import allowing_hooks

    with allowing_hooks(shared) as hooks:
        hooks.create("http://127.0.0.1:1025/", "mrr.moved")
        run = f"run-{len(shared.get('/v1/accounts')['accounts'])}-{id(changes)}"
        for account, mrr, day in changes:
            shared.send(subscription(mrr, f"{run}-{account}", at=f"2026-03-{day:02}"))
        endpoint = shared.get("/v1/webhook-endpoints")["endpoints"][-1]
        hooks.deliver()
        rows = hooks.deliveries(endpoint["id"], limit=1000)
        payloads = [
            shared.get(f"/v1/webhook-endpoints/{endpoint['id']}/deliveries/{row['id']}")["payload"] for row in rows
        ]
        shared.request("DELETE", f"/v1/webhook-endpoints/{endpoint['id']}")
    for account in {account for account, _, _ in changes}:
        own = [message["data"] for message in payloads if message["data"]["account"]["id"] == f"{run}-{account}"]
        rows = shared.rows("mrr", account=f"{run}-{account}", period="2026-03")
        assert sum(data["change"] for data in own) == pytest.approx(rows[0]["value"] if rows else 0)
