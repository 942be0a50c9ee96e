"""The picture of an answer without numbers: it says so, and why."""

from app.charts.define import ChartAnswer, Picture
from app.charts.marks import message
from app.charts.series_data import build_panels, period_rows, question_note
from app.charts.texts import missing_note

_HEIGHT = 120


def nothing(answer: ChartAnswer) -> Picture:
    """Return the picture of an answer of numbers, none of which has a value."""
    rows = period_rows(answer)
    panels = build_panels(answer) if rows else []
    text = "No value in this range." if rows else "There are no rows in this range."
    notes = [missing_note(rows), question_note(answer)]
    title = panels[0].title if len(panels) == 1 else "No numbers"
    values = [value for panel in panels for value in panel.values]
    return empty_picture(answer, title, text, notes=notes)._replace(values=values)


def empty_picture(answer: ChartAnswer, title: str, text: str, *, notes: list[str | None] | None = None) -> Picture:
    """Return the picture of an answer that has nothing to draw. text: why, as a sentence."""
    if answer.body.get("reason") == "nothing_known_yet":
        text = "Nothing was known yet."
    return Picture(
        title=title,
        notes=notes or [question_note(answer)],
        summary=text,
        values=[],
        view=message(text, answer.width, answer.height or _HEIGHT),
        is_single=False,
    )
