"""Numbers of groups: beside each other, on top of each other, and in one period."""

from app.charts.annotations import annotation_layers, annotation_notes, annotation_summary
from app.charts.define import ChartAnswer, Picture, Spec, chart
from app.charts.examples import number_row, numbers, series_rows
from app.charts.marks import (
    MAX_SERIES,
    NO_AXIS,
    TEXT,
    bar_layers,
    gap_layers,
    layer,
    legend_height,
    mark,
    name_axis,
    number_axis,
    number_labels,
    period_axis,
    plot,
    series_color,
    silent,
    stacked_axis,
    zero_line,
)
from app.charts.nothing import nothing
from app.charts.series_data import (
    SMALLEST,
    Panel,
    build_panels,
    count_periods,
    metric_of,
    period_rows,
    question_note,
    series_key,
    unit_note,
)
from app.charts.texts import left_out_note, missing_note, plural, unit_name

MAX_BARS = 20
_HEIGHT = 210
_BAR_PIXELS = 26
_PLANS = {"starter": 21_400, "pro": 46_300, "enterprise": 53_100}


def one_unit(answer: ChartAnswer) -> str | None:
    """Return why the numbers do not fit one plot; None if they do."""
    units = {metric_of(row).unit for row in period_rows(answer)}
    if len(units) > 1:
        return "Its metrics have different units. Ask for metrics of one unit, or for the chart `series`."
    if len(build_panels(answer)) > 1:
        return "It has several metrics in groups. Ask for one metric, or for the chart `series`."
    return None


def one_period(answer: ChartAnswer) -> str | None:
    """Return why the numbers are not those of one period; None if they are."""
    if count_periods(period_rows(answer)) > 1:
        return "It has several periods. Ask with `granularity=total`, or for the chart `series`."
    return one_unit(answer)


def groups_that_add_up(answer: ChartAnswer) -> str | None:
    """Return why the groups cannot be on top of each other; None if they can."""
    if obstacle := one_unit(answer):
        return obstacle
    rows = period_rows(answer)
    if len({row["metric"] for row in rows}) > 1 or not all("groups" in metric_of(row).adds_over for row in rows):
        return "Its numbers do not add up over groups. Ask for one metric that does (`adds_over`), or for the chart `bars`."
    keys = answer.question.get("group_by", ())
    if "segment" in keys:
        return "An account may be in several segments, so they do not add up. Ask for the chart `bars`."
    return None


def _has_several(answer: ChartAnswer) -> bool:
    return len({series_key(row) for row in period_rows(answer)}) > 1


@chart(
    of="numbers",
    when="Groups or metrics of one period.",
    path="/v1/metrics/mrr?period=last_month&group_by=plan&format=svg",
    needs=one_period,
    suits=_has_several,
    example=numbers(
        [number_row("mrr", "2026-10", value, group={"plan": plan}) for plan, value in _PLANS.items()],
        group_by=["plan"],
    ),
)
def ranking(answer: ChartAnswer) -> Picture:
    """Ranking: the groups of one period as bars, the largest first.

    A thin line is the interval at 95%. A group without a value has no bar, but says why.
    """
    panel = next(iter(build_panels(answer, max_series=MAX_BARS)), None)
    if panel is None or not panel.has_values:
        return nothing(answer)
    values = sorted(panel.values, key=lambda own: (own["value"] is None, -(own["value"] or 0)))
    names = [own["series"] for own in values]
    x = {"x": number_axis(panel.unit, panel.numbers, zero=True) | {"axis": NO_AXIS}}
    y = {"y": name_axis(names, "series")}
    reason = {"text": {"field": "reason", "type": "nominal"}, "x": {"datum": 0, "type": "quantitative"}}
    layers = [
        *bar_layers(values, x | y | TEXT, {}, where="datum.value != null"),
        *_intervals(panel, y),
        *number_labels(y, _outer(panel, x, "high"), _outer(panel, x, "low")),
        layer(mark("text", "muted-label", align="left", dx=6), y | reason | TEXT, where="datum.value == null"),
        *zero_line(panel.numbers, channel="x"),
    ]
    height = answer.height or _BAR_PIXELS * len(names)
    noun = "group" if answer.question.get("group_by") else "metric"
    return Picture(
        title=panel.title,
        notes=[
            _unit_note(answer, panel, values[0]["label"]),
            question_note(answer),
            missing_note(panel.values),
            left_out_note(panel.left_out, noun, SMALLEST),
            *annotation_notes(answer, has_signs=False),
        ],
        summary=f"{plural(len(names), noun)}. Largest: {values[0]['text']}." + annotation_summary(answer),
        values=values,
        view=plot(layers, answer.width, height),
    )


