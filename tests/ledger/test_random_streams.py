"""Random events of one ticket and of one onboarding: their streams post what the independent model computes."""

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
DETAILS: dict[str, list[Any]] = {
    "by": ["agent", "customer"],
    "first_contact": [True, False],
    "channel": ["email", "chat"],
}


def instants() -> st.SearchStrategy[str]:
    """Draw one of few instants, so that many events coincide."""
    return st.integers(0, 12).map(lambda number: (datetime(2026, 3, 1) + timedelta(hours=8 * number)).isoformat())


@st.composite
def ticket_events(draw: st.DrawFn) -> list[StreamEvent]:
    events = []
    for number in range(draw(st.integers(1, 9))):
        details = {name: draw(st.sampled_from([None, None, *values])) for name, values in DETAILS.items()}
        data = {name: value for name, value in details.items() if value is not None}
        type = f"ticket.{draw(st.sampled_from(VERBS))}"
        events.append(stream_event(type, draw(instants()), id=f"{number}", ticket_id="T 1", **data))
    return draw(st.permutations(events))


@st.composite
def onboarding_events(draw: st.DrawFn) -> list[StreamEvent]:
    events = []
    for number in range(draw(st.integers(1, 9))):
        verb = draw(st.sampled_from(["started", "started", "step_completed", "completed"]))
        step = {"step": draw(st.sampled_from(["invite", "import"]))} if verb == "step_completed" else {}
        events.append(stream_event(f"onboarding.{verb}", draw(instants()), id=f"{number}", **step))
    return draw(st.permutations(events))


def as_model_events(events: list[StreamEvent]) -> list[AcceptedEvent]:
    """Return the same events as the model has them."""
    return [
        AcceptedEvent(
            {"id": event.id, "type": event.type, "data": event.data}, event.at, event.at.date(), event.at.date()
        )
        for event in events
    ]


def without_zeros(values: Values) -> dict[tuple[str, str], int]:
    return {(str(day), name): value for name, by_day in values.items() for day, value in by_day.items() if value}


def seconds(since: datetime, until: datetime) -> int:
    return int((until - since).total_seconds())


@settings(deadline=None, max_examples=400)
@given(ticket_events())
def test_the_stream_of_any_ticket_posts_what_the_model_computes(events: list[StreamEvent]) -> None:
    (model,) = lifecycles.tickets(as_model_events(events))
    values: Values = {"tickets_opened": Counter([model.opened.date()]), "tickets_open": Counter()}
    for at, is_open in model.changes:
        values["tickets_open"][at.date()] += 1 if is_open else -1
    if model.response:
        values["tickets_opened_responded"] = Counter([model.opened.date()])
        values["ticket_first_response_seconds"] = Counter({model.opened.date(): seconds(*model.response)})
    if model.resolved:
        duration = seconds(model.opened, model.resolved)
        values["tickets_opened_resolved"] = Counter([model.opened.date()])
        values["tickets_resolved"] = Counter([model.resolved.date()])
        values["ticket_resolution_seconds"] = Counter({model.opened.date(): duration})
        values["tickets_resolved_seconds"] = Counter({model.resolved.date(): duration})
        if model.at_first_contact:
            values["tickets_opened_first_contact"] = Counter([model.opened.date()])
            values["tickets_resolved_first_contact"] = Counter([model.resolved.date()])
    posted = postings(*events, by=ticket)
    assert {(day, name): value for (day, name, _), value in posted.items()} == without_zeros(values)
    assert {channel for _, _, channel in posted} == {model.channel or ""}


@settings(deadline=None, max_examples=300)
@given(onboarding_events())
def test_the_stream_of_any_onboarding_posts_what_the_model_computes(events: list[StreamEvent]) -> None:
    names = ("onboardings_started", "onboardings_completed", "onboarding_seconds")
    values: Values = {name: Counter() for name in names}
    for model in lifecycles.onboardings(as_model_events(events)):
        duration = seconds(model.started, model.completed) if model.completed else 0
        for name, value in zip(names, (1, model.completed is not None, duration), strict=True):
            values[name][model.started.date()] += value
    posted = postings(*events, by=onboarding)
    assert {(day, name): value for (day, name, _), value in posted.items() if name in names} == without_zeros(values)
    # Each step once in each onboarding, on the day of its start.
    steps = {(day, step): value for (day, name, step), value in posted.items() if name == "onboardings_reaching"}
    assert all(value <= posted[day, "onboardings_started", ""] for (day, _), value in steps.items())
    assert {step for _, step in steps} == {event.data["step"] for event in events if "step" in event.data}
