"""Charts as the API and the reference describe them."""

from typing import Any

from app.charts.define import ANSWERS, CHARTS, Chart
from app.http.vocabularies import add_vocabulary

add_vocabulary("ChartName", "The name of a chart.", lambda: CHARTS)


def describe_chart(chart: Chart) -> dict[str, Any]:
    """Return a chart's entry in the catalogue as a JSON object."""
    return {
        "name": chart.name,
        "title": chart.title,
        "description": chart.description,
        "paths": list(ANSWERS[chart.of]),
        "when": chart.when,
        "example": chart.path,
    }
