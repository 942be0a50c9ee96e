"""How a kind of components is declared: a class whose fields are what a model says of such a component.

    @kind
    class ValueComponent(MetricComponent):
        "The value of a metric over the window. …"

        kind: Literal["value"] = "value"

The docstring is the documentation, the fields become the OpenAPI schema. A kind says which parts of an account it needs, and
computes from their columns a value for every account; None where an account has no data for it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any, NamedTuple, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from app.books.margins import Margin
from app.core.ids import FreeText
from app.core.names import Fault, build_fault
from app.ledger.sums.account_operands import Columns
from app.ledger.sums.account_sums import KnownDay, Part
from app.metrics.phrases import UNIT_SUFFIXES

# The factor of a component that has its whole weight.
WHOLE = 100

# Of the largest amounts of money that come in.
_MAX_NUMBER = 1e12

# A body's numbers with a point are decimals until here.
Number = Annotated[float, BeforeValidator(lambda value: float(value) if isinstance(value, Decimal) else value)]
Identifier = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")]


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What components are computed from: columns of parts with a value for each account on each of some days.

    columns: those of all parts. days: each day with the number of its accounts, which follow each other. margins: all values of
    the gross margin.
    """

    columns: Columns
    days: Sequence[tuple[KnownDay, int]]
    margins: Sequence[Margin] = ()


class ComponentValues(NamedTuple):
    """The values of a component, None without data.

    factors: the percentage of its weight that it has for each account; None where that is always 100.
    """

    values: Sequence[float | None]
    factors: Sequence[int] | None = None


class Component(BaseModel):
    """What all kinds of components have."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    id: Identifier = Field(description="Your name of the component, unique in the model.")
    kind: str
    title: FreeText | None = Field(None, min_length=1, max_length=128, description="What people call it.")
    argument: FreeText | None = Field(
        None, max_length=1_000, description="Why the anchors are what they are: the model's own documentation."
    )
    poor: Number = Field(
        ge=-_MAX_NUMBER,
        le=_MAX_NUMBER,
        description="The value that scores 0, as do all beyond it. May be above or below `good`.",
    )
    good: Number = Field(
        ge=-_MAX_NUMBER,
        le=_MAX_NUMBER,
        description="The value that scores 100, as do all beyond it. Between the two the score is linear.",
    )
    weight: Number = Field(
        ge=0,
        le=1_000,
        description="Weight in the score, relative to the other weights. 0 shows it without counting it.",
    )
    category: Identifier | None = Field(None, description="A category of the model, which may have a cap.")

    @property
    def unit(self) -> str:
        """The unit of its values, as metrics have one."""
        raise NotImplementedError

    @property
    def verbs(self) -> tuple[str, str]:
        """What its value did where it is less than before, and where it is more."""
        return "fell", "rose"

    @property
    def units(self) -> tuple[str, str]:
        """What sentences write after its value where another one follows, and where none does."""
        suffix = UNIT_SUFFIXES.get(self.unit, "")
        return suffix, suffix

    @property
    def name(self) -> str:
        """Return what people call it."""
        return self.title or self.id.replace("_", " ").capitalize()

    def parts(self, window_days: int) -> Sequence[Part]:
        """Return the parts of accounts that it needs. window_days: of the model."""
        raise NotImplementedError

    def values(self, window_days: int, surroundings: Surroundings) -> ComponentValues:
        """Return its values."""
        raise NotImplementedError

    def faults(self, pointer: str) -> list[Fault]:
        """Return what is wrong with it that its fields alone do not say. pointer: of the component."""
        if self.poor != self.good:
            return []
        detail = "`poor` and `good` are the same value, so no value lies between them. Give two different ones."
        return [build_fault(f"{pointer}/good", detail, code="poor_equals_good")]


AnyComponent = TypeVar("AnyComponent", bound=Component)
KINDS: dict[str, type[Component]] = {}


def kind(component: type[AnyComponent]) -> type[AnyComponent]:
    """Register a kind of components. Raises ValueError for one that is taken, or has no documentation."""
    name = component.model_fields["kind"].default
    if name in KINDS or not component.__doc__:
        raise ValueError(f"The kind of components {name} exists already or has no documentation.")
    KINDS[name] = component
    return component


class _Results(dict[Any, Any]):
    """The results of a function by its arguments, each computed when it is first looked up."""

    def __init__(self, compute: Callable[..., Any]) -> None:
        super().__init__()
        self._compute = compute

    def __missing__(self, arguments: Any) -> Any:
        self[arguments] = result = self._compute(*arguments)
        return result


def by_row(compute: Callable[..., Any], columns: Sequence[Sequence[Any]]) -> list[Any]:
    """Return the result of a function for each row of columns; rows that are alike are computed once."""
    return [*map(_Results(compute).__getitem__, zip(*columns, strict=True))]
