"""Calendar days and times of day, and the position of the story on a day.

The position runs from 0.0 to 24.0: 8.5 is the middle of month 9. A demo with another number of months stretches or compresses
the story, so that everything happens in a demo of 6 months as well.
"""

import calendar
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from random import Random

STORY_MONTHS = 24

# The positions of what changes the numbers.
BAD_RELEASE = 8.1
ONBOARDING_OVERHAUL = 11.0
RELEASE_FIX = 11.5
MANAGER_HANDOVER = 12.6
ROUTE_PLANNER = 13.2
PRICE_RISE = 14.0
RESOLD_LOSS = 20.4

# The hour in UTC at which the working day of a region begins; all of its hours are on one UTC day.
OPENING_HOUR = {"amer": 14, "emea": 7, "uk": 8, "apac": 1}
WORKING_HOURS = 9
# The activity on each day from Monday to Sunday.
WEEKDAY_LEVELS = (1.0, 1.1, 1.15, 1.05, 0.85, 0.16, 0.12)


@dataclass(frozen=True, slots=True)
class Timeline:
    """The days of a demo: its first day, its number of whole months, yesterday, and the last day of the current month.

    The story is always computed up to `last_day` and cut off after `yesterday`, so a demo made tomorrow has one more day and
    is otherwise the same.
    """

    first_day: date
    months: int
    yesterday: date
    last_day: date

    @classmethod
    def ending_before(cls, today: date, *, months: int) -> "Timeline":
        """Return the timeline of `months` whole months and the current one. Raises ValueError for less than one month."""
        if months < 1:
            raise ValueError("a demo has at least one whole month")
        current_month = today.replace(day=1)
        return cls(
            first_day=add_months(current_month, -months),
            months=months,
            yesterday=today - timedelta(days=1),
            last_day=add_months(current_month, 1) - timedelta(days=1),
        )

    def first_of_month(self, number: int) -> date:
        """Return the first day of a month. number: counted from 1; the current month is `months + 1`."""
        return add_months(self.first_day, number - 1)

    def position(self, day: date) -> float:
        """Return the position of the story on a day: 8.5 in the middle of month 9 (of 24)."""
        whole_months = (day.year - self.first_day.year) * 12 + day.month - self.first_day.month
        fraction = (day.day - 1) / calendar.monthrange(day.year, day.month)[1]
        return (whole_months + fraction) * STORY_MONTHS / self.months

    def day_at(self, position: float) -> date:
        """Return the day on which the story reaches a position."""
        elapsed = position * self.months / STORY_MONTHS
        start = add_months(self.first_day, int(elapsed))
        length = calendar.monthrange(start.year, start.month)[1]
        return start + timedelta(days=int((elapsed - int(elapsed)) * length))


def add_months(day: date, months: int) -> date:
    """Return the same day of the month `months` later (or earlier), or the last day of a shorter month."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    return date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))


def days_between(start: date, end: date) -> Iterator[date]:
    """Yield every day from `start` to the day before `end`."""
    for number in range(start.toordinal(), end.toordinal()):
        yield date.fromordinal(number)


def interpolate(points: Sequence[tuple[float, float]], x: float) -> float:
    """Return the y at `x` of the line through points (x, y); it is level before the first point and after the last."""
    x0, y0 = points[0]
    for x1, y1 in points:
        if x < x1:
            return y0 + (y1 - y0) * (x - x0) / (x1 - x0) if x > x0 else y0
        x0, y0 = x1, y1
    return y0


def time_on(day: date, seconds: int) -> datetime:
    """Return the time that is this many seconds after midnight UTC of a day."""
    return datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(seconds=seconds)


def opening_time(day: date, region: str) -> datetime:
    """Return the start of the working day in a region."""
    return time_on(day, OPENING_HOUR[region] * 3600)


def working_time(day: date, region: str, rng: Random) -> datetime:
    """Return a random time of the working day in a region, at least a quarter of an hour after its start."""
    return time_on(day, OPENING_HOUR[region] * 3600 + 900 + int(rng.random() * (WORKING_HOURS * 3600 - 900)))


def random_round(value: float, rng: Random) -> int:
    """Return a value rounded up or down at random, so that the mean is the value."""
    return int(value) + (rng.random() < value - int(value))


def activity_level(day: date, region: str) -> float:
    """Return the activity on a day: 0.12 on Sundays to 1.15 on Wednesdays, less around New Year and in European Augusts."""
    level = WEEKDAY_LEVELS[day.weekday()]
    if (day.month, day.day) >= (12, 23) or (day.month, day.day) <= (1, 2):
        return level * 0.35
    return level * 0.8 if day.month == 8 and region in ("emea", "uk") else level
