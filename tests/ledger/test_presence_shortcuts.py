"""The shortcuts of presence return and update the same as the definition, `apply_changes`."""

from datetime import date

from hypothesis import given, settings
from hypothesis import strategies as st

from app.core.periods import Calendar
from app.ledger.presence.changes import DayChanges, PresenceDelta, PresenceRow, apply_changes
from app.ledger.presence.keys import PresenceKey
from app.ledger.presence.shortcuts import add_first_days, add_later_day, apply_changes_fast
from tests.ledger.presence_history import DAY, FISCAL_CALENDARS, KEY, History, PresenceHistory, day, histories

FEATURE_KEY = KEY._replace(presence="feature_users", subject="export")
RECORDED_ON = date(2026, 1, 20)
# Around the end of a year, so that weeks, quarters and fiscal years cross it; up to a few days after the recorded day.
days = st.integers(-90, 5).map(lambda distance: RECORDED_ON + DAY * distance)
keys = st.sampled_from([KEY, FEATURE_KEY])
calendars = st.sampled_from(FISCAL_CALENDARS)


def apply_definition(
    key: PresenceKey, rows: dict[int, PresenceRow], changes: DayChanges, calendar: Calendar
) -> tuple[PresenceDelta, dict[int, PresenceRow]]:
    """Return what the definition returns, and the rows after it."""
    updated = dict(rows)
    return apply_changes(key, updated, {RECORDED_ON: changes}, calendar), updated


def is_same(delta: PresenceDelta, expected: PresenceDelta) -> bool:
    """Return whether two deltas are equal, whatever the order of their lines."""
    return delta._replace(lines=sorted(delta.lines, key=repr)) == expected._replace(
        lines=sorted(expected.lines, key=repr)
    )


@settings(deadline=None, max_examples=400)
@given(st.sets(days, max_size=6), days, st.sampled_from([0, 0, 3, 40]), keys, calendars)
def test_adding_a_later_day_equals_the_definition(
    present: set[date], new_day: date, recorded_before: int, key: PresenceKey, calendar: Calendar
) -> None:
    rows: dict[int, PresenceRow] = {}
    apply_changes(key, rows, {RECORDED_ON - DAY * recorded_before: DayChanges(present)}, calendar)
    changes = DayChanges({new_day})
    expected, expected_rows = apply_definition(key, rows, changes, calendar)
    before = dict(rows)
    delta = add_later_day(key, rows, RECORDED_ON, changes, calendar)
    if delta is None:
        assert rows == before, "a shortcut that does not fit changes nothing"
        assert any(on > new_day for on in present), "only an earlier day does not fit"
    else:
        assert is_same(delta, expected)
        assert rows == expected_rows


@settings(deadline=None, max_examples=200)
@given(st.sets(days | st.dates(date(2023, 12, 1), date(2026, 1, 31)), min_size=1, max_size=40), keys, calendars)
def test_adding_the_first_days_equals_the_definition(gained: set[date], key: PresenceKey, calendar: Calendar) -> None:
    rows: dict[int, PresenceRow] = {}
    changes = DayChanges(gained)
    expected, expected_rows = apply_definition(key, {}, changes, calendar)
    assert is_same(add_first_days(key, rows, RECORDED_ON, changes, calendar), expected)
    assert rows == expected_rows


@settings(deadline=None, max_examples=100)
@given(histories(), calendars)
def test_a_history_with_shortcuts_equals_one_without(history: History, calendar: Calendar) -> None:
    fast, defined = PresenceHistory(calendar, apply_changes_fast), PresenceHistory(calendar)
    for recorded_on, changes in history:
        assert fast.record({recorded_on: changes}) == defined.record({recorded_on: changes})
    assert (fast.current, fast.ceased) == (defined.current, defined.ceased)
    assert sorted(fast.lines, key=repr) == sorted(defined.lines, key=repr)


def test_the_day_of_nearly_every_event_fits_the_shortcut() -> None:
    """An active user is active again today."""
    rows: dict[int, PresenceRow] = {}
    calendar = FISCAL_CALENDARS[0]
    for text in ("2026-03-10", "2026-03-11", "2026-03-11", "2026-04-02", "2027-01-01"):
        today = day(text)
        assert add_later_day(KEY, rows, today, DayChanges({today}), calendar) is not None
