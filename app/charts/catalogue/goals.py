"""How near numbers are to their targets."""

from collections.abc import Mapping, Sequence
from typing import Any

from app.charts.define import ChartAnswer, Picture, Spec, chart
from app.charts.marks import (
    TEXT,
    gap_layers,
    layer,
    legend,
    legend_height,
    mark,
    name_axis,
    number_axis,
    period_axis,
    plot,
    silent,
)
from app.charts.nothing import empty_picture
from app.charts.series_data import in_order, make_unique
from app.charts.texts import clean_name, format_reason, format_value, left_out_note, plural, row_label, unit_name
from app.metrics.define import METRICS

_MAX_TARGETS = 20
_BAR_PIXELS = 38
_HEIGHT = 210
# Attainment is drawn from 0 to this percentage; a note counts the targets beyond.
_MAX_PERCENT = 150
_STYLES = {"met": "best", "on_track": "best", "behind": "middle", "missed": "worst", "no_data": "neutral"}


def _standing(
    id: str, metric: str, value: float | None, target: float, attainment: float | None, status: str
) -> dict[str, Any]:
    row = {
        "id": id,
        "metric": metric,
        "unit": METRICS[metric].unit,
        "group": {},
        "period": "2026-11",
        "start": "2026-11-01",
        "end": "2026-12-01",
        "complete": False,
        "status": status,
        "value": value,
        "target": target,
        "attainment": attainment,
    }
    return row if value is not None else row | {"reason": "no_responses"}


def _example_scorecard() -> dict[str, Any]:
    rows = [
        _standing("mrr-2026", "mrr", 120_800, 125_000, 96.64, "on_track"),
        _standing("active-users", "active_users", 1_244, 1_200, 103.666667, "met"),
        _standing("nps-board", "nps", 41, 50, 82, "behind"),
        _standing("churn", "customer_churn_rate", 2.9, 1.5, 6.666667, "missed"),
        _standing("csat-support", "csat", None, 90, None, "no_data"),
    ]
    return {"question": {"start": "2026-11-15", "end": "2026-11-16"}, "rows": rows, "next": None}


@chart(of="scorecard", when="The scorecard.", path="/v1/scorecard?format=svg", example=_example_scorecard())
def target_attainment(answer: ChartAnswer) -> Picture:
    """Target attainment: how much of the way to its target each number has gone, in percent, as bars up to the line at 100%.

    The words and the color say the status. A target without a value has no bar, but says why.
    """
    rows = answer.rows[:_MAX_TARGETS]
    if not rows:
        return empty_picture(answer, "Scorecard", "There are no targets in this range.")
    names = make_unique([f"{clean_name(row['id'])}, {row_label(row)}" for row in rows])
    values = [_attainment(row, name, answer.currency) for row, name in zip(rows, names, strict=True)]
    beyond = sum(own["attainment"] is not None and not 0 <= own["attainment"] <= _MAX_PERCENT for own in values)
    return Picture(
        title="Scorecard",
        notes=[
            "Percent of the way to the target, which is the line at 100%.",
            f"Attainment below 0 or above {_MAX_PERCENT}% is drawn up to there ({beyond})." if beyond else None,
            left_out_note(len(answer.rows) - len(rows), "target", "the last ones"),
            "Only the first page of targets." if answer.body.get("next") else None,
        ],
        summary=f"{'; '.join(own['text'] for own in values)}.",
        values=values,
        view=plot(_bullets(values), answer.width, answer.height or _BAR_PIXELS * len(values)),
    )


def _attainment(row: Mapping[str, Any], name: str, currency: str) -> dict[str, Any]:
    target = format_value(row["target"], row["unit"], currency, row.get("target_amount"))
    attainment, status = row["attainment"], row["status"].replace("_", " ")
    if row["value"] is None:
        number = f"no value ({format_reason(row.get('reason'))}), target {target}"
    else:
        number = f"{format_value(row['value'], row['unit'], currency, row.get('amount'))}, target {target}"
    share = "" if attainment is None else f", {format_value(attainment, 'percent', currency)} of the way"
    running = "" if row["complete"] else "; the period is not complete"
    return {
        "name": name,
        "metric": row["metric"],
        "value": row["value"],
        "target": row["target"],
        "attainment": attainment,
        "drawn": None if attainment is None else min(max(attainment, 0), _MAX_PERCENT),
        "status": row["status"],
        "style": _STYLES[row["status"]],
        "complete": row["complete"],
        "short": f"{status[:1].upper()}{status[1:]}: {number}",
        "text": f"{name}: {status}, {number}{share}{running}",
    }


def _bullets(values: Sequence[Mapping[str, Any]]) -> list[Spec]:
    y = {"y": name_axis([own["name"] for own in values])}
    y["y"]["scale"] |= {"paddingInner": 0.55, "paddingOuter": 0.35}
    axis = {"title": None, "labelExpr": "datum.label + '%'", "values": [0, 50, 100, 150], "grid": False}
    x = {"field": "drawn", "type": "quantitative", "scale": {"domain": [0, _MAX_PERCENT]}, "axis": axis}
    track = {"x": {"datum": 0, "type": "quantitative"}, "x2": {"datum": 100}}
    label = {"x": {"value": 0}, "text": {"field": "short", "type": "nominal"}}
    bars = [
        layer(mark("bar", style), {"x": x} | y | TEXT, where=f"datum.style == '{style}' && datum.drawn != null")
        for style in dict.fromkeys(own["style"] for own in values)
    ]
    no_bar = layer(mark("text", "label", align="left", dy=-14), label | y | TEXT, where="datum.drawn == null")
    return [
        layer(silent("bar", "track"), track | y),
        *bars,
        layer(silent("text", "label", align="left", dy=-14), label | y, where="datum.drawn != null"),
        no_bar,
        layer(silent("rule", "target"), {"x": {"datum": 100, "type": "quantitative"}}),
    ]


