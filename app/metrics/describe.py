"""Metrics as the API and the reference describe them."""

from typing import Annotated, Any

from pydantic import Field

from app.core.errors import NotFound
from app.core.names import Fault, name_fault, nearest_names
from app.core.periods import GRANULARITIES
from app.http.vocabularies import VOCABULARY
from app.metrics.define import METRICS, Metric

# The name of a metric as the client sends it. Whether there is one, the endpoint looks itself.
MetricInPath = Annotated[
    str, Field(description="The name of the metric.", json_schema_extra={VOCABULARY: "MetricName"})
]


def metric_in_path(name: str) -> Metric:
    """Return the metric that a path names. Raises NotFound."""
    if name not in METRICS:
        raise NotFound.of([unknown_metric(name, "/path/metric")])
    return METRICS[name]


def unknown_metric(name: str, pointer: str) -> Fault:
    """Return the fault of a name that is no metric."""
    advice = "GET /v1/metrics lists all metrics."
    nearest = nearest_names(name, METRICS)
    return name_fault(pointer, "Unknown metric{}.", name, nearest, code="unknown_metric", advice=advice)


def unknown_convention(metric: Metric, name: str, pointer: str) -> Fault:
    """Return the fault of a convention that a metric does not have."""
    advice = f"It has: {', '.join(metric.conventions)}."
    nearest = nearest_names(name, metric.conventions)
    return name_fault(
        pointer, "The metric has no convention{}.", name, nearest, code="unknown_convention", advice=advice
    )


def describe_metric(metric: Metric) -> dict[str, Any]:
    """Return a metric's entry in the catalogue as a JSON object."""
    return {
        "name": metric.name,
        "title": metric.title,
        "description": metric.description,
        "unit": metric.unit,
        "better": metric.better,
        "range": list(metric.range),
        "adds_over": list(metric.adds_over),
        "dimensions": {"group_by": ["account", "segment", "<attribute>", *metric.dimensions], **metric.dimensions},
        "granularities": list(GRANULARITIES),
        "operands": {name: value.description for name, value in metric.inputs.items()},
        "conventions": [_describe_convention(entry) for entry in metric.conventions.values()],
        "version": metric.version,
        "example": dict(metric.example),
    }


def _describe_convention(metric: Metric) -> dict[str, Any]:
    """Return one convention of a metric as a JSON object."""
    return {
        "name": metric.convention,
        "description": metric.description,
        "counted_by": metric.counted_by or None,
        "unit": metric.unit,
        "range": list(metric.range),
        "operands": {name: value.description for name, value in metric.inputs.items()},
        "version": metric.version,
        "example": dict(metric.example),
    }
