"""Whether the health of accounts tells who leaves."""

from collections.abc import Mapping, Sequence
from typing import Any

from app.charts.define import ChartAnswer, Picture, chart
from app.charts.marks import TEXT, gap_layers, layer, mark, number_axis, plot, silent
from app.charts.nothing import empty_picture
from app.charts.texts import format_reason, format_value

_SIDE = 320


def _figures(observations: int, events: int) -> dict[str, Any]:
    rate = round(100 * events / observations, 6) if observations else None
    interval = [max(0.0, (rate or 0) - 6), (rate or 0) + 8] if observations else None
    return {
        "observations": observations,
        "accounts": observations,
        "churned": events,
        "churn_rate": rate,
        "interval": interval,
    }


def _example_backtest() -> dict[str, Any]:
    tenths = ((0, 0), (14, 7), (32, 12), (58, 15), (85, 14), (120, 12), (160, 10), (210, 8), (190, 4), (95, 1))
    calibration, roc, below, hits = [], [{"score_below": 0, "observations": 0, "churned": 0}], 0, 0
    for number, (count, events) in enumerate(tenths):
        average = 10 * number + 5.4 if count else None
        limits = {"score_from": 10 * number, "score_to": 10 * number + 10, "average_score": average}
        calibration.append(limits | _figures(count, events))
        below, hits = below + count, hits + events
        if count:
            roc.append({"score_below": 10 * number + 10, "observations": below, "churned": hits})
    for own in roc:
        own["found_percent"] = round(100 * own["churned"] / hits, 6)  # type: ignore[assignment]
        own["false_alarm_percent"] = round(100 * (own["observations"] - own["churned"]) / (below - hits), 6)  # type: ignore[assignment]
    return {
        "question": {
            "start": "2024-11-01",
            "end": "2026-11-01",
            "horizon_days": 90,
            "outcome": "churned",
            "model": "then",
        },
        "verdict": "predicts",
        "reason": None,
        "horizon_days": 90,
        "auc": 0.784,
        "auc_interval": [0.729, 0.836],
        "calibration": calibration,
        "roc": roc,
    }