def _outer(panel: Panel, x: Spec, field: str) -> Spec:
    """Return the encoding of labels: beyond the interval, where there is one. field: the bound on their side."""
    is_beyond = all((own["value"] is None) == (own[field] is None) for own in panel.values)
    return {"x": x["x"] | {"field": field}} if is_beyond else x


def _intervals(panel: Panel, y: Spec) -> list[Spec]:
    if all(own["low"] is None for own in panel.values):
        return []
    bounds = {"x": {"field": "low", "type": "quantitative"}, "x2": {"field": "high"}}
    return [layer(silent("rule", "interval"), bounds | y, where="datum.low != null")]


def _unit_note(answer: ChartAnswer, panel: Panel, label: str = "") -> str:
    signs = []
    if any(not own["complete"] for own in panel.values):
        signs.append("outlined with dashes: not complete")
    if label and any(own["low"] is not None for own in panel.values):
        signs.append("thin lines: 95% interval")
    return unit_note(answer, (unit_name(panel.unit, answer.currency), label), signs)


@chart(
    of="numbers",
    when="Only by name: numbers of one unit.",
    path="/v1/metrics/nps?period=last_4_quarters&granularity=quarter&group_by=plan&chart=bars&format=svg",
    needs=one_unit,
    suits=lambda _: False,
    example=numbers(
        [
            row
            for plan, shift in (("starter", -22), ("pro", 4), ("enterprise", 19))
            for row in series_rows(
                "nps", [12 + shift, 18 + shift, 15 + shift, 22 + shift, 30 + shift, 27 + shift], group={"plan": plan}
            )
        ],
        group_by=["plan"],
    ),
)
def bars(answer: ChartAnswer) -> Picture:
    """Bars: the groups of each period beside each other. A period that is not complete has an outline of dashes."""
    panel = next(iter(build_panels(answer)), None)
    if panel is None or not panel.has_values:
        return nothing(answer)
    offset: Spec = {}
    if len(panel.names) > 1:
        offset = {"xOffset": {"field": "series", "type": "nominal", "scale": {"domain": list(panel.names)}}}
    y = number_axis(panel.unit, panel.numbers, zero=True) | {"stack": None}
    return _bar_picture(answer, panel, {"y": y} | offset, rule=SMALLEST)


@chart(
    of="numbers",
    when="Only by name: one metric in groups that add up.",
    path="/v1/metrics/mrr?period=last_12_months&group_by=plan&chart=stacked_bars&format=svg",
    needs=groups_that_add_up,
    suits=lambda _: False,
    example=numbers(
        [
            row
            for plan, value in _PLANS.items()
            for row in series_rows(
                "mrr", [round(value * (0.8 + 0.02 * month), 2) for month in range(13)], group={"plan": plan}
            )
        ],
        group_by=["plan"],
    ),
)
def stacked_bars(answer: ChartAnswer) -> Picture:
    """Stacked bars: the groups of each period on top of each other, where they add up. Negative numbers go down from zero."""
    panel = next(iter(build_panels(answer)), None)
    if panel is None or not panel.has_values:
        return nothing(answer)
    # The order of the stack is that of the legend.
    order = {"order": {"field": "order", "type": "quantitative"}}
    y = {"y": stacked_axis(panel.unit, panel.values)}
    return _bar_picture(answer, panel, y | order, rule=f"{SMALLEST}; the bars are lower by them")


def _bar_picture(answer: ChartAnswer, panel: Panel, encoding: Spec, *, rule: str) -> Picture:
    """Return bars by period. encoding: of their heights and places. rule: which groups are left out."""
    x = {"x": period_axis(panel.labels)}
    order = {name: number for number, name in enumerate(panel.names)}
    layers = [
        *bar_layers(panel.values, x | encoding | TEXT, series_color(panel.names, answer.width)),
        *zero_line([own["value"] for own in panel.values]),
        *gap_layers(panel.values, x | {name: own for name, own in encoding.items() if name == "xOffset"}),
        *annotation_layers(answer, [own["metric"] for own in panel.values], panel.labels, x),
    ]
    last = [own["text"] for own in panel.values if own["label"] == panel.labels[-1]]
    return Picture(
        title=panel.title,
        notes=[
            _unit_note(answer, panel),
            question_note(answer),
            missing_note(panel.values),
            left_out_note(panel.left_out, "group", rule),
            *annotation_notes(answer),
        ],
        summary=f"{plural(len(panel.labels), 'period')}. The last one: {'; '.join(last[:MAX_SERIES])}."
        + annotation_summary(answer),
        values=[{**own, "order": order[own["series"]]} for own in panel.values],
        view=plot(layers, answer.width, answer.height or _HEIGHT + legend_height(panel.names, answer.width)),
    )
