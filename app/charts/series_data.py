"""From rows of numbers to the data of a chart: series with names, the running period, and what is left out."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from app.charts.annotations import describe_restatement
from app.charts.define import ChartAnswer
from app.charts.marks import MAX_SERIES
from app.charts.texts import clean_name, format_reason, format_short, format_value, join_names, row_label
from app.metrics.define import METRICS, Metric

Row = Mapping[str, Any]
# The groups that are left out where there are too many.
SMALLEST = "those with the smallest last values"


class Panel(NamedTuple):
    """Numbers that share a scale.

    title, unit: of its metric. values: the data. names: of the series, in their order. labels: of the periods. left_out: how many
    series are not in it.
    """

    title: str
    unit: str
    values: Sequence[Mapping[str, Any]]
    names: Sequence[str]
    labels: Sequence[str]
    left_out: int

    @property
    def numbers(self) -> list[float | int | None]:
        """All values, with the bounds of their intervals."""
        return [own[name] for own in self.values for name in ("value", "low", "high")]

    @property
    def has_values(self) -> bool:
        """Whether there is anything to draw."""
        return any(own["value"] is not None for own in self.values)


def period_rows(answer: ChartAnswer) -> list[Row]:
    """Return the rows of the periods, without those of the whole range beside them."""
    is_total = answer.question.get("granularity") == "total"
    return [row for row in answer.rows if is_total or row["period"] != "total"]


def in_order(rows: Sequence[Row]) -> list[Row]:
    """Return rows in the order of their periods."""
    return sorted(rows, key=lambda row: str(row["start"]))


def period_labels(rows: Sequence[Row]) -> list[str]:
    """Return the names of the periods of rows, in their order."""
    return list(dict.fromkeys(map(row_label, in_order(rows))))


def count_periods(rows: Sequence[Row]) -> int:
    """Return the number of different periods."""
    return len({row["start"] for row in rows})


def metric_of(row: Row) -> Metric:
    """Return the metric of a row, by its convention."""
    entry = METRICS[row["metric"]]
    return entry.conventions.get(row["convention"], entry)


def series_key(row: Row) -> tuple[Any, ...]:
    """Return what tells the series of a row from others."""
    return row["metric"], row["convention"], group_key(row)


def group_key(row: Row) -> tuple[Any, ...]:
    """Return what tells the group of a row from others."""
    # True and 1 are equal in Python.
    return tuple((type(value).__name__, value) for value in row["group"].values())


def split_groups(rows: Iterable[Row]) -> list[list[Row]]:
    """Return the rows of each group."""
    groups: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        groups.setdefault(group_key(row), []).append(row)
    return list(groups.values())


def name_groups(groups: Iterable[Sequence[Row]]) -> list[str]:
    """Return a name for each group, from its rows. No two are equal."""
    return make_unique([join_names(rows[0]["group"].values()) if rows[0]["group"] else "All" for rows in groups])


def build_panels(answer: ChartAnswer, *, max_series: int = MAX_SERIES) -> list[Panel]:
    """Return the panels of an answer: one for metrics of the same unit without groups, else one for each metric."""
    rows = period_rows(answer)
    units = {metric_of(row).unit for row in rows}
    if len(units) == 1 and not any(row["group"] for row in rows):
        return [_build_panel(answer, rows, max_series=max_series)]
    metrics = dict.fromkeys((row["metric"], metric_of(row).unit) for row in rows)
    return [
        _build_panel(
            answer,
            [row for row in rows if (row["metric"], metric_of(row).unit) == metric],
            max_series=max_series,
        )
        for metric in metrics
    ]


def _build_panel(answer: ChartAnswer, rows: Sequence[Row], *, max_series: int) -> Panel:
    by_series: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        by_series.setdefault(series_key(row), []).append(row)
    chosen = _choose_series(by_series, max_series)
    names = name_series([by_series[key][0] for key in chosen])
    titles = dict.fromkeys(metric_of(row).title for row in rows)
    return Panel(
        title=" and ".join(titles) if len(titles) < 3 else f"{len(titles)} metrics",
        unit=metric_of(rows[0]).unit,
        values=[
            value for key, name in zip(chosen, names, strict=True) for value in _values(answer, by_series[key], name)
        ],
        names=names,
        labels=period_labels(rows),
        left_out=len(by_series) - len(chosen),
    )


def _choose_series(by_series: Mapping[tuple[Any, ...], Sequence[Row]], max_count: int) -> list[tuple[Any, ...]]:
    """Return the series with the largest last complete values, in the order of the answer."""

    def rank(key: tuple[Any, ...]) -> tuple[bool, float]:
        values = [row["value"] for row in by_series[key] if row["value"] is not None]
        complete = [row["value"] for row in by_series[key] if row["value"] is not None and row["complete"]]
        last = (complete or values or [None])[-1]
        return last is None, -abs(last or 0)

    largest = set(sorted(by_series, key=rank)[:max_count])
    return [key for key in by_series if key in largest]


def name_series(rows: Sequence[Row]) -> list[str]:
    """Return the names of series, from a row of each: metric, convention and group, as far as they differ. No two are equal."""
    has_metrics = len({row["metric"] for row in rows}) > 1
    has_conventions = len({(row["metric"], row["convention"]) for row in rows}) > len({row["metric"] for row in rows})
    names: list[str] = []
    for row in rows:
        parts = [metric_of(row).title] if has_metrics else []
        parts += [row["convention"]] if has_conventions else []
        parts += row["group"].values()
        names.append(join_names(parts) if parts else metric_of(row).title)
    return make_unique(names)


def make_unique(names: Sequence[str]) -> list[str]:
    """Return the names, numbered where a name occurs again."""
    used: set[str] = set()
    unique = []
    for name in names:
        candidate, number = name, 1
        while candidate in used:
            number += 1
            candidate = f"{name} ({number})"
        used.add(candidate)
        unique.append(candidate)
    return unique


def _values(answer: ChartAnswer, rows: Sequence[Row], name: str) -> list[dict[str, Any]]:
    """Return the data of one series: a point for each row."""
    ordered_rows = in_order(rows)
    follows = [*(row["complete"] for row in ordered_rows[1:]), True]
    return [_value(answer, row, name, next_complete=next) for row, next in zip(ordered_rows, follows, strict=True)]


def _value(answer: ChartAnswer, row: Row, name: str, *, next_complete: bool) -> dict[str, Any]:
    unit = metric_of(row).unit
    low, high = row["interval"] or (None, None)
    label = row_label(row)
    value: dict[str, Any] = {
        **row_identity(row),
        "series": name,
        "label": label,
        "value": row["value"],
        "low": low,
        "high": high,
        "complete": row["complete"],
        # Of the line to what is not complete, also the point where it begins.
        "running": not row["complete"] or not next_complete,
        "text": f"{name}, {label}: {describe(row, unit, answer.currency)}",
    }
    if restatement := answer.restatement_of(row):
        value["restated"] = True
        value["text"] += f"; {describe_restatement(restatement, unit, answer.currency)}"
    if row["value"] is None:
        value["reason"] = format_reason(row.get("reason"))
    else:
        value["short"] = format_short(row["value"], unit)
    if row.get("previous") is not None:
        value["previous"] = row["previous"]
    return value


def row_identity(row: Row) -> dict[str, Any]:
    """Return what tells a row of numbers from all others, for who asks what is behind a mark.

    group: pairs of keys and values, since keys are names of clients, which are data here and no members.
    """
    names = ("metric", "convention", "period", "start", "end")
    return {name: str(row[name]) for name in names} | {"group": [list(pair) for pair in row["group"].items()]}


def describe(row: Row, unit: str, currency: str) -> str:
    """Return the number of a row in words: 49 points, 41 to 56, of 120; not complete."""
    if row["value"] is None:
        text = f"no value, {format_reason(row.get('reason'))}"
    else:
        text = format_value(row["value"], unit, currency, row.get("amount"))
        if row["interval"]:
            low, high = (format_value(bound, unit, currency) for bound in row["interval"])
            text += f", 95% interval {low} to {high}"
        if row["sample_size"] is not None and row["denominator"] is not None:
            text += f", of {row['sample_size']:,}"
    return text if row["complete"] else f"{text}; the period is not complete"


def unit_note(answer: ChartAnswer, about: Iterable[str], signs: Sequence[str]) -> str:
    """Return the sentences under the title: unit, period, groups; what signs mean. about: unit and period, if there are any."""
    parts = (", ".join(filter(None, about)), group_names(answer))
    sentences = (" ".join(filter(None, parts)), "; ".join(signs))
    return " ".join(f"{text[:1].upper()}{text[1:]}." for text in sentences if text)


def question_note(answer: ChartAnswer) -> str | None:
    """Return what the numbers are narrowed to, as far as a reader has to know; None for all of the business as known today."""
    question = answer.question
    parts = [
        text
        for name, text in (
            ("filter", "accounts that match the filter"),
            ("account", "chosen accounts"),
            ("subject", "chosen subjects"),
            ("channel", "chosen channels"),
        )
        if question.get(name)
    ]
    note = f"Only {' and '.join(parts)}." if parts else ""
    if as_of := question.get("as_of"):
        note = f"{note} As it was known on {as_of}.".strip()
    if answer.body.get("next"):
        note = f"{note} Only the first page of rows.".strip()
    return note or None


def group_names(answer: ChartAnswer) -> str:
    """Return the groupings of a question as words: by plan and region; empty without any."""
    keys = [clean_name(key) for key in answer.question.get("group_by", ())]
    return f"by {' and '.join(keys)}" if keys else ""
