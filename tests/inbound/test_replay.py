"""Replays and deliveries while something else happens: to the source, to the delivery, or to the person whom it names."""

import asyncio
from typing import Any

import pytest

from app.inbound import receive, replay
from tests.inbound.senders import OTHER_SECRET, SECRET, hexed, put_source, send, sign_hmac, to_bytes
from tests.support.service import Service

CALL = {"company": "acme", "person": "ada", "ended": 1773480600, "seconds": 60}
RULE = {
    "type": "session.ended",
    "id": "item.id",
    "account_id": "item.company",
    "user_id": "item.person",
    "occurred_at": "item.ended",
    "data": {"duration_seconds": "item.seconds"},
}
MAPPING, WRONG = {"events": [RULE]}, {"events": [RULE | {"occurred_at": "item.finished"}]}
REPLAY = "/v1/sources/calls/replay?status=rejected"


def call(number: int, **more: Any) -> dict[str, Any]:
    return CALL | {"id": f"c-{number}"} | more


def fill(service: Service, count: int, **more: Any) -> None:
    """Send deliveries that are rejected, then correct the mapping."""
    put_source(service, "calls", "generic", mapping=WRONG)
    for number in range(count):
        send(service, "calls", call(number, **more))
    put_source(service, "calls", "generic", mapping=MAPPING)


def counts(service: Service) -> dict[str, int]:
    return service.get("/v1/sources")["sources"][0]["deliveries"]


async def deliver(service: Service, number: int, secret: str = SECRET) -> int:
    body = to_bytes(call(number))
    headers = {"Content-Type": "application/json", "Authorization": "", "X-Signature": hexed(body, secret)}
    return (await service.client.post("/v1/inbound/calls", content=body, headers=headers)).status_code


def test_two_replays_at_once_count_each_event_once(service: Service) -> None:
    fill(service, 30)

    async def replay_all() -> dict[str, Any]:
        return (await service.client.post(REPLAY)).json()

    answers = service.gather(replay_all(), replay_all(), replay_all())
    assert all(answer["deliveries"]["rejected"] == 0 for answer in answers)
    assert service.value("sessions") == 30 and counts(service) == {"accepted": 30}
    assert service.differences() == []


