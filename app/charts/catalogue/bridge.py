"""MRR bridge and movements."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from app.charts.annotations import annotation_layers, annotation_notes, annotation_summary
from app.charts.define import ChartAnswer, Picture, Spec, chart
from app.charts.examples import number_row, numbers, series_rows
from app.charts.marks import (
    TEXT,
    bar_layers,
    layer,
    legend_height,
    mark,
    number_axis,
    period_axis,
    plot,
    series_color,
    silent,
    stacked_axis,
    zero_line,
)
from app.charts.nothing import nothing
from app.charts.series_data import (
    count_periods,
    describe,
    in_order,
    period_labels,
    period_rows,
    question_note,
    row_identity,
)
from app.charts.texts import format_short, format_value, missing_note, plural, row_label

# The metrics of a bridge, with their names in it and the direction in which they move it.
_UP = {"mrr_new": "New", "mrr_reactivated": "Reactivated", "mrr_expansion": "Expansion"}
_DOWN = {"mrr_contraction": "Contraction", "mrr_churned": "Churn"}
_OPENING, _CLOSING = "mrr_opening", "mrr"
_NAMES = {_OPENING: "Opening"} | _UP | _DOWN | {_CLOSING: "Closing"}
_HEIGHT = 230
_METRICS = ",".join(_NAMES)
_EXAMPLE = {"mrr_opening": 109_800, "mrr_new": 7_700, "mrr_reactivated": 600, "mrr_expansion": 5_300}
_EXAMPLE |= {"mrr_contraction": 1_200, "mrr_churned": 1_400, "mrr": 120_800}


def one_bridge(answer: ChartAnswer) -> str | None:
    """Return why the numbers are no bridge; None if they are."""
    rows = period_rows(answer)
    if {row["metric"] for row in rows} != _NAMES.keys():
        return f"A bridge needs the metrics {', '.join(_NAMES)}, and no others."
    if count_periods(rows) > 1:
        return "A bridge is of one period. Ask with `granularity=total`, or for the chart `mrr_movements`."
    if any(row["group"] for row in rows):
        return "A bridge is of one group. Ask without `group_by`; `filter` chooses one."
    return None


def movements_of_one_group(answer: ChartAnswer) -> str | None:
    """Return why the numbers are no movements of MRR; None if they are."""
    rows = period_rows(answer)
    metrics = {row["metric"] for row in rows}
    if not metrics <= _NAMES.keys() or len(metrics & (_UP.keys() | _DOWN.keys())) < 2:
        return f"Movements need two or more of the metrics {', '.join(_UP | _DOWN)}."
    if any(row["group"] for row in rows):
        return "Movements are of one group. Ask without `group_by`; `filter` chooses one."
    return None


@chart(
    of="numbers",
    when="MRR at the start and the end of one period, and all movements between them.",
    path=f"/v1/query?metrics={_METRICS}&period=last_month&format=svg",
    needs=one_bridge,
    example=numbers([number_row(metric, "2026-10", value) for metric, value in _EXAMPLE.items()]),
)
def mrr_bridge(answer: ChartAnswer) -> Picture:
    """MRR bridge: opening MRR, what was added and what was lost, and closing MRR. The axis begins at zero."""
    rows = {row["metric"]: row for row in period_rows(answer)}
    if any(row["value"] is None for row in rows.values()):
        return nothing(answer)
    values = _bridge_values(rows, answer.currency)
    tops = [max(own["from"], own["to"]) for own in values] + [min(own["from"], own["to"]) for own in values]
    x = {"x": period_axis([own["label"] for own in values])}
    x["x"]["scale"] |= {"paddingInner": 0.3, "paddingOuter": 0.15}
    # Unlike a month between two others, no step can be guessed from its neighbors.
    x["x"]["axis"] |= {"labelSeparation": 0}
    y = number_axis("money", tops, zero=True, field="from")
    encoding = x | {"y": y, "y2": {"field": "to"}} | TEXT
    opening, closing = rows[_OPENING], rows[_CLOSING]
    outline = [] if closing["complete"] else ["outline"]
    whole = "bar" if closing["complete"] else "running-bar"
    edge = {"y": y | {"field": "top"}, "text": {"field": "short", "type": "nominal"}}
    layers = [
        layer(silent("rule", "connector"), x | _connector(y), where="datum.next != null"),
        *(
            layer(mark("bar", style, *outline), encoding, where=f"datum.direction == '{direction}'")
            for style, direction in ((whole, "whole"), ("best", "up"), ("worst", "down"))
        ),
        layer(silent("text", "label", dy=-8), x | edge),
        *zero_line(tops),
    ]
    running = None if closing["complete"] else "Outlined with dashes: the period is not complete."
    return Picture(
        title=f"MRR bridge, {row_label(closing)}",
        notes=[
            _change_note(opening, closing, answer.currency),
            running,
            question_note(answer),
            *annotation_notes(answer, has_signs=False),
        ],
        summary=f"{'; '.join(own['text'] for own in values)}." + annotation_summary(answer),
        values=values,
        view=plot(layers, answer.width, answer.height or _HEIGHT),
    )


def _change_note(opening: Mapping[str, Any], closing: Mapping[str, Any], currency: str) -> str:
    """Return from where to where MRR went, and by how much."""
    start, end = (format_value(row["value"], "money", currency, row.get("amount")) for row in (opening, closing))
    if opening["value"] <= 0:
        return f"From {start} to {end}."
    change = 100 * (closing["value"] - opening["value"]) / opening["value"]
    return f"From {start} to {end}: {'+' if change > 0 else ''}{format_value(change, 'percent', currency)}."


def _connector(y: Spec) -> Spec:
    """Return the encoding of the line from the end of a bar to the next one."""
    return {"x2": {"field": "next"}, "y": y | {"field": "to"}}


def _bridge_values(rows: Mapping[str, Mapping[str, Any]], currency: str) -> list[dict[str, Any]]:
    """Return the bars: each goes from where the one before has ended. Opening and closing stand on zero."""
    level = 0.0
    values: list[dict[str, Any]] = []
    for metric, name in _NAMES.items():
        row = rows[metric]
        number = row["value"]
        change = -number if metric in _DOWN else number
        is_whole = metric in (_OPENING, _CLOSING)
        start, end = (0.0, number) if is_whole else (level, level + change)
        level = end
        sign = "" if is_whole or not number else "+" if change > 0 else "−"
        values.append(
            {
                **row_identity(row),
                "complete": row["complete"],
                "label": name,
                "value": number,
                "from": start,
                "to": end,
                "top": max(start, end),
                "direction": "whole" if is_whole else "down" if metric in _DOWN else "up",
                "next": None,
                "short": f"{sign}{format_short(abs(number) if sign else number, 'money')}",
                "text": f"{name}: {describe(row, 'money', currency)}",
            }
        )
    for own, following in itertools.pairwise(values):
        own["next"] = following["label"]
    return values


@chart(
    of="numbers",
    when="Movements of MRR of one period or more.",
    path="/v1/query?metrics=mrr_new,mrr_reactivated,mrr_expansion,mrr_contraction,mrr_churned&period=last_12_months&format=svg",
    needs=movements_of_one_group,
    example=numbers(
        [
            row
            for metric, value in _EXAMPLE.items()
            if metric in _UP or metric in _DOWN
            for row in series_rows(
                metric, [round(value * (0.7 + 0.05 * ((month * 7 + len(metric)) % 11)), 2) for month in range(13)]
            )
        ]
    ),
)
def mrr_movements(answer: ChartAnswer) -> Picture:
    """MRR movements: what was added to MRR in each period goes up from zero, what was lost goes down."""
    rows = [row for row in period_rows(answer) if row["metric"] in _UP | _DOWN]
    if all(row["value"] is None for row in rows):
        return nothing(answer)
    names = [name for metric, name in (_UP | _DOWN).items() if any(row["metric"] == metric for row in rows)]
    labels = period_labels(rows)
    values = [_movement(row, names, answer.currency) for row in in_order(rows)]
    height = answer.height or _HEIGHT + legend_height(names, answer.width)
    signs = "" if all(row["complete"] for row in rows) else " Outlined with dashes: not complete."
    last = [own["text"] for own in values if own["label"] == labels[-1]]
    return Picture(
        title="MRR movements",
        notes=[f"{answer.currency}.{signs}", question_note(answer), missing_note(rows), *annotation_notes(answer)],
        summary=f"{plural(len(labels), 'period')}. The last one: {'; '.join(last)}." + annotation_summary(answer),
        values=values,
        view=plot(_movement_layers(answer, values, names, labels), answer.width, height),
    )


def _movement(row: Mapping[str, Any], names: Sequence[str], currency: str) -> dict[str, Any]:
    name, label = _NAMES[row["metric"]], row_label(row)
    value = row["value"]
    return {
        **row_identity(row),
        "series": name,
        "label": label,
        "value": value,
        "signed": -value if value and row["metric"] in _DOWN else value,
        "complete": row["complete"],
        "order": names.index(name),
        "text": f"{name}, {label}: {describe(row, 'money', currency)}",
    }


def _movement_layers(
    answer: ChartAnswer, values: Sequence[Mapping[str, Any]], names: Sequence[str], labels: Sequence[str]
) -> list[Spec]:
    x = {"x": period_axis(labels)}
    y = stacked_axis("money", values, field="signed")
    order = {"order": {"field": "order", "type": "quantitative"}}
    encoding = x | {"y": y} | order | TEXT
    bars = bar_layers(values, encoding, series_color(names, answer.width))
    signs = annotation_layers(answer, [own["metric"] for own in values], labels, x)
    return [*bars, *zero_line([own["signed"] for own in values]), *signs]
