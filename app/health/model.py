"""The document of a health model: its components, weights, categories, bands and window, and all that can be wrong with it."""

from collections.abc import Collection, Mapping, Sequence
from fractions import Fraction
from functools import cached_property
from math import ceil
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, Union

from pydantic import BaseModel, ConfigDict, Field

from app.accounts.segments import unknown_segment
from app.core.ids import FreeText, Id
from app.core.names import Fault, build_fault, name_fault, nearest_names
from app.health import components as _components  # noqa: F401  (registers the kinds)
from app.health.kinds import KINDS, Component, Identifier, Number
from app.ledger.sums.account_sums import Part

MAX_COMPONENTS = 40
# Sums that are loaded for each account. The default model has 26.
MAX_SUMS = 300
_ITEMS_PER_SUM = 10
BANDS = ("critical", "at_risk", "healthy")
# Categories that are compared to find accounts of which usage and revenue disagree.
USAGE, REVENUE = "usage", "revenue"

# The component of any kind; its field `kind` says which.
if TYPE_CHECKING:
    AnyComponent = Component
else:
    AnyComponent = Annotated[Union[tuple(KINDS.values())], Field(discriminator="kind", title="HealthComponent")]  # noqa: UP007


class WeightRules(NamedTuple):
    """What decides how weights become shares, besides the weights: each component's category (None for none), and the caps."""

    categories: tuple[int | None, ...]
    caps: tuple[Fraction, ...]