def test_deliveries_that_come_during_a_replay_are_not_replayed(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a replay would not end while deliveries come."""
    monkeypatch.setattr(replay, "_REPLAYED_AT_ONCE", 2)
    fill(service, 5)
    original, numbers = replay.load_page, iter(range(100, 200))

    async def load_page(*arguments: Any, **named_arguments: Any) -> Any:
        page = await original(*arguments, **named_arguments)
        service.now = service.later(seconds=1).now
        await deliver(service, next(numbers))
        return page

    monkeypatch.setattr(replay, "load_page", load_page)
    answer = service.request("POST", "/v1/sources/calls/replay").json()
    assert answer["deliveries"] == {"accepted": 5, "rejected": 0, "ignored": 0}


def test_what_is_erased_during_a_replay_is_left_out_and_its_neighbors_are_not(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(service, 3)
    send(service, "calls", call(9, person="bobby", company="other"))
    put_source(service, "calls", "generic", mapping=WRONG)
    send(service, "calls", call(10, person="bobby"))
    put_source(service, "calls", "generic", mapping=MAPPING)
    original = replay.complete_deliveries

    async def complete_deliveries(*arguments: Any) -> Any:
        monkeypatch.setattr(replay, "complete_deliveries", original)
        await service.client.delete("/v1/accounts/other/users/bobby/personal-data")
        return await original(*arguments)

    monkeypatch.setattr(replay, "complete_deliveries", complete_deliveries)
    answer = service.request("POST", REPLAY).json()
    assert answer["deliveries"] == {"accepted": 3, "rejected": 0, "ignored": 0}
    assert counts(service) == {"accepted": 3, "erased": 2}
    # What became an event before stays a number; what did not, becomes none.
    assert service.value("sessions") == 4


def test_an_erased_person_is_in_no_header_and_in_no_spelling_of_a_sender(service: Service) -> None:
    put_source(service, "calls", "generic", mapping=WRONG, options={"headers": ["X-Person"]})
    user = "ada+x@example.com/é"
    put_source(service, "good", "generic", mapping=MAPPING)
    send(service, "good", call(0, person=user))
    spellings = (
        rb"ada+x@example.com\/\u00e9",
        rb"ada\u002Bx@example.com/\u00E9",
        "ada+x@example.com/é".encode(),
        b"ada%2Bx%40example.com%2F%C3%A9",
    )
    for number, text in enumerate(spellings):
        send(service, "calls", b'{"id": "s-%d", "person": "%b"}' % (number, text))
    body = to_bytes(call(7, person=None))
    headers = {**sign_hmac(body, service.now), "X-Person": user.encode()}
    service.run(service.client.post("/v1/inbound/calls", content=body, headers=headers | {"Authorization": ""}))
    path = "/v1/accounts/acme/users/ada%2Bx%40example.com%2F%C3%A9/personal-data"
    assert service.request("DELETE", path).status_code == 204
    kept = service.get("/v1/sources/calls/deliveries")["deliveries"]
    assert [own["status"] for own in kept] == ["erased"] * 5


def test_a_source_that_is_deleted_meanwhile_keeps_nothing_and_answers_as_an_unknown_one(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_source(service, "calls", "generic", mapping=MAPPING)
    original = receive.complete_deliveries

    async def complete_deliveries(*arguments: Any) -> Any:
        monkeypatch.setattr(receive, "complete_deliveries", original)
        assert (await service.client.delete("/v1/sources/calls")).status_code == 204
        return await original(*arguments)

    monkeypatch.setattr(receive, "complete_deliveries", complete_deliveries)
    assert service.run(deliver(service, 1)) == 401
    put_source(service, "calls", "generic", mapping=MAPPING)
    assert counts(service) == {} and service.value("sessions") == 0


def test_deliveries_that_come_while_a_source_is_deleted_leave_nothing_without_a_source(service: Service) -> None:
    put_source(service, "calls", "generic", mapping=MAPPING)

    async def delete() -> int:
        await asyncio.sleep(0)
        return (await service.client.delete("/v1/sources/calls")).status_code

    codes = service.gather(*(deliver(service, number) for number in range(10)), delete())
    assert set(codes[:-1]) <= {200, 401} and codes[-1] == 204
    put_source(service, "calls", "generic", mapping=MAPPING)
    assert counts(service) == {} and service.value("sessions") == codes.count(200)


def test_a_rotation_loses_no_delivery(service: Service) -> None:
    put_source(service, "calls", "generic", mapping=MAPPING)
    body = {"vendor": "generic", "mapping": MAPPING}

    async def rotate() -> int:
        answers = [
            (await service.client.put("/v1/sources/calls", json=body | {"secrets": secrets})).status_code
            for secrets in ([OTHER_SECRET, SECRET], [SECRET, OTHER_SECRET])
        ]
        return max(answers)

    senders = [deliver(service, number) for number in range(20)]
    assert set(service.gather(*senders, rotate())) == {200}
    assert service.run(deliver(service, 30, OTHER_SECRET)) == 200 and service.value("sessions") == 21


def test_many_rejected_deliveries_are_replayed_in_batches_of_limited_size(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replay, "_MAX_REPLAYED_EVENTS", 40)
    fill(service, 120)
    sizes: list[int] = []
    original = receive.accept_events

    async def accept_events(books: Any, raws: Any, **arguments: Any) -> Any:
        sizes.append(len(raws))
        return await original(books, raws, **arguments)

    monkeypatch.setattr(receive, "accept_events", accept_events)
    assert service.request("POST", REPLAY).json()["deliveries"] == {"accepted": 120, "rejected": 0, "ignored": 0}
    assert sum(sizes) == 120 and max(sizes) <= 40 and service.value("sessions") == 120
