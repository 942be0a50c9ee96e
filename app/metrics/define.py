"""How a metric is declared: a formula over operands, one block an entry.

    @metric(unit="points", better="up", range=(-100, 100), example=dict(nps_promoters=6, ..., equals=40), events=[...])
    def nps(nps_promoters, nps_detractors, nps_responses):
        "Net Promoter Score (NPS): percentage of promoters minus percentage of detractors."
        return score(nps_promoters, nps_detractors, of=nps_responses, if_empty="no_responses")

The function's name is the metric's, its docstring `title: description`. A parameter is the flow of the measure of that
name, or the operand that is its default: `mrr: int = closing("mrr")`. The example says what the formula makes of given
operands, and which events bring them about. Another way to count the same is another formula, `@nps.also("its_name", …)`.
"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from app.ledger.measures import MEASURES, PRESENCES
from app.ledger.sums.operands import (
    AccountValue,
    Balance,
    Flow,
    Operand,
    Population,
    Registered,
    Trailing,
    Users,
    own_closing,
    own_opening,
)
from app.metrics.results import (
    MONEY_SCALE,
    Result,
    count,
    mean,
    mean_over_range,
    money,
    money_mean,
    money_rate,
    money_ratio,
    percentage,
    proportion,
    require_one_scale,
    score,
)

__all__ = [
    "MONEY_SCALE",
    "Result",
    "count",
    "mean",
    "mean_over_range",
    "money",
    "money_mean",
    "money_rate",
    "money_ratio",
    "own_closing",
    "own_opening",
    "percentage",
    "proportion",
    "require_one_scale",
    "score",
]

# The convention of a metric that is counted in one way only; of any other, its first.
DEFAULT = "default"


class Given(NamedTuple):
    """An operand that is no sum: of the period its `months`, the `days` of it that have passed and the gross `margin` of
    then; of the question whether it is `divided`, about groups of accounts or about some accounts only.
    """

    name: str


def flow(measure: str, *, any_subject: str) -> Any:
    """The flow of a measure whose subjects are many. any_subject: the measure where they are not told apart."""
    return Flow(measure, any_subject)


def opening(measure: str) -> Any:
    """The balance of a stock at the period's start."""
    return Balance(measure, closing=False)


def closing(measure: str) -> Any:
    """The balance of a stock at the period's end."""
    return Balance(measure, closing=True)


def distinct(presence: str, *, any_subject: str | None = None, whole: bool = False) -> Any:
    """Distinct users of the period. whole: never by subject. any_subject: the presence where subjects are not told apart."""
    return Users(presence, any_subject, whole)


def registered_at_any_time(*, whole: bool = False) -> Any:
    """Distinct users who were registered at any time of the period. whole: also by subject, where they are not told apart."""
    return Registered("registered_users", "users_joined", whole)


def accounts(*, where: AccountValue) -> Any:
    """How many accounts satisfy a condition on their own balances, which has to be false for those that do not move."""
    return Population(where)


def own_flow(measure: str) -> AccountValue:
    """What an account's own balance came to within the period."""
    return own_closing(measure) - own_opening(measure)


def over_accounts(total: AccountValue, *, where: AccountValue) -> Any:
    """The sum of a value of their own over the accounts that satisfy a condition, which is false for those that do not move."""
    return Population(where, total)


def trailing(operand: Any, *, months: int) -> Any:
    """What a balance or a count of accounts came to in each of the last whole months up to the period's end, added up."""
    return Trailing(operand, months)


def of_period(name: str) -> Any:
    """What the period itself has: `months`, `days`, `margin`."""
    return Given(name)


