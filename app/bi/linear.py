"""Which formulas are ratios of sums, found by evaluating them: what a view of the metrics may add up over accounts.

A formula is evaluated at points. Where its numerator and denominator turn out to be sums of its operands, each times a fixed
factor, and its value a fixed multiple of their ratio, the two can be added up over accounts and months, and the ratio of the
sums is what the formula returns for the sums of the operands. So a metric is defined in the catalogue alone.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, NamedTuple

from app.ledger.sums.operand_sums import Operand
from app.metrics.define import ContextValue, Metric
from app.metrics.results import Result, ledger_units

# Divisible by everything by which formulas divide: ten-thousandths, seconds, percent, and the days of the probes.
_UNIT = 10_000 * 3_600 * 100
_DAYS = (30, 15)
_POINTS = 16
_MOST_TRIES = 2_000
_TOLERANCE = 1e-9
# What a formula raises for operands that contradict each other, such as more promoters than responses.
_IMPOSSIBLE = (ValueError, ZeroDivisionError)

NOT_A_RATIO = "Its value is not a ratio of two sums over accounts."
NEEDS_MARGIN = "It uses the gross margin, a setting."
NEEDS_COSTS = "It includes costs that were recorded without an account."
NOT_IN_MONTHS = "It cannot be summed from the entries of one month."


class Coefficient(NamedTuple):
    """The factor of an operand. is_per_day: divided by the days of the month that have passed."""

    factor: Fraction
    is_per_day: bool = False


Sum = Mapping[Operand, Coefficient]


@dataclass(frozen=True, slots=True)
class Ratio:
    """A formula as `scale` × numerator ÷ denominator; without a denominator, the value is the numerator."""

    numerator: Sum
    denominator: Sum | None
    scale: Fraction = Fraction(1)


class NoRatio(Exception):
    """A formula is no ratio of sums; the message says why."""


def find_ratio(metric: Metric) -> Ratio:
    """Return the formula of a metric as a ratio of sums. Raises NoRatio."""
    contexts = {value.name for value in metric.inputs.values() if isinstance(value, ContextValue)}
    if "margin" in contexts:
        raise NoRatio(NEEDS_MARGIN)
    if "divided" in contexts:
        raise NoRatio(NEEDS_COSTS)
    probe = _Probe(metric)
    numerator = probe.sum_of(lambda result: result.value if result.denominator is None else result.numerator)
    has_denominator = probe.evaluate(probe.base, _DAYS[0]).denominator is not None
    denominator = probe.sum_of(lambda result: result.denominator) if has_denominator else None
    ratio = Ratio(numerator, denominator, probe.scale() if denominator else Fraction(1))
    _check(probe, ratio)
    return ratio


@dataclass(frozen=True)
class _Probe:
    """A formula that is evaluated at points: values of its operands, in ledger units."""

    metric: Metric

    @property
    def base(self) -> list[int]:
        """The operands of the metric's example, which fit each other, so large that all quotients are whole numbers."""
        values = self.metric.example
        return [int(ledger_units(values[name])) * _UNIT * 12 for name in self.names]

    @property
    def names(self) -> list[str]:
        return [name for name, value in self.metric.inputs.items() if isinstance(value, Operand)]

    @property
    def operands(self) -> list[Operand]:
        return self.metric.operands

    def evaluate(self, point: Sequence[int], days: int) -> Result:
        """Return the result for operands as `sum_operands` returns them: of money per year, the twelfth."""
        values: dict[str, Any] = {
            name: Fraction(value, 12) if operand.is_per_year else value
            for name, operand, value in zip(self.names, self.operands, point, strict=True)
        }
        context = {"months": Fraction(1), "days": days}
        return self.metric(
            *(
                context[own.name] if isinstance(own, ContextValue) else values[name]
                for name, own in self.metric.inputs.items()
            )
        )

    def sum_of(self, part: Callable[[Result], float | int | None]) -> Sum:
        """Return a part of the result as a sum of the operands. Raises NoRatio."""
        factors = [self._factors(part, days) for days in _DAYS]
        coefficients: dict[Operand, Coefficient] = {}
        for operand, factor, other in zip(self.operands, *factors, strict=True):
            if factor != other and other != factor * _DAYS[0] / _DAYS[1]:
                raise NoRatio(NOT_A_RATIO)
            if factor:
                is_per_day = factor != other
                coefficients[operand] = Coefficient(factor * (_DAYS[0] if is_per_day else 1), is_per_day)
        return coefficients

    def _factors(self, part: Callable[[Result], float | int | None], days: int) -> list[Fraction]:
        """Return by how much the part grows with each operand."""
        before = _exact(part(self.evaluate(self.base, days)))
        factors = []
        for index in range(len(self.operands)):
            for step in (_UNIT * 12, -_UNIT * 12):
                point = self.base
                point[index] += step
                try:
                    after = _exact(part(self.evaluate(point, days)))
                except _IMPOSSIBLE:
                    continue
                factors.append((after - before) / step)
                break
            else:
                raise NoRatio(NOT_A_RATIO)
        return factors

    def scale(self) -> Fraction:
        """Return by how much the value is larger than the ratio."""
        result = self.evaluate(self.base, _DAYS[0])
        if not result.value or not result.numerator or not result.denominator:
            raise NoRatio(NOT_A_RATIO)
        return Fraction(result.value * result.denominator / result.numerator).limit_denominator(1_000)


def _exact(value: float | int | None) -> Fraction:
    if value is None:
        raise NoRatio(NOT_A_RATIO)
    return Fraction(value)


def _check(probe: _Probe, ratio: Ratio) -> None:
    """Raise NoRatio unless the formula is the ratio wherever its operands fit each other, and has no value without one."""
    numbers = random.Random(probe.metric.name)
    points = 0
    for _ in range(_MOST_TRIES):
        days = numbers.choice((1, 7, 28, 30, 31))
        top = 10 ** numbers.randint(1, 6)
        point = [numbers.randint(1, top) for _ in probe.operands]
        try:
            result = probe.evaluate(point, days)
        except _IMPOSSIBLE:
            continue
        _compare(result, ratio, dict(zip(probe.operands, point, strict=True)), days)
        points += 1
        if points == _POINTS:
            break
    else:
        raise NoRatio(NOT_A_RATIO)
    nothing = probe.evaluate([0] * len(probe.operands), _DAYS[0])
    if (nothing.value is None) != (ratio.denominator is not None):
        raise NoRatio(NOT_A_RATIO)


def _compare(result: Result, ratio: Ratio, values: Mapping[Operand, int], days: int) -> None:
    numerator = add_up(ratio.numerator, values, days)
    value = numerator
    if ratio.denominator is not None:
        denominator = add_up(ratio.denominator, values, days)
        if not _is_near(result.numerator, numerator) or not _is_near(result.denominator, denominator):
            raise NoRatio(NOT_A_RATIO)
        if not denominator:
            return
        value = ratio.scale * numerator / denominator
    if not _is_near(result.value, value):
        raise NoRatio(NOT_A_RATIO)


def add_up(sum: Sum, values: Mapping[Operand, int], days: int) -> Fraction:
    """Return a sum for values of its operands, in ledger units."""
    total = Fraction(0)
    for operand, own in sum.items():
        total += own.factor * values[operand] / (days if own.is_per_day else 1)
    return total


def _is_near(value: float | int | None, exact: Fraction) -> bool:
    return value is not None and abs(value - float(exact)) <= _TOLERANCE * max(1.0, abs(float(exact)))
