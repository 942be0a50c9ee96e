"""How far customers get."""

from collections.abc import Mapping, Sequence
from typing import Any

from app.charts.define import ChartAnswer, Picture, chart
from app.charts.marks import MAX_PLOTS, TEXT, Plot, arrange, layer, length_axis, mark, name_axis, silent
from app.charts.nothing import empty_picture
from app.charts.series_data import count_periods, group_key, make_unique, question_note
from app.charts.texts import clean_name, format_value, join_names, left_out_note, plural, row_label

_BAR_PIXELS = 30
_NAMES = {"started": "Started", "completed": "Completed"}


def _example() -> dict[str, Any]:
    steps = (None, 120, 0.0), ("connect_data", 104, 1.2), ("invite_team", 81, 3.4), ("first_report", 74, 6.1)
    reached = [*(count for _, count, _ in steps), 62]
    rows = []
    for number, count in enumerate(reached):
        next_count = reached[number + 1] if number + 1 < len(reached) else None
        drop_off = None if next_count is None else count - next_count
        rows.append(
            {
                "period": "2026-Q3",
                "start": "2026-07-01",
                "end": "2026-10-01",
                "complete": True,
                "group": {},
                "number": number,
                "stage": "started" if not number else "step" if next_count is not None else "completed",
                "step": steps[number][0] if number < len(steps) else None,
                "reached": count,
                "percent": round(100 * count / 120, 6),
                "drop_off": drop_off,
                "drop_off_percent": None if drop_off is None else round(100 * drop_off / count, 6),
                "average_days": steps[number][2] if number < len(steps) else 9.8,
            }
        )
    return {"question": {"granularity": "quarter", "group_by": []}, "rows": rows, "next": None}


@chart(
    of="funnel",
    when="The onboarding funnel.",
    path="/v1/onboarding/funnel?period=last_quarter&format=svg",
    example=_example(),
)
def onboarding_funnel(answer: ChartAnswer) -> Picture:
    """Onboarding funnel: how many reached each stage, of those that started in the period, as bars from the first to the last."""
    panels: dict[tuple[Any, ...], list[Mapping[str, Any]]] = {}
    for row in answer.rows:
        panels.setdefault((row["start"], group_key(row)), []).append(row)
    chosen = [rows for rows in panels.values() if rows[0]["reached"]][:MAX_PLOTS]
    if not chosen:
        return empty_picture(answer, "Onboarding", "No onboarding was started in this range.")
    has_periods = count_periods([rows[0] for rows in chosen]) > 1
    names = make_unique([_panel_name(rows[0], has_periods=has_periods) for rows in chosen])
    plots = [_funnel(rows, name, answer) for name, rows in zip(names, chosen, strict=True)]
    empty = sum(not rows[0]["reached"] for rows in panels.values())
    return Picture(
        title="Onboarding",
        notes=[
            f"Of those that started in {_days(chosen)}. In brackets: lost before the next stage.",
            question_note(answer),
            left_out_note(empty, "group or period", "nothing was started in them") if empty else None,
            left_out_note(len(panels) - empty - len(chosen), "group or period", "ask for fewer"),
        ],
        summary=f"{'; '.join(own['text'] for plot in plots for own in plot.values)}.",
        **arrange(plots, answer.width, beside=130),
    )


def _days(chosen: Sequence[Sequence[Mapping[str, Any]]]) -> str:
    labels = dict.fromkeys(row_label(rows[0]) for rows in chosen)
    running = "" if all(rows[0]["complete"] for rows in chosen) else " (not complete)"
    return (next(iter(labels)) if len(labels) == 1 else "each period") + running


def _panel_name(row: Mapping[str, Any], *, has_periods: bool) -> str:
    parts = [row_label(row)] if has_periods else []
    parts += row["group"].values()
    return join_names(parts) if parts else "All"


def _stages(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    names = make_unique([_NAMES.get(row["stage"]) or clean_name(row["step"]) for row in rows])
    return [
        {
            "name": name,
            "value": row["reached"],
            "percent": row["percent"],
            "drop_off": row["drop_off"],
            "complete": row["complete"],
            "short": _short(row),
            "text": _sentence(name, row),
        }
        for name, row in zip(names, rows, strict=True)
    ]


def _short(row: Mapping[str, Any]) -> str:
    text = f"{row['reached']:,} · {format_value(row['percent'], 'percent', '')}"
    return f"{text} (−{row['drop_off']:,})" if (row["drop_off"] or 0) > 0 else text


def _sentence(name: str, row: Mapping[str, Any]) -> str:
    text = f"{name}: {plural(row['reached'], 'onboarding')}, {format_value(row['percent'], 'percent', '')}"
    if row["average_days"]:
        text += f", {format_value(row['average_days'], 'days', '')} after the start"
    if (row["drop_off"] or 0) > 0:
        text += f", {row['drop_off']:,} lost before the next stage"
    return text if row["complete"] else f"{text}; the period is not complete"


def _funnel(rows: Sequence[Mapping[str, Any]], name: str, answer: ChartAnswer) -> Plot:
    stages = _stages(rows)
    x = length_axis([own["value"] for own in stages])
    y = {"y": name_axis([own["name"] for own in stages])}
    whole = {"x": {"datum": 0, "type": "quantitative"}, "x2": {"datum": stages[0]["value"]}}
    label = {"text": {"field": "short", "type": "nominal"}}
    style = "bar" if rows[0]["complete"] else "running-bar"
    layers = [
        layer(silent("bar", "track"), whole | y),
        layer(mark("bar", style), {"x": x} | y | TEXT),
        layer(silent("text", "label", align="left", dx=6), {"x": x} | y | label),
    ]
    return Plot(name, stages, layers, answer.height or _BAR_PIXELS * len(stages))
