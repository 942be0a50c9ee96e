"""Numbers over time."""

from collections.abc import Sequence

from app.charts.annotations import annotation_layers, annotation_notes, annotation_summary
from app.charts.define import ChartAnswer, Picture, Spec, chart
from app.charts.examples import number_row, numbers, series_rows
from app.charts.marks import (
    TEXT,
    Plot,
    arrange,
    gap_layers,
    layer,
    legend_height,
    mark,
    number_axis,
    period_axis,
    point_size,
    series_color,
    silent,
    without_legend,
    zero_line,
)
from app.charts.nothing import nothing
from app.charts.series_data import SMALLEST, Panel, build_panels, question_note, unit_note
from app.charts.texts import left_out_note, missing_note, plural, unit_name

MAX_PANELS = 6
_HEIGHT = 200
_PANEL_HEIGHT = 150
# So many series have their intervals drawn; of more, the lines would not be seen.
_MAX_INTERVALS = 3
# What is counted or paid is compared with nothing; a rate or a score moves within its range.
_FROM_ZERO = {"count", "money", "minutes", "hours", "days", "months"}

_NPS = (None, 38.2, 41.5, None, 44.1, 40.7, 46.9, 49.3, 52.0, 48.8, 55.4, 61.0, 58.3)


def no_rows(answer: ChartAnswer) -> str | None:
    """Return why an answer has nothing to draw over time; None if it has."""
    return None if all("metric" in row for row in answer.rows) else "Its rows are no numbers of metrics."


