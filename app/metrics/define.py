"""How a metric is declared: a formula over sums of measures, one block an entry.

    @metric(unit="points", better="up", range=(-100, 100), example=dict(nps_promoters=6, ..., equals=40), events=[...])
    def nps(nps_promoters, nps_detractors, nps_responses):
        "Net Promoter Score: promoters less detractors, per hundred responses."
        return score(nps_promoters, nps_detractors, of=nps_responses)

The function's name is the metric's, its docstring `title: description`, its parameters the measures whose sums it gets. The
example says what the formula makes of given sums, and which events bring those sums about.
"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from app.ledger.measures import MEASURES
from app.metrics.statistics import adjusted_wald, wilson


class Result(NamedTuple):
    """A number with its proof: the ratio it is, how many observations it rests on, and how sure it is.

    value: None where there is no answer; then `reason` says why. interval: low and high, of proportions and scores only.
    """

    value: float | int | None
    numerator: float | int | None = None
    denominator: float | int | None = None
    sample_size: int | None = None
    interval: tuple[float, float] | None = None
    reason: str | None = None


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


def unless_mixed(result: Result, scales: int, squares: int, *, of: int) -> Result:
    """The result, unless the answers were given on different scales: then the square of the sum is less than it could be."""
    if of * squares == scales * scales:
        return result
    return result._replace(value=None, interval=None, reason="mixed_scales")


@dataclass(frozen=True, slots=True)
class Metric:
    """An entry of the catalogue. `operands`: the measures, in the order in which `formula` takes them."""

    name: str
    title: str
    description: str
    unit: str
    better: str
    range: tuple[float | None, float | None]
    adds_over: tuple[str, ...]
    operands: tuple[str, ...]
    formula: Callable[..., Result]
    version: int
    example: Mapping[str, float]
    events: Sequence[tuple[int, str, Mapping[str, Any]]]

    @property
    def dimensions(self) -> dict[str, str]:
        """What the metric can be broken down by, besides accounts: `subject` and `channel`, and what a subject is."""
        measures = [MEASURES[name] for name in self.operands]
        found = {}
        subjects = {measure.subject for measure in measures}
        if len(subjects) == 1 and (subject := subjects.pop()):
            found["subject"] = subject
        if all(measure.channel for measure in measures):
            found["channel"] = "channel"
        return found


METRICS: dict[str, Metric] = {}


def metric(
    *,
    unit: str,
    better: str,
    example: Mapping[str, float],
    events: Sequence[tuple[int, str, Mapping[str, Any]]],
    range: tuple[float | None, float | None] = (0, None),
    adds_over: tuple[str, ...] = (),
    version: int = 1,
) -> Callable[[Callable[..., Result]], Callable[..., Result]]:
    """Register a metric. Raises ValueError when it has no `title: description` or its name is taken.

    unit: points, percent, score, count, minutes, money. better: up, down or neither. adds_over: `groups`, `time`.
    example: the operands' sums and what the metric `equals`. events: how many of which event, with which data, make them.
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
            operands=tuple(inspect.signature(formula).parameters),
            formula=formula,
            version=version,
            example=example,
            events=events,
        )
        return formula

    return register
