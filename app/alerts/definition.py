"""The definition of an alert: its source, its threshold, and on which side of it a number is."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from typing import Any

from pydantic_core import from_json

from app.core.periods import Period
from app.metrics.define import DEFAULT, Metric
from app.metrics.number_body import format_number
from app.metrics.number_source import NumberGroup, NumberSource

ABOVE, BELOW, CHANGE = "above", "below", "change_percent"
KINDS = (ABOVE, BELOW, CHANGE)
_RANGE_SHARE, _THRESHOLD_SHARE = Decimal("0.02"), Decimal("0.1")
_MARGIN_DECIMALS = 6
# Numbers that are nearer to a threshold than this, relative to their size, are compared exactly.
_TOLERANCE, _CHANGE_TOLERANCE = 1e-5, 1e-3


@dataclass(frozen=True, slots=True)
class AlertDefinition(NumberSource):
    """An alert as it was put. kind: one of KINDS, of the threshold. margin: None for the default.

    The number beyond the threshold is its value or, of a change, the percentage by which it has changed.
    """

    kind: str
    threshold: Decimal
    margin: Decimal | None
    each_account: bool
    min_sample: int
    for_periods: int
    # The threshold, and where it is back, to compare quickly.
    limits: tuple[float, float] = field(init=False, repr=False, compare=False)

    @property
    def sign(self) -> int:
        """1 where numbers above the threshold are beyond it, else -1."""
        return -1 if self.kind == BELOW or (self.kind == CHANGE and self.threshold < 0) else 1

    def __post_init__(self) -> None:
        threshold = float(self.threshold)
        object.__setattr__(self, "limits", (threshold, threshold - self.sign * float(self.effective_margin)))

    def compare_quickly(self, value: float, previous: float | None) -> float | None:
        """Return about the number that is compared with the threshold; None where it has to be compared exactly.

        previous: the value of the period before, of a change.
        """
        number, tolerance = value, _TOLERANCE
        if self.kind == CHANGE:
            # Values are rounded, and a small error of a small number is a large one of a change.
            if previous is None or abs(previous) < 1:
                return None
            number, tolerance = 100 * (value - previous) / abs(previous), _CHANGE_TOLERANCE
        tolerance *= max(1.0, abs(number))
        threshold, back = self.limits
        is_near = abs(number - threshold) <= tolerance or abs(number - back) <= tolerance
        return None if is_near else float(number)

    def is_beyond(self, number: Fraction | float) -> bool:
        """Return whether a number is beyond the threshold. A change by exactly the threshold is. Floats are not near it."""
        if isinstance(number, float):
            return self.sign * (number - self.limits[0]) > 0
        distance = self.sign * (number - Fraction(self.threshold))
        return distance > 0 or (self.kind == CHANGE and distance == 0)

    def may_be_beyond(self, value: float, previous: float | None) -> bool:
        """Return whether a value may be beyond the threshold, quickly: all that are, and some that nearly are."""
        if self.kind == CHANGE and not previous:
            return False
        number = self.compare_quickly(value, previous)
        return number is None or self.is_beyond(number)

    def is_back(self, number: Fraction | float) -> bool:
        """Return whether a number is on this side of the threshold by the margin. Floats are not near that."""
        if isinstance(number, float):
            return self.sign * (number - self.limits[1]) < 0
        if self.is_beyond(number):
            return False
        return self.sign * (number - Fraction(self.threshold)) <= -Fraction(self.effective_margin)

    @property
    def effective_margin(self) -> Decimal:
        """The margin, or its default."""
        if self.margin is not None:
            return self.margin
        metric = self.find_metric()
        return default_margin(metric, self.kind, self.threshold) if metric else Decimal(0)

    @property
    def adds_over_time(self) -> bool:
        """Whether the number of a running period is only a part of it."""
        metric = self.find_metric()
        return metric is not None and "time" in metric.adds_over

    def may_trigger(self, period: Period) -> bool:
        """Return whether the number of a period can be beyond the threshold for good.

        A number that adds up over time is low at first: while its period runs, it can only be too high.
        """
        return period.complete or not self.adds_over_time or (self.sign > 0 and self._only_grows)

    def may_resolve(self, period: Period) -> bool:
        """Return whether the number of a period can be back for good."""
        return period.complete or not self.adds_over_time

    @property
    def _only_grows(self) -> bool:
        metric = self.find_metric()
        return metric is not None and metric.range[0] is not None and metric.range[0] >= 0

    def as_json(self) -> dict[str, Any]:
        """Return the definition as it is stored."""
        margin = {} if self.margin is None else {"margin": format_number(self.margin)}
        each_account = {"each_account": True} if self.each_account else {}
        sample = {"min_sample": self.min_sample} if self.min_sample else {}
        threshold = {self.kind: format_number(self.threshold)}
        return self.source_json() | each_account | threshold | margin | sample | {"for_periods": self.for_periods}

    def condition_json(self) -> dict[str, Any]:
        """Return the condition as messages and answers have it."""
        sample = {"min_sample": self.min_sample} if self.min_sample else {}
        numbers = {self.kind: to_number(self.threshold), "margin": to_number(self.effective_margin)}
        return numbers | sample | {"for_periods": self.for_periods}


def default_margin(metric: Metric, kind: str, threshold: Decimal) -> Decimal:
    """Return the margin of an alert that does not say one: so large that a number does not cross it by chance."""
    low, high = (None, None) if kind == CHANGE else metric.range
    sign = -1 if kind == BELOW or (kind == CHANGE and threshold < 0) else 1
    margin = abs(threshold) * _THRESHOLD_SHARE
    if low is not None and high is not None:
        margin = (Decimal(str(high)) - Decimal(str(low))) * _RANGE_SHARE
    end = low if sign > 0 else high
    if end is not None:
        # A number can get there.
        margin = min(margin, abs(threshold - Decimal(str(end))) / 2)
    return round(margin, _MARGIN_DECIMALS).normalize()


def to_number(number: Decimal) -> int | float:
    """Return a number as JSON has it: whole numbers without a point."""
    return int(number) if number == number.to_integral_value() else float(number)


# A document is never changed.
@lru_cache(maxsize=4_096)
def parse_definition(text: str) -> AlertDefinition:
    """Return the definition of a stored document."""
    return _definition(from_json(text))


def _definition(document: Mapping[str, Any]) -> AlertDefinition:
    kind = next(kind for kind in KINDS if kind in document)
    return AlertDefinition(
        metric=document["metric"],
        convention=document.get("convention", DEFAULT),
        group=NumberGroup(*(document.get(name) for name in NumberGroup._fields)),
        granularity=document["granularity"],
        kind=kind,
        threshold=Decimal(document[kind]),
        margin=Decimal(document["margin"]) if "margin" in document else None,
        each_account=document.get("each_account", False),
        min_sample=document.get("min_sample", 0),
        for_periods=document["for_periods"],
    )
