"""Updates of one subscription within one second are ordered by what they replace, in any order of arrival."""

import itertools
from collections.abc import Sequence
from typing import Any

import pytest

from app.inbound.define import VENDORS
from app.inbound.order import Neighbor, find_position, find_successor
from tests.inbound.senders import STRIPE_SECRET, put_source, send, sign_stripe, to_bytes
from tests.inbound.stripe_events import created, deleted, item, rename, updated
from tests.support.service import Service

ORDERING = VENDORS["stripe"].ordering
START, PRO, TEAM = item(4_000), item(10_000), item(25_000)
_names = (f"o{number}" for number in itertools.count())


def with_ids(updates: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return updates whose ids say the opposite of their order."""
    return [own | {"id": f"evt_z{chr(ord('z') - number)}"} for number, own in enumerate(updates)]


def replaced(items: dict[str, Any]) -> dict[str, Any]:
    return {"items": {"data": [items]}}


PAIR = with_ids([updated("01-10", PRO, previous=replaced(START)), updated("01-10", TEAM, previous=replaced(PRO))])
# Three updates of different fields: the order of each two is known without the third.
FIELDS = with_ids(
    [
        updated("01-10", TEAM, previous=replaced(START)),
        updated("01-10", TEAM, metadata={"a": "1"}, previous={"metadata": {"a": None}}),
        updated(
            "01-10",
            TEAM,
            metadata={"a": "1"},
            pause_collection={"behavior": "void"},
            previous={"pause_collection": None},
        ),
    ]
)
# Three updates of one field: of the first and the third, only the second says the order.
CHAIN = with_ids(
    [
        updated("01-10", PRO, previous=replaced(START)),
        updated("01-10", TEAM, previous=replaced(PRO)),
        updated("01-10", item(1_000), previous=replaced(TEAM)),
    ]
)


@pytest.fixture(scope="module")
def stripe(shared: Service) -> Service:
    put_source(shared.on("2026-07-01"), "stripe", "stripe", STRIPE_SECRET)
    return shared


def mrr(service: Service, name: str) -> float:
    [row] = service.rows("mrr", account=f"cus_{name}", period="2026-01", strict="false")
    return float(row["value"])


def tell(service: Service, events: Sequence[dict[str, Any]]) -> None:
    for own in events:
        answer = send(service, "stripe", own, sign_stripe)
        assert answer["status"] != "rejected", answer


@pytest.mark.parametrize("order", list(itertools.permutations(range(2))))
def test_the_later_of_two_updates_counts(order: tuple[int, ...], stripe: Service) -> None:
    name = next(_names)
    tell(stripe, [rename(PAIR[index], name) for index in order] + [rename(created("01-10", START), name)])
    assert mrr(stripe, name) == 250
    tell(stripe, [rename(own, name) for own in PAIR])
    assert mrr(stripe, name) == 250


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_the_last_of_three_updates_counts(order: tuple[int, ...], stripe: Service) -> None:
    name = next(_names)
    tell(stripe, [rename(created("01-01", START), name), *(rename(FIELDS[index], name) for index in order)])
    assert mrr(stripe, name) == 0


def test_two_updates_that_come_at_the_same_time_are_ordered(stripe: Service) -> None:
    name = next(_names)
    tell(stripe, [rename(created("01-01", START), name)])
    bodies = [to_bytes(rename(own, name)) for own in PAIR]

    async def receive(body: bytes) -> int:
        headers = {"Content-Type": "application/json", "Authorization": "", **sign_stripe(body, stripe.now)}
        return (await stripe.client.post("/v1/inbound/stripe", content=body, headers=headers)).status_code

    assert stripe.gather(*map(receive, bodies)) == [200, 200]
    assert mrr(stripe, name) == 250


def test_a_deletion_is_after_all_changes_of_its_second(stripe: Service) -> None:
    name = next(_names)
    tell(stripe, [rename(own, name) for own in (deleted("01-10", TEAM), PAIR[1], created("01-10", START), PAIR[0])])
    assert mrr(stripe, name) == 0


def test_a_replay_does_not_move_an_update(stripe: Service) -> None:
    name = next(_names)
    events = [rename(own, name) for own in PAIR]
    tell(stripe, events)
    for own in reversed(events):
        answer = stripe.request("POST", f"/v1/sources/stripe/deliveries/{own['id']}/replay").json()
        assert (answer["status"], answer["accepted"], answer["rejected"]) == ("accepted", 0, [])
    assert mrr(stripe, name) == 250


def positions(updates: Sequence[dict[str, Any]]) -> dict[str, int]:
    """Return the positions of updates that come in this order, by id."""
    assert ORDERING is not None
    neighbors: list[Neighbor] = []
    for own in updates:
        neighbors.append(Neighbor(find_position(neighbors, own, ORDERING), own))
    return {own.payload["id"]: own.position for own in neighbors}


@pytest.mark.parametrize("updates", [PAIR, FIELDS])
def test_every_order_of_arrival_ends_in_the_same_order(updates: list[dict[str, Any]]) -> None:
    ids = [own["id"] for own in updates]
    for order in itertools.permutations(updates):
        found = positions(order)
        assert sorted(ids, key=found.__getitem__) == ids and len(set(found.values())) == len(ids)


def test_a_chain_is_ordered_unless_its_middle_comes_last() -> None:
    ids = [own["id"] for own in CHAIN]
    for order in itertools.permutations(CHAIN):
        if order[-1] is not CHAIN[1]:
            found = positions(order)
            assert sorted(ids, key=found.__getitem__) == ids


FOURTH = updated("01-10", item(2_000), previous=replaced(item(1_000))) | {"id": "evt_zw"}


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_the_last_of_three_changes_of_one_field_counts_in_any_order(order: tuple[int, ...], stripe: Service) -> None:
    name = next(_names)
    told = [rename(CHAIN[index], name) for index in order]
    tell(stripe, [rename(created("01-01", START), name), *told])
    assert mrr(stripe, name) == 10
    for own in told:
        answer = stripe.request("POST", f"/v1/sources/stripe/deliveries/{own['id']}/replay").json()
        assert (answer["status"], answer["accepted"]) == ("accepted", 0)
    tell(stripe, told)
    assert mrr(stripe, name) == 10
    # The net change of a day is one movement, so what came between does not count.
    rows = stripe.rows("mrr_contraction", account=f"cus_{name}", period="2026-01", strict="false")
    assert [row["value"] for row in rows] == [30]


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))))
def test_the_last_of_four_changes_of_one_field_is_told_last(order: tuple[int, ...]) -> None:
    assert ORDERING is not None
    chain = [*CHAIN, FOURTH]
    neighbors: list[Neighbor] = []
    states: dict[float, str] = {}
    for index in order:
        own = Neighbor(find_position(neighbors, chain[index], ORDERING), chain[index])
        neighbors.append(own)
        states[own.position] = own.payload["id"]
        if (successor := find_successor(neighbors, own, ORDERING)) is not None:
            states[own.position + 0.001] = successor["id"]
    assert states[max(states)] == FOURTH["id"]


def test_changes_that_end_where_they_began_are_ordered_as_they_come() -> None:
    assert ORDERING is not None
    circle = with_ids(
        [
            updated("01-10", PRO, previous=replaced(START)),
            updated("01-10", TEAM, previous=replaced(PRO)),
            updated("01-10", START, previous=replaced(TEAM)),
        ]
    )
    for order in itertools.permutations(circle):
        assert len(set(positions(order).values())) == 3


def test_what_says_no_order_is_ordered_by_id() -> None:
    same = [updated("01-10", PRO) | {"id": f"evt_{number}"} for number in range(6)]
    for order in (same, same[::-1], same[3:] + same[:3]):
        found = positions(order)
        assert sorted(found, key=found.__getitem__) == sorted(found)


def test_ninety_updates_of_a_second_have_places_in_it() -> None:
    same = [updated("01-10", PRO) | {"id": f"evt_{number:03}"} for number in range(90)]
    for order in (same, same[::-1]):
        found = positions(order)
        assert sorted(found, key=lambda id: (found[id], id)) == sorted(found)
        assert all(0 < position < 999_999 for position in found.values())


def test_what_is_no_update_of_a_subscription_has_no_moment() -> None:
    assert ORDERING is not None
    for payload in (None, [], {}, {"type": "invoice.paid"}, created("01-01", PRO), {**PAIR[0], "created": "x"}):
        assert ORDERING.find_moment(payload) is None
