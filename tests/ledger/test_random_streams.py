"""Random stories of one ticket and of one onboarding: their streams post what the independent model makes of them."""

from collections import Counter
from datetime import date, datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from app.ledger.streams.define import StreamEvent
from app.ledger.streams.onboarding import onboarding
from app.ledger.streams.tickets import ticket
from tests.model import lifecycles
from tests.model.events import AcceptedEvent
from tests.model.stream_events import postings, stream_event

Values = dict[str, Counter[date]]
VERBS = ["opened", "replied", "replied", "replied", "reopened", "resolved", "resolved"]
SIDES: dict[str, list[Any]] = {
    "by": ["agent", "customer"],
    "first_contact": [True, False],
    "channel": ["email", "chat"],
}


def instants() -> st.SearchStrategy[str]:
    """Few, so that much meets."""
    return st.integers(0, 12).map(lambda number: (datetime(2026, 3, 1) + timedelta(hours=8 * number)).isoformat())


@st.composite
def of_a_ticket(draw: st.DrawFn) -> list[StreamEvent]:
    story = []
    for number in range(draw(st.integers(1, 9))):
        sides = {name: draw(st.sampled_from([None, None, *values])) for name, values in SIDES.items()}
        said = {name: value for name, value in sides.items() if value is not None}
        type = f"ticket.{draw(st.sampled_from(VERBS))}"
        story.append(stream_event(type, draw(instants()), id=f"{number}", ticket_id="T 1", **said))
    return draw(st.permutations(story))


@st.composite
def of_an_onboarding(draw: st.DrawFn) -> list[StreamEvent]:
    story = []
    for number in range(draw(st.integers(1, 9))):
        verb = draw(st.sampled_from(["started", "started", "step_completed", "completed"]))
        step = {"step": draw(st.sampled_from(["invite", "import"]))} if verb == "step_completed" else {}
        story.append(stream_event(f"onboarding.{verb}", draw(instants()), id=f"{number}", **step))
    return draw(st.permutations(story))


def kept(story: list[StreamEvent]) -> list[AcceptedEvent]:
    """The same as the model keeps it."""
    return [AcceptedEvent({"id": h.id, "type": h.type, "data": h.data}, h.at, h.at.date(), h.at.date()) for h in story]


def without_zeros(values: Values) -> dict[tuple[str, str], int]:
    return {(str(day), name): value for name, found in values.items() for day, value in found.items() if value}


def seconds(since: datetime, until: datetime) -> int:
    return int((until - since).total_seconds())


@settings(deadline=None, max_examples=400)
@given(of_a_ticket())
def test_any_story_of_a_ticket_comes_to_what_the_model_says(story: list[StreamEvent]) -> None:
    (one,) = lifecycles.tickets(kept(story))
    values: Values = {"tickets_opened": Counter([one.opened.date()]), "tickets_open": Counter()}
    for at, is_open in one.turns:
        values["tickets_open"][at.date()] += 1 if is_open else -1
    if one.resolved:
        values["tickets_opened_resolved"] = Counter([one.opened.date()])
        values["tickets_resolved"] = Counter([one.resolved.date()])
        values["ticket_resolution_seconds"] = Counter({one.opened.date(): seconds(one.opened, one.resolved)})
        if one.at_first_contact:
            values["tickets_opened_first_contact"] = Counter([one.opened.date()])
            values["tickets_resolved_first_contact"] = Counter([one.resolved.date()])
    found = postings(*story, by=ticket)
    assert {(day, name): value for (day, name, _), value in found.items()} == without_zeros(values)
    assert {channel for _, _, channel in found} == {one.channel or ""}


@settings(deadline=None, max_examples=300)
@given(of_an_onboarding())
def test_any_story_of_an_onboarding_comes_to_what_the_model_says(story: list[StreamEvent]) -> None:
    names = ("onboardings_started", "onboardings_completed", "onboarding_seconds")
    values: Values = {name: Counter() for name in names}
    for one in lifecycles.onboardings(kept(story)):
        took = seconds(one.began, one.completed) if one.completed else 0
        for name, value in zip(names, (1, one.completed is not None, took), strict=True):
            values[name][one.began.date()] += value
    found = postings(*story, by=onboarding)
    assert {(day, name): value for (day, name, _), value in found.items() if name in names} == without_zeros(values)
    # Each step once in each onboarding, on the day of its start.
    reached = {(day, step): value for (day, name, step), value in found.items() if name == "onboardings_reaching"}
    assert all(value <= found[day, "onboardings_started", ""] for (day, _), value in reached.items())
    assert {step for _, step in reached} == {h.data["step"] for h in story if "step" in h.data}
