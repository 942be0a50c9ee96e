"""The periods that an alert evaluates: the running one, and those before it whose data may still come."""

from datetime import date

from app.alerts.definition import AlertDefinition
from app.core.periods import FIRST_DAY, Calendar, Period

# How many periods before the last one are evaluated for late data.
LATE_PERIODS = {"day": 7, "week": 4, "month": 3, "quarter": 2, "year": 1}


def periods_of(definition: AlertDefinition, *, calendar: Calendar, today: date) -> list[Period]:
    """Return the periods whose numbers an alert needs, in order: the last one runs, the first is only compared with."""
    unit = definition.granularity
    last = calendar.unit_number(today, unit)
    first = last - LATE_PERIODS[unit] - definition.for_periods
    periods = []
    for number in range(first, last + 1):
        try:
            start, end = calendar.unit_range(number, number + 1, unit)
        except (ValueError, OverflowError):
            continue
        if start >= FIRST_DAY:
            periods.append(Period(calendar.unit_name(start, unit), start, end, end <= today))
    return periods


def changed_periods(definition: AlertDefinition, periods: list[Period], since: date) -> tuple[list[Period], date]:
    """Return the last periods that an evaluation needs, and the first day of those whose numbers may have changed.

    since: the first day of which data has changed. A number depends on no day after its period.
    """
    index = next((index for index, period in enumerate(periods) if period.end > since), len(periods) - 1)
    return periods[max(0, index - definition.for_periods) :], periods[index].start


def first_period(definition: AlertDefinition, periods: list[Period]) -> date:
    """Return the first day of the first period that an alert is about which is put now: the last one that can be judged."""
    judgeable_periods = [period for period in periods if definition.may_trigger(period)]
    return (judgeable_periods or periods)[-1].start
