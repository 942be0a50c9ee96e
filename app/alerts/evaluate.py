"""Evaluate the alerts that are due: all numbers in a few questions, then the state of each, in one transaction.

Whoever evaluates holds a lock, so of several processes one does it at a time, and the next one finds nothing due. The numbers are
read on another connection, on one snapshot that is younger than the changes that were taken: so none is missed, and none is of a
moment between two statements.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from functools import partial
from time import perf_counter
from typing import Any, NamedTuple

from app.accounts.cards import load_cards_by_id
from app.alerts.changes import first_change
from app.alerts.definition import AlertDefinition
from app.alerts.hysteresis import TRIGGERED, AlertPoint, AlertState, Transition, next_state
from app.alerts.messages import build_message
from app.alerts.news import mark_news_due
from app.alerts.periods import changed_periods, first_period, periods_of
from app.alerts.store import (
    StoredAlert,
    StoredState,
    load_alerts,
    load_states,
    lock_alerts,
    note_evaluated,
    take_changes,
    try_lock,
    write_states,
    write_transitions,
)
from app.books.books import Books
from app.core.aside import run_aside
from app.core.periods import Period, Range
from app.database.connection import Connection
from app.database.query_plan import run_plan
from app.database.work_counts import ALERT_EVALUATIONS, ALERT_TRANSITIONS, ALERTS_EVALUATED, WorkCount, add_counts
from app.metrics.numbers import NumberKey, NumberRequest, load_numbers
from app.metrics.offers import OFFERS, Message
from app.metrics.results import Result

DEBOUNCE = timedelta(minutes=1)

# The numbers of one source: by account, empty for all together, and by the days of the period.
_Numbers = Mapping[str, Mapping[Range, Result]]


class StateChange(NamedTuple):
    """A transition of an alert, or of one account of it, with its state before and after."""

    alert: StoredAlert
    account: str
    transitions: Sequence[Transition]
    before: StoredState
    state: AlertState


async def evaluate_alerts(books: Books) -> int:
    """Evaluate the alerts that are due, unless another process does. Return how many were."""
    today, now = await books.load_today(), books.now()

    async def write(connection: Connection) -> int:
        started_at = perf_counter()
        if not await try_lock(connection):
            return 0
        if changes := await take_changes(connection):
            await mark_news_due(connection)
        # Most of the time there is nothing to do, and nothing to lock.
        if not any(
            _is_concerned(alert, changes, today=today, now=now) for alert in await run_plan(connection, load_alerts())
        ):
            return 0
        alerts = [_mark(alert, changes) for alert in await run_plan(connection, lock_alerts())]
        ready = [alert for alert in alerts if _is_ready(alert, today=today, now=now)]
        ready_ids = {alert.id for alert in ready}
        await note_evaluated(
            connection, [alert for alert in alerts if alert.due_since is not None and alert.id not in ready_ids]
        )
        if not ready:
            return 0
        numbers = await books.database.read(partial(_load_numbers, books=books, alerts=ready, today=today))
        states = await run_plan(connection, load_states(ready_ids))
        state_changes = await run_aside(
            partial(_evaluate_all, ready, numbers, states, books=books, today=today), items=len(numbers)
        )
        await _write(connection, books, ready, state_changes, today=today, now=now)
        counts = [WorkCount(ALERT_TRANSITIONS, own.kind) for change in state_changes for own in change.transitions]
        counts.append(WorkCount(ALERTS_EVALUATED, times=len(ready)))
        counts.append(WorkCount(ALERT_EVALUATIONS, seconds=perf_counter() - started_at))
        await connection.enqueue(add_counts(counts))
        return len(ready)

    return await books.database.write_aside(write)


def _is_concerned(alert: StoredAlert, changes: Mapping[str, date], *, today: date, now: datetime) -> bool:
    """Return whether an alert is to be evaluated now, or is newly due and waits for its next minute."""
    return _is_ready(alert, today=today, now=now) or _mark(alert, changes) != alert


def _mark(alert: StoredAlert, changes: Mapping[str, date]) -> StoredAlert:
    definition = alert.definition
    since = first_change(definition, changes, each_account=definition.each_account)
    if since is None or (alert.due_since is not None and alert.due_since <= since):
        return alert
    return alert._replace(due_since=since)


def _is_ready(alert: StoredAlert, *, today: date, now: datetime) -> bool:
    if alert.evaluated_at is None or alert.evaluated_on != today:
        return True
    # A clock that went back does not stop it.
    return alert.due_since is not None and not timedelta(0) <= now - alert.evaluated_at < DEBOUNCE


async def _load_numbers(
    connection: Connection, *, books: Books, alerts: Sequence[StoredAlert], today: date
) -> dict[NumberKey, Result]:
    requests = [
        NumberRequest(alert.definition, period, True, None, alert.definition.each_account)
        for alert in alerts
        for period in _periods_due(alert, books, today)[0]
    ]
    return await load_numbers(connection, books, requests, today=today)


def _periods_due(alert: StoredAlert, books: Books, today: date) -> tuple[list[Period], date, date]:
    """Return the periods that an evaluation needs, the first day of those to evaluate, and of those evaluated at all."""
    definition = alert.definition
    periods = periods_of(definition, calendar=books.calendar, today=today)
    first = alert.first_period or first_period(definition, periods)
    oldest = periods[min(1, len(periods) - 1)].start
    if alert.evaluated_on != today or alert.due_since is None:
        return periods, first, oldest
    periods, first_changed = changed_periods(definition, periods, alert.due_since)
    return periods, max(first, first_changed), oldest


def _evaluate_all(
    alerts: Sequence[StoredAlert],
    numbers: Mapping[NumberKey, Result],
    states: Sequence[StoredState],
    *,
    books: Books,
    today: date,
) -> list[StateChange]:
    """Return what has changed, ordered by alert and account."""
    by_source: dict[Any, dict[str, dict[Range, Result]]] = defaultdict(lambda: defaultdict(dict))
    for key, result in numbers.items():
        by_source[key.metric, key.convention, key.group, key.account is not None][key.account or ""][key.days] = result
    by_alert: dict[str, dict[str, StoredState]] = defaultdict(dict)
    for state in states:
        by_alert[state.alert_id][state.account] = state
    state_changes: list[StateChange] = []
    for alert in alerts:
        definition, metric = alert.definition, alert.definition.find_metric()
        convention = metric.convention if metric else definition.convention
        own = by_source[definition.metric, convention, definition.group, definition.each_account]
        state_changes += _evaluate_one(alert, own, by_alert[alert.id], *_periods_due(alert, books, today))
    return state_changes


def _evaluate_one(
    alert: StoredAlert,
    numbers: _Numbers,
    states: Mapping[str, StoredState],
    periods: list[Period],
    first: date,
    oldest: date,
) -> Iterator[StateChange]:
    """Yield what has changed in an alert."""
    definition = alert.definition
    accounts = sorted({*numbers, *states}) if definition.each_account else [""]
    nothing: Mapping[Range, Result] = {}
    for account in accounts:
        own_numbers = numbers.get(account, nothing)
        if account not in states and _is_quiet(definition, periods, own_numbers):
            continue
        before = states.get(account) or StoredState(alert.id, account, AlertState(), None, None)
        points = _points(periods, own_numbers)
        if _stays_triggered(definition, before.state, points, first, oldest):
            continue
        state, transitions = next_state(definition, before.state, points, first=first, oldest=oldest)
        if transitions or state != before.state:
            yield StateChange(alert, account, transitions, before, state)


def _is_quiet(definition: AlertDefinition, periods: Sequence[Period], results: Mapping[Range, Result]) -> bool:
    """Return whether no number is beyond the threshold: of most accounts, and exact numbers take much longer to compare."""
    previous: float | None = None
    for period in periods:
        result = results.get((period.start, period.end))
        value = result.value if result else None
        if value is not None and definition.may_be_beyond(value, previous):
            return False
        previous = value
    return True


def _stays_triggered(
    definition: AlertDefinition, state: AlertState, points: Sequence[AlertPoint], first: date, oldest: date
) -> bool:
    """Return whether all numbers are beyond the threshold as before, quickly: what is triggered mostly stays so."""
    if state.triggered_by is None or min(state.reported_periods, default=oldest) < oldest:
        return False
    for point in points:
        if point.period.start >= first:
            number = point.comparable(definition) if point.period.start in state.reported_periods else None
            if number is None or not definition.is_beyond(number) or not definition.may_trigger(point.period):
                return False
    return True


def _points(periods: Sequence[Period], results: Mapping[Range, Result]) -> list[AlertPoint]:
    results_by_period = [results.get((period.start, period.end)) for period in periods]
    return [
        AlertPoint(period, results_by_period[index], results_by_period[index - 1])
        for index, period in enumerate(periods)
        if index > 0
    ]


async def _write(
    connection: Connection,
    books: Books,
    alerts: Sequence[StoredAlert],
    state_changes: Sequence[StateChange],
    *,
    today: date,
    now: datetime,
) -> None:
    """Store what has changed with its history and its messages, and that the alerts were evaluated."""
    accounts = [own.account for own in state_changes if own.transitions]
    cards = await run_plan(connection, load_cards_by_id(accounts, today=today))
    messages: list[Message] = []
    history: list[dict[str, Any]] = []
    states: list[StoredState] = []
    for own in state_changes:
        definition, stored = own.alert.definition, own.before
        for transition in own.transitions:
            triggered_at = now if transition.kind == TRIGGERED else stored.triggered_at or now
            message = build_message(
                own.alert.id,
                definition,
                transition,
                books=books,
                account=own.account,
                card=cards.get(own.account),
                triggered_at=triggered_at,
                at=now,
            )
            messages.append(message)
            row = {"alert_id": own.alert.id, "account": own.account, "kind": transition.kind, "at": now}
            history.append(row | {name: message.data[name] for name in ("number", "sentence")})
            stored = stored._replace(triggered_at=triggered_at, number=message.data["number"])
        states.append(stored._replace(state=own.state))
    await write_states(connection, states)
    await write_transitions(connection, history)
    await OFFERS.publish_messages(connection, messages, at=now)
    await note_evaluated(connection, [_after_evaluation(alert, books, today=today, now=now) for alert in alerts])


def _after_evaluation(alert: StoredAlert, books: Books, *, today: date, now: datetime) -> StoredAlert:
    definition = alert.definition
    first = alert.first_period
    if first is None:
        first = first_period(definition, periods_of(definition, calendar=books.calendar, today=today))
    return alert._replace(due_since=None, evaluated_at=now, evaluated_on=today, first_period=first)
