"""Random events of one stream of each kind: the stream posts what the independent model computes."""

from collections import Counter
from datetime import date, datetime, timedelta
from fractions import Fraction
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from app.ledger.streams.define import StreamEvent
from app.ledger.streams.goals import goal
from app.ledger.streams.onboarding import onboarding
from app.ledger.streams.subscriptions import subscriptions
from app.ledger.streams.tickets import ticket
from app.ledger.streams.trials import trials
from tests.model import lifecycles
from tests.model.calendar import DAY, Calendar
from tests.model.deals import Deals
from tests.model.events import AcceptedEvent
from tests.model.stream_events import cancellation, change, pause, postings, resumption, stream_event
from tests.model.subscriptions import Money

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


@st.composite
def trial_events(draw: st.DrawFn) -> list[StreamEvent]:
    verbs = [draw(st.sampled_from(["started", "converted", "expired"])) for _ in range(draw(st.integers(1, 6)))]
    return [stream_event(f"trial.{verb}", draw(instants()), id=f"{n}", trial_id="t") for n, verb in enumerate(verbs)]


@st.composite
def goal_events(draw: st.DrawFn) -> list[StreamEvent]:
    """Draw entries and completions that are seconds, an hour or days apart."""
    minutes = st.sampled_from([0, 1, 59, 60, 61, 120, 121, 5_000])
    events = []
    for number in range(draw(st.integers(1, 7))):
        at = (datetime(2026, 3, 1) + timedelta(minutes=draw(minutes))).isoformat()
        verb = draw(st.sampled_from(["entered", "completed"]))
        events.append(stream_event(f"goal.{verb}", at, id=f"{number}", goal="upgrade"))
    return events


@st.composite
def subscription_events(draw: st.DrawFn) -> list[StreamEvent]:
    """Draw events of few subscriptions, which take effect at few instants: then, later or earlier."""
    events = []
    for number in range(draw(st.integers(1, 10))):
        verb = draw(st.sampled_from(["changed", "changed", "changed", "canceled", "canceled", "paused", "resumed"]))
        data: dict[str, Any] = {"of": draw(st.sampled_from(["one", "one", "one", "two"])), "id": f"{number}"}
        if verb == "changed":
            price = draw(st.sampled_from([{"mrr": "0"}, {"mrr": "40"}, {"amount": "100", "interval": "year"}]))
            currency = draw(
                st.sampled_from([{}, {}, {"currency": "EUR", "rate": "1.1"}, {"currency": "EUR", "rate": "3"}])
            )
            details = {"plan": draw(st.sampled_from([None, "a", "b"])), "seats": draw(st.sampled_from([None, 1, 5]))}
            effect = {"effective_at": draw(instants())} if draw(st.booleans()) else {}
            data |= price | currency | {name: value for name, value in details.items() if value is not None} | effect
        if verb in ("canceled", "paused") and draw(st.booleans()):
            data["reason"] = draw(st.sampled_from(["price", "merger"]))
        if verb == "canceled":
            end = draw(instants())
            data |= draw(st.sampled_from([{}, {"ends_at": end}, {"paid_through": end[:10]}]))
        build = {"changed": change, "canceled": cancellation, "paused": pause, "resumed": resumption}[verb]
        events.append(build(draw(instants()), **data))
    return draw(st.permutations(events))


def as_model_events(events: list[StreamEvent]) -> list[AcceptedEvent]:
    """Return the same events as the model has them."""
    return [
        AcceptedEvent(
            {"id": event.id, "type": event.type, "data": event.data},
            event.at,
            event.at.date(),
            event.at.date(),
            rate=Fraction(event.rate or 1),
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


@settings(deadline=None, max_examples=200)
@given(goal_events())
def test_the_stream_of_any_goal_posts_what_the_model_computes(events: list[StreamEvent]) -> None:
    values: Values = {"goals_entered": Counter(), "goals_completed": Counter()}
    for attempt in lifecycles.goals(as_model_events(events)):
        values["goals_entered"][attempt.started.date()] += 1
        values["goals_completed"][attempt.started.date()] += attempt.completed is not None
    posted = {(day, name): value for (day, name, _), value in postings(*events, by=goal).items()}
    assert posted == without_zeros(values)


@settings(deadline=None, max_examples=200)
@given(trial_events())
def test_the_stream_of_any_trial_posts_what_the_model_computes(events: list[StreamEvent]) -> None:
    (trial,) = Deals(as_model_events(events)).trials
    values: Values = {"trials_started": Counter([trial.day])}
    if trial.ended:
        values["trials_ended"] = Counter([trial.ended])
    if trial.ended and trial.converted:
        values["trials_converted"] = Counter([trial.day])
        values["trials_ended_converted"] = Counter([trial.ended])
    posted = {(day, name): value for (day, name, _), value in postings(*events, by=trials).items()}
    assert posted == without_zeros(values)


@settings(deadline=None, max_examples=500)
@given(subscription_events())
def test_the_stream_of_any_subscriptions_posts_what_the_model_computes(events: list[StreamEvent]) -> None:
    model = Money(as_model_events(events), Calendar())
    expected: Counter[tuple[str, str, str]] = Counter()
    for day in (date(2026, 2, 28) + DAY * n for n in range(9)):
        before, after = model.by_plan(day), model.by_plan(day + DAY)
        for plan in before.keys() | after.keys():
            expected[str(day), "mrr", plan or ""] = per_year(after.get(plan, 0) - before.get(plan, 0))
        expected[str(day), "seats", ""] = model.seats(day + DAY) - model.seats(day)
        leaving = [model.mrr(d) > 0 and not model.is_staying(d) for d in (day, day + DAY)]
        expected[str(day), "customers_leaving", ""] = leaving[1] - leaving[0]
    for movement in model.movements:
        day, subject = str(movement.day), movement.reason or ""
        expected[day, f"mrr_{movement.kind}", subject] = per_year(movement.amount)
        if movement.kind in ("new", "reactivated", "churned"):
            expected[day, f"customers_{movement.kind}", subject] = 1
            expected[day, "customers", ""] = -1 if movement.kind == "churned" else 1
    assert postings(*events, by=subscriptions) == Counter({key: value for key, value in expected.items() if value})


def per_year(amount: Any) -> int:
    """Return MRR as the ledger keeps it: ten-thousandths per year."""
    units = 120_000 * Fraction(amount)
    assert units.denominator == 1
    return int(units)
