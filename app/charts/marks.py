"""Pieces of Vega-Lite views: marks, axes, legends. A mark without data of its own is silent for screen readers."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from app.charts.define import Spec, Values
from app.charts.theme import NAME_PIXELS, TEXT_CHARACTER

# So many series have a color and a shape of their own.
MAX_SERIES = 8
# So many groups have a plot of their own.
MAX_PLOTS = 4
# With more periods, points are small.
_MANY_PERIODS = 45
# Of a legend: a symbol with the space around it, a row, and the space above all rows, in pixels.
_SYMBOL_PIXELS, _ROW_PIXELS, _OFFSET = 34, 17, 14
_LARGE = 10_000
# Of numbers that are written beside their marks.
NO_AXIS: Spec = {"title": None, "labels": False, "ticks": False, "domain": False, "grid": False}
# Every mark that has data has a sentence, which is its tooltip and what a screen reader says.
TEXT = {"description": {"field": "text", "type": "nominal"}, "tooltip": {"field": "text", "type": "nominal"}}


def mark(type: str, *styles: str, **properties: Any) -> Spec:
    """Return a mark that says something. Nulls are gaps. styles: of the theme, the later ones over the earlier ones."""
    return {
        "type": type,
        "style": styles[0] if len(styles) == 1 else list(styles),
        "invalid": "break-paths-show-path-domains",
        **properties,
    }


def silent(type: str, style: str, **properties: Any) -> Spec:
    """Return a mark that only decorates: screen readers skip it."""
    return mark(type, style, aria=False, tooltip=None, **properties)


def layer(mark: Spec, encoding: Spec, *, where: str | None = None, data: Values | None = None) -> Spec:
    """Return a layer. where: a condition on its data, one of ours. data: its own, instead of that of the picture."""
    spec: Spec = {"mark": mark, "encoding": encoding}
    if data is not None:
        spec["data"] = {"values": list(data)}
    if where:
        spec["transform"] = [{"filter": where}]
    return spec


def period_axis(labels: Sequence[str]) -> Spec:
    """Return the encoding of periods on the horizontal axis. They are names in their order: no time zone moves them."""
    # The separation is wide, since a reader's font may be wider than the server's, in which labels are measured.
    axis = {"title": None, "labelAngle": 0, "labelOverlap": "parity", "labelSeparation": 14, "labelLimit": 110}
    axis |= {"ticks": len(labels) <= _MANY_PERIODS}
    return {"field": "label", "type": "ordinal", "sort": None, "scale": {"domain": list(labels)}, "axis": axis}


def name_axis(names: Sequence[str], field: str = "name") -> Spec:
    """Return the encoding of names on the vertical axis, in their order."""
    axis = {"title": None, "labelOverlap": False, "domain": False, "ticks": False}
    return {"field": field, "type": "nominal", "sort": None, "scale": {"domain": list(names)}, "axis": axis}


def number_axis(unit: str, values: Sequence[float | int | None], *, zero: bool, field: str = "value") -> Spec:
    """Return the encoding of numbers."""
    largest = max((abs(value) for value in values if value is not None), default=0)
    axis: Spec = {"title": None, "format": "~s" if largest >= _LARGE else ",.2~f", "tickCount": 6}
    if unit == "percent":
        axis["labelExpr"] = "datum.label + '%'"
    elif largest >= _LARGE:
        # The format has the letters of the metric system.
        axis["labelExpr"] = "datum.value == 0 ? '0' : replace(datum.label, 'G', 'B')"
    if unit == "count" and largest <= _LARGE:
        axis |= {"tickMinStep": 1}
    scale: Spec = {"zero": zero, "nice": True}
    if largest == 0 and zero:
        scale = {"domain": [0, 1]}
    return {"field": field, "type": "quantitative", "scale": scale, "axis": axis}


def stacked_axis(unit: str, values: Values, *, field: str = "value") -> Spec:
    """Return the encoding of numbers on top of each other: up from zero what is above it, down what is below."""
    sums: dict[tuple[str, bool], float] = {}
    for own in values:
        if number := own[field]:
            key = own["label"], number < 0
            sums[key] = sums.get(key, 0) + number
    return number_axis(unit, list(sums.values()), zero=True, field=field) | {"stack": "zero"}


def length_axis(numbers: Sequence[float | int], field: str = "value") -> Spec:
    """Return the encoding of the lengths of bars whose numbers are written beside them, with place for these."""
    return {
        "field": field,
        "type": "quantitative",
        "axis": NO_AXIS,
        "scale": {"domain": [0, (max(numbers) or 1) * 1.3]},
    }


def series_color(names: Sequence[str], width: int, *, channel: str = "color") -> Spec:
    """Return the encoding that tells series apart by color and, with points, by shape. Empty for a single one."""
    if len(names) < 2:
        return {}
    field = {"field": "series", "type": "nominal", "scale": {"domain": list(names)}}
    return {channel: field | {"legend": legend(names, width)}}


def without_legend(encoding: Spec) -> Spec:
    """Return an encoding of series whose legend another layer has."""
    return {channel: {**field, "legend": None} for channel, field in encoding.items()}


def legend(names: Sequence[str], width: int) -> Spec:
    """Return a legend below the plot, in as many columns as there is place for."""
    columns = _legend_columns(names, width)
    return {"title": None, "orient": "bottom", "direction": "horizontal", "columns": columns, "symbolOpacity": 1}


def legend_height(names: Sequence[str], width: int) -> int:
    """Return how many pixels the legend of these series takes; 0 of a single one, which has none."""
    return 0 if len(names) < 2 else _OFFSET + _ROW_PIXELS * -(-len(names) // _legend_columns(names, width))


def _legend_columns(names: Sequence[str], width: int) -> int:
    longest = max((len(name) for name in names), default=1)
    column = min(NAME_PIXELS, longest * TEXT_CHARACTER) + _SYMBOL_PIXELS
    return max(1, min(len(names), int((width - 60) / column)))


def bar_layers(values: Values, encoding: Spec, color: Spec, *, where: str = "") -> list[Spec]:
    """Return the layers of bars. Those of what is not complete have an outline of dashes.

    color: the encoding that tells series apart, if any. where: a condition on the data.
    """
    more = f" && {where}" if where else ""
    layers = [layer(mark("bar", "bar"), encoding | color, where=f"datum.complete{more}")]
    if all(own["complete"] for own in values):
        return layers
    plain = without_legend(color)
    stroke = {"stroke": plain["color"]} if plain else {}
    style = "outline" if color else "running-bar"
    return [*layers, layer(mark("bar", style), encoding | plain | stroke, where=f"!datum.complete{more}")]


def number_labels(y: Spec, right_of: Spec, left_of: Spec) -> list[Spec]:
    """Return the layers of the numbers of bars: at the right of those above zero, at the left of the others."""
    label = y | {"text": {"field": "short", "type": "nominal"}}
    return [
        layer(silent("text", "label", align="left", dx=6), right_of | label, where="datum.value >= 0"),
        layer(silent("text", "label", align="right", dx=-6), left_of | label, where="datum.value < 0"),
    ]


def gap_layers(values: Values, x: Spec, *, field: str = "value") -> list[Spec]:
    """Return the layer of crosses where there is no value; none where there is always one."""
    if all(own[field] is not None for own in values):
        return []
    gap = {"y": {"value": "height"}, "text": {"value": "×"}}
    return [layer(mark("text", "gap", dy=-8), x | gap | TEXT, where=f"datum.{field} == null")]


def zero_line(values: Sequence[float | int | None], *, channel: str = "y") -> list[Spec]:
    """Return the layer of the line at zero, where numbers are on both sides of it."""
    signs = {value > 0 for value in values if value}
    if len(signs) < 2:
        return []
    return [layer(silent("rule", "zero"), {channel: {"datum": 0, "type": "quantitative"}})]


def point_size(periods: int) -> int:
    """Return the size of a point."""
    return 55 if periods <= _MANY_PERIODS else 14


class Plot(NamedTuple):
    """A plot of one of several groups or metrics. name: what stands above it. height: in pixels, without that."""

    name: str
    values: Values
    layers: Sequence[Spec]
    height: int


def arrange(plots: Sequence[Plot], width: int, *, beside: int) -> dict[str, Any]:
    """Return `values`, `view` and `is_single` of a picture of plots below each other. A single one has no name above it.

    width: of the picture. beside: how many of its pixels the labels of an axis take where there are several plots.
    """
    if len(plots) == 1:
        return {"values": plots[0].values, "view": plot(plots[0].layers, width, plots[0].height), "is_single": True}
    views = [
        {
            "title": heading(own.name),
            "data": {"values": list(own.values)},
            **plot(own.layers, width - beside, own.height),
        }
        for own in plots
    ]
    return {"values": [], "view": {"vconcat": views}, "is_single": False}


def heading(text: str) -> Spec:
    """Return what stands above one of several plots."""
    return {"text": text, "fontSize": 12, "offset": 6}


def plot(layers: Sequence[Spec], width: int, height: int) -> Spec:
    """Return a view of layers on the same scales."""
    return {"width": width, "height": height, "layer": list(layers)}


def message(text: str, width: int, height: int) -> Spec:
    """Return the view of a chart of nothing: a sentence in an empty plot."""
    position = {"x": {"value": width / 2}, "y": {"value": height / 2}}
    words = layer(
        mark("text", "message", align="center", limit=width),
        position
        | {"text": {"field": "message", "type": "nominal"}, "description": {"field": "message", "type": "nominal"}},
        data=[{"message": text}],
    )
    return plot([words], width, height)
