"""A new stream is a function, an event type and a metric. Nothing else is written or changed for it."""

from collections.abc import Iterator, Sequence
from itertools import permutations
from typing import Any

import pytest

from app.core.periods import Calendar
from app.ingest.define import EVENT_TYPES, Data
from app.ingest.define import event as event_type
from app.ledger.measures import MEASURES, POSTING_RULES, Line, measure
from app.ledger.rebuild import rebuild
from app.ledger.streams.define import STREAM_MEASURES, STREAMS, DatedLine, StreamEvent, stream
from app.metrics.define import METRICS, ExampleEvent, Result, closing, count, metric
from tests.support.service import Service, event


@pytest.fixture
def door_stream() -> Iterator[None]:
    """Declare a stream of doors that are opened and closed. Opening an open door and closing a closed one change nothing."""
    doors_open = measure("doors_open", "Doors that stand open.", stock=True)
    doors_opened = measure("doors_opened", "Times that a closed door was opened.", subject="door")

    @stream("doors", posts=[doors_open, doors_opened])
    def _(events: Sequence[StreamEvent], calendar: Calendar) -> Iterator[DatedLine]:
        was_open = False
        for stream_event in events:
            day, is_open = calendar.day(stream_event.at), stream_event.data["open"]
            yield day, Line(doors_open, is_open - was_open)
            if is_open > was_open:
                yield day, Line(doors_opened, 1, stream_event.data["door"])
            was_open = is_open

    @event_type("door.moved", example={"door": "front", "open": True}, stream=lambda e: f"doors {e.data['door']}")
    class DoorMoved(Data):
        """Somebody opened a door, or closed it."""

        door: str
        open: bool

    @metric(
        unit="count",
        better="neither",
        adds_over=("groups",),
        example={"doors_open": 1, "equals": 1},
        events=[ExampleEvent(1, "door.moved", {"door": "front", "open": True})],
    )
    def open_doors(doors_open: int = closing("doors_open")) -> Result:
        """Open doors: how many doors stand open at the period's end."""
        return count(doors_open)

    @metric(
        unit="count",
        better="neither",
        adds_over=("groups", "time"),
        example={"doors_opened": 1, "equals": 1},
        events=[ExampleEvent(1, "door.moved", {"door": "front", "open": True})],
    )
    def openings(doors_opened: int) -> Result:
        """Openings: how often a door that was closed was opened."""
        return count(doors_opened)

    yield
    del (
        EVENT_TYPES["door.moved"],
        POSTING_RULES["door.moved"],
        STREAMS["doors"],
        STREAM_MEASURES["doors"],
        METRICS["open_doors"],
        METRICS["openings"],
    )
    del MEASURES["doors_open"], MEASURES["doors_opened"]


def door_event(day: int, open: bool, door: str = "front", account: str = "acme") -> dict[str, Any]:
    return event("door.moved", account, at=f"2026-03-{day:02}", door=door, open=open, id=f"{door}-{day}")


# Opened on the 2nd, again on the 4th, closed on the 6th and opened on the 8th.
FRONT = [door_event(2, True), door_event(4, True), door_event(6, False), door_event(8, True)]


def values_by_day(service: Service, metric: str, **parameters: Any) -> str:
    """Return the values of the first ten days of March, a digit each."""
    days = {"start": "2026-03-01", "end": "2026-03-11", "granularity": "day"}
    return "".join(str(row["value"]) for row in service.rows(metric, **days, **parameters))


def test_events_in_any_order_post_the_same(door_stream: None, service: Service) -> None:
    for number, order in enumerate(permutations(FRONT)):
        account = f"account-{number}"
        for first in order[:2]:
            service.send(first, account_id=account)
        service.send(*order[2:], account_id=account)
        assert values_by_day(service, "open_doors", account=account) == "0111100111"
        assert values_by_day(service, "openings", account=account) == "0100000100"
    assert service.value("openings") == 48
    assert service.differences() == []


def test_retracted_events_do_not_count_and_earlier_answers_stay(door_stream: None, service: Service) -> None:
    service.on("2026-03-12").send(FRONT[3], FRONT[0], door_event(5, True, "back"))
    service.on("2026-03-13").send(FRONT[2], FRONT[1])
    service.on("2026-03-14").retract("acme", "front-6")
    service.on("2026-03-15").retract("acme", "front-2")
    expected = {
        "2026-03-12": ("0111222222", "0100100000"),
        "2026-03-13": ("0111211222", "0100100100"),
        "2026-03-14": ("0111222222", "0100100000"),
        "2026-03-15": ("0001222222", "0001100000"),
    }
    for day, (open_by_day, openings_by_day) in expected.items():
        assert values_by_day(service, "open_doors", as_of=day) == open_by_day, day
        assert values_by_day(service, "openings", as_of=day) == openings_by_day, day
    by_door = service.rows("openings", period="2026-03", group_by="subject")
    assert {row["group"]["subject"]: row["value"] for row in by_door} == {"front": 1, "back": 1}
    assert service.differences() == []


def test_a_new_stream_can_be_rebuilt(door_stream: None, service: Service) -> None:
    service.send(*reversed(FRONT), account_id="acme")
    service.retract("acme", "front-6")

    async def run_rebuild() -> None:
        async for _ in rebuild(service.books):
            pass

    service.run(run_rebuild())
    assert values_by_day(service, "open_doors") == "0111111111"
    assert service.differences() == []
