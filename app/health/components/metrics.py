"""Kinds of components that are values of a metric: now, against the window before, and against the account's own past."""

from collections.abc import Sequence
from statistics import median
from typing import Any, Literal

from pydantic import Field

from app.core.names import Fault, build_fault
from app.health.kinds import ComponentValues, Surroundings, by_row, kind
from app.health.metric_values import MetricComponent, counted_measure, counted_metric_faults
from app.ledger.sums.account_operands import Narrowing, OwnOperand, sum_before
from app.ledger.sums.account_sums import DayBound, Part, Window

_WEEK = 7
_MAX_WEEKS = 60
_MAX_WINDOW_DAYS = 400


class WindowComponent(MetricComponent):
    """A component over the window of the model, or over one of its own."""

    window_days: int | None = Field(
        None, ge=1, le=_MAX_WINDOW_DAYS, description="Length of its window in days. Default: that of the model."
    )


@kind
class ValueComponent(WindowComponent):
    """The value of a metric over the window that ends with the day; of a stock, its value at the end of the day.

    Takes no part where the metric has no value, and for an account of which `requires` never counted anything.
    """

    kind: Literal["value"] = "value"
    requires: str | None = Field(
        None,
        max_length=128,
        description="A metric that counts one kind of thing. While it has never been above 0 for an account, the component takes "
        "no part: no open ticket says nothing of an account that never had a ticket.",
    )

    def faults(self, pointer: str) -> list[Fault]:
        faults = super().faults(pointer)
        return faults + (counted_metric_faults(self.requires, f"{pointer}/requires") if self.requires else [])

    def parts(self, window_days: int) -> Sequence[Part]:
        needs = self._required.parts if self._required else []
        return [*self.metric_parts([_window(self.window_days or window_days)]), *needs]

    def values(self, window_days: int, surroundings: Surroundings) -> ComponentValues:
        values = self.metric_values(_window(self.window_days or window_days), surroundings)
        if self._required:
            counts = self._required.compute(surroundings.columns)
            values = [value if count else None for value, count in zip(values, counts, strict=True)]
        return ComponentValues(values)

    @property
    def _required(self) -> OwnOperand | None:
        """All that the required metric ever counted."""
        measure = counted_measure(self.requires) if self.requires else None
        return sum_before(measure, DayBound(0), Narrowing()) if measure else None


@kind
class ChangeComponent(WindowComponent):
    """The change of a metric against the window before: in percent of its value then, or in points (the difference).

    Takes no part where the metric has no value in one of the two windows; in percent, where it was 0 in the earlier one.
    """

    kind: Literal["change"] = "change"
    change_in: Literal["percent", "points"] = Field(
        "percent", description="`percent`: of the earlier value. `points`: the later value minus the earlier one."
    )

    @property
    def unit(self) -> str:
        return "percent" if self.change_in == "percent" else super().unit

    def parts(self, window_days: int) -> Sequence[Part]:
        return self.metric_parts(self._windows(window_days))

    def values(self, window_days: int, surroundings: Surroundings) -> ComponentValues:
        before, now = (self.metric_values(window, surroundings) for window in self._windows(window_days))
        return ComponentValues(by_row(self._change, [before, now]))

    def _windows(self, window_days: int) -> tuple[Window, Window]:
        days = self.window_days or window_days
        return Window(DayBound(2 * days), DayBound(days)), _window(days)

    def _change(self, before: Any, now: Any) -> float | None:
        if before is None or now is None:
            return None
        if self.change_in == "points":
            return float(now - before)
        return float(100 * (now - before) / abs(before)) if before else None


@kind
class BaselineComponent(MetricComponent):
    """The mean of a metric's recent weeks as a percentage of what is usual for the account: the median of its older weeks.

    Weeks are seven days, counted back from the day; between the recent and the older weeks there is a gap, so that a fall that
    has begun does not lower what it is compared with. A week without a value counts as 0, but older weeks before the first one
    with any do not count. Where the median is 0, the mean of the older weeks stands for it. With too few older weeks, or none
    with anything, there is no baseline and the component takes no part: never used. With a baseline and nothing in the recent
    weeks it is 0: went silent. `good` below 100 is a grace band: a somewhat quieter month is not a fall.
    """

    kind: Literal["baseline"] = "baseline"
    recent_weeks: int = Field(3, ge=1, le=_MAX_WEEKS, description="How many weeks are recent.")
    gap_weeks: int = Field(1, ge=0, le=_MAX_WEEKS, description="How many weeks before them count for neither side.")
    older_weeks: int = Field(8, ge=1, le=_MAX_WEEKS, description="How many weeks before those are the older ones.")
    min_weeks: int = Field(3, ge=1, le=_MAX_WEEKS, description="Of how many older weeks there has to be a baseline.")

    @property
    def unit(self) -> str:
        return "percent"

    @property
    def units(self) -> tuple[str, str]:
        return "%", "% of its usual level"

    def faults(self, pointer: str) -> list[Fault]:
        faults = super().faults(pointer)
        if self.recent_weeks + self.gap_weeks + self.older_weeks > _MAX_WEEKS:
            detail = f"The recent, the gap's and the older weeks are at most {_MAX_WEEKS} together."
            faults.append(build_fault(f"{pointer}/older_weeks", detail, code="invalid"))
        if self.min_weeks > self.older_weeks:
            detail = "There are fewer older weeks than `min_weeks`, so there would never be a baseline."
            faults.append(build_fault(f"{pointer}/min_weeks", detail, code="invalid"))
        return faults

    def parts(self, window_days: int) -> Sequence[Part]:
        return self.metric_parts([*self._recent, *self._older])

    def values(self, window_days: int, surroundings: Surroundings) -> ComponentValues:
        columns = [self.metric_values(week, surroundings) for week in (*self._recent, *self._older)]
        return ComponentValues([self._against_baseline(row) for row in zip(*columns, strict=True)])

    @property
    def _recent(self) -> list[Window]:
        return _weeks(0, self.recent_weeks)

    @property
    def _older(self) -> list[Window]:
        return _weeks(self.recent_weeks + self.gap_weeks, self.older_weeks)

    def _against_baseline(self, weeks: Sequence[Any]) -> float | None:
        """Return the value from those of all weeks, the latest first."""
        values = [value or 0 for value in weeks]
        recent, older = values[: self.recent_weeks], values[self.recent_weeks :]
        while older and not older[-1]:
            older.pop()
        if len(older) < self.min_weeks:
            return None
        usual = median(older) or sum(older) / len(older)
        return float(100 * sum(recent) / (self.recent_weeks * usual)) if usual > 0 else None


def _window(days: int) -> Window:
    return Window(DayBound(days), DayBound(0))


def _weeks(after: int, count: int) -> list[Window]:
    """Return so many weeks before the last `after` weeks, the latest first."""
    return [Window(DayBound(_WEEK * (n + 1)), DayBound(_WEEK * n)) for n in range(after, after + count)]
