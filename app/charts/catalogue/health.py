"""Health of all accounts, and of one."""

from collections.abc import Mapping, Sequence
from typing import Any

from app.charts.define import ChartAnswer, Picture, Spec, chart
from app.charts.examples import RUNNING, month_days, months
from app.charts.marks import (
    NO_AXIS,
    TEXT,
    gap_layers,
    heading,
    layer,
    legend,
    legend_height,
    length_axis,
    mark,
    name_axis,
    period_axis,
    plot,
    silent,
)
from app.charts.nothing import empty_picture
from app.charts.texts import clean_name, format_short, format_value, period_label, plural

_BANDS = {"critical": "Critical", "at_risk": "At risk", "healthy": "Healthy", None: "No score"}
_STYLES = {"critical": "worst", "at_risk": "middle", "healthy": "best", None: "neutral"}
_BAR_PIXELS = 34
_HEIGHT = 200


def _example_bands() -> dict[str, Any]:
    bands = (("critical", 9, "6210.00"), ("at_risk", 21, "24380.50"), ("healthy", 84, "86409.50"), (None, 6, "3800.00"))
    rows = [{"band": band, "accounts": count, "mrr": mrr} for band, count, mrr in bands]
    return {"as_of": "2026-11-15", "model_version": 3, "bands": rows, "accounts": [], "next": None}


@chart(of="health", when="The health of all accounts.", path="/v1/health?format=svg&limit=1", example=_example_bands())
def health_bands(answer: ChartAnswer) -> Picture:
    """Health bands: how many accounts are in each band, and how much MRR they pay, as bars side by side.

    The bands are those of all accounts that the filter selects, whatever page is asked for.
    """
    bands: Sequence[Mapping[str, Any]] = answer.body["bands"]
    title = f"Health of accounts, {answer.body['as_of']}"
    if not any(band["accounts"] for band in bands):
        return empty_picture(answer, title, "No accounts to score.")
    values = [
        {
            "band": band["band"],
            "name": _BANDS[band["band"]],
            "style": _STYLES[band["band"]],
            "accounts": band["accounts"],
            "mrr": float(band["mrr"]),
            "accounts_short": f"{band['accounts']:,}",
            "mrr_short": format_short(float(band["mrr"]), "money"),
            "text": f"{_BANDS[band['band']]}: {plural(band['accounts'], 'account')}, "
            f"{format_value(0, 'money', answer.currency, band['mrr'])} of MRR",
        }
        for band in bands
        # All bands of the model stay, but a band without a score only if there are such accounts.
        if band["band"] is not None or band["accounts"]
    ]
    width, height = (answer.width - 150) // 2, answer.height or _BAR_PIXELS * len(values)
    views = [
        _bars(values, "accounts", "Accounts", width, height, has_names=True),
        _bars(values, "mrr", f"MRR, {answer.currency}", width, height, has_names=False),
    ]
    return Picture(
        title=title,
        notes=[f"By version {answer.body['model_version']} of the health model."],
        summary=f"{'; '.join(str(own['text']) for own in values)}.",
        values=values,
        view={"hconcat": views},
        is_single=False,
    )


def _bars(
    values: Sequence[Mapping[str, Any]], field: str, title: str, width: int, height: int, *, has_names: bool
) -> Spec:
    y = name_axis([own["name"] for own in values])
    if not has_names:
        y["axis"] = NO_AXIS
    x = length_axis([own[field] for own in values], field)
    label = {"text": {"field": f"{field}_short", "type": "nominal"}}
    layers = [
        layer(mark("bar", style), {"x": x, "y": y} | TEXT, where=f"datum.style == '{style}'")
        for style in dict.fromkeys(_STYLES.values())
    ]
    layers.append(layer(silent("text", "label", align="left", dx=6), {"x": x, "y": y} | label))
    return {"title": heading(title) | {"fontWeight": "normal"}, **plot(layers, width, height)}


