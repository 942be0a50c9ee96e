"""Days and their units by docs/metrics.md, found by looking at one day after the other; shares nothing with the service."""

from datetime import UTC, date, datetime, timedelta
from functools import cache
from itertools import groupby
from zoneinfo import ZoneInfo

DAY = timedelta(days=1)


class Calendar:
    """Days and their units, found by looking at one day after the other."""

    def __init__(self, zone: str = "UTC", fiscal_year_start: int = 1) -> None:
        self.zone = ZoneInfo(zone)
        self.fiscal_year_start = fiscal_year_start
        for slow in ("midnight", "unit", "units", "first", "past", "named"):
            setattr(self, slow, cache(getattr(self, slow)))

    def day(self, at: datetime) -> date:
        return at.astimezone(UTC).astimezone(self.zone).date()

    def midnight(self, day: date) -> datetime:
        """The first minute of the day, by halving two days of minutes around it."""
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
        """The name of the unit that the day is in."""
        fiscal = day.year + (1 < self.fiscal_year_start <= day.month)
        week = day.isocalendar()
        return {
            "day": f"{day}",
            "week": f"{week.year}-W{week.week:02}",
            "month": f"{day:%Y-%m}",
            "quarter": f"{fiscal}-Q{(day.month - self.fiscal_year_start) % 12 // 3 + 1}",
            "year": f"{fiscal}",
            "total": "total",
        }[granularity]

    def units(self, start: date, end: date, granularity: str) -> list[tuple[str, date, date]]:
        """The units of a range, each with its first day in it and the day after its last."""
        days = (start + DAY * n for n in range((end - start).days))
        parts = [(name, list(part)) for name, part in groupby(days, lambda day: self.unit(day, granularity))]
        return [(name, part[0], part[-1] + DAY) for name, part in parts]

    def first(self, day: date, granularity: str) -> date:
        while self.unit(day - DAY, granularity) == self.unit(day, granularity):
            day -= DAY
        return day

    def past(self, day: date, granularity: str) -> date:
        """The day after the unit's last."""
        unit = self.unit(day, granularity)
        while self.unit(day, granularity) == unit:
            day += DAY
        return day

    def named(self, text: str | None, today: date) -> tuple[date, date]:
        if text is None:
            return self.named("last_12_months", today)[0], self.past(today, "month")
        words = text.split("_")
        if text in ("today", "yesterday"):
            day = today if text == "today" else today - DAY
            return day, day + DAY
        if text.endswith("_to_date"):
            return self.first(today, words[0]), today + DAY
        if words[0] == "this":
            return self.first(today, words[1]), self.past(today, words[1])
        if words[0] == "last":
            granularity, many = (words[1], 1) if len(words) == 2 else (words[2].removesuffix("s"), int(words[1]))
            start = end = self.first(today, granularity)
            for _ in range(many):
                start = self.first(start - DAY, granularity)
            return start, end
        day = date(int(text[:4]) - 1, 1, 1)
        while text not in (self.unit(day, g) for g in ("year", "quarter", "month", "week", "day")):
            day += DAY
        granularity = next(g for g in ("year", "quarter", "month", "week", "day") if self.unit(day, g) == text)
        return day, self.past(day, granularity)
