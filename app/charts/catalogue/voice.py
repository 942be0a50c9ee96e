"""What customers answer to surveys."""

from collections.abc import Mapping, Sequence
from typing import Any

from app.charts.define import ChartAnswer, Picture, Spec, chart
from app.charts.examples import month_days, months
from app.charts.marks import (
    MAX_PLOTS,
    NO_AXIS,
    TEXT,
    Plot,
    arrange,
    bar_layers,
    gap_layers,
    layer,
    legend,
    legend_height,
    number_axis,
    period_axis,
    plot,
    silent,
)
from app.charts.nothing import empty_picture
from app.charts.series_data import (
    count_periods,
    in_order,
    name_groups,
    period_labels,
    period_rows,
    question_note,
    split_groups,
)
from app.charts.texts import clean_name, format_value, left_out_note, plural, row_label

# The classes of scores from the worst to the best; the range `ordinal` has a color for each place. A class that has none of the
# three is neutral.
_RANKS = {
    "detractor": 0,
    "unsatisfied": 0,
    "difficult": 0,
    "passive": 1,
    "neutral": 1,
    "promoter": 2,
    "satisfied": 2,
    "easy": 2,
}
_HEIGHT, _PLOT_HEIGHT = 200, 120


def _example_rows(period: str, counts: Sequence[int]) -> list[dict[str, Any]]:
    start, end = month_days(period)
    total, sum_so_far = sum(counts), 0
    rows: list[dict[str, Any]] = []
    for score, count in enumerate(counts):
        sum_so_far += count
        rows.append(
            {
                "period": period,
                "start": start,
                "end": end,
                "complete": period != months(1)[0],
                "group": {},
                "score": score,
                "class": "detractor" if score < 7 else "passive" if score < 9 else "promoter",
                "count": count,
                "responses": total,
                "percent": round(100 * count / total, 6) if total else None,
                "cumulative_percent": round(100 * sum_so_far / total, 6) if total else None,
            }
        )
    return rows


def _example_classes() -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for number, month in enumerate(months(7)):
        counts = (
            {"detractor": 22 - 2 * number, "passive": 18 + number, "promoter": 25 + 4 * number} if number != 2 else {}
        )
        total = sum(counts.values())
        start, end = month_days(month)
        rows += [
            {
                "period": month,
                "start": start,
                "end": end,
                "complete": number < 6,
                "group": {},
                "class": name,
                "count": counts.get(name, 0),
                "responses": total,
                "percent": round(100 * counts[name] / total, 6) if total else None,
                "cumulative_percent": None,
            }
            for name in ("detractor", "passive", "promoter")
        ]
    return rows


_SURVEY = {"id": "nps", "kind": "nps", "scale": {"min": 0, "max": 10}}


def _one_period(answer: ChartAnswer) -> str | None:
    if count_periods(period_rows(answer)) > 1:
        return "It has several periods. Ask with `granularity=total`, or for the chart `scores_over_time`."
    return None


def _one_group(answer: ChartAnswer) -> str | None:
    if len(split_groups(answer.rows)) > 1:
        return "It has several groups. Ask without `group_by`, or with `granularity=total` for the chart `score_distribution`."
    return None


