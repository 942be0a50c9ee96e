"""The presence of one user as tests apply changes to it, and random histories of such changes."""

from collections.abc import Callable, Iterable, Mapping
from datetime import date, timedelta
from random import Random
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

from app.core.periods import UNITS, Calendar
from app.database.tables import MAX_DATE
from app.ingest import catalogue
from app.ledger.measures import entry_units
from app.ledger.presence.changes import DatedPresenceLine, DayChanges, PresenceDelta, PresenceRow, apply_changes
from app.ledger.presence.day_bits import days_of_year, years_around
from app.ledger.presence.keys import PresenceKey, user_key

assert catalogue  # importing it declares the presences

DAY = timedelta(days=1)
KEY = PresenceKey("active_users", "", 7, user_key(7, "ada"))
UTC_CALENDAR = Calendar(ZoneInfo("UTC"))
FISCAL_CALENDARS = [
    Calendar(ZoneInfo("UTC"), month, week) for month, week in ((1, "monday"), (4, "sunday"), (12, "monday"))
]
# Changes in the order in which requests bring them, with their recorded days: several may be recorded on one day.
History = list[tuple[date, DayChanges]]

Apply = Callable[[PresenceKey, dict[int, PresenceRow], Mapping[date, DayChanges], Calendar], PresenceDelta]


def day(text: str) -> date:
    return date.fromisoformat(text)


def day_changes(gained: Iterable[str] = (), lost: Iterable[str] = ()) -> DayChanges:
    return DayChanges({day(text) for text in gained}, {day(text) for text in lost})


class PresenceHistory:
    """What is stored of one user: current and ceased rows, and the lines that were posted."""

    def __init__(self, calendar: Calendar, apply: Apply = apply_changes) -> None:
        self.calendar = calendar
        self.apply = apply
        self.current: dict[int, PresenceRow] = {}
        self.ceased: list[PresenceRow] = []
        self.lines: list[DatedPresenceLine] = []

    def record(self, changes: dict[date, DayChanges]) -> dict[date, DayChanges]:
        """Apply changes as the service does, which reads the rows of the years that matter; return the effective changes."""
        changed_days = {day for each in changes.values() for day in each.days}
        years = {year for day in changed_days for year in years_around(day, self.calendar)}
        rows = {year: row for year, row in self.current.items() if year in years}
        delta = self.apply(KEY, rows, changes, self.calendar)
        self.current |= rows
        # A new row replaces one of the same year that was recorded on the same day.
        written = {(row.year, row.recorded_on) for row in (*delta.ceased_rows, *rows.values())}
        self.ceased = [row for row in self.ceased if (row.year, row.recorded_on) not in written] + delta.ceased_rows
        self.lines += delta.lines
        return delta.changes

    @property
    def rows(self) -> list[PresenceRow]:
        return [*self.ceased, *self.current.values()]

    def users(self, unit: str, start: date, end: date, as_of: date = MAX_DATE) -> int:
        """Return the sum of the lines within some days, as of a recorded day."""
        names = {f"active_users_{entered}" for entered in entry_units(unit)}
        return sum(
            dated.line.value
            for dated in self.lines
            if dated.line.measure.name in names and start <= dated.effective_on < end and dated.recorded_on <= as_of
        )

    def days(self, as_of: date) -> set[date]:
        """Return the days, up to a recorded day, that the rows contain as of that day."""
        rows = [row for row in self.rows if row.recorded_on <= as_of < row.ceased_on]
        assert len({row.year for row in rows}) == len(rows), "two rows of a year are current at once"
        return {day for row in rows for day in days_of_year(row.year, row.bits) if day <= as_of}

    def lines_by_unit_and_day(self, recorded_on: str) -> dict[tuple[str, str], int]:
        """Return the values of the lines of a recorded day, as they are entered."""
        return {
            (dated.line.measure.name.removeprefix("active_users_"), str(dated.effective_on)): dated.line.value
            for dated in self.lines
            if dated.recorded_on == day(recorded_on)
        }

    def users_by_unit(self, recorded_on: str) -> dict[str, list[tuple[str, int]]]:
        """Return what the lines of a recorded day come to for each unit, by day."""
        values = self.lines_by_unit_and_day(recorded_on)
        users: dict[str, list[tuple[str, int]]] = {}
        for unit in UNITS:
            for on in sorted({on for _, on in values}):
                if value := sum(values.get((entered, on), 0) for entered in entry_units(unit)):
                    users.setdefault(unit, []).append((on, value))
        return users


@st.composite
def histories(draw: st.DrawFn) -> History:
    """Some weeks around the end of a year: days are recorded on the day, late or ahead, and some are taken back."""
    random = draw(st.randoms(use_true_random=False))
    today, present, history = date(2025, 12, random.randint(1, 28)), set[date](), []
    for _ in range(random.randint(1, 8)):
        today += DAY * random.choice([0, 0, 1, 1, 2, 9])
        gained = {_random_day(random, today) for _ in range(random.randint(0, 3))}
        lost = set(random.sample(sorted(present), min(len(present), random.randint(0, 2)))) - gained
        present = (present | gained) - lost
        history.append((today, DayChanges(gained, lost)))
    return history


def _random_day(random: Random, today: date) -> date:
    return today + DAY * random.choice([0, 0, 0, 1, -1, -2, -7, -30, -100, -300, -700])


def days_as_of(history: History, as_of: date) -> set[date]:
    """Return the days of presence as of a recorded day."""
    present: set[date] = set()
    for recorded_on, changes in history:
        if recorded_on <= as_of:
            present = (present | changes.gained) - changes.lost
    return present


def changes_by_recorded_day(history: History) -> dict[date, DayChanges]:
    """Return a history as a replay sees it: what each recorded day changed on the whole."""
    changes: dict[date, DayChanges] = {}
    before: set[date] = set()
    for recorded_on in sorted({recorded_on for recorded_on, _ in history}):
        after = days_as_of(history, recorded_on)
        changes[recorded_on] = DayChanges(after - before, before - after)
        before = after
    return changes