@chart(
    of="numbers",
    when="Numbers of several periods, and a single number.",
    path="/v1/metrics/nps?period=last_8_quarters&granularity=quarter&format=svg",
    needs=no_rows,
    example=numbers(
        [
            number_row("nps", row["period"], value, sample=80, spread=11, reason=None if value else "no_responses")
            for row, value in zip(series_rows("nps", _NPS), _NPS, strict=True)
        ]
    ),
)
def series(answer: ChartAnswer) -> Picture:
    """Series: numbers over time, as lines with points.

    A period that is not complete is at the end of a dashed line, as a hollow point. A band or a vertical line is the interval
    at 95%. A period without a value is a gap, marked by a cross. Several metrics of one unit share a plot; otherwise each has
    its own.
    """
    panels = build_panels(answer)
    if not any(panel.has_values for panel in panels):
        return nothing(answer)
    shown_panels = panels[:MAX_PANELS]
    is_single = len(shown_panels) == 1
    if is_single:
        height = answer.height or _HEIGHT + legend_height(shown_panels[0].names, answer.width)
    else:
        height = max(90, (answer.height or _PANEL_HEIGHT * len(shown_panels)) // len(shown_panels))
    picture = arrange([_plot(panel, answer, height) for panel in shown_panels], answer.width, beside=80)
    if not is_single:
        picture["view"]["resolve"] = {"scale": {"color": "shared", "shape": "shared"}}
    return Picture(
        title=" and ".join(panel.title for panel in shown_panels)
        if len(shown_panels) < 3
        else f"{len(shown_panels)} metrics",
        notes=[
            *_notes(answer, shown_panels),
            left_out_note(len(panels) - len(shown_panels), "metric", "ask for fewer"),
        ],
        summary=_summary(shown_panels) + annotation_summary(answer),
        **picture,
    )


def _notes(answer: ChartAnswer, panels: Sequence[Panel]) -> list[str | None]:
    units = dict.fromkeys(unit_name(panel.unit, answer.currency) for panel in panels)
    values = [value for panel in panels for value in panel.values]
    signs = []
    if any(not value["complete"] for value in values):
        signs.append("dashed and hollow: not complete")
    if any(value["low"] is not None for value in values) and _has_intervals(panels):
        looks = dict.fromkeys("shaded" if _has_band(own) else "thin lines" for own in panels if _interval_ends(own))
        signs.append(f"{' or '.join(looks)}: 95% interval")
    if any("previous" in value for value in values) and _has_previous(panels):
        earlier = "a year earlier" if answer.question.get("compare") == "previous_year" else "the period before"
        signs.append(f"dotted: {earlier}")
    return [
        unit_note(answer, units, signs),
        question_note(answer),
        missing_note(values),
        left_out_note(max(panel.left_out for panel in panels), "group", SMALLEST),
        *annotation_notes(answer),
    ]


def _has_intervals(panels: Sequence[Panel]) -> bool:
    return max(len(panel.names) for panel in panels) <= _MAX_INTERVALS


def _interval_ends(panel: Panel) -> list[bool]:
    """Return of each value whether it has an interval; an empty list if none has."""
    ends = [own["low"] is not None for own in panel.values]
    return ends if any(ends) else []


def _has_band(panel: Panel) -> bool:
    """Return whether the intervals of a panel are drawn as one band: where no period with one stands alone between gaps."""
    ends = _interval_ends(panel)
    beside = zip([False, *ends[:-1]], [*ends[1:], False], strict=True)
    return len(panel.names) == 1 and all(any(neighbors) for own, neighbors in zip(ends, beside, strict=True) if own)


def _has_previous(panels: Sequence[Panel]) -> bool:
    return all(len(panel.names) == 1 for panel in panels)


def _summary(panels: Sequence[Panel]) -> str:
    """Return what the last complete values are."""
    lines = []
    for panel in panels:
        for name in panel.names:
            own = [value for value in panel.values if value["series"] == name and value["value"] is not None]
            if last := ([value for value in own if value["complete"]] or own)[-1:]:
                lines.append(last[0]["text"])
    periods = plural(max(len(panel.labels) for panel in panels), "period")
    return f"{periods}. Last complete values: {'; '.join(lines)}."


def _plot(panel: Panel, answer: ChartAnswer, height: int) -> Plot:
    name = ", ".join(filter(None, (panel.title, unit_name(panel.unit, answer.currency))))
    return Plot(name, panel.values, _layers(answer, panel), height)


def _layers(answer: ChartAnswer, panel: Panel) -> list[Spec]:
    width, metrics = answer.width, [own["metric"] for own in panel.values]
    x = {"x": period_axis(panel.labels)}
    value = number_axis(panel.unit, panel.numbers, zero=panel.unit in _FROM_ZERO)
    color = series_color(panel.names, width)
    shape = series_color(panel.names, width, channel="shape")
    y, size = x | {"y": value} | color, point_size(len(panel.labels))
    layers = [*zero_line(panel.numbers), *_interval_layers(panel, x, value, color)]
    if any("previous" in own for own in panel.values) and len(panel.names) == 1:
        layers.append(layer(silent("line", "earlier-line"), x | {"y": value | {"field": "previous"}}))
    layers += [
        layer(silent("line", "line"), y, where="datum.complete"),
        layer(silent("line", "running-line"), y, where="datum.running"),
        layer(
            mark("point", "point", filled=True, size=size),
            y | shape | TEXT,
            where="datum.complete && datum.value != null",
        ),
        layer(
            mark("point", "running-point", filled=False, size=size),
            y | without_legend(shape) | TEXT,
            where="!datum.complete && datum.value != null",
        ),
    ]
    if len(panel.labels) == 1:
        near = {"text": {"field": "short", "type": "nominal"}}
        layers.append(layer(silent("text", "label", align="left", dx=10), x | {"y": value} | near))
    return [*layers, *gap_layers(panel.values, x), *annotation_layers(answer, metrics, panel.labels, x)]


def _interval_layers(panel: Panel, x: Spec, value: Spec, color: Spec) -> list[Spec]:
    if len(panel.names) > _MAX_INTERVALS or not _interval_ends(panel):
        return []
    bounds = x | {"y": value | {"field": "low"}, "y2": {"field": "high"}}
    if not _has_band(panel):
        style = "series-interval" if color else "interval"
        return [layer(silent("rule", style), bounds | color, where="datum.low != null")]
    return [layer(silent("area", "band"), bounds)]
