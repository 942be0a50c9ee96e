"""How a detector is declared: a pure function over what it reads, one block for each detector.

    @detector(sample="customers at the start of the month", advice="Call …", fires=Example(…), quiet=inputs(…))
    def churn_spike(
        churn: Series = history("customer_churn_rate", months=7),
        *,
        material: float = threshold(3, "percent", "Churn of the month from which it fires."),
    ) -> Iterator[Finding]:
        "Churn spike: the last month lost more customers than the months before."

The name of the function is the name of the detector, its docstring is `title: description`. Parameters are sources and, after
the asterisk, thresholds. `fires` has example inputs and the sentence that they lead to, `quiet` inputs that just miss the
threshold. A detector yields nothing when nothing needs attention.
"""

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, get_args

from app.core.periods import Period
from app.insights.sources import Source

Severity = Literal["critical", "warning", "notice"]
# The most urgent first.
SEVERITIES: tuple[Severity, ...] = get_args(Severity)


class Threshold(NamedTuple):
    """A number from which a detector fires, or fires more severely."""

    value: float
    unit: str
    description: str


class AccountDetail(NamedTuple):
    """An account that an insight is about, by its key or id, and what is to know of it."""

    account: Any
    detail: str


class Finding(NamedTuple):
    """What a detector has found.

    sentence: the threshold that fired and the numbers. sample_size: how many observations it rests on; None for a fact that is
    counted and not estimated. question: the path of the question behind it. accounts: all that it is about, the most important
    first. subject: tells it from the others of the same detector. narrows_question: whether the question is to be about the
    first accounts only.
    """

    severity: Severity
    sentence: str
    period: Period
    sample_size: int | None
    question: str
    accounts: Sequence[AccountDetail] = ()
    subject: str | None = None
    narrows_question: bool = False


class Example(NamedTuple):
    """Inputs of a detector, and the severity and sentence to which they lead."""

    severity: Severity
    sentence: str
    inputs: Mapping[str, Any]


Inputs = Mapping[str, Any]


def inputs(**values: Any) -> Inputs:
    """Return inputs of a detector by the names of its parameters."""
    return values


@dataclass(frozen=True, slots=True)
class Detector:
    """An entry of the catalogue. sample: what the sample counts. fires, quiet: its examples."""

    name: str
    title: str
    description: str
    sample: str
    advice: str
    sources: Mapping[str, Source]
    thresholds: Mapping[str, Threshold]
    formula: Callable[..., Iterator[Finding]]
    fires: Example
    quiet: Inputs

    def detect(self, values: Inputs) -> list[Finding]:
        """Return what needs attention, from the values of the sources by name."""
        return list(self.formula(**values, **{name: entry.value for name, entry in self.thresholds.items()}))


DETECTORS: dict[str, Detector] = {}


def threshold(value: float, unit: str, description: str) -> Any:
    """Return a threshold."""
    return Threshold(value, unit, description)


def detector(
    *, sample: str, advice: str, fires: Example, quiet: Inputs
) -> Callable[[Callable[..., Iterator[Finding]]], Detector]:
    """Register a detector. Raises ValueError when it has no `title: description` or its name is taken.

    sample: what its sample counts; empty for facts. advice: what to do next, as sentences.
    """

    def register(formula: Callable[..., Iterator[Finding]]) -> Detector:
        title, colon, description = (formula.__doc__ or "").strip().partition(": ")
        if not colon or formula.__name__ in DETECTORS:
            raise ValueError(f"The detector {formula.__name__} exists already or has no documentation.")
        parameters = inspect.signature(formula).parameters
        defaults = {name: parameter.default for name, parameter in parameters.items()}
        DETECTORS[formula.__name__] = entry = Detector(
            name=formula.__name__,
            title=title,
            description=" ".join((description[:1].upper() + description[1:]).split()),
            sample=sample,
            advice=advice,
            sources={name: value for name, value in defaults.items() if not isinstance(value, Threshold)},
            thresholds={name: value for name, value in defaults.items() if isinstance(value, Threshold)},
            formula=formula,
            fires=fires,
            quiet=quiet,
        )
        return entry

    return register
