"""What is behind a number: the accounts that make it, and how it was restated."""

from collections.abc import Mapping, Sequence
from typing import Any

from app.charts.define import ChartAnswer, Picture, chart
from app.charts.examples import number_row, numbers
from app.charts.marks import (
    NO_AXIS,
    TEXT,
    bar_layers,
    layer,
    mark,
    name_axis,
    number_axis,
    number_labels,
    period_axis,
    plot,
    silent,
    zero_line,
)
from app.charts.nothing import empty_picture
from app.charts.series_data import (
    describe,
    in_order,
    metric_of,
    period_labels,
    question_note,
    row_identity,
    split_groups,
)
from app.charts.texts import (
    clean_name,
    format_short,
    format_value,
    join_names,
    left_out_note,
    plural,
    row_label,
    unit_name,
)
from app.metrics.define import METRICS, Metric

_MAX_BARS = 20
_BAR_PIXELS = 26
_HEIGHT = 200
# The numerator of a metric with one of these units is of another unit: what is counted, or money.
_RATIOS = ("percent", "points", "ratio")


def _example_contributors() -> dict[str, Any]:
    amounts = {"globex": 18_400, "initech": 12_900, "umbrella": 8_300, "acme": 4_150, "hooli": 2_700, "vandelay": 950}
    total = number_row("mrr", "2026-10", sum(amounts.values()))
    rows = [
        total | {"account": id, "value": own, "contribution": own, "share": 100 * own / total["value"]}
        for id, own in amounts.items()
    ]
    return numbers(rows) | {"totals": [total]}


def one_number(answer: ChartAnswer) -> str | None:
    """Return why the contributors are not those of one number; None if they are."""
    if len(answer.body["totals"]) > 1:
        return "The contributors are of several numbers. Ask with `granularity=total` and without `group_by`."
    return None


@chart(
    of="contributors",
    when="The contributors of one number.",
    path="/v1/metrics/mrr/contributors?period=last_month&format=svg",
    needs=one_number,
    example=_example_contributors(),
)
def contributors(answer: ChartAnswer) -> Picture:
    """Contributors: the accounts behind a number, the largest first, as bars with their shares of it."""
    rows = answer.rows[:_MAX_BARS]
    if not rows:
        return empty_picture(answer, "Contributors", "No account has data of it in this range.")
    [total] = answer.body["totals"]
    metric, unit = metric_of(total), contribution_unit(metric_of(total))
    values = [_contributor(row, unit, answer.currency) for row in rows]
    amounts = [own["value"] for own in values]
    x = {"x": number_axis(unit, amounts, zero=True) | {"axis": NO_AXIS}}
    y = {"y": name_axis([own["name"] for own in values])}
    layers = [
        *bar_layers(values, x | y | TEXT, {}, where="datum.value != null"),
        *number_labels(y, x, x),
        layer(
            mark("text", "muted-label", align="left", dx=6),
            y | {"x": {"datum": 0, "type": "quantitative"}, "text": {"value": "no value"}} | TEXT,
            where="datum.value == null",
        ),
        *zero_line(amounts, channel="x"),
    ]
    what = ", ".join(filter(None, (unit_name(unit, answer.currency), row_label(total), _group_name(total))))
    running = "" if total["complete"] else " Outlined with dashes: not complete."
    return Picture(
        title=f"{metric.title}, by account",
        notes=[
            f"{what[:1].upper()}{what[1:]}. All: {describe(total, metric.unit, answer.currency)}.{running}",
            question_note(answer),
            left_out_note(len(answer.rows) - len(rows), "account", "those that contribute least"),
        ],
        summary=f"{plural(len(rows), 'account')}. Largest: {values[0]['text']}.",
        values=values,
        view=plot(layers, answer.width, answer.height or _BAR_PIXELS * len(values)),
    )


def contribution_unit(metric: Metric) -> str:
    """Return the unit of what accounts contribute to a metric: that of its numerator, if it has one."""
    if metric.unit not in _RATIOS:
        return metric.unit
    # Examples have money as text.
    is_money = any(isinstance(metric.example.get(name), str) for name in metric.inputs)
    return "money" if is_money else "count"


def _group_name(row: Mapping[str, Any]) -> str:
    return join_names(row["group"].values()) if row["group"] else ""


