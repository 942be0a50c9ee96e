"""Many senders at once, on the same accounts: subscriptions, registration and use come to what they come to in order."""

import asyncio
from collections.abc import Iterator
from random import Random
from typing import Any

import pytest

from tests.ingest.test_concurrency import count_deadlocks, post, shuffled, split_batches
from tests.support.service import Service, event, moved, session

ACCOUNTS = [f"account-{number}" for number in range(3)]
SENDERS = 8
GAINED, LOST = ("mrr_new", "mrr_reactivated", "mrr_expansion"), ("mrr_contraction", "mrr_churned")
QUARTER = {"start": "2025-12-20", "end": "2026-03-16"}
ASKED = (
    "mrr,mrr_opening,mrr_net_change,customers,customers_opening,customers_new,customers_churned,customers_reactivated,"
    "customer_churn_rate,nrr,grr,active_users,registered_users,customer_engagement_rate,product_usage_rate,stickiness,"
    f"feature_adoption_rate,sessions,{','.join(GAINED + LOST)}"
)

Events = list[dict[str, Any]]


@pytest.fixture
def doors(service: Service, database: str) -> Iterator[list[Service]]:
    """Two processes as far as the database can tell."""
    other = Service(database)
    other.runner = service.runner
    lifespan = other.app.router.lifespan_context(other.app)
    service.run(lifespan.__aenter__())
    yield [service, other]
    service.run(other.client.aclose())
    service.run(lifespan.__aexit__(None, None, None))


@pytest.fixture
def in_order(copied: Any) -> Iterator[Service]:
    """A service with a database of its own, which hears of everything in the order in which it happened."""
    with copied() as url, Service(url).running() as running:
        yield running


def moment(random: Random) -> str:
    """One of few, so that events of an account meet at one instant."""
    return f"2026-{random.randint(1, 3):02}-{random.choice([1, 2, 9, 10, 14]):02}T{random.choice([0, 9, 23]):02}:00:00Z"


def life_of(random: Random, account: str) -> Events:
    events: Events = [moved(account, at="2026-01-01T00:00:00Z", plan=random.choice(["free", "pro"]))]
    for _ in range(12):
        named: dict[str, Any] = {"subscription_id": random.choice(["base", "base", "more"]), "at": moment(random)}
        if random.randrange(3):
            price = {"mrr": random.choice(["0", "40", "25.5", "120"]), "seats": random.randint(0, 9)}
            events.append(event("subscription.changed", account, plan=random.choice(["a", "b"]), **named, **price))
        else:
            end = {"ends_at": moment(random)} if random.randrange(2) else {}
            events.append(event("subscription.canceled", account, reason=random.choice(["x", "y"]), **named, **end))
    for _ in range(20):
        of = {"user": random.choice(["ada", "bob", "eve"]), "at": moment(random)}
        kind = random.choice(["user.registered", "user.removed", "session", "session", "feature.used"])
        if kind == "session":
            events.append(session(account, seconds=60, **of))
        else:
            events.append(event(kind, account, **of, **({"feature": "export"} if kind == "feature.used" else {})))
    return events


def answered(service: Service) -> list[Any]:
    ways: list[dict[str, str]] = [
        {"group_by": "account"},
        {"group_by": "plan", "granularity": "week"},
        {"granularity": "day"},
        {"granularity": "total"},
    ]
    return [service.get("/v1/query", metrics=ASKED, **QUARTER, **way)["rows"] for way in ways]


def check_that_movements_close(rows: Events) -> None:
    cells: dict[Any, dict[str, Any]] = {}
    for row in rows:
        cells.setdefault((row["start"], repr(row["group"])), {})[row["metric"]] = row["value"]
    assert cells
    for place, found in cells.items():
        value = {name: found.get(name, 0) for name in ASKED.split(",")}
        net = sum(value[name] for name in GAINED) - sum(value[name] for name in LOST)
        assert value["mrr"] - value["mrr_opening"] == pytest.approx(net) == pytest.approx(value["mrr_net_change"]), (
            place
        )
        came = value["customers_new"] + value["customers_reactivated"] - value["customers_churned"]
        assert value["customers"] - value["customers_opening"] == came, place


def test_overlapping_batches_in_any_order_come_to_what_they_come_to_in_order(
    service: Service, doors: list[Service], in_order: Service
) -> None:
    events = [one for account in ACCOUNTS for one in life_of(Random(account), account)]
    accepted = []

    async def sender(number: int) -> None:
        random = Random(number)
        own = [one for place, one in enumerate(events) if place % SENDERS == number or random.random() < 0.4]
        for batch in split_batches(shuffled(random, own), size=random.randint(5, 25)):
            said = await post(doors[number % 2], batch)
            assert said["rejected"] == []
            assert said["accepted"] + said["duplicates"] == len(batch)
            accepted.append(said["accepted"])

    service.together(*(sender(number) for number in range(SENDERS)))
    assert sum(accepted) == len(events)
    for batch in split_batches(sorted(events, key=lambda one: (one["occurred_at"], one["id"])), size=15):
        in_order.send(*batch)
    rows = answered(service)
    assert rows == answered(in_order)
    for found in rows:
        check_that_movements_close(found)
    assert service.differences() == in_order.differences() == []
    assert count_deadlocks(*doors) == 0


def test_retractions_among_the_senders_leave_what_was_not_taken_back(
    service: Service, doors: list[Service], in_order: Service
) -> None:
    events = [one for account in ACCOUNTS[:2] for one in life_of(Random(f"3 {account}"), account)]
    doomed = events[::4]
    service.send(*doomed[::2])

    async def sender(number: int) -> None:
        random = Random(number)
        for batch in split_batches(shuffled(random, events), size=25):
            await post(doors[number % 2], batch)
            for one in random.sample(doomed, 3):
                path = f"/v1/accounts/{one['account_id']}/events/{one['id']}"
                assert (await doors[number % 2].client.delete(path)).status_code in (204, 404)
            await asyncio.sleep(0)

    service.together(*(sender(number) for number in range(SENDERS)))
    for one in doomed:
        service.retract(one["account_id"], one["id"])
    in_order.send(*(one for one in events if one not in doomed))
    rows = answered(service)
    assert rows == answered(in_order)
    for found in rows:
        check_that_movements_close(found)
    assert service.differences() == []
    assert count_deadlocks(*doors) == 0
