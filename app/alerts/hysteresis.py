"""Hysteresis: which crossings of a threshold become transitions.

Each evaluation covers the last few periods, since data may be late. A period whose number is beyond the threshold triggers once,
until its number is back. What triggers and resolves within one evaluation makes both transitions; what changes and changes back
makes none.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from fractions import Fraction
from typing import Literal, NamedTuple

from app.alerts.definition import CHANGE, AlertDefinition
from app.core.periods import Period
from app.metrics.numbers import NO_METRIC, SEGMENT_ENDED
from app.metrics.results import Result, shown_value

Kind = Literal["triggered", "resolved"]
TRIGGERED: Kind = "triggered"
RESOLVED: Kind = "resolved"


class AlertPoint(NamedTuple):
    """A number in one period, and that of the period before. result: None where the account has none any more."""

    period: Period
    result: Result | None
    previous: Result | None

    @property
    def is_gone(self) -> bool:
        """Whether there is no such number any more: the account is gone, or the segment or the metric is."""
        return self.result is None or self.result.reason in (SEGMENT_ENDED.reason, NO_METRIC.reason)

    def number(self, definition: AlertDefinition) -> Fraction | None:
        """Return what is compared with the threshold; None where there is nothing to compare, or too small a sample."""
        value = _usable_value(self.result, definition)
        if definition.kind != CHANGE or value is None:
            return value
        before = _usable_value(self.previous, definition)
        return 100 * (value - before) / abs(before) if before else None

    def comparable(self, definition: AlertDefinition) -> Fraction | float | None:
        """Return the number, as a float where it is far from the threshold: exact ones take much longer."""
        result, before = self.result, self.previous
        if not _is_usable(result, definition) or result is None or result.value is None:
            return None
        if definition.kind == CHANGE and (not _is_usable(before, definition) or before is None or before.value is None):
            return None
        quick = definition.compare_quickly(result.value, before.value if before else None)
        return self.number(definition) if quick is None else quick


def _is_usable(result: Result | None, definition: AlertDefinition) -> bool:
    return result is not None and (not definition.min_sample or (result.sample_size or 0) >= definition.min_sample)


def _usable_value(result: Result | None, definition: AlertDefinition) -> Fraction | None:
    return shown_value(result) if result is not None and _is_usable(result, definition) else None


class Transition(NamedTuple):
    """An alert has triggered or resolved, by the number of a period."""

    kind: Kind
    point: AlertPoint


@dataclass(frozen=True, slots=True)
class AlertState:
    """What is known of an alert, or of one account of it.

    triggered_by: the first day of the period that has triggered it; None while it has not. reported_periods: the first days of
    periods beyond the threshold that do not trigger again.
    """

    triggered_by: date | None = None
    reported_periods: frozenset[date] = field(default_factory=frozenset)


def next_state(
    definition: AlertDefinition,
    state: AlertState,
    points: Sequence[AlertPoint],
    *,
    first: date,
    oldest: date | None = None,
) -> tuple[AlertState, list[Transition]]:
    """Return the new state and its transitions: none, one, or both of a trigger that is over already.

    points: of consecutive periods, the last one now. first: the first day of the first period that the alert is about and whose
    number may have changed. oldest: of the first period that is evaluated at all, if that is not the first one here.
    """
    evaluation = _Evaluation(definition, state, points)
    for index, point in enumerate(points):
        if point.period.start >= first:
            evaluation.step(index, point)
    oldest = oldest or points[0].period.start
    reported_periods = frozenset(day for day in evaluation.reported_periods if day >= oldest)
    new_state = AlertState(evaluation.triggered_by, reported_periods)
    return new_state, _net_transitions(state, evaluation.transitions)


def _net_transitions(state: AlertState, transitions: Sequence[Transition]) -> list[Transition]:
    """Return what is left of the transitions when those that took each other back are left out."""
    if not transitions:
        return []
    was_triggered, is_triggered = state.triggered_by is not None, transitions[-1].kind == TRIGGERED
    if was_triggered != is_triggered:
        return [transitions[-1]]
    return [] if is_triggered else [transitions[0], transitions[-1]]


class _Evaluation:
    """An evaluation of the periods, the earliest first."""

    def __init__(self, definition: AlertDefinition, state: AlertState, points: Sequence[AlertPoint]) -> None:
        self._definition, self._points = definition, points
        self._numbers = [point.comparable(definition) for point in points]
        judgeable_indexes = (index for index, own in enumerate(points) if definition.may_resolve(own.period))
        self._last_judgeable = max(judgeable_indexes, default=-1)
        self.triggered_by, self.reported_periods = state.triggered_by, set(state.reported_periods)
        self.transitions: list[Transition] = []

    def step(self, index: int, point: AlertPoint) -> None:
        """Evaluate a period."""
        start = point.period.start
        if self._is_beyond(index):
            is_new = index == len(self._points) - 1 or start not in self.reported_periods
            self.reported_periods.add(start)
            if is_new and self.triggered_by is None:
                self.triggered_by = start
                self.transitions.append(Transition(TRIGGERED, point))
        elif self._is_back(index, point):
            self.reported_periods.discard(start)
            if self.triggered_by is not None and start >= self.triggered_by:
                self.triggered_by = None
                self.transitions.append(Transition(RESOLVED, point))

    def _is_beyond(self, index: int) -> bool:
        """Return whether the number is beyond the threshold, and was in as many periods before as the alert says."""
        first = index - self._definition.for_periods + 1
        return first >= 0 and all(map(self._is_alone_beyond, range(first, index + 1)))

    def _is_alone_beyond(self, index: int) -> bool:
        number = self._numbers[index]
        may_trigger = self._definition.may_trigger(self._points[index].period)
        return number is not None and may_trigger and self._definition.is_beyond(number)

    def _is_back(self, index: int, point: AlertPoint) -> bool:
        if not self._definition.may_resolve(point.period):
            return False
        number = self._numbers[index]
        if number is not None:
            return self._definition.is_back(number)
        # The number that has triggered it is gone, or all are.
        return point.period.start == self.triggered_by or (point.is_gone and index == self._last_judgeable)
