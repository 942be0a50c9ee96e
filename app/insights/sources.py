"""What detectors read: the few shapes of questions, into which the needs of all detectors are merged.

A source is the default of a detector's parameter. The engine loads the sources of all detectors at once and passes their values:

    history(...)              Series: a metric of the whole company in complete periods, the oldest first
    history_by_subject(...)   the same for each subject, such as a feature: subject -> Series
    account_rows(...)         a row of columns for every account
    offer(...)                what another feature has: the standing of targets, open detractors, health
    moment()                  the day that counts as today, the currency, and paths of questions

All of them end before the day that counts as today, so a running day, week or month never looks like a drop.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

from app.core.periods import Period
from app.ledger.sums.account_sums import DayBound, Window
from app.ledger.sums.operand_sums import Operand
from app.ledger.sums.operands import Balance, Flow, Users
from app.metrics.define import DEFAULT
from app.metrics.results import Result

# A row of `account_rows`: `account`, and a value for each column.
AccountRow = Any

# The windows of columns end before the day that counts as today.
_NOW = DayBound()
_LAST_MONTH = Window(DayBound(months=1), DayBound(months=0))


class SeriesPoint(NamedTuple):
    """The number of a metric in a period."""

    period: Period
    result: Result


@dataclass(frozen=True, slots=True)
class Series:
    """The numbers of a metric in consecutive periods, the oldest first. question: the path of the question that answers them."""

    points: Sequence[SeriesPoint]
    question: str

    @property
    def last(self) -> Result:
        return self.points[-1].result

    @property
    def earlier(self) -> list[Result]:
        """The results of all periods before the last one."""
        return [point.result for point in self.points[:-1]]

    @property
    def period(self) -> Period:
        """The last period."""
        return self.points[-1].period


SeriesBySubject = Mapping[str, Series]


class Moment(NamedTuple):
    """The day that counts as today, and what follows from it. month: the last complete one."""

    today: date
    as_of: date | None
    currency: str
    month: Period

    def last_days(self, days: int) -> Period:
        """Return the last complete days as a period."""
        return Period(f"last_{days}_days", self.today - timedelta(days=days), self.today, complete=True)

    def path(self, metric: str, start: date, end: date, *, list: str = "", **parameters: Any) -> str:
        """Return the path of a question about a metric. list: of one of its lists instead, such as `restatements`."""
        values = {"start": start, "end": end, **parameters, "as_of": self.as_of}
        query = urlencode({name: value for name, value in values.items() if value is not None})
        return f"/v1/metrics/{quote(metric, safe='')}{list and '/' + list}?{query}"

    def month_path(self, metric: str, *, list: str = "", **parameters: Any) -> str:
        """Return the path of a question about the last complete month."""
        return self.path(metric, self.month.start, self.month.end, list=list, **parameters)


@dataclass(frozen=True, slots=True)
class MetricSource:
    """A metric in its last complete periods.

    granularity: of the periods; `total` makes one period of so many months. count: how many. skip: how many of the last ones
    are left out. days_ago: only periods that were complete so many days ago. is_earlier: as it was known then.
    """

    metric: str
    convention: str | None
    granularity: str
    count: int
    skip: int = 0
    by_subject: bool = False
    days_ago: int = 0
    is_earlier: bool = False

    @property
    def description(self) -> str:
        unit = "day" if self.granularity == "day" else "month"
        before = f" before the last {_count(self.skip, unit)}" if self.skip else ""
        parts = [
            f"`{self.metric}`" + (f" (`{self.convention}`)" if self.convention not in (None, DEFAULT) else ""),
            "of each subject" if self.by_subject else "",
            f"of {_count(self.count, unit)}{before}" if before else f"of the last {_count(self.count, unit)}",
            "taken together" if self.granularity == "total" else "",
            f"that had ended {self.days_ago} days ago" if self.days_ago else "",
            "as known then" if self.is_earlier else "",
        ]
        return " ".join(filter(None, parts))


@dataclass(frozen=True)
class Column:
    """A number of every account: an operand over a window of days before the day that counts as today."""

    operand: Operand
    window: Window
    description: str


@dataclass(frozen=True, slots=True)
class AccountSource:
    """Columns of every account, by name."""

    columns: tuple[tuple[str, Column], ...]

    @property
    def description(self) -> str:
        return "of each account: " + ", ".join(column.description for _, column in self.columns)


@dataclass(frozen=True, slots=True)
class OfferSource:
    """What another feature has, by its name in `OFFERS`. parameters: what its function is called with, besides the moment."""

    name: str
    description: str
    parameters: tuple[tuple[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class MomentSource:
    """The `Moment`."""

    description: str = ""


Source = MetricSource | AccountSource | OfferSource | MomentSource


def history(
    metric: str,
    *,
    months: int = 0,
    days: int = 0,
    skip: int = 0,
    convention: str | None = None,
    as_one: bool = False,
    days_ago: int = 0,
    is_earlier: bool = False,
) -> Any:
    """Return the source of a metric in the last complete months or days. as_one: the months as one period.

    skip, days_ago, is_earlier: see `MetricSource`.
    """
    granularity = "total" if as_one else "month" if months else "day"
    return MetricSource(metric, convention, granularity, months or days, skip, days_ago=days_ago, is_earlier=is_earlier)


def history_by_subject(metric: str, *, months: int, convention: str | None = None) -> Any:
    """Return the source of a metric of each subject in the last complete months."""
    return MetricSource(metric, convention, "month", months, by_subject=True)


def account_rows(**columns: Column) -> Any:
    """Return the source of a row for every account."""
    return AccountSource(tuple(columns.items()))


def offer(name: str, description: str, **parameters: Any) -> Any:
    """Return the source of what another feature has in `OFFERS`."""
    return OfferSource(name, description, tuple(parameters.items()))


def moment() -> Any:
    """Return the source of the moment."""
    return MomentSource()


def balance(measure: str, *, days_ago: int = 0) -> Column:
    """Return the column of what a measure adds up to, from the beginning to so many days ago."""
    window = Window(DayBound(days_ago), DayBound(days_ago))
    ago = f" {_count(days_ago, 'day')} before" if days_ago else ""
    return Column(Balance(measure, closing=True), window, f"`{measure}` in all{ago}")


def balance_of_month(measure: str, *, opening: bool = False) -> Column:
    """Return the column of what a measure adds up to, at the end of the last complete month or, opening, before it."""
    day = _LAST_MONTH.start if opening else _LAST_MONTH.end
    side = "before" if opening else "at the end of"
    return Column(Balance(measure, closing=True), Window(day, day), f"`{measure}` {side} the last month")


def flow_of_days(measure: str, days: int, *, skip: int = 0) -> Column:
    """Return the column of a measure's sum over days, of which the last ones are left out."""
    window = Window(DayBound(days + skip), DayBound(skip) if skip else _NOW)
    before = f" before the last {skip}" if skip else ""
    last = "" if skip else "the last "
    return Column(Flow(measure), window, f"`{measure}` of {last}{_count(days, 'day')}{before}")


def flow_of_month(measure: str) -> Column:
    """Return the column of a measure's sum over the last complete month."""
    return Column(Flow(measure), _LAST_MONTH, f"`{measure}` of the last month")


def users_of_month(presence: str) -> Column:
    """Return the column of the distinct users of the last complete month."""
    return Column(Users(presence, None, False), _LAST_MONTH, f"distinct `{presence}` of the last month")


def _count(number: int, unit: str) -> str:
    return f"{number} {unit}s" if number > 1 else unit
