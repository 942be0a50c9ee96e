"""Who stays: cohorts."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from app.charts.define import ChartAnswer, Picture, chart
from app.charts.examples import month_days, months
from app.charts.marks import (
    MAX_PLOTS,
    MAX_SERIES,
    TEXT,
    Plot,
    arrange,
    layer,
    legend_height,
    mark,
    number_axis,
    plot,
    series_color,
    silent,
)
from app.charts.nothing import empty_picture
from app.charts.series_data import name_groups, question_note, split_groups
from app.charts.texts import format_value, left_out_note, period_label, plural

_TITLES = {
    "customers": "Customer retention by cohort",
    "mrr": "MRR retention by cohort",
    "users": "User retention by cohort",
    "purchasers": "Repeat purchases by cohort",
    "revenue": "Revenue retention by cohort",
}
_CELL_PIXELS, _SMALL_CELL_PIXELS = 22, 12
# With more periods than these, a cell has no place for its number.
_MAX_LABELS = 18
_CURVE_HEIGHT = 220
# A cell above so many percent is dark in the light theme, and the other way round.
_MUCH = 70
_LEFT = (0, 1, 3, 3, 4, 5, 5, 6, 6, 7, 8, 8)


def _example() -> dict[str, Any]:
    names = months(12)
    rows = []
    for first, cohort in enumerate(names):
        size = 9 + first * 5 % 7
        for number, name in enumerate(names[first:]):
            value = max(0, size - _LEFT[number] * (1 + first % 3) // 2)
            start, end = month_days(name)
            rows.append(
                {
                    "cohort": cohort,
                    "cohort_start": month_days(cohort)[0],
                    "number": number,
                    "period": name,
                    "start": start,
                    "end": end,
                    "complete": name != names[-1],
                    "group": {},
                    "size": size,
                    "initial": size,
                    "value": value,
                    "percent": round(100 * value / size, 6),
                }
            )
    return {"question": {"by": "month", "measure": "customers", "group_by": []}, "rows": rows, "next": None}


@chart(
    of="cohorts",
    when="Cohorts.",
    path="/v1/cohorts?period=last_12_months&format=svg",
    example=_example(),
)
def retention_triangle(answer: ChartAnswer) -> Picture:
    """Retention triangle: what is left of each cohort, in percent, by the number of periods since its own, as a heat map.

    A period that is not complete has an outline of dashes. A cohort of nobody has no numbers and no color.
    """
    if not any(row["percent"] is not None for row in answer.rows):
        return _nothing(answer)
    groups = split_groups(answer.rows)
    chosen = groups[:MAX_PLOTS]
    plots = [_triangle(rows, name, answer) for name, rows in zip(name_groups(chosen), chosen, strict=True)]
    has_gaps = any(row["percent"] is None for rows in chosen for row in rows)
    unit = answer.question.get("by", "month")
    running = "Outlined with dashes: not complete." if any(not row["complete"] for row in answer.rows) else ""
    return Picture(
        title=_title(answer),
        notes=[
            f"Percent of each cohort, by the number of {unit}s since its own; in brackets its size. {running}".strip(),
            question_note(answer),
            "– No value: nobody began." if has_gaps else None,
            left_out_note(len(groups) - len(chosen), "group", "ask for fewer"),
        ],
        summary=_summary(answer),
        **arrange(plots, answer.width, beside=130),
    )


def _title(answer: ChartAnswer) -> str:
    return _TITLES.get(answer.question.get("measure", "customers"), "Retention")


def _nothing(answer: ChartAnswer) -> Picture:
    text = "Nobody began in this range." if answer.rows else "There are no cohorts in this range."
    return empty_picture(answer, _title(answer), text)


def _summary(answer: ChartAnswer) -> str:
    rows = [row for row in answer.rows if row["percent"] is not None and row["complete"] and row["number"] > 0]
    cohorts = len({row["cohort"] for row in answer.rows})
    if not rows:
        return f"{plural(cohorts, 'cohort')}."
    last = max(rows, key=lambda row: (str(row["cohort_start"]), row["number"]))
    return f"{plural(cohorts, 'cohort')}. {_sentence(last, answer)}."


def _sentence(row: Mapping[str, Any], answer: ChartAnswer) -> str:
    """Return a row in words: of the 12 of Jan 2026, 75% after 3 months."""
    unit = answer.question.get("by", "month")
    start = f"Of the {row['size'] or 0:,} of {_cohort_label(row)}"
    if row["percent"] is None:
        return f"{start}, no value after {plural(row['number'], unit)}"
    is_money = answer.question.get("measure") in ("mrr", "revenue")
    value = format_value(row["value"], "money" if is_money else "count", answer.currency, row.get("amount"))
    text = f"{start}, {format_value(row['percent'], 'percent', '')} after {plural(row['number'], unit)} ({value})"
    return text if row["complete"] else f"{text}; the period is not complete"


def _cohort_label(row: Mapping[str, Any]) -> str:
    return period_label(row["cohort"], row["cohort_start"], row["cohort_start"])


def _cells(rows: Sequence[Mapping[str, Any]], answer: ChartAnswer) -> list[dict[str, Any]]:
    return [
        {
            "cohort": row["cohort"],
            "row": f"{_cohort_label(row)} ({row['size'] or 0:,})",
            "number": row["number"],
            "period": row["period"],
            "value": row["value"],
            "percent": row["percent"],
            "complete": row["complete"],
            "short": "–" if row["percent"] is None else f"{row['percent']:.0f}",
            "text": _sentence(row, answer),
        }
        for row in rows
    ]


def _triangle(rows: Sequence[Mapping[str, Any]], name: str, answer: ChartAnswer) -> Plot:
    cells = _cells(rows, answer)
    names = list(dict.fromkeys(cell["row"] for cell in cells))
    count = max(cell["number"] for cell in cells) + 1
    title = {"title": f"{answer.question.get('by', 'month').capitalize()}s since the start", "labelAngle": 0}
    axis = title | {"labelOverlap": "greedy", "labelSeparation": 6, "domain": False, "ticks": False}
    x = {"field": "number", "type": "ordinal", "axis": axis, "scale": {"domain": list(range(count))}}
    y_axis = {"title": None, "labelOverlap": "greedy", "ticks": False}
    y = {"field": "row", "type": "ordinal", "sort": None, "axis": y_axis, "scale": {"domain": names}}
    position = {"x": x, "y": y}
    scale = {"domain": [0, 100], "clamp": True, "range": "heatmap"}
    color = {"color": {"field": "percent", "type": "quantitative", "scale": scale, "legend": None}}
    layers = [
        layer(
            mark("rect", "cell" if count <= _MAX_LABELS else "small-cell"),
            position | color | TEXT,
            where="datum.percent != null",
        ),
        layer(silent("rect", "running-cell"), position, where="!datum.complete && datum.percent != null"),
    ]
    if count <= _MAX_LABELS:
        text = position | {"text": {"field": "short", "type": "nominal"}}
        layers += [
            layer(silent("text", "on-much"), text, where=f"datum.percent != null && datum.percent > {_MUCH}"),
            layer(silent("text", "on-little"), text, where=f"datum.percent != null && datum.percent <= {_MUCH}"),
            layer(mark("text", "gap"), text | TEXT, where="datum.percent == null"),
        ]
    height = (_CELL_PIXELS if count <= _MAX_LABELS else _SMALL_CELL_PIXELS) * len(names)
    return Plot(name, cells, layers, answer.height or height)


def _one_group(answer: ChartAnswer) -> str | None:
    has_one = len(split_groups(answer.rows)) <= 1
    return None if has_one else "Its cohorts are in several groups. Ask without `group_by`; `filter` chooses one."


@chart(
    of="cohorts",
    when="Only by name: cohorts of one group.",
    path="/v1/cohorts?period=last_12_months&by=quarter&chart=retention_curves&format=svg",
    needs=_one_group,
    suits=lambda _: False,
    example=_example(),
)
def retention_curves(answer: ChartAnswer) -> Picture:
    """Retention curves: what is left of each of the last cohorts, in percent, as lines over the periods since their own."""
    if not any(row["percent"] is not None for row in answer.rows):
        return _nothing(answer)
    cells = [cell | {"series": cell["row"]} for cell in _cells(answer.rows, answer)]
    names = list(dict.fromkeys(cell["row"] for cell in cells))
    lengths = Counter(cell["row"] for cell in cells if cell["complete"] and cell["percent"] is not None)
    # One point is no curve, unless there is nothing else.
    chosen = [name for name in names if lengths[name] > 1][-MAX_SERIES:] or names[-1:]
    values = [cell for cell in cells if cell["row"] in chosen]
    title = f"{answer.question.get('by', 'month').capitalize()}s since the start"
    x = {"x": {"field": "number", "type": "quantitative", "axis": {"title": title, "tickMinStep": 1, "format": "d"}}}
    numbers = [cell["percent"] for cell in values]
    y = {"y": number_axis("percent", numbers, zero=True, field="percent")}
    color = series_color(chosen, answer.width)
    shape = series_color(chosen, answer.width, channel="shape")
    layers = [
        layer(silent("line", "line"), x | y | color, where="datum.complete"),
        layer(mark("point", "point", filled=True, size=45), x | y | color | shape | TEXT, where="datum.complete"),
    ]
    height = answer.height or _CURVE_HEIGHT + legend_height(chosen, answer.width)
    return Picture(
        title=_title(answer),
        notes=[
            "Percent of each cohort; in brackets its size. Complete periods only.",
            question_note(answer),
            left_out_note(len(names) - len(chosen), "cohort", "the earliest, and those that have hardly begun"),
        ],
        summary=_summary(answer),
        values=values,
        view=plot(layers, answer.width, height),
    )