@chart(
    of="backtest",
    when="A back-test of health.",
    path="/v1/health-model/backtest?format=svg",
    example=_example_backtest(),
)
def calibration(answer: ChartAnswer) -> Picture:
    """Calibration: how many of the accounts with a score of each tenth of the scale churned, with the interval at 95%.

    A score that is worth something falls from the left to the right. A tenth without scores is a gap.
    """
    rows: Sequence[Mapping[str, Any]] = answer.body["calibration"]
    title = f"{_outcome(answer).capitalize()} within {answer.body['horizon_days']} days, by score"
    if not any(row["observations"] for row in rows):
        return empty_picture(answer, title, _why_not(answer))
    values = [_tenth(row, answer) for row in rows]
    domain = {"domain": [own["label"] for own in values]}
    axis = {"title": "Score", "labelAngle": 0, "labelOverlap": "parity"}
    x = {"x": {"field": "label", "type": "ordinal", "sort": None, "scale": domain, "axis": axis}}
    numbers = [own[name] for own in values for name in ("value", "high")]
    value = number_axis("percent", numbers, zero=True)
    bounds = x | {"y": value | {"field": "low"}, "y2": {"field": "high"}}
    layers = [
        layer(mark("bar", "bar"), x | {"y": value} | TEXT, where="datum.value != null"),
        layer(silent("rule", "interval"), bounds, where="datum.low != null"),
        *gap_layers(values, x),
    ]
    gaps = sum(own["value"] is None for own in values)
    return Picture(
        title=title,
        notes=[
            f"Percent of the scores of each tenth of the scale. Thin lines: 95% interval. {_verdict(answer)}".strip(),
            f"× No scores ({gaps})." if gaps else None,
        ],
        summary=f"{'; '.join(own['text'] for own in values if own['value'] is not None)}.",
        values=values,
        view=plot(layers, answer.width, answer.height or _SIDE * 2 // 3),
    )


def _outcome(answer: ChartAnswer) -> str:
    return "churned or contracted" if answer.body["question"].get("outcome") == "churned_or_contracted" else "churned"


def _why_not(answer: ChartAnswer) -> str:
    return f"No verdict: {format_reason(answer.body.get('reason'))}."


def _verdict(answer: ChartAnswer) -> str:
    """Return the AUC as a sentence; empty where there is none."""
    if answer.body["auc"] is None or not answer.body["auc_interval"]:
        return _why_not(answer)
    low, high = answer.body["auc_interval"]
    return f"AUC {answer.body['auc']:.2f}, 95% interval {low:.2f} to {high:.2f}; chance is 0.50."


def _tenth(row: Mapping[str, Any], answer: ChartAnswer) -> dict[str, Any]:
    low, high = row["interval"] or (0, 0)
    label = f"{row['score_from']:g}–{row['score_to']:g}"
    text = f"Score {row['score_from']:g} to {row['score_to']:g}: "
    if row["churn_rate"] is None:
        text += "no scores"
    else:
        text += f"{format_value(row['churn_rate'], 'percent', '')} {_outcome(answer)}, {row['churned']} of {row['observations']}"
    if row["interval"]:
        text += f", 95% interval {format_value(low, 'percent', '')} to {format_value(high, 'percent', '')}"
    return {
        "label": label,
        "value": row["churn_rate"],
        "low": low if row["interval"] else None,
        "high": high if row["interval"] else None,
        "observations": row["observations"],
        "churned": row["churned"],
        "average_score": row["average_score"],
        "text": text,
    }


@chart(
    of="backtest",
    when="Only by name: a back-test with an AUC.",
    path="/v1/health-model/backtest?chart=roc&format=svg",
    suits=lambda _: False,
    example=_example_backtest(),
)
def roc(answer: ChartAnswer) -> Picture:
    """ROC curve: for each threshold of the score, the share of churned accounts below it (true positive rate) against the share
    of the others below it (false positive rate).

    A score that predicts nothing is on the dashed line.
    """
    rows: Sequence[Mapping[str, Any]] = answer.body["roc"]
    title = f"ROC curve: who {_outcome(answer)} within {answer.body['horizon_days']} days"
    if not rows:
        return empty_picture(answer, title, _why_not(answer))
    values = [
        {
            "order": number,
            "score_below": row["score_below"],
            "found": row["found_percent"],
            "in_vain": row["false_alarm_percent"],
            "text": _limit(row, answer),
        }
        for number, row in enumerate(rows)
    ]
    axis = {"labelExpr": "datum.label + '%'", "tickCount": 5, "grid": True}
    scale = {"domain": [0, 100]}
    x = {"field": "in_vain", "type": "quantitative", "scale": scale, "axis": axis | {"title": "False positive rate"}}
    y = {"field": "found", "type": "quantitative", "scale": scale, "axis": axis | {"title": "True positive rate"}}
    chance = [{"found": 0, "in_vain": 0}, {"found": 100, "in_vain": 100}]
    curve = {"x": x, "y": y, "order": {"field": "order", "type": "quantitative"}}
    layers = [
        layer(silent("line", "reference"), {"x": x, "y": y}, data=chance),
        layer(silent("line", "line"), curve),
        layer(mark("point", "point", filled=True, size=30), {"x": x, "y": y} | TEXT),
    ]
    return Picture(
        title=title,
        notes=[f"{_verdict(answer)} Each point is a threshold of the score. Dashed: chance."],
        summary=f"{_verdict(answer)}",
        values=values,
        view=plot(layers, answer.width, answer.height or _SIDE),
    )


def _limit(row: Mapping[str, Any], answer: ChartAnswer) -> str:
    hits, in_vain = (format_value(row[name], "percent", "") for name in ("found_percent", "false_alarm_percent"))
    return f"Below {row['score_below']}: {hits} of those that {_outcome(answer)}, {in_vain} of the others"
