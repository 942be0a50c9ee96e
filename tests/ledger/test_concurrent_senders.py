"""Many senders at once, on the same accounts: the same answers as when all events arrive in order."""

import asyncio
from collections.abc import Iterator
from random import Random
from typing import Any

import pytest

from tests.ingest.test_concurrency import count_deadlocks, post, shuffle, split_batches
from tests.support.service import Service, account_update, event, session

ACCOUNTS = [f"account-{number}" for number in range(3)]
SENDERS = 8
GAINS, LOSSES = ("mrr_new", "mrr_reactivated", "mrr_expansion"), ("mrr_contraction", "mrr_churned")
QUARTER = {"start": "2025-12-20", "end": "2026-03-16"}
METRICS = (
    "mrr,mrr_opening,mrr_net_change,customers,customers_opening,customers_new,customers_churned,customers_reactivated,"
    "customer_churn_rate,nrr,grr,active_users,registered_users,customer_engagement_rate,product_usage_rate,stickiness,"
    f"feature_adoption_rate,sessions,{','.join(GAINS + LOSSES)}"
)

Events = list[dict[str, Any]]


@pytest.fixture
def services(service: Service, database: str) -> Iterator[list[Service]]:
    """Run two services on the same database, as two processes would."""
    other = Service(database)
    other.runner = service.runner
    lifespan = other.app.router.lifespan_context(other.app)
    service.run(lifespan.__aenter__())
    yield [service, other]
    service.run(other.client.aclose())
    service.run(lifespan.__aexit__(None, None, None))


@pytest.fixture
def service_in_order(copy_database: Any) -> Iterator[Service]:
    """Run a service with a database of its own, which gets all events in the order in which they occurred."""
    with copy_database() as url, Service(url).open() as other_service:
        yield other_service


def random_time(random: Random) -> str:
    """Return one of few times, so that several events of an account occur at the same instant."""
    return f"2026-{random.randint(1, 3):02}-{random.choice([1, 2, 9, 10, 14]):02}T{random.choice([0, 9, 23]):02}:00:00Z"


def random_history(random: Random, account: str) -> Events:
    events: Events = [account_update(account, at="2026-01-01T00:00:00Z", plan=random.choice(["free", "pro"]))]
    for _ in range(12):
        fields: dict[str, Any] = {"subscription_id": random.choice(["base", "base", "more"]), "at": random_time(random)}
        if random.randrange(3):
            price = {"mrr": random.choice(["0", "40", "25.5", "120"]), "seats": random.randint(0, 9)}
            events.append(event("subscription.changed", account, plan=random.choice(["a", "b"]), **fields, **price))
        else:
            end = {"ends_at": random_time(random)} if random.randrange(2) else {}
            events.append(event("subscription.canceled", account, reason=random.choice(["x", "y"]), **fields, **end))
    for _ in range(20):
        fields_of_user = {"user": random.choice(["ada", "bob", "eve"]), "at": random_time(random)}
        kind = random.choice(["user.registered", "user.removed", "session", "session", "feature.used"])
        if kind == "session":
            events.append(session(account, seconds=60, **fields_of_user))
        else:
            events.append(
                event(kind, account, **fields_of_user, **({"feature": "export"} if kind == "feature.used" else {}))
            )
    return events


def query_all(service: Service) -> list[Any]:
    questions: list[dict[str, str]] = [
        {"group_by": "account"},
        {"group_by": "plan", "granularity": "week"},
        {"granularity": "day"},
        {"granularity": "total"},
    ]
    return [service.get("/v1/query", metrics=METRICS, **QUARTER, **question)["rows"] for question in questions]


def check_movements(rows: Events) -> None:
    values_by_key: dict[Any, dict[str, Any]] = {}
    for row in rows:
        values_by_key.setdefault((row["start"], repr(row["group"])), {})[row["metric"]] = row["value"]
    assert values_by_key
    for key, values_of_key in values_by_key.items():
        value = {name: values_of_key.get(name, 0) for name in METRICS.split(",")}
        net = sum(value[name] for name in GAINS) - sum(value[name] for name in LOSSES)
        assert value["mrr"] - value["mrr_opening"] == pytest.approx(net) == pytest.approx(value["mrr_net_change"]), key
        customers_gained = value["customers_new"] + value["customers_reactivated"] - value["customers_churned"]
        assert value["customers"] - value["customers_opening"] == customers_gained, key


def test_overlapping_batches_in_any_order_give_the_same_answers_as_in_order(
    service: Service, services: list[Service], service_in_order: Service
) -> None:
    events = [event for account in ACCOUNTS for event in random_history(Random(account), account)]
    accepted = []

    async def sender(number: int) -> None:
        random = Random(number)
        own_events = [event for index, event in enumerate(events) if index % SENDERS == number or random.random() < 0.4]
        for batch in split_batches(shuffle(random, own_events), size=random.randint(5, 25)):
            answer = await post(services[number % 2], batch)
            assert answer["rejected"] == []
            assert answer["accepted"] + answer["duplicates"] == len(batch)
            accepted.append(answer["accepted"])

    service.gather(*(sender(number) for number in range(SENDERS)))
    assert sum(accepted) == len(events)
    for batch in split_batches(sorted(events, key=lambda event: (event["occurred_at"], event["id"])), size=15):
        service_in_order.send(*batch)
    answers = query_all(service)
    assert answers == query_all(service_in_order)
    for answer_rows in answers:
        check_movements(answer_rows)
    assert service.differences() == service_in_order.differences() == []
    assert count_deadlocks(*services) == 0


def test_concurrent_retractions_leave_the_other_events(
    service: Service, services: list[Service], service_in_order: Service
) -> None:
    events = [event for account in ACCOUNTS[:2] for event in random_history(Random(f"3 {account}"), account)]
    retracted = events[::4]
    service.send(*retracted[::2])

    async def sender(number: int) -> None:
        random = Random(number)
        for batch in split_batches(shuffle(random, events), size=25):
            await post(services[number % 2], batch)
            for chosen in random.sample(retracted, 3):
                path = f"/v1/accounts/{chosen['account_id']}/events/{chosen['id']}"
                assert (await services[number % 2].client.delete(path)).status_code in (204, 404)
            await asyncio.sleep(0)

    service.gather(*(sender(number) for number in range(SENDERS)))
    for to_retract in retracted:
        service.retract(to_retract["account_id"], to_retract["id"])
    service_in_order.send(*(event for event in events if event not in retracted))
    answers = query_all(service)
    assert answers == query_all(service_in_order)
    for answer_rows in answers:
        check_movements(answer_rows)
    assert service.differences() == []
    assert count_deadlocks(*services) == 0