def _contributor(row: Mapping[str, Any], unit: str, currency: str) -> dict[str, Any]:
    name = "Whole company" if row["account"] is None else clean_name(row["account"])
    amount, share = row["contribution"], row["share"]
    percent = "" if share is None else format_value(share, "percent", currency)
    value = "no value" if amount is None else format_value(amount, unit, currency)
    short = "" if amount is None else format_short(amount, unit)
    return {
        **row_identity(row),
        "account": row["account"],
        "name": name,
        "value": amount,
        "share": share,
        "complete": row["complete"],
        "short": f"{short} ({percent})" if percent else short,
        "text": f"{name}: {value}" + (f", {percent} of all" if percent else ""),
    }


def _example_restatements() -> dict[str, Any]:
    changes = (
        ("2026-06", "2026-07-03", 1.9, 2.1),
        ("2026-07", "2026-08-04", 2.4, 2.2),
        ("2026-08", "2026-09-02", 1.6, 1.8),
        ("2026-08", "2026-09-20", 1.8, 2.3),
        ("2026-10", "2026-11-05", 2.0, 2.6),
    )
    rows = [
        number_row("customer_churn_rate", period, after) | {"recorded_on": day, "from": before, "to": after}
        for period, day, before, after in changes
    ]
    return numbers(rows)


def one_group(answer: ChartAnswer) -> str | None:
    """Return why the restatements are not those of one group; None if they are."""
    if len(split_groups(answer.rows)) > 1:
        return "The restatements are of several groups. Ask without `group_by`; `filter` chooses one."
    return None


@chart(
    of="restatements",
    when="The restatements of one metric.",
    path="/v1/metrics/customer_churn_rate/restatements?period=last_12_months&format=svg",
    needs=one_group,
    example=_example_restatements(),
)
def restatements(answer: ChartAnswer) -> Picture:
    """Restatements: the numbers of periods before and after they changed, as a line from a hollow to a full point.

    Only periods whose number changed after their end are there.
    """
    if not answer.rows:
        return empty_picture(answer, "Restatements", "No number of this range has changed after its period had ended.")
    metric = _metric_of_question(answer)
    labels = period_labels(answer.rows)
    by_period: dict[str, list[Mapping[str, Any]]] = {}
    for row in in_order(answer.rows):
        by_period.setdefault(row_label(row), []).append(row)
    values = [_restated_period(rows, metric.unit, answer.currency) for rows in by_period.values()]
    x = {"x": period_axis(labels)}
    y = number_axis(metric.unit, [own[name] for own in values for name in ("before", "value")], zero=False)
    before = x | {"y": y | {"field": "before"}}
    layers = [
        layer(
            silent("rule", "connector"),
            before | {"y2": {"field": "value"}},
            where="datum.before != null && datum.value != null",
        ),
        layer(silent("point", "running-point", filled=False, size=70), before, where="datum.before != null"),
        layer(mark("point", "point", filled=True, size=70), x | {"y": y} | TEXT, where="datum.value != null"),
        layer(
            mark("text", "gap", dy=-8),
            x | {"y": {"value": "height"}, "text": {"value": "×"}} | TEXT,
            where="datum.value == null",
        ),
    ]
    unit = unit_name(metric.unit, answer.currency)
    return Picture(
        title=f"{metric.title}, restated",
        notes=[
            f"{unit[:1].upper()}{unit[1:]}. Hollow: at the end of the period; full: after its last change.".removeprefix(
                ". "
            ),
            question_note(answer),
        ],
        summary=f"{plural(len(labels), 'period')}. {'; '.join(own['text'] for own in values)}.",
        values=values,
        view=plot(layers, answer.width, answer.height or _HEIGHT),
    )


def _metric_of_question(answer: ChartAnswer) -> Metric:
    """Return the metric by the convention of the question, which rows of restatements do not name."""
    metric = METRICS[answer.rows[0]["metric"]]
    conventions = answer.question.get("conventions", {}).get(metric.name, {})
    return metric.conventions.get(next(iter(conventions), ""), metric)


def _restated_period(rows: Sequence[Mapping[str, Any]], unit: str, currency: str) -> dict[str, Any]:
    """Return a period from its changes, which are in the order of their days."""
    first, last = rows[0], rows[-1]
    before, after = (
        "no value" if own is None else format_value(own, unit, currency) for own in (first["from"], last["to"])
    )
    return {
        "label": row_label(first),
        "before": first["from"],
        "value": last["to"],
        "changes": len(rows),
        "text": f"{row_label(first)}: from {before} to {after}, {plural(len(rows), 'change')}, "
        f"the last one on {last['recorded_on']}",
    }
