"""How a metric is declared: a formula over operands, one block an entry.

    @metric(unit="points", better="up", range=(-100, 100), example=dict(nps_promoters=6, ..., equals=40), events=[...])
    def nps(nps_promoters, nps_detractors, nps_responses):
        "Net Promoter Score: promoters less detractors, per hundred responses."
        return score(nps_promoters, nps_detractors, of=nps_responses)

The function's name is the metric's, its docstring `title: description`. A parameter is the flow of the measure of that
name, or the operand that is its default: `mrr: int = closing("mrr")`. The example says what the formula makes of given
operands, and which events bring them about.
"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, NamedTuple

from app.ledger.measures import MEASURES, PRESENCES
from app.ledger.sums.operands import (
    Balance,
    Flow,
    Operand,
    Own,
    Population,
    Registered,
    Users,
    own_closing,
    own_opening,
)
from app.metrics.statistics import adjusted_wald, wilson

__all__ = ["own_closing", "own_opening"]

# Money is kept in ten-thousandths.
_MONEY = 10_000


class Given(NamedTuple):
    """An operand that is no sum: of the period its `months`, the `days` of it that have passed and the gross `margin` of
    then; of the question whether it is `divided`, about groups of accounts or about some accounts only.
    """

    name: str


def opening(measure: str) -> Any:
    """The balance of a stock at the period's start."""
    return Balance(measure, closing=False)


def closing(measure: str) -> Any:
    """The balance of a stock at the period's end."""
    return Balance(measure, closing=True)


def distinct(presence: str, *, any_subject: str | None = None, whole: bool = False) -> Any:
    """Distinct users of the period. whole: never by subject. any_subject: the presence where subjects are not told apart."""
    return Users(presence, any_subject, whole)


def registered_at_any_time() -> Any:
    """Distinct users who were registered at any time of the period."""
    return Registered("registered_users", "users_joined")


def accounts(*, where: Own) -> Any:
    """How many accounts satisfy a condition on their own balances, which has to be false for those that do not move."""
    return Population(where)


def own_flow(measure: str) -> Own:
    """What an account's own balance came to within the period."""
    return own_closing(measure) - own_opening(measure)


def over_accounts(total: Own, *, where: Own) -> Any:
    """The sum of a value of their own over the accounts that satisfy a condition, which is false for those that do not move."""
    return Population(where, total)


def of_period(name: str) -> Any:
    """What the period itself has: `months`, `days`, `margin`."""
    return Given(name)


def of_question(name: str) -> Any:
    """What is so of the whole question: whether it is `divided`."""
    return Given(name)


class Result(NamedTuple):
    """A number with its proof: the ratio it is, how many observations it rests on, and how sure it is.

    value: None where there is no answer; then `reason` says why. interval: low and high, of proportions and scores only.
    amount: of money, the exact value in ten-thousandths.
    """

    value: float | int | None
    numerator: float | int | None = None
    denominator: float | int | None = None
    sample_size: int | None = None
    interval: tuple[float, float] | None = None
    reason: str | None = None
    amount: int | Fraction | None = None


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
    return Result(100 * net / of, net, of, of, adjusted_wald(promoters, detractors, of))


def money(amount: int | Fraction) -> Result:
    """An amount of the base currency."""
    return Result(float(amount / _MONEY), amount=amount)


def money_mean(amount: int, *, of: int, none: str) -> Result:
    """The average of an amount over `of` observations."""
    if not of:
        return Result(None, amount / _MONEY, of, 0, reason=none)
    return Result(amount / (_MONEY * of), amount / _MONEY, of, of, amount=Fraction(amount, of))


def money_rate(part: int, *, of: int | Fraction, sample: int, none: str) -> Result:
    """An amount per hundred of another that `sample` accounts had."""
    if not of:
        return Result(None, part / _MONEY, float(of / _MONEY), sample, reason=none)
    return Result(float(100 * part / of), part / _MONEY, float(of / _MONEY), sample)


def money_ratio(amount: int, to: int, *, none: str) -> Result:
    """How many times another amount an amount is."""
    if not to:
        return Result(None, amount / _MONEY, to / _MONEY, reason=none)
    return Result(amount / to, amount / _MONEY, to / _MONEY)


def unless_mixed(result: Result, scales: int, squares: int, *, of: int) -> Result:
    """The result, unless the answers were given on different scales: then the square of the sum is less than it could be."""
    if of * squares == scales * scales:
        return result
    return result._replace(value=None, interval=None, reason="mixed_scales")


