"""What formulas make of operands: numbers with their proofs."""

from fractions import Fraction
from typing import NamedTuple

from app.metrics.statistics import adjusted_wald, net_score, wilson

# Money is kept in ten-thousandths.
MONEY = 10_000


class Result(NamedTuple):
    """A number with its proof: the ratio it is, how many observations it rests on, and how sure it is.

    value: None where there is no answer; then `reason` says why. interval: low and high, of proportions and scores only.
    amount: of money, the exact value in ten-thousandths. spread: of a score, its mean and the variance of that.
    """

    value: float | int | None
    numerator: float | int | None = None
    denominator: float | int | None = None
    sample_size: int | None = None
    interval: tuple[float, float] | None = None
    reason: str | None = None
    amount: int | Fraction | None = None
    spread: tuple[float, float] | None = None


def count(of: int) -> Result:
    """How many there were."""
    return Result(of, sample_size=of)


def proportion(part: int, *, of: int, none: str) -> Result:
    """`part` as a percentage of `of`, whose part it is; with Wilson's interval. `none`: the reason when there is nothing."""
    if not of:
        return Result(None, part, of, 0, reason=none)
    return Result(100 * part / of, part, of, of, wilson(part, of))


def percentage(of: int, to: int, *, none: str) -> Result:
    """`of` per hundred `to`, which need not contain it: it may exceed 100 and has no interval."""
    if not to:
        return Result(None, of, to, 0, reason=none)
    return Result(100 * of / to, of, to, to)


def mean(total: int, *, of: int, none: str, unit: int = 1) -> Result:
    """The average of a sum over `of` observations, in units of `unit` (60: of seconds, in minutes)."""
    numerator = total if unit == 1 else total / unit
    if not of:
        return Result(None, numerator, of, 0, reason=none)
    return Result(total / (unit * of), numerator, of, of)


def score(promoters: int, detractors: int, *, of: int, none: str) -> Result:
    """Promoters less detractors, per hundred answers; with the adjusted Wald interval."""
    net = promoters - detractors
    if not of:
        return Result(None, net, of, 0, reason=none)
    spread = net_score(promoters, detractors, of)
    return Result(100 * net / of, net, of, of, adjusted_wald(*spread), spread=spread)


def money(amount: int | Fraction) -> Result:
    """An amount of the base currency."""
    return Result(amount.numerator / (amount.denominator * MONEY), amount=amount)


def money_mean(amount: int, *, of: int, none: str) -> Result:
    """The average of an amount over `of` observations."""
    if not of:
        return Result(None, amount / MONEY, of, 0, reason=none)
    return Result(amount / (MONEY * of), amount / MONEY, of, of, amount=Fraction(amount, of))


def money_rate(part: int, *, of: int | Fraction, sample: int, none: str) -> Result:
    """An amount per hundred of another that `sample` accounts had."""
    if not of:
        return Result(None, part / MONEY, float(of / MONEY), sample, reason=none)
    return Result(float(100 * part / of), part / MONEY, float(of / MONEY), sample)


def money_ratio(amount: int, to: int, *, none: str) -> Result:
    """How many times another amount an amount is."""
    if not to:
        return Result(None, amount / MONEY, to / MONEY, reason=none)
    return Result(amount / to, amount / MONEY, to / MONEY)


def unless_mixed(result: Result, scales: int, squares: int, *, of: int) -> Result:
    """The result, unless the answers were given on different scales: then the square of the sum is less than it could be."""
    if of * squares == scales * scales:
        return result
    return result._replace(value=None, interval=None, reason="mixed_scales")


def mean_over_range(total: int, scales: int, squares: int, *, of: int, none: str) -> Result:
    """How far, in percent, the average of scores is on the way from the lowest to the highest of their scale."""
    if not of:
        return Result(None, 0, of, 0, reason=none)
    if of * squares != scales * scales:
        return Result(None, None, of, of, reason="mixed_scales")
    # The scale's number, as surveys make it of its bounds.
    low, high = divmod(scales // of // 2, 101)
    way = (total - of * low) / (high - low)
    return Result(100 * way / of, way, of, of)
