"""Event types and streams post to the measures that they declare, on their examples and on random histories."""

from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from app.core.periods import Calendar
from app.ingest.define import EVENT_TYPES
from app.ingest.schemas import example_event
from app.ledger.measures import (
    MEASURES,
    POSTING_RULES,
    PRESENCES,
    EventView,
    activities_of,
    lines_of,
    rank_of,
    stream_name_of,
)
from app.ledger.streams import registration
from app.ledger.streams.define import STREAM_MEASURES, STREAMS, StreamEvent
from app.ledger.surveys import Survey
from tests.model.events import SURVEYS
from tests.model.generators import EVENT_MAKERS
from tests.model.pair import MORE_SURVEYS

CALENDAR = Calendar(ZoneInfo("UTC"))
SURVEY_BY_ID = {
    id: Survey(id, survey.kind, survey.low, survey.high, survey.satisfied_from, survey.easy_is, None, answered=True)
    for id, survey in (SURVEYS | MORE_SURVEYS).items()
}


def random_views(random: Random, count: int) -> Iterator[tuple[datetime, EventView]]:
    """Yield random events of one account, some of them costs of the whole business, with their times."""
    for number in range(count):
        type, data, has_user = random.choice(EVENT_MAKERS)(random)
        at = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=random.randrange(120 * 24))
        if type == "feedback.updated":
            data["feedback"] = f"{random.randrange(count)}"
        if type == "subscription.canceled" and random.randrange(2):
            data["ends_at"] = (at + timedelta(days=random.randrange(-5, 20))).isoformat()
        yield (
            at,
            EventView(
                type,
                random.choice(["ada", "grace"]) if has_user else None,
                data,
                SURVEY_BY_ID.get(data.get("survey", "")),
                Decimal("1.1") if "currency" in data else None,
                type == "cost.recorded" and bool(random.randrange(2)),
                f"{number}",
            ),
        )


def posted_names(event: EventView) -> set[str]:
    """Return the names of the measures and presences that an event posts to directly."""
    return {line.measure.name for line in lines_of(event)} | {a.presence.name for a in activities_of(event)}


def test_the_targets_of_event_types_are_what_random_events_post_to() -> None:
    posted: dict[str, set[str]] = {name: set() for name in EVENT_TYPES}
    for _, event in random_views(Random(1), 5_000):
        posted[event.type] |= posted_names(event)
    assert posted == {name: set(rule.targets) for name, rule in POSTING_RULES.items()}


def test_the_measures_of_streams_are_what_random_streams_post_to() -> None:
    posted: dict[str, set[str]] = {kind: set() for kind in STREAM_MEASURES}
    for seed in range(200):
        streams: dict[str, list[StreamEvent]] = defaultdict(list)
        for at, event in random_views(Random(seed), 60):
            if stream := stream_name_of(event):
                stream_event = StreamEvent(at, rank_of(event.type), event.id, event.type, event.data, event.rate)
                streams[stream].append(stream_event)
        for name, events in streams.items():
            kind = name.partition(" ")[0]
            events.sort(key=lambda event: event[:3])
            posted[kind] |= {line.measure.name for _, line in derive(kind, events)}
    assert posted == {kind: set(measures) for kind, measures in STREAM_MEASURES.items()}


def derive(kind: str, events: list[StreamEvent]) -> Any:
    if kind == registration.KIND:
        return registration.registration(registration.spells(events, CALENDAR), CALENDAR)
    return STREAMS[kind](events, CALENDAR)


def test_every_measure_is_a_target_of_an_event_type_or_a_stream() -> None:
    targets = {name for rule in POSTING_RULES.values() for name in rule.targets}
    units = {unit.name for name in targets & PRESENCES.keys() for unit in PRESENCES[name].units.values()}
    assert targets.union(units, *STREAM_MEASURES.values()) == MEASURES.keys() | PRESENCES.keys()
    assert STREAM_MEASURES.keys() == {*STREAMS, registration.KIND}


@pytest.mark.parametrize("name", EVENT_TYPES)
def test_every_example_of_an_event_type_is_valid(name: str) -> None:
    for data in EVENT_TYPES[name].examples:
        EVENT_TYPES[name].adapter.validate_python(example_event(name) | {"data": data})