def _example_history() -> dict[str, Any]:
    scores = (71, 74, 78, 76, 69, 58, 47, 39, 44, 56, 63, 66, 68)
    points = [
        {
            "period": month,
            "on": month_days(month)[1],
            "complete": month != RUNNING,
            "score": score,
            "band": "critical" if score < 40 else "at_risk" if score < 60 else "healthy",
            "model_version": 2 if number < 4 else 3,
            "as_known_then": score + 9 if number in (5, 6) else score,
            "model_version_then": 2 if number < 4 else 3,
            "restated": number in (5, 6),
        }
        for number, (month, score) in enumerate(zip(months(13), scores, strict=True))
    ]
    return {"account": "globex", "as_of": "2026-11-15", "score": 68, "band": "healthy", "history": points}


@chart(
    of="account-health",
    when="The health of one account.",
    path="/v1/accounts/globex/health?format=svg",
    example=_example_history(),
)
def health_history(answer: ChartAnswer) -> Picture:
    """Health history: the score of one account at the end of each period, in the color of its band, which the sentence names.

    A dash across is the score as it was known then, where it was restated. A dashed line stands where another version of the
    model began to hold.
    """
    points: Sequence[Mapping[str, Any]] = answer.body["history"]
    title = f"Health of {clean_name(answer.body['account'])}"
    if all(point["score"] is None and point["as_known_then"] is None for point in points):
        return empty_picture(answer, title, "No score in this range.")
    versions = [point["model_version"] for point in points]
    values = [
        _point(point, is_new=number > 0 and versions[number - 1] != versions[number])
        for number, point in enumerate(points)
    ]
    x = {"x": period_axis([own["label"] for own in values])}
    y = {
        "field": "value",
        "type": "quantitative",
        "scale": {"domain": [0, 100]},
        "axis": {"title": None, "tickCount": 5},
    }
    bands = [name for name in _BANDS.values() if any(own["band"] == name for own in values if own["value"] is not None)]
    color = {"field": "band", "type": "nominal", "scale": {"domain": list(_BANDS.values()), "range": "ordinal"}}
    color["legend"] = legend(bands, answer.width) | {"values": bands}
    dots = x | {"y": y, "color": color} | TEXT
    layers = [
        layer(silent("rule", "reference"), x, where="datum.is_new"),
        layer(silent("line", "connector"), x | {"y": y}),
        layer(silent("tick", "target", thickness=2), x | {"y": y | {"field": "then"}}, where="datum.then != null"),
        layer(mark("point", "point", filled=True, size=80), dots, where="datum.complete && datum.value != null"),
        layer(
            mark("point", "running-point", filled=False, size=80), dots, where="!datum.complete && datum.value != null"
        ),
        *gap_layers(values, x),
    ]
    signs = [
        "Hollow: not complete." if not all(own["complete"] for own in values) else "",
        "Dash across: as known then." if any(own["then"] is not None for own in values) else "",
        "Dashed: another version of the model." if any(own["is_new"] for own in values) else "",
    ]
    gaps = sum(own["value"] is None for own in values)
    return Picture(
        title=title,
        notes=[" ".join(filter(None, ["Score from 0 to 100.", *signs])), f"× No score ({gaps})." if gaps else None],
        summary=f"{plural(len(values), 'period')}. The last one: {values[-1]['text']}.",
        values=values,
        view=plot(layers, answer.width, answer.height or _HEIGHT + legend_height(["", *bands], answer.width)),
    )


def _point(point: Mapping[str, Any], *, is_new: bool) -> dict[str, Any]:
    """Return a point of a history. is_new: whether another version of the model holds since then."""
    score, score_then = point["score"], point["as_known_then"]
    label, band = period_label(point["period"], point["on"], point["on"]), _BANDS[point["band"]]
    text = f"{label}: no score" if score is None else f"{label}: {format_value(score, 'score', '')}, {band.lower()}"
    if point["restated"]:
        text += f"; {'no score' if score_then is None else format_value(score_then, 'score', '')} as known then"
    if is_new:
        text += f"; version {point['model_version']} of the model"
    return {
        "label": label,
        "value": score,
        "band": band,
        "then": score_then if point["restated"] else None,
        "complete": point["complete"],
        "is_new": is_new,
        "text": text if point["complete"] else f"{text}; the period is not complete",
    }
