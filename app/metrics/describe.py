"""Metrics as the API and the reference describe them."""

from difflib import get_close_matches
from typing import Any

from app.core.errors import NotFound
from app.core.periods import GRANULARITIES
from app.metrics.define import METRICS, Metric


def metric_in_path(name: str) -> Metric:
    """Return the metric that a path names. Raises NotFound."""
    if name not in METRICS:
        raise NotFound(unknown_metric_detail(name), code="unknown_metric")
    return METRICS[name]


def unknown_metric_detail(name: str) -> str:
    """Return the detail of the error for a name that is no metric, with up to three names that are like it."""
    similar = [metric for metric in sorted(METRICS) if name and name in metric]
    similar += [metric for metric in get_close_matches(name, METRICS) if metric not in similar]
    suggestion = f" Did you mean {' or '.join(similar[:3])}?" if similar else ""
    return f"Unknown metric.{suggestion} GET /v1/metrics lists all metrics."


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
