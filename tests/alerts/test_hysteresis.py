"""Hysteresis against a small model of its own: random walks of values, period after period."""

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from app.alerts.definition import AlertDefinition
from app.alerts.hysteresis import AlertPoint, AlertState, next_state
from app.alerts.periods import changed_periods
from app.core.periods import Period
from app.metrics.number_source import NumberGroup
from app.metrics.results import Result

FIRST = date(2026, 1, 1)
WINDOW = 5
values = st.one_of(st.none(), st.integers(-3, 13))


def definition(kind: str, margin: int, for_periods: int) -> AlertDefinition:
    group = NumberGroup()
    return AlertDefinition("mrr", "default", group, "day", kind, Decimal(5), Decimal(margin), False, 0, for_periods)


def points(walk: list[int | None]) -> list[AlertPoint]:
    """The last periods of a walk, the last of which runs."""
    results = [Result(value) for value in walk]
    days = [FIRST + timedelta(days=number) for number in range(len(walk))]
    periods = [Period(str(day), day, day + timedelta(days=1), index < len(walk) - 1) for index, day in enumerate(days)]
    return [
        AlertPoint(period, result, results[index - 1] if index else None)
        for index, (period, result) in enumerate(zip(periods, results, strict=True))
    ][-WINDOW:]


def model(walk: list[int | None], kind: str, margin: int, for_periods: int) -> list[tuple[str, int]]:
    """The transitions when each value comes on a day of its own and never changes: one flag, two levels."""
    sign = 1 if kind == "above" else -1
    transitions, run, is_on = [], 0, False
    for index, value in enumerate(walk):
        is_beyond = value is not None and sign * (value - 5) > 0
        run = run + 1 if is_beyond else 0
        if not is_on and run >= for_periods:
            transitions, is_on = [*transitions, ("triggered", index)], True
        elif is_on and value is not None and not is_beyond and sign * (value - 5) <= -margin:
            transitions, is_on = [*transitions, ("resolved", index)], False
    return transitions


@given(
    st.lists(values, min_size=1, max_size=30), st.sampled_from(["above", "below"]), st.integers(0, 3), st.integers(1, 3)
)
def test_a_walk_makes_the_transitions_of_the_model(
    walk: list[int | None], kind: str, margin: int, for_periods: int
) -> None:
    alert, state, kinds = definition(kind, margin, for_periods), AlertState(), []
    for end in range(1, len(walk) + 1):
        state, transitions = next_state(alert, state, points(walk[:end]), first=FIRST)
        kinds += [(own.kind, (own.point.period.start - FIRST).days) for own in transitions]
        # Another evaluation of the same makes none.
        assert next_state(alert, state, points(walk[:end]), first=FIRST) == (state, [])
    assert kinds == model(walk, kind, margin, for_periods)


@given(st.lists(st.lists(values, min_size=WINDOW, max_size=WINDOW), min_size=1, max_size=30), st.integers(0, 3))
def test_whatever_is_restated_triggers_and_resolves_take_turns(walks: list[list[int | None]], margin: int) -> None:
    """Each evaluation is of other values of the same periods, as late data makes them."""
    alert, state = definition("above", margin, 1), AlertState()
    kinds = []
    for walk in walks:
        state, transitions = next_state(alert, state, points(walk), first=FIRST)
        kinds += [own.kind for own in transitions]
        assert (state.triggered_by is not None) == (bool(kinds) and kinds[-1] == "triggered")
        assert next_state(alert, state, points(walk), first=FIRST) == (state, [])
        # The number of the running period decides at once.
        last = walk[-1]
        if last is not None and last > 5:
            assert state.triggered_by is not None
        elif last is not None and last <= 5 - margin:
            assert state.triggered_by is None
    assert kinds == ["triggered", "resolved"] * (len(kinds) // 2) + ["triggered"] * (len(kinds) % 2)


@given(st.lists(st.integers(4, 6), min_size=1, max_size=50))
def test_flapping_within_the_margin_triggers_once(walk: list[int]) -> None:
    alert, state, kinds = definition("above", 2, 1), AlertState(), []
    for value in walk:
        state, transitions = next_state(alert, state, points([9, value])[1:], first=FIRST)
        kinds += [own.kind for own in transitions]
    assert kinds == (["triggered"] if 6 in walk else [])


def test_a_period_before_the_alert_was_put_is_no_news() -> None:
    alert = definition("above", 0, 1)
    _, transitions = next_state(alert, AlertState(), points([9, 9, 1]), first=FIRST + timedelta(days=2))
    assert transitions == []
    _, transitions = next_state(
        replace(alert, for_periods=2), AlertState(), points([9, 9]), first=FIRST + timedelta(days=1)
    )
    assert [own.kind for own in transitions] == ["triggered"]


kinds_of_threshold = st.sampled_from(["above", "below", "change_percent"])


@given(
    st.lists(values, min_size=6, max_size=6),
    st.lists(st.tuples(st.integers(1, 5), values), min_size=1, max_size=20),
    kinds_of_threshold,
    st.integers(0, 3),
    st.integers(1, 3),
)
def test_an_evaluation_of_the_changed_periods_is_one_of_all_periods(
    walk: list[int | None], updates: list[tuple[int, int | None]], kind: str, margin: int, for_periods: int
) -> None:
    alert = definition(kind, margin, for_periods)
    results = [Result(value) for value in walk]
    days = [FIRST + timedelta(days=number) for number in range(len(walk))]
    periods = [Period(str(day), day, day + timedelta(days=1), day < days[-1]) for day in days]

    def all_points() -> list[AlertPoint]:
        return [AlertPoint(periods[index], results[index], results[index - 1]) for index in range(1, len(periods))]

    state, _ = next_state(alert, AlertState(), all_points(), first=days[1])
    for index, value in updates:
        results[index] = Result(value)
        needed, first = changed_periods(alert, periods, days[index])
        part = all_points()[-len(needed) + 1 :]
        full = next_state(alert, state, all_points(), first=days[1])
        assert next_state(alert, state, part, first=max(first, days[1]), oldest=days[1]) == full
        state = full[0]


numbers = st.one_of(
    st.sampled_from([0.0, 5.0, 2.0, 8.0, 5.0000004, 4.9999996, 1e15, -1e15, 1e-9]),
    st.floats(-1e9, 1e9, allow_nan=False),
    st.floats(-10, 10, allow_nan=False),
)


@given(kinds_of_threshold, st.integers(0, 3), st.one_of(st.none(), numbers), st.one_of(st.none(), numbers))
def test_a_quick_comparison_says_what_an_exact_one_says(
    kind: str, margin: int, value: float | None, previous: float | None
) -> None:
    alert = definition(kind, margin, 1)
    point = AlertPoint(Period("", FIRST, FIRST + timedelta(days=1), True), Result(value), Result(previous))
    exact, quick = point.number(alert), point.comparable(alert)
    assert (exact is None) == (quick is None)
    if exact is not None and quick is not None:
        assert (alert.is_beyond(quick), alert.is_back(quick)) == (alert.is_beyond(exact), alert.is_back(exact))
        assert value is not None
        assert alert.may_be_beyond(value, previous) or not alert.is_beyond(exact)
