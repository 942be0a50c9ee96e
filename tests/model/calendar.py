"""Days and their units by docs/metrics.md, computed by looking at one day after the other."""

from datetime import UTC, date, datetime, timedelta
from functools import cache
from itertools import groupby
from zoneinfo import ZoneInfo

DAY = timedelta(days=1)


class Calendar:
    """A reporting time zone with the first month of the fiscal year and the first day of the week."""

    def __init__(self, zone: str = "UTC", fiscal_year_start: int = 1, week_start: str = "monday") -> None:
        self.zone = ZoneInfo(zone)
        self.fiscal_year_start = fiscal_year_start
        self.week_start = week_start
        for slow in ("midnight", "unit", "split", "unit_start", "unit_end", "range_of"):
            setattr(self, slow, cache(getattr(self, slow)))

    def day(self, at: datetime) -> date:
        """Return the reporting day of an instant."""
        return at.astimezone(UTC).astimezone(self.zone).date()

    def midnight(self, day: date) -> datetime:
        """Return the first minute of a day, by binary search over the two days of minutes around it."""
        early = datetime(day.year, day.month, day.day, tzinfo=UTC) - DAY
        first, last = 0, 2 * 24 * 60
        while first < last:
            middle = (first + last) // 2
            if self.day(early + timedelta(minutes=middle)) >= day:
                last = middle
            else:
                first = middle + 1
        return early + timedelta(minutes=first)

    def unit(self, day: date, granularity: str) -> str:
        """Return the name of the unit that contains a day."""
        fiscal = day.year + (1 < self.fiscal_year_start <= day.month)
        # A week from Sunday has the name of the ISO week with which it has six days in common.
        week = (day + DAY if self.week_start == "sunday" else day).isocalendar()
        return {
            "day": f"{day}",
            "week": f"{week.year}-W{week.week:02}",
            "month": f"{day:%Y-%m}",
            "quarter": f"{fiscal}-Q{(day.month - self.fiscal_year_start) % 12 // 3 + 1}",
            "year": f"{fiscal}",
            "total": "total",
        }[granularity]

    def split(self, start: date, end: date, granularity: str) -> list[tuple[str, date, date]]:
        """Return the units of a range as (name, start, end); the first and the last are cut off at the range's ends."""
        days = (start + DAY * n for n in range((end - start).days))
        parts = [(name, list(part)) for name, part in groupby(days, lambda day: self.unit(day, granularity))]
        return [(name, part[0], part[-1] + DAY) for name, part in parts]

    def unit_start(self, day: date, granularity: str) -> date:
        """Return the first day of the unit that contains a day."""
        while self.unit(day - DAY, granularity) == self.unit(day, granularity):
            day -= DAY
        return day

    def unit_end(self, day: date, granularity: str) -> date:
        """Return the day after the last day of the unit that contains a day."""
        unit = self.unit(day, granularity)
        while self.unit(day, granularity) == unit:
            day += DAY
        return day

    def days_of_unit(self, day: date, granularity: str) -> list[date]:
        """Return the days of the unit that contains a day."""
        start, end = self.unit_start(day, granularity), self.unit_end(day, granularity)
        return [start + DAY * n for n in range((end - start).days)]

    def range_of(self, period: str | None, today: date, granularity: str = "month") -> tuple[date, date]:
        """Return start and end of a period by its name, such as `last_3_months` or `2026-Q1`; None: the default.

        The default has whole units of the granularity.
        """
        if period is None:
            start, end = self.range_of("last_12_months", today)[0], self.unit_end(today, "month")
            if granularity != "total":
                start, end = self.unit_start(start, granularity), self.unit_end(end - DAY, granularity)
            return start, end
        words = period.split("_")
        if period in ("today", "yesterday"):
            day = today if period == "today" else today - DAY
            return day, day + DAY
        if period.endswith("_to_date"):
            return self.unit_start(today, words[0]), today + DAY
        if words[0] == "this":
            return self.unit_start(today, words[1]), self.unit_end(today, words[1])
        if words[0] == "last":
            granularity, count = (words[1], 1) if len(words) == 2 else (words[2].removesuffix("s"), int(words[1]))
            start = end = self.unit_start(today, granularity)
            for _ in range(count):
                start = self.unit_start(start - DAY, granularity)
            return start, end
        granularities = ("year", "quarter", "month", "week", "day")
        day = date(int(period[:4]) - 1, 1, 1)
        while period not in (self.unit(day, granularity) for granularity in granularities):
            day += DAY
        granularity = next(g for g in granularities if self.unit(day, g) == period)
        return day, self.unit_end(day, granularity)
