"""Which chart an answer makes."""

from app.charts.define import CHARTS, Chart, ChartAnswer
from app.core.errors import Invalid
from app.core.names import name_fault, nearest_names

_POINTER = "/query/chart"


def charts_of(kind: str) -> list[Chart]:
    """Return the charts of a kind of answer, in the order in which they are tried."""
    return [chart for chart in CHARTS.values() if chart.of == kind]


def choose_chart(kind: str, name: str | None, answer: ChartAnswer) -> Chart:
    """Return the chart of that name or, without one, the first that suits. Raises Invalid for one that the answer cannot be."""
    if name is not None:
        chart = find_chart(kind, name)
        if obstacle := chart.needs(answer):
            raise Invalid.at(_POINTER, obstacle, code="no_such_chart")
        return chart
    charts = charts_of(kind)
    obstacles = [chart.needs(answer) for chart in charts]
    possible = [chart for chart, obstacle in zip(charts, obstacles, strict=True) if obstacle is None]
    for chart in possible:
        if chart.suits(answer):
            return chart
    if possible:
        return possible[0]
    raise Invalid.at("/query/format", f"The answer makes no chart. {obstacles[0]}", code="no_such_chart")


def find_chart(kind: str, name: str) -> Chart:
    """Return the chart of that name that this kind of answer makes. Raises Invalid for others, with the nearest names."""
    charts = charts_of(kind)
    chart = next((chart for chart in charts if chart.name == name), None)
    if chart is None:
        names = [chart.name for chart in charts]
        sentence = "This answer makes no such chart{}." if name in CHARTS else "Unknown chart{}."
        advice = f"Its charts are: {', '.join(names)}."
        fault = name_fault(_POINTER, sentence, name, nearest_names(name, names), code="unknown_chart", advice=advice)
        raise Invalid.of([fault])
    return chart
