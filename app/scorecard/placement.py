"""The periods of targets: which one a scorecard is about, and which targets it has there."""

from collections.abc import Iterator, Sequence
from datetime import date
from fractions import Fraction
from typing import NamedTuple

from app.accounts.listing import day_after
from app.core.periods import FIRST_DAY, Calendar, Period, Range, counted_end
from app.metrics.define import Metric
from app.scorecard.definition import Definition
from app.scorecard.versions import TargetStretch, stretch_on

TREND_LENGTH = 6


class Placement(NamedTuple):
    """A target in one period. unit: the days of the whole period, of which the target may hold on a part only."""

    stretch: TargetStretch
    period: Period
    unit: Range

    @property
    def id(self) -> str:
        return self.stretch.version.id

    @property
    def definition(self) -> Definition:
        return self.stretch.definition

    @property
    def name(self) -> str:
        """The name of its row for the cursor."""
        return f"{self.period.start}"

    @property
    def is_clipped(self) -> bool:
        """Whether the target holds on a part of the period only."""
        return (self.period.start, self.period.end) != self.unit

    def target(self, metric: Metric | None) -> Fraction:
        """Return the target of the period: for a part of it and a metric that adds up over time, the same part."""
        return self.definition.value_at(self.period.end) * self._part(metric)

    def baseline(self, metric: Metric | None) -> Fraction | None:
        """Return the baseline of the period, if the target has one."""
        baseline = self.definition.baseline
        return None if baseline is None else Fraction(baseline) * self._part(metric)

    def _part(self, metric: Metric | None) -> Fraction:
        if metric is None or not is_flow(metric) or not self.is_clipped:
            return Fraction(1)
        start, end = self.unit
        return Fraction((self.period.end - self.period.start).days, (end - start).days)

    def days_passed(self, today: date) -> int:
        """Return how many days of the period have come, today included."""
        return (counted_end(self.period, today) - self.period.start).days


def is_flow(metric: Metric) -> bool:
    """Return whether the values of a metric add up over time."""
    return "time" in metric.adds_over


def place_on(stretch: TargetStretch, day: date, *, calendar: Calendar, today: date) -> Placement:
    """Return a target in the period that a day of its stretch is in."""
    definition = stretch.definition
    if definition.granularity == "total":
        name, unit = "total", (definition.since, definition.until or stretch.end)
    else:
        number = calendar.unit_number(day, definition.granularity)
        unit = calendar.unit_range(number, number + 1, definition.granularity)
        name = calendar.unit_name(unit[0], definition.granularity)
    start, end = max(unit[0], stretch.start), min(unit[1], stretch.end)
    return Placement(stretch, Period(name, start, end, end <= today), unit)


def place_in(
    stretches: Sequence[TargetStretch], start: date, end: date, *, calendar: Calendar, today: date
) -> Placement | None:
    """Return a target in its last period that has begun by today and has days in `[start, end)`; None if it has none there.

    If no such period has begun, it is the first one.
    """
    within = [(max(own.start, start), min(own.end, end), own) for own in stretches]
    within = [days for days in within if days[0] < days[1]]
    current_or_past = [days for days in within if days[0] <= today]
    if current_or_past:
        _, last_end, stretch = current_or_past[-1]
        day = date.fromordinal(min(last_end, day_after(today)).toordinal() - 1)
        return place_on(stretch, day, calendar=calendar, today=today)
    return place_on(within[0][2], within[0][0], calendar=calendar, today=today) if within else None


def earlier_periods(placement: Placement, *, calendar: Calendar, today: date) -> list[Period]:
    """Return the whole periods before the one of a target that have begun, for its trend, in order."""
    unit = placement.definition.granularity
    if unit == "total":
        return []
    number = calendar.unit_number(placement.unit[0], unit)
    periods: list[Period] = []
    for earlier in range(number - TREND_LENGTH + 1, number):
        try:
            start, end = calendar.unit_range(earlier, earlier + 1, unit)
        except (ValueError, OverflowError):
            continue
        if FIRST_DAY <= start <= today:
            periods.append(Period(calendar.unit_name(start, unit), start, end, end <= today))
    return periods


def target_of_whole(
    stretches: Sequence[TargetStretch],
    period: Period,
    placement: Placement,
    metric: Metric | None,
    *,
    calendar: Calendar,
) -> Fraction | None:
    """Return the target that the same question had in a whole period; None if it did not hold in all of it."""
    stretch = stretch_on(stretches, period.start)
    if stretch is None or stretch.end < period.end or stretch.definition.question != placement.definition.question:
        return None
    return place_on(stretch, period.start, calendar=calendar, today=period.end).target(metric)


def past_periods(stretches: Sequence[TargetStretch], *, calendar: Calendar, today: date) -> Iterator[Placement]:
    """Yield a target in each of its periods that have ended, the last one first."""
    for stretch in reversed(stretches):
        last = min(stretch.end, day_after(today)).toordinal() - 1
        while last >= stretch.start.toordinal():
            placement = place_on(stretch, date.fromordinal(last), calendar=calendar, today=today)
            if placement.period.complete:
                yield placement
            last = placement.period.start.toordinal() - 1