class Document(BaseModel):
    """Base class of the parts of a model."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Bands(Document):
    """From which score an account is at risk and no longer critical, and from which it is healthy."""

    at_risk: Number = Field(40, gt=0, lt=100)
    healthy: Number = Field(70, gt=0, le=100)


class Category(Document):
    """A category of components."""

    cap: Number = Field(
        1,
        gt=0,
        le=1,
        description="The largest share of the score that its components can take together, where others have data.",
    )


class SegmentWeights(Document):
    """The weights of the accounts in a segment."""

    segment: Id = Field(description="A stored segment.")
    weights: dict[str, Annotated[Number, Field(ge=0, le=1_000)]] = Field(
        title="ComponentWeights",
        max_length=MAX_COMPONENTS,
        description="Weights by id of the component. The others keep their own.",
    )


class HealthModel(Document):
    """How the health of accounts is computed."""

    description: FreeText | None = Field(None, max_length=4_000, description="What the model is for, in your words.")
    window_days: int = Field(
        28, ge=1, le=400, description="Length of the window, which ends with the day of the score."
    )
    min_coverage: Number = Field(
        0.5, ge=0, le=1, description="The share of weight that must have data. Below it an account has no score."
    )
    bands: Bands = Bands()
    categories: dict[Identifier, Category] = Field({}, max_length=MAX_COMPONENTS, description="Categories by name.")
    components: list[AnyComponent] = Field(min_length=1, max_length=MAX_COMPONENTS)
    segment_weights: list[SegmentWeights] = Field(
        [],
        max_length=50,
        description="Weights of segments. Of those that an account is in, the first of the list decides.",
    )

    def faults(self, segments: Collection[str]) -> list[Fault]:
        """Return all that is wrong with the model besides its fields. segments: the names of those that are stored."""
        return [
            *_band_faults(self.bands),
            *(component_faults := _component_faults(self)),
            *([] if component_faults else _size_faults(self)),
            *_weight_faults("/components", self.weights_of(None)),
            *(fault for n, own in enumerate(self.segment_weights) for fault in _segment_faults(self, n, own, segments)),
        ]

    @cached_property
    def weight_rules(self) -> WeightRules:
        """The categories of the components, and their caps."""
        names = list(self.categories)
        categories = tuple(names.index(own.category) if own.category else None for own in self.components)
        return WeightRules(categories, tuple(_exact(category.cap) for category in self.categories.values()))

    def parts(self) -> list[Part]:
        """Return the parts of accounts that its components need, each once."""
        return [*dict.fromkeys(part for own in self.components for part in own.parts(self.window_days))]

    @property
    def items(self) -> int:
        """How many items there are to look at for a statement about it, see `run_aside`: those of large models are long."""
        return _ITEMS_PER_SUM * len(self.parts())

    def weights_of(self, segment: int | None) -> tuple[Fraction, ...]:
        """Return the weights of all components; segment: the index in `segment_weights` that decides, None for no segment."""
        other_weights: Mapping[str, float] = {} if segment is None else self.segment_weights[segment].weights
        return tuple(_exact(other_weights.get(own.id, own.weight)) for own in self.components)

    def band(self, score: int | None) -> str | None:
        """Return the band of a score in hundredths of a point; None without a score."""
        if score is None:
            return None
        at_risk, healthy = self._band_starts
        return BANDS[(score >= at_risk) + (score >= healthy)]

    @cached_property
    def _band_starts(self) -> tuple[int, int]:
        """The lowest scores at risk, and of healthy accounts, in hundredths of a point."""
        return ceil(100 * _exact(self.bands.at_risk)), ceil(100 * _exact(self.bands.healthy))

    def as_json(self) -> dict[str, Any]:
        """Return the document as it is stored and shown."""
        return self.model_dump(mode="json", exclude_none=True)


def _exact(number: float) -> Fraction:
    """Return the number that was written, and not the binary one beside it."""
    return Fraction(repr(number))


def _band_faults(bands: Bands) -> list[Fault]:
    if bands.at_risk < bands.healthy:
        return []
    return [build_fault("/bands/healthy", "`healthy` must be above `at_risk`.", code="invalid")]


def _component_faults(model: HealthModel) -> list[Fault]:
    faults: list[Fault] = []
    ids: set[str] = set()
    for number, component in enumerate(model.components):
        pointer = f"/components/{number}"
        if component.id in ids:
            detail = "Another component of the model has this id. Every component needs its own."
            faults.append(build_fault(f"{pointer}/id", detail, code="repeated"))
        ids.add(component.id)
        if component.category is not None and component.category not in model.categories:
            nearest, advice = nearest_names(component.category, model.categories), "Add it to `categories`."
            name = component.category
            faults.append(
                name_fault(
                    f"{pointer}/category", "Unknown category{}.", name, nearest, code="unknown_category", advice=advice
                )
            )
        faults += component.faults(pointer)
    return faults


def _size_faults(model: HealthModel) -> list[Fault]:
    count = 0
    for component in model.components:
        count += len({*component.parts(model.window_days)})
        # To count those of a model that is far too large takes seconds.
        if count > MAX_SUMS:
            detail = (
                f"The components need more than {MAX_SUMS} sums of each account, one for each window and part of a metric. "
                "Choose fewer components, fewer weeks of a `baseline`, or simpler metrics."
            )
            return [build_fault("/components", detail, code="too_complex")]
    return []


def _weight_faults(pointer: str, weights: Sequence[Fraction]) -> list[Fault]:
    if any(weights):
        return []
    detail = "The weights add up to nothing, so there is no score. Give a component a weight above 0."
    return [build_fault(pointer, detail, code="no_weight")]


def _segment_faults(model: HealthModel, number: int, own: SegmentWeights, segments: Collection[str]) -> list[Fault]:
    pointer = f"/segment_weights/{number}"
    faults: list[Fault] = []
    if own.segment not in segments:
        faults.append(unknown_segment(own.segment, segments, f"{pointer}/segment"))
    if own.segment in [other.segment for other in model.segment_weights[:number]]:
        detail = "The segment is in the list already; its first weights decide, and these never would."
        faults.append(build_fault(f"{pointer}/segment", detail, code="repeated"))
    ids = [component.id for component in model.components]
    for name in own.weights:
        if name not in ids:
            nearest = nearest_names(name, ids)
            sentence, advice = "Unknown component{}.", "Weights are by id of a component of the model."
            faults.append(
                name_fault(f"{pointer}/weights", sentence, name, nearest, code="unknown_component", advice=advice)
            )
    return faults + _weight_faults(f"{pointer}/weights", model.weights_of(number))
