"""How a metric is declared: a formula over operands, one block for each metric.

    @metric(unit="points", better="up", range=(-100, 100), example=dict(nps_promoters=6, ..., equals=40), events=[...])
    def nps(nps_promoters, nps_detractors, nps_responses):
        "Net Promoter Score (NPS): percentage of promoters minus percentage of detractors."
        return score(nps_promoters, nps_detractors, of=nps_responses, if_empty="no_responses")

The name of the function is the name of the metric, its docstring is `title: description`. A parameter without a default is
the flow of the measure of that name; a default is another operand or a context value: `mrr: int = closing("mrr")`. The
example has the operands, the result that the formula computes from them, and events that lead to these operands. Another
convention of the same metric is another formula: `@nps.also("its_name", …)`.
"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from app.ledger.money import MONEY_SCALE
from app.ledger.sums.account_values import AccountValue, own_closing, own_flow, own_opening
from app.ledger.sums.operand_sums import Operand
from app.ledger.sums.operands import Balance, Flow, Population, Registered, Trailing, Users
from app.metrics.results import (
    Amount,
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
    "Amount",
    "Result",
    "count",
    "mean",
    "mean_over_range",
    "money",
    "money_mean",
    "money_rate",
    "money_ratio",
    "own_closing",
    "own_flow",
    "own_opening",
    "percentage",
    "proportion",
    "require_one_scale",
    "score",
]

# The name of the convention of a metric that has only one.
DEFAULT = "default"

_CONTEXT_DESCRIPTIONS = {
    "months": "Length of the period in months.",
    "days": "Days of the period that have passed.",
    "margin": "Gross margin at the end of the period, between 0 and 1. It is a setting.",
    "divided": "1 when the question is about single accounts or groups of accounts, 0 when it is about all accounts together.",
}


class ContextValue(NamedTuple):
    """A value besides the operands that a formula may use.

    Of the period: its length in `months`, the `days` of it that have passed and the gross `margin` at its end. Of the
    question: whether it is `divided`, about groups of accounts or about some accounts only.
    """

    name: str

    @property
    def description(self) -> str:
        return _CONTEXT_DESCRIPTIONS[self.name]


def context(name: str) -> Any:
    """Return the context value of that name: `months`, `days`, `margin` or `divided`."""
    return ContextValue(name)


def flow(measure: str, *, any_subject: str) -> Any:
    """Return the flow of a measure with many subjects. any_subject: the measure to use where they need not be distinguished."""
    return Flow(measure, any_subject)


def opening(measure: str) -> Any:
    """Return the balance of a stock at the start of the period."""
    return Balance(measure, closing=False)


def closing(measure: str) -> Any:
    """Return the balance of a stock at the end of the period."""
    return Balance(measure, closing=True)


def distinct(presence: str, *, any_subject: str | None = None, ignores_dimensions: bool = False) -> Any:
    """Return the distinct users of the period.

    any_subject: the presence to use where subjects need not be distinguished. ignores_dimensions: count the users of all
    subjects and channels even where the question is about some.
    """
    return Users(presence, any_subject, ignores_dimensions)


def registered_at_any_time(*, ignores_dimensions: bool = False) -> Any:
    """Return the distinct users who were registered at any time of the period. ignores_dimensions: as in `distinct`."""
    return Registered("registered_users", "users_joined", ignores_dimensions)


def accounts(sentence: str, *, where: AccountValue) -> Any:
    """Return the number of accounts that satisfy a condition on their own balances.

    The condition has to be false for accounts whose balances do not change in the period. sentence: which accounts these
    are, with `{period}` for "period" or "month".
    """
    return Population(where, sentence=sentence)


def over_accounts(sentence: str, total: AccountValue, *, where: AccountValue) -> Any:
    """Return the sum of an account's own value over the accounts that satisfy a condition.

    The condition and the sentence are as in `accounts`.
    """
    return Population(where, total, sentence=sentence)


def trailing(operand: Any, *, months: int) -> Any:
    """Return the sum of a balance or population over each of the last whole months up to the end of the period."""
    return Trailing(operand, months)


class ExampleEvent(NamedTuple):
    """An event of an example, which happens so many `times`."""

    times: int
    type: str
    data: Mapping[str, Any]
    on: str = "2026-03-10"
    account: str = "acme"
    user: str = "ada"


@dataclass(frozen=True, slots=True)
class Metric:
    """An entry of the catalogue: a metric by one of its conventions.

    inputs: what the formula is called with, by the names of its parameters, in their order. convention, counted_by: the
    name of this way to compute the metric, and who uses it. other_conventions: those of the metric besides this
    one, each an entry of the same name with a formula of its own.
    """

    name: str
    title: str
    description: str
    unit: str
    better: str
    range: tuple[float | None, float | None]
    adds_over: tuple[str, ...]
    inputs: Mapping[str, Operand | ContextValue]
    formula: Callable[..., Result]
    version: int
    example: Mapping[str, float | str]
    events: Sequence[ExampleEvent]
    convention: str = DEFAULT
    counted_by: str = ""
    other_conventions: dict[str, "Metric"] = field(default_factory=dict)

    def __call__(self, *inputs: Any) -> Result:
        """Return what the formula computes from its inputs."""
        return self.formula(*inputs)

    @property
    def conventions(self) -> dict[str, "Metric"]:
        """All conventions of the metric by name, the default first."""
        return {self.convention: self} | self.other_conventions

    @property
    def operands(self) -> list[Operand]:
        """The inputs that are sums of ledger entries."""
        return [value for value in self.inputs.values() if isinstance(value, Operand)]

    @property
    def dimensions(self) -> dict[str, str]:
        """What the metric can be broken down by besides accounts: `subject`, with what the subjects are, and `channel`.

        All operands have to have the same subjects, except those that ignore dimensions.
        """
        operands = [operand for operand in self.operands if not operand.ignores_dimensions]
        subjects = {operand.subject for operand in operands}
        subject = subjects.pop() if len(subjects) == 1 else None
        has_channels = bool(operands) and all(operand.has_channels for operand in operands)
        return ({"subject": subject} if subject else {}) | ({"channel": "channel"} if has_channels else {})

    def also(
        self,
        convention: str,
        *,
        counted_by: str,
        example: Mapping[str, float | str],
        events: Sequence[ExampleEvent],
        version: int = 1,
        **differences: Any,
    ) -> Callable[[Callable[..., Result]], Callable[..., Result]]:
        """Register another convention of the metric. Raises ValueError for a name that is taken, or without a docstring.

        differences: `unit`, `better` and `range`, where they are not those of the default convention.
        """

        def register(formula: Callable[..., Result]) -> Callable[..., Result]:
            description = " ".join((formula.__doc__ or "").split())
            if convention in (DEFAULT, *self.conventions) or not description:
                raise ValueError(f"The convention {convention} of {self.name} exists already or has no documentation.")
            self.other_conventions[convention] = replace(
                self,
                description=description,
                inputs=_inputs(formula),
                formula=formula,
                version=version,
                example=example,
                events=events,
                convention=convention,
                counted_by=counted_by,
                other_conventions={},
                **differences,
            )
            return formula

        return register


METRICS: dict[str, Metric] = {}


def metric(
    *,
    unit: str,
    better: str,
    example: Mapping[str, float | str],
    events: Sequence[ExampleEvent],
    range: tuple[float | None, float | None] = (0, None),
    adds_over: tuple[str, ...] = (),
    version: int = 1,
    convention: str = DEFAULT,
    counted_by: str = "",
) -> Callable[[Callable[..., Result]], Metric]:
    """Register a metric. Raises ValueError when it has no `title: description` or its name is taken.

    unit: points, percent, ratio, score, count, minutes, hours, days, months, money. better: up, down or neither. adds_over:
    `groups`, `time`. example: the inputs (money as "130.00 USD") and what the metric `equals`. events: those that lead to
    the operands, in March 2026. convention, counted_by: of a metric with several conventions, the name of this one and
    who uses it.
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
            inputs=_inputs(formula),
            formula=formula,
            version=version,
            example=example,
            events=events,
            convention=convention,
            counted_by=counted_by,
        )
        return entry

    return register


def _inputs(formula: Callable[..., Result]) -> dict[str, Operand | ContextValue]:
    parameters = inspect.signature(formula).parameters
    return {
        name: Flow(name) if parameter.default is parameter.empty else parameter.default
        for name, parameter in parameters.items()
    }