def of_question(name: str) -> Any:
    """What is so of the whole question: whether it is `divided`."""
    return Given(name)


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
    """An entry of the catalogue. `operands`: by the names of the formula's parameters, in their order.

    convention: the name of this way to count; counted_by: who counts so. others: the other conventions of the metric, each
    an entry of the same name with a formula of its own.
    """

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
    example: Mapping[str, float | str]
    events: Sequence[Happens]
    convention: str = DEFAULT
    counted_by: str = ""
    others: dict[str, "Metric"] = field(default_factory=dict)

    def __call__(self, *operands: Any) -> Result:
        """What the formula makes of the operands."""
        return self.formula(*operands)

    @property
    def conventions(self) -> dict[str, "Metric"]:
        """All ways to count it by their names, the default first."""
        return {self.convention: self} | self.others

    def also(
        self,
        convention: str,
        *,
        counted_by: str,
        example: Mapping[str, float | str],
        events: Sequence[Happens],
        version: int = 1,
        **different: Any,
    ) -> Callable[[Callable[..., Result]], Callable[..., Result]]:
        """Register another convention. Raises ValueError when it says not what it counts, or its name is taken.

        different: what of `unit`, `better` and `range` is not as it is of the default.
        """

        def register(formula: Callable[..., Result]) -> Callable[..., Result]:
            description = " ".join((formula.__doc__ or "").split())
            if convention in (DEFAULT, *self.conventions) or not description:
                raise ValueError(f"The convention {convention} of {self.name} exists already or has no documentation.")
            self.others[convention] = replace(
                self,
                description=description,
                operands=_operands(formula),
                formula=formula,
                version=version,
                example=example,
                events=events,
                convention=convention,
                counted_by=counted_by,
                others={},
                **different,
            )
            return formula

        return register

    @property
    def sums(self) -> list[Operand]:
        """Those of its operands that are sums of the ledger."""
        return [operand for operand in self.operands.values() if not isinstance(operand, Given)]

    @property
    def dimensions(self) -> dict[str, str]:
        """What the metric can be broken down by, besides accounts: `subject` and `channel`, and what a subject is."""
        subjects, channels = set(), set()
        for operand in (one.of if isinstance(one, Trailing) else one for one in self.sums):
            if isinstance(operand, Flow | Balance):
                subjects.add(MEASURES[operand.measure].subject)
                channels.add(MEASURES[operand.measure].channel)
            elif not (isinstance(operand, Users | Registered) and operand.whole):
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
        return PRESENCES[operand.presence].description
    if isinstance(operand, Registered):
        return "Distinct users who were registered at any time of the period."
    if isinstance(operand, Population):
        return f"{'Over' if operand.total else 'The number of'} the accounts where {operand.where}{_summed(operand)}."
    if isinstance(operand, Trailing):
        return (
            f"Over the last {operand.months} whole months up to the period's end, of each month: {meaning(operand.of)}"
        )
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
    example: Mapping[str, float | str],
    events: Sequence[Happens],
    range: tuple[float | None, float | None] = (0, None),
    adds_over: tuple[str, ...] = (),
    version: int = 1,
    convention: str = DEFAULT,
    counted_by: str = "",
) -> Callable[[Callable[..., Result]], Metric]:
    """Register a metric. Raises ValueError when it has no `title: description` or its name is taken.

    unit: points, percent, ratio, score, count, minutes, hours, days, months, money. better: up, down or neither. adds_over:
    `groups`, `time`. example: the operands (money as "130.00 USD") and what the metric `equals`. events: what makes them
    in March 2026. convention, counted_by: of a metric with several conventions, the name of this one and who counts so.
    """

    def register(formula: Callable[..., Result]) -> Metric:
        title, colon, description = (formula.__doc__ or "").strip().partition(": ")
        if not colon or formula.__name__ in METRICS:
            raise ValueError(f"The metric {formula.__name__} exists already or has no documentation.")
        METRICS[formula.__name__] = entry = Metric(
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
            convention=convention,
            counted_by=counted_by,
        )
        return entry

    return register


def _operands(formula: Callable[..., Result]) -> dict[str, Operand | Given]:
    parameters = inspect.signature(formula).parameters
    return {
        name: Flow(name) if parameter.default is parameter.empty else parameter.default
        for name, parameter in parameters.items()
    }