def _past(
    period: str, start: str, end: str, value: float | None, target: float, earlier: float | None
) -> dict[str, Any]:
    def judge(number: float | None) -> dict[str, Any]:
        status = "no_data" if number is None else "met" if number >= target else "missed"
        return {"value": number, "target": target, "attainment": None, "gap": None, "status": status, "reason": None}

    return {
        "metric": "nps",
        "convention": "default",
        "unit": "points",
        "granularity": "quarter",
        "period": period,
        "start": start,
        "end": end,
        "clipped": False,
        "at_end": judge(earlier),
        "now": judge(value) | ({"reason": "no_responses"} if value is None else {}),
        "changed": value != earlier,
    }


def _example_history() -> dict[str, Any]:
    rows = [
        _past("2026-Q3", "2026-07-01", "2026-10-01", 52, 48, 52),
        _past("2026-Q2", "2026-04-01", "2026-07-01", 45, 46, 49),
        _past("2026-Q1", "2026-01-01", "2026-04-01", 46, 44, 46),
        _past("2025-Q4", "2025-10-01", "2026-01-01", None, 42, None),
        _past("2025-Q3", "2025-07-01", "2025-10-01", 38, 40, 38),
        _past("2025-Q2", "2025-04-01", "2025-07-01", 41, 38, 41),
    ]
    return {"target": "nps-board", "rows": rows, "next": None}


@chart(
    of="target-history",
    when="The history of a target.",
    path="/v1/targets/nps-board/history?format=svg",
    example=_example_history(),
)
def target_history(answer: ChartAnswer) -> Picture:
    """Target history: the number of each period that has ended, as a bar, and its target, as a line across it.

    The color says whether the target was met. A hollow point is the number as it was known at the end of its period, where it has
    changed since.
    """
    title = f"Target {clean_name(answer.body['target'])}"
    all_rows = in_order(answer.rows)
    if not all_rows:
        return empty_picture(answer, title, "No period has ended yet.")
    # A target may have been of another metric before, and of one that the catalogue no longer has.
    last = all_rows[-1]
    rows = [row for row in all_rows if (row["metric"], row["convention"]) == (last["metric"], last["convention"])]
    unit, metric = last["unit"], METRICS.get(last["metric"])
    about = (metric.title if metric else last["metric"], unit_name(unit, answer.currency))
    values = [_period(row, unit, answer.currency) for row in rows]
    if all(own["value"] is None for own in values):
        return empty_picture(answer, title, "No value in any period.")
    gaps = [row for row in rows if row["now"]["value"] is None]
    statuses = ["missed", "met"]
    has_changed = any(own["changed"] for own in values)
    return Picture(
        title=title,
        notes=[
            f"{', '.join(filter(None, about))}. Line: target.",
            "Hollow: as known at the end of the period." if has_changed else None,
            f"× No value: {plural(len(gaps), 'period')}." if gaps else None,
            left_out_note(
                len(all_rows) - len(rows), "earlier period", "the target was of another metric or convention"
            ),
            "Only the first page of periods." if answer.body.get("next") else None,
        ],
        summary=f"{'; '.join(own['text'] for own in values)}.",
        values=values,
        view=plot(
            _history_layers(values, unit, answer.width),
            answer.width,
            answer.height or _HEIGHT + legend_height(statuses, answer.width),
        ),
    )


def _period(row: Mapping[str, Any], unit: str, currency: str) -> dict[str, Any]:
    now, earlier = row["now"], row["at_end"]
    label = row_label(row)
    value = format_reason(now["reason"]) if now["value"] is None else format_value(now["value"], unit, currency)
    target = "no target" if now["target"] is None else f"target {format_value(now['target'], unit, currency)}"
    text = f"{label}: {now['status'].replace('_', ' ')}, {value}, {target}"
    has_changed = row["changed"] and earlier["value"] is not None and earlier["value"] != now["value"]
    if has_changed:
        text += f"; at its end {format_value(earlier['value'], unit, currency)} was known"
    return {
        "label": label,
        "value": now["value"],
        "target": now["target"],
        "status": now["status"],
        "earlier": earlier["value"] if has_changed else None,
        "changed": has_changed,
        "text": text,
    }


def _history_layers(values: Sequence[Mapping[str, Any]], unit: str, width: int) -> list[Spec]:
    x = {"x": period_axis([own["label"] for own in values])}
    x["x"]["scale"] |= {"paddingInner": 0.4, "paddingOuter": 0.2}
    y = number_axis(unit, [own[name] for own in values for name in ("value", "target", "earlier")], zero=True)
    scale = {"domain": ["missed", " ", "met", "no_data"], "range": "ordinal"}
    names = [status for status in ("missed", "met") if any(own["status"] == status for own in values)]
    color = {"field": "status", "type": "nominal", "scale": scale, "legend": legend(names, width) | {"values": names}}
    return [
        layer(mark("bar", "bar"), x | {"y": y, "color": color} | TEXT, where="datum.value != null"),
        layer(
            silent("tick", "target", thickness=2.5), x | {"y": y | {"field": "target"}}, where="datum.target != null"
        ),
        layer(
            silent("point", "running-point", filled=False, size=60),
            x | {"y": y | {"field": "earlier"}},
            where="datum.changed",
        ),
        *gap_layers(values, x),
    ]
