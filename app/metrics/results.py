"""What a formula returns: a number with its proof. The functions here build it from the formula's operands.

`if_empty` is the `reason` of a result without a value, where the number that is divided by is zero.
"""

from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple

from app.ledger.money import MONEY_SCALE
from app.ledger.surveys import scale_of
from app.metrics.statistics import adjusted_wald_interval, estimate_net_score, wilson_interval

_SHOWN_DECIMALS = 6

# Of ledger units. Amounts per month may be fractions of one.
Amount = int | Fraction


class Result(NamedTuple):
    """A number with its proof: the ratio behind it, the number of observations and the uncertainty.

    value: None when there is none; `reason` then says why. interval: low and high at 95%, for proportions and scores only.
    amount: for money, the exact value in ledger units. spread: for a score, its mean and the variance of the mean.
    """

    value: float | int | None
    numerator: float | int | None = None
    denominator: float | int | None = None
    sample_size: int | None = None
    interval: tuple[float, float] | None = None
    reason: str | None = None
    amount: Amount | None = None
    spread: tuple[float, float] | None = None


def shown_value(result: Result) -> Fraction | None:
    """Return the value of a result as answers show it: rounded to six decimals; of money, from the exact amount."""
    if result.value is None:
        return None
    exact = Fraction(result.value) if result.amount is None else Fraction(result.amount) / MONEY_SCALE
    return round(exact, _SHOWN_DECIMALS)


# Of a question as of a day before the first one on which anything was recorded.
NOTHING_KNOWN = Result(None, reason="nothing_known_yet")


def count(total: int) -> Result:
    """Return a number of things, which is its own sample size."""
    return Result(total, sample_size=total)


def proportion(part: int, *, of: int, if_empty: str) -> Result:
    """Return `part` as a percentage of the whole `of` that contains it, with the Wilson interval."""
    if not of:
        return Result(None, part, of, 0, reason=if_empty)
    return Result(100 * part / of, part, of, of, wilson_interval(part, of))


def percentage(amount: int, *, of: int, if_empty: str) -> Result:
    """Return `amount` as a percentage of `of`. It need not be a part of `of`, so it may exceed 100 and has no interval."""
    if not of:
        return Result(None, amount, of, 0, reason=if_empty)
    return Result(100 * amount / of, amount, of, of)


def mean(total: int, *, of: int, if_empty: str, unit: int = 1) -> Result:
    """Return the average of a sum over `of` observations.

    unit: how many units of the sum make one unit of the result (60 for seconds to minutes).
    """
    numerator = total if unit == 1 else total / unit
    if not of:
        return Result(None, numerator, of, 0, reason=if_empty)
    return Result(total / (unit * of), numerator, of, of)


def score(promoters: int, detractors: int, *, of: int, if_empty: str) -> Result:
    """Return the net promoter score of `of` responses in points (-100 to 100), with the adjusted Wald interval."""
    net = promoters - detractors
    if not of:
        return Result(None, net, of, 0, reason=if_empty)
    spread = estimate_net_score(promoters, detractors, of)
    return Result(100 * net / of, net, of, of, adjusted_wald_interval(*spread), spread=spread)


def money(amount: Amount) -> Result:
    """Return an amount of ledger units as money of the base currency."""
    return Result(amount.numerator / (amount.denominator * MONEY_SCALE), amount=amount)


def money_mean(amount: Amount, *, of: int, if_empty: str) -> Result:
    """Return the average of an amount over `of` observations as money of the base currency."""
    numerator = float(amount / MONEY_SCALE)
    if not of:
        return Result(None, numerator, of, 0, reason=if_empty)
    return Result(float(amount / (MONEY_SCALE * of)), numerator, of, of, amount=Fraction(amount, of))


def money_rate(part: Amount, *, of: Amount, sample: int, if_empty: str) -> Result:
    """Return an amount as a percentage of the amount `of`, which belongs to `sample` accounts."""
    numerator, denominator = float(part / MONEY_SCALE), float(of / MONEY_SCALE)
    if not of:
        return Result(None, numerator, denominator, sample, reason=if_empty)
    return Result(float(100 * part / of), numerator, denominator, sample)


def money_ratio(amount: Amount, *, to: Amount, if_empty: str) -> Result:
    """Return how many times larger `amount` is than the amount `to`."""
    numerator, denominator = float(amount / MONEY_SCALE), float(to / MONEY_SCALE)
    if not to:
        return Result(None, numerator, denominator, reason=if_empty)
    return Result(float(amount / to), numerator, denominator)


def require_one_scale(result: Result, scale_sum: int, square_sum: int, *, of: int) -> Result:
    """Return the result, or an empty one (`mixed_scales`) when its responses are on different scales.

    scale_sum, square_sum: the sums of the scales' numbers and of their squares over `of` responses.
    """
    # n * (sum of squares) equals (sum)² only when all numbers are equal; otherwise it is more.
    if of * square_sum == scale_sum * scale_sum:
        return result
    return result._replace(value=None, interval=None, reason="mixed_scales")


def mean_over_range(total: int, scale_sum: int, square_sum: int, *, of: int, if_empty: str) -> Result:
    """Return the average of `of` scores as a percentage of the way from the lowest to the highest score of their scale.

    scale_sum, square_sum: as in `require_one_scale`. Scores on different scales have no such average (`mixed_scales`).
    """
    if not of:
        return Result(None, 0, of, 0, reason=if_empty)
    if of * square_sum != scale_sum * scale_sum:
        return Result(None, None, of, of, reason="mixed_scales")
    low, high = scale_of(scale_sum // of)
    distance = (total - of * low) / (high - low)
    return Result(100 * distance / of, distance, of, of)


def ledger_units(value: float | str) -> float:
    """Return an operand of a metric's example as the ledger stores it: "130.00 USD" as 1300000, a number as it is."""
    if isinstance(value, str):
        return int(Decimal(value.partition(" ")[0]) * MONEY_SCALE)
    return value
