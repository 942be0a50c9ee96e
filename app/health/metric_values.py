"""Components that are about a metric of the account, and the values of a metric for every account."""

from collections.abc import Iterable, Sequence
from datetime import date
from itertools import repeat
from typing import Any

from pydantic import Field

from app.books.margins import Margin, margin_before
from app.core.ids import Id
from app.core.names import Fault, build_fault
from app.core.periods import count_months
from app.health.kinds import Component, Surroundings, by_row
from app.ledger.sums.account_operands import Narrowing, is_by_account, own_operand
from app.ledger.sums.account_sums import Part, Window
from app.ledger.sums.operands import Flow
from app.metrics.define import DEFAULT, METRICS, ContextValue, Metric
from app.metrics.describe import unknown_convention, unknown_metric

_DIVIDED = ContextValue("divided")


class MetricComponent(Component):
    """A component whose value is that of a metric, or comes from several values of it."""

    metric: str = Field(max_length=128, description="A metric of `GET /v1/metrics` that single accounts have.")
    convention: str | None = Field(
        None, max_length=128, description="A convention of the metric. Default: its default."
    )
    subject: list[Id] = Field([], max_length=100, description="Count only these subjects of the metric.")
    channel: list[Id] = Field([], max_length=100, description="Count only these channels of the metric.")

    @property
    def definition(self) -> Metric:
        """The entry of the catalogue."""
        metric = METRICS[self.metric]
        # The default convention may have a name of its own.
        return metric if self.convention in (None, DEFAULT) else metric.conventions[self.convention]

    @property
    def unit(self) -> str:
        return self.definition.unit

    @property
    def narrowing(self) -> Narrowing:
        return Narrowing(tuple(self.subject), tuple(self.channel))

    def faults(self, pointer: str) -> list[Fault]:
        return super().faults(pointer) + _metric_faults(self, pointer)

    def metric_parts(self, windows: Iterable[Window]) -> list[Part]:
        """Return the parts of the metric over each of some windows."""
        operands = self.definition.operands
        return [
            part
            for window in windows
            for operand in operands
            for part in own_operand(operand, window, self.narrowing).parts
        ]

    def metric_values(self, window: Window, surroundings: Surroundings) -> list[Any]:
        """Return the value of the metric over a window for each account, None where it has none."""
        metric = self.definition
        inputs = [self._input(input, window, surroundings) for input in metric.inputs.values()]
        return by_row(lambda *row: metric.formula(*row).value, inputs)

    def _input(self, input: Any, window: Window, surroundings: Surroundings) -> Sequence[Any]:
        if not isinstance(input, ContextValue):
            return own_operand(input, window, self.narrowing).compute(surroundings.columns)
        values: list[Any] = []
        for at, count in surroundings.days:
            value = _context_value(input.name, window, at.tomorrow, surroundings.margins)
            values += repeat(value, count)
        return values


def _context_value(name: str, window: Window, tomorrow: date, margins: Sequence[Margin]) -> Any:
    """Return a context value of a window, as formulas have it for questions about single accounts."""
    start, end = window.start.on(tomorrow), window.end.on(tomorrow)
    match name:
        case "days":
            return (end - start).days
        case "months":
            return count_months(start, end)
        case "margin":
            return margin_before(margins, end)
        case _:
            return True


def _metric_faults(component: MetricComponent, pointer: str) -> list[Fault]:
    if component.metric not in METRICS:
        return [unknown_metric(component.metric, f"{pointer}/metric")]
    metric = METRICS[component.metric]
    if component.convention is not None and component.convention not in (DEFAULT, *metric.conventions):
        return [unknown_convention(metric, component.convention, f"{pointer}/convention")]
    metric = component.definition
    if _DIVIDED in metric.inputs.values() or not all(map(is_by_account, metric.operands)):
        detail = f"{metric.name} is not a metric of single accounts. Choose one whose value an account has by itself."
        return [build_fault(f"{pointer}/metric", detail, code="metric_not_by_account")]
    return [
        build_fault(
            f"{pointer}/{dimension}", f"{metric.name} has no {dimension}. Leave it out.", code="unknown_dimension"
        )
        for dimension in ("subject", "channel")
        if getattr(component, dimension) and dimension not in metric.dimensions
    ]


def counted_measure(metric: str) -> str | None:
    """Return the measure that a metric counts; None where it is more than the flow of one measure."""
    inputs = list(METRICS[metric].inputs.values())
    if len(inputs) != 1 or not isinstance(inputs[0], Flow) or METRICS[metric].unit != "count":
        return None
    return inputs[0].any_subject or inputs[0].measure


def counted_metric_faults(metric: str, pointer: str) -> list[Fault]:
    """Return the fault of a name that is no metric, or of one that is more than the flow of one measure."""
    if metric not in METRICS:
        return [unknown_metric(metric, pointer)]
    if counted_measure(metric) is None:
        detail = f"{metric} does not count things that happen on a day. Choose one that does, such as sessions."
        return [build_fault(pointer, detail, code="metric_not_counted")]
    return []