class Happens(NamedTuple):
    """An event of an example, so many `times`."""

    times: int
    type: str
    data: Mapping[str, Any]
    on: str = "2026-03-10"
    account: str = "acme"
    user: str = "ada"


@dataclass(frozen=True, slots=True)
class Metric:
    """An entry of the catalogue. `operands`: by the names of the formula's parameters, in their order."""

    name: str
    title: str
    description: str
    unit: str
    better: str
    range: tuple[float | None, float | None]
    adds_over: tuple[str, ...]
    operands: Mapping[str, Operand | Given]
    formula: Callable[..., Result]
    version: int
    example: Mapping[str, float]
    events: Sequence[Happens]

    @property
    def sums(self) -> list[Operand]:
        """Those of its operands that are sums of the ledger."""
        return [operand for operand in self.operands.values() if not isinstance(operand, Given)]

    @property
    def dimensions(self) -> dict[str, str]:
        """What the metric can be broken down by, besides accounts: `subject` and `channel`, and what a subject is."""
        subjects, channels = set(), set()
        for operand in self.sums:
            if isinstance(operand, Flow | Balance):
                subjects.add(MEASURES[operand.measure].subject)
                channels.add(MEASURES[operand.measure].channel)
            elif not (isinstance(operand, Users) and operand.whole):
                subjects.add(PRESENCES[operand.presence].subject if isinstance(operand, Users) else None)
                channels.add(False)
        found = {}
        if len(subjects) == 1 and (subject := subjects.pop()):
            found["subject"] = subject
        if channels == {True}:
            found["channel"] = "channel"
        return found


def meaning(operand: Operand | Given) -> str:
    """What an operand is, in words."""
    if isinstance(operand, Flow):
        return MEASURES[operand.measure].description
    if isinstance(operand, Balance):
        return f"At the period's {'end' if operand.closing else 'start'}: {MEASURES[operand.measure].description}"
    if isinstance(operand, Users):
        return f"Distinct users: {PRESENCES[operand.presence].description.format(unit='period')}"
    if isinstance(operand, Registered):
        return "Distinct users who were registered at any time of the period."
    if isinstance(operand, Population):
        return f"{'Over' if operand.total else 'The number of'} the accounts where {operand.where}{_summed(operand)}."
    return _GIVEN[operand.name]


def _summed(population: Population) -> str:
    return f": the sum of {population.total}" if population.total else ""


_GIVEN = {
    "months": "The months of the period.",
    "days": "The days of the period that have passed.",
    "margin": "The gross margin, a setting, as it was at the period's end.",
    "divided": "Whether groups of accounts, or only some accounts, are asked about.",
}


METRICS: dict[str, Metric] = {}


def metric(
    *,
    unit: str,
    better: str,
    example: Mapping[str, float],
    events: Sequence[Happens],
    range: tuple[float | None, float | None] = (0, None),
    adds_over: tuple[str, ...] = (),
    version: int = 1,
) -> Callable[[Callable[..., Result]], Callable[..., Result]]:
    """Register a metric. Raises ValueError when it has no `title: description` or its name is taken.

    unit: points, percent, ratio, score, count, minutes, hours, days, months, money. better: up, down or neither. adds_over:
    `groups`, `time`. example: the operands (money in ten-thousandths) and what the metric `equals`. events: what makes them
    in March 2026.
    """

    def register(formula: Callable[..., Result]) -> Callable[..., Result]:
        title, colon, description = (formula.__doc__ or "").strip().partition(": ")
        if not colon or formula.__name__ in METRICS:
            raise ValueError(f"The metric {formula.__name__} exists already or has no documentation.")
        METRICS[formula.__name__] = Metric(
            name=formula.__name__,
            title=title,
            description=" ".join((description[:1].upper() + description[1:]).split()),
            unit=unit,
            better=better,
            range=range,
            adds_over=adds_over,
            operands=_operands(formula),
            formula=formula,
            version=version,
            example=example,
            events=events,
        )
        return formula

    return register


def _operands(formula: Callable[..., Result]) -> dict[str, Operand | Given]:
    parameters = inspect.signature(formula).parameters
    return {
        name: Flow(name) if parameter.default is parameter.empty else parameter.default
        for name, parameter in parameters.items()
    }
