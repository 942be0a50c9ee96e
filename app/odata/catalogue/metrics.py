"""`Metrics`: the catalogue of metrics."""

from typing import Any

from app.metrics.define import METRICS, Metric
from app.odata.model import ENTITY_SETS, EntitySet, prop
from app.odata.query import Query
from app.odata.sources import EntityPage, ListSource, SetContext, read_page

_PROPERTIES = (
    prop("metric", "text", "The name of the metric, as in `MetricValues` and `Scorecard`.", nullable=False),
    prop("title", "text", "The title of the metric.", nullable=False),
    prop("description", "text", "What the metric measures.", nullable=False),
    prop("unit", "text", "The unit of its values: percent, points, count, money …", nullable=False),
    prop("better", "text", "Whether higher values are better (up), or lower ones (down), or neither.", nullable=False),
    prop("range_low", "number", "The lowest value that is possible; null without a limit."),
    prop("range_high", "number", "The highest value that is possible; null without a limit."),
    prop("adds_over", "text", "Over what values may be added up: groups, time; empty if over nothing.", nullable=False),
    prop(
        "dimensions", "text", "What else it can be grouped by: subject, channel; empty if by nothing.", nullable=False
    ),
    prop("subject_is", "text", "What its subjects are: surveys, features, plans …; null without any."),
    prop("convention", "text", "Its default convention.", nullable=False),
    prop("conventions", "text", "All its conventions, with commas between them.", nullable=False),
    prop("version", "integer", "The version of its default formula.", nullable=False),
)


def _row(metric: Metric) -> dict[str, Any]:
    low, high = metric.range
    return {
        "metric": metric.name,
        "title": metric.title,
        "description": metric.description,
        "unit": metric.unit,
        "better": metric.better,
        "range_low": low,
        "range_high": high,
        "adds_over": ",".join(metric.adds_over),
        "dimensions": ",".join(metric.dimensions),
        "subject_is": metric.dimensions.get("subject"),
        "convention": metric.convention,
        "conventions": ",".join(metric.conventions),
        "version": metric.version,
    }


async def _load(context: SetContext, query: Query) -> EntityPage:
    return read_page(ListSource(map(_row, METRICS.values()), ("metric",)), query)


ENTITY_SETS.add(
    EntitySet("Metrics", "Metric", "The catalogue of metrics, one row for each.", ("metric",), _PROPERTIES, _load)
)