@chart(
    of="distribution",
    when="The scores of one period.",
    path="/v1/surveys/nps/distribution?period=last_12_months&granularity=total&format=svg",
    needs=_one_period,
    example={
        "question": {"granularity": "month", "group_by": [], "by": "score"},
        "survey": _SURVEY,
        "rows": _example_rows("2026-10", (2, 0, 1, 3, 2, 6, 9, 14, 21, 34, 28)),
        "next": None,
    },
)
def score_distribution(answer: ChartAnswer) -> Picture:
    """Score distribution: how many responses have each score, or each class of scores, as bars.

    Colors are those of the classes, from detractors to promoters; the sentence of each bar names its class.
    """
    groups = split_groups(period_rows(answer))
    if not any(row["count"] for rows in groups for row in rows):
        return empty_picture(answer, _title(answer), "No responses in this range.")
    chosen = groups[:MAX_PLOTS]
    height = answer.height or (_HEIGHT if len(chosen) == 1 else _PLOT_HEIGHT * len(chosen))
    plots = [
        _histogram(_bars(rows), name, height // len(chosen))
        for name, rows in zip(name_groups(chosen), chosen, strict=True)
    ]
    return Picture(
        title=_title(answer),
        notes=[
            _response_note(answer, chosen),
            question_note(answer),
            left_out_note(len(groups) - len(chosen), "group", "ask for fewer"),
        ],
        summary=f"{'; '.join(bar['text'] for plot in plots for bar in plot.values if bar['value'])}.",
        **arrange(plots, answer.width, beside=40),
    )


def _response_note(answer: ChartAnswer, groups: Sequence[Sequence[Mapping[str, Any]]]) -> str:
    first, count = groups[0][0], sum(rows[0]["responses"] or 0 for rows in groups)
    running = "" if first["complete"] else " The period is not complete."
    return f"{plural(count, 'response')}, {row_label(first)}.{running} {_class_note(answer)}".strip()


def _title(answer: ChartAnswer) -> str:
    return f"Responses to the survey {clean_name(answer.body.get('survey', {}).get('id', ''))}".strip()


def _class_note(answer: ChartAnswer) -> str:
    """Return which scores are of which class, as far as the rows say."""
    if not answer.rows or "score" not in answer.rows[0]:
        return ""
    scores: dict[str, list[int]] = {}
    for row in answer.rows:
        scores.setdefault(row["class"], []).append(row["score"])
    parts = (
        f"{name} {min(own)}–{max(own)}" if len(set(own)) > 1 else f"{name} {own[0]}" for name, own in scores.items()
    )
    text = ", ".join(parts)
    return f"{text[:1].upper()}{text[1:]}."


def _bars(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [
        {
            "label": str(row["score"]) if "score" in row else row["class"],
            "class": row["class"],
            "rank": str(_RANKS.get(row["class"], 3)),
            "value": row["count"],
            "percent": row["percent"],
            "complete": row["complete"],
            "short": "" if not row["count"] else f"{row['count']:,}",
            "text": _sentence(row),
        }
        for row in rows
    ]


def _sentence(row: Mapping[str, Any]) -> str:
    what = f"{row['score']} ({row['class']})" if "score" in row else row["class"]
    share = f", {format_value(row['percent'], 'percent', '')}" if row["percent"] is not None else ""
    return f"{what}: {plural(row['count'] or 0, 'response')}{share}"


def _class_color() -> Spec:
    scale = {"domain": ["0", "1", "2", "3"], "range": "ordinal"}
    return {"field": "rank", "type": "ordinal", "scale": scale, "legend": None}


def _histogram(bars: Sequence[Mapping[str, Any]], name: str, height: int) -> Plot:
    x = {"x": period_axis([bar["label"] for bar in bars])}
    numbers = [bar["value"] for bar in bars]
    y = {"y": number_axis("count", numbers, zero=True) | {"axis": NO_AXIS}}
    label = {"text": {"field": "short", "type": "nominal"}}
    layers = [
        *bar_layers(bars, x | y | TEXT, {"color": _class_color()}),
        layer(silent("text", "label", dy=-8), x | y | label),
    ]
    return Plot(name, bars, layers, height)


@chart(
    of="distribution",
    when="The scores of several periods.",
    path="/v1/surveys/nps/distribution?period=last_8_quarters&granularity=quarter&by=class&format=svg",
    needs=_one_group,
    example={
        "question": {"granularity": "month", "group_by": [], "by": "class"},
        "survey": _SURVEY,
        "rows": _example_classes(),
        "next": None,
    },
)
def scores_over_time(answer: ChartAnswer) -> Picture:
    """Scores over time: the share of each class of scores in each period, on top of each other up to 100%.

    With `by=score`, each part of a bar is a score, in the color of its class. A period without responses is a gap.
    """
    rows = period_rows(answer)
    if not any(row["count"] for row in rows):
        return empty_picture(answer, _title(answer), "No responses in this range.")
    labels = period_labels(rows)
    values = [_part(row) for row in in_order(rows)]
    gaps = len({own["label"] for own in values if own["percent"] is None})
    height = answer.height or _HEIGHT + legend_height(["a" * 11] * 3, answer.width)
    running = "" if all(row["complete"] for row in rows) else " Outlined with dashes: not complete."
    return Picture(
        title=_title(answer),
        notes=[
            f"Percent of the responses of each period.{running} {_class_note(answer)}".strip(),
            question_note(answer),
            f"× No value: no responses ({gaps})." if gaps else None,
        ],
        summary=f"{plural(len(labels), 'period')}. The last one: "
        f"{'; '.join(own['text'] for own in values if own['label'] == labels[-1])}.",
        values=values,
        view=plot(_part_layers(values, labels, answer.width), answer.width, height),
    )


def _part(row: Mapping[str, Any]) -> dict[str, Any]:
    label = row_label(row)
    return {
        "label": label,
        "class": row["class"],
        # From the best at the bottom up to the worst, so that what is good stands on the axis.
        "order": -row["score"] if "score" in row else -_RANKS.get(row["class"], 3),
        "value": row["count"],
        "percent": row["percent"],
        "complete": row["complete"],
        "text": f"{label}, {_sentence(row)}" if row["percent"] is not None else f"{label}: no value, no responses",
    }


def _part_layers(values: Sequence[Mapping[str, Any]], labels: Sequence[str], width: int) -> list[Spec]:
    classes = dict.fromkeys(own["class"] for own in sorted(values, key=lambda own: _RANKS.get(own["class"], 3)))
    # A class stands at its place in the range; the others are there for their colors, and not in the legend.
    domain = [" " * number for number in (1, 2, 3, 4)]
    for name in classes:
        domain[_RANKS.get(name, 3)] = name
    own_legend = legend([*classes], width) | {"values": [*classes]}
    color = {"field": "class", "type": "nominal", "scale": {"domain": domain, "range": "ordinal"}, "legend": own_legend}
    y = {"field": "percent", "type": "quantitative", "stack": "zero", "scale": {"domain": [0, 100]}}
    y["axis"] = {"title": None, "labelExpr": "datum.label + '%'", "tickCount": 5}
    x = {"x": period_axis(labels)}
    encoding = x | {"y": y, "order": {"field": "order", "type": "quantitative"}} | TEXT
    bars = bar_layers(values, encoding, {"color": color}, where="datum.percent != null")
    return [*bars, *gap_layers(values, x, field="percent")]
