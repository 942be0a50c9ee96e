"""When things happen: calendar days, and the story's own clock.

The story is told in positions from 0.0 to 24.0: 8.5 is the middle of month 9. A demo of another length stretches the
story or presses it together, so every turn of it happens in 6 months as well.
"""

import calendar
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from random import Random

STORY_MONTHS = 24

BAD_RELEASE = 8.1
OVERHAUL = 11.0
RELEASE_IS_MENDED = 11.5
HANDOVER = 12.6
ROUTE_PLANNER = 13.2
PRICE_RISE = 14.0

# The first hour of a region's working day in UTC; all of its hours lie within one UTC day.
OPENING_HOUR = {"amer": 14, "emea": 7, "uk": 8, "apac": 1}
WORKING_HOURS = 9
# How busy Monday to Sunday are.
WEEK = (1.0, 1.1, 1.15, 1.05, 0.85, 0.16, 0.12)


@dataclass(frozen=True, slots=True)
class Timeline:
    """`first` day of the story, its whole `months`, the day on which the books end, and the running month's last day.

    The story is always written to `end` and cut at `yesterday`: a demo made tomorrow only has one day more.
    """

    first: date
    months: int
    yesterday: date
    end: date

    @classmethod
    def before(cls, today: date, *, months: int) -> "Timeline":
        """`months` whole months and the running one. Raises ValueError for less than one month."""
        if months < 1:
            raise ValueError("the story needs one whole month at least")
        running = today.replace(day=1)
        return cls(
            first=add_months(running, -months),
            months=months,
            yesterday=today - timedelta(days=1),
            end=add_months(running, 1) - timedelta(days=1),
        )

    def month(self, number: int) -> date:
        """The first day of month `number`, counted from 1; the running month is `months + 1`."""
        return add_months(self.first, number - 1)

    def position(self, day: date) -> float:
        """Where the story stands on `day`: 8.5 in the middle of month 9 (of 24)."""
        whole = (day.year - self.first.year) * 12 + day.month - self.first.month
        part = (day.day - 1) / calendar.monthrange(day.year, day.month)[1]
        return (whole + part) * STORY_MONTHS / self.months

    def day_at(self, position: float) -> date:
        """The day on which the story reaches `position`: the inverse of `position`, to the day."""
        elapsed = position * self.months / STORY_MONTHS
        start = add_months(self.first, int(elapsed))
        length = calendar.monthrange(start.year, start.month)[1]
        return start + timedelta(days=int((elapsed - int(elapsed)) * length))


def add_months(day: date, months: int) -> date:
    """The same day `months` later (or earlier), or the last of a shorter month."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    return date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))


def days(first: date, until: date) -> Iterator[date]:
    """Every day from `first` to the one before `until`."""
    for number in range(first.toordinal(), until.toordinal()):
        yield date.fromordinal(number)


def along(points: Sequence[tuple[float, float]], x: float) -> float:
    """The height at `x` of the line through `points`, level before the first and after the last."""
    x0, y0 = points[0]
    for x1, y1 in points:
        if x < x1:
            return y0 + (y1 - y0) * (x - x0) / (x1 - x0) if x > x0 else y0
        x0, y0 = x1, y1
    return y0


def moment(day: date, seconds: int) -> datetime:
    """So many seconds after midnight UTC of `day`."""
    return datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(seconds=seconds)


def opening(day: date, region: str) -> datetime:
    """The start of the working day of a region."""
    return moment(day, OPENING_HOUR[region] * 3600)


def at_work(day: date, region: str, rng: Random) -> datetime:
    """Some time of the working day, a quarter of an hour after its start at the earliest."""
    return moment(day, OPENING_HOUR[region] * 3600 + 900 + int(rng.random() * (WORKING_HOURS * 3600 - 900)))


def whole(rate: float, rng: Random) -> int:
    """A whole number whose mean is `rate`."""
    return int(rate) + (rng.random() < rate - int(rate))


def season(day: date, region: str) -> float:
    """How busy a day is, from weekends (0.12) to Wednesdays (1.15), less at the turn of the year and in August."""
    busy = WEEK[day.weekday()]
    if (day.month, day.day) >= (12, 23) or (day.month, day.day) <= (1, 2):
        return busy * 0.35
    return busy * 0.8 if day.month == 8 and region in ("emea", "uk") else busy
