"""Large batches: accepted aside of the event loop, with the same results, and within bounds."""

import gzip
import json
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from app.ingest import accept
from tests.support.service import Service, session

NDJSON = "application/x-ndjson"


@pytest.fixture
def threads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the threads in which batches were read."""
    names: list[str] = []
    read_events = accept.read_events

    def note_thread(*args: Any, **options: Any) -> Any:
        names.append(threading.current_thread().name)
        return read_events(*args, **options)

    monkeypatch.setattr(accept, "read_events", note_thread)
    return names


def send(service: Service, content: bytes, **headers: str) -> Any:
    names = {"Content-Type": "application/json"} | {name.replace("_", "-"): text for name, text in headers.items()}
    return service.request("POST", "/v1/events", content=content, headers=names)


def sessions(count: int, **more: Any) -> list[dict[str, Any]]:
    return [session(**more) for _ in range(count)]


@pytest.mark.parametrize(
    ("content", "headers"),
    [
        (json.dumps(sessions(600)).encode(), {}),
        (json.dumps(sessions(3, extra={"text": "x" * 12_000}) + sessions(200)).encode(), {}),
        (gzip.compress(json.dumps(sessions(600)).encode()), {"Content_Encoding": "gzip"}),
        (gzip.compress(b" " * 300_000 + json.dumps(sessions(1)).encode()), {"Content_Encoding": "gzip"}),
        (json.dumps([0] * 4_000).encode(), {}),
        (b"0\n" * 4_000, {"Content_Type": NDJSON}),
    ],
    ids=["events", "bytes", "compressed", "a small body that grows", "values", "lines"],
)
def test_what_takes_long_is_done_in_a_thread(
    shared: Service, threads: list[str], content: bytes, headers: dict[str, str]
) -> None:
    answer = send(shared, content, **headers)
    assert answer.status_code == 200 or answer.json()["code"] == "all_rejected", answer.text[:500]
    assert threads == ["large batches"]


def test_a_small_batch_is_accepted_at_once(shared: Service, threads: list[str]) -> None:
    assert send(shared, json.dumps(sessions(20)).encode()).json()["accepted"] == 20
    assert threads == [threading.main_thread().name]


def test_a_large_batch_counts_like_small_ones(service: Service) -> None:
    for account in ("large", "small"):
        events = [
            session(account=account, user=f"u{n % 40}", at=f"2026-{1 + n % 3:02}-{1 + n % 9:02}") for n in range(900)
        ]
        size = 900 if account == "large" else 90
        for first in range(0, len(events), size):
            assert send(service, json.dumps(events[first : first + size]).encode()).json()["accepted"] == size
    names = "sessions,active_users"
    rows = service.get("/v1/query", metrics=names, group_by="account", start="2026-01-01", end="2026-04-01")["rows"]
    values: dict[str, list[Any]] = {"large": [], "small": []}
    for row in rows:
        values[row["group"]["account"]].append((row["metric"], row["start"], row["value"]))
    assert values["large"] == values["small"] != []


def test_all_rejections_are_listed_but_not_all_of_their_faults(shared: Service) -> None:
    events = [
        {"id": f"e{n}", "type": "session.ended"} | {f"x{n}_{field}": 1 for field in range(60)} for n in range(3_000)
    ]
    answer = send(shared, json.dumps(events).encode())
    rejected = answer.json()["rejected"]
    assert (answer.status_code, [rejection["index"] for rejection in rejected]) == (422, [*range(3_000)])
    assert sum(len(rejection["errors"]) for rejection in rejected) < 20_000 + 2 * 3_000
    # Four fields are missing besides: account, user, time and data.
    assert rejected[0]["errors"][-1]["detail"] == "The event has 44 more faults."
    assert [fault["code"] for fault in rejected[-1]["errors"]] == ["missing", "too_many_faults"]
    assert rejected[-1]["errors"][-1]["detail"] == "The event has 63 more faults."


def test_a_body_with_too_many_values_is_refused_in_every_format(shared: Service) -> None:
    events = [b'{"id": "%d", "a": [%s]}' % (number, b"1," * 30_000 + b"1") for number in range(40)]
    for content, kind in ((b"[%s]" % b",".join(events), "application/json"), (b"\n".join(events), NDJSON)):
        answer = send(shared, content, Content_Type=kind)
        assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
    # Commas in texts are none.
    answer = send(
        shared, b"\n".join(b'{"id": "%d", "a": "%s"}' % (n, b"," * 30_000) for n in range(40)), Content_Type=NDJSON
    )
    assert answer.json()["code"] == "all_rejected"


def test_one_event_cannot_be_larger_than_4_mib(shared: Service) -> None:
    event = json.dumps(session(extra={"text": "x" * 5 * 2**20}))
    for content in (event, f"[{event}]", f'{{"events": [{event}]}}', f"[{event}, {event}]"):
        answer = send(shared, content.encode())
        assert (answer.status_code, answer.json()["code"]) == (413, "too_large"), content[:20]
    other = json.dumps(session())
    answer = send(shared, f"{event}\n{other}".encode(), Content_Type=NDJSON)
    assert (answer.json()["accepted"], answer.json()["rejected"][0]["code"]) == (1, "malformed")


def test_a_body_that_is_too_large_is_not_read_to_its_end(shared: Service) -> None:
    sent = 0

    async def parts() -> AsyncIterator[bytes]:
        nonlocal sent
        for _ in range(15):
            sent += 1
            yield b"x" * 2**20

    answer = shared.request("POST", "/v1/query", content=parts(), headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
    assert sent < 15


@pytest.fixture
def full(shared: Service, monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    """A service in which other batches take all the memory for bodies."""
    batches = shared.app.state.large_batches
    monkeypatch.setattr("app.ingest.large_batches._WAIT_SECONDS", 0.05)
    memory = batches.hold_body(2**30)
    shared.run(memory.__aenter__())
    yield shared
    shared.run(memory.__aexit__(None, None, None))


def test_large_batches_that_wait_too_long_for_memory_are_refused(full: Service) -> None:
    content = json.dumps(sessions(600)).encode()
    answer = send(full, content)
    assert (answer.status_code, answer.json()["code"], answer.headers["Retry-After"]) == (503, "busy", "2")
    assert send(full, json.dumps(sessions(20)).encode()).json()["accepted"] == 20
