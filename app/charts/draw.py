"""From an answer to a chart: which one, its data, its specification.

answer -> choose_chart -> Picture -> specification -> bytes, by `render` where it is a picture
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from pydantic_core import to_json

from app.charts.choose import choose_chart, find_chart
from app.charts.define import Chart, ChartAnswer, Picture, Spec
from app.charts.render import Renderer
from app.charts.texts import wrap_notes, wrap_title
from app.charts.theme import ThemeName, theme_config
from app.core.aside import run_aside
from app.core.errors import Invalid
from app.http.chart_formats import ChartParameters

SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"
# A picture of more rows tells nothing, and takes long to draw.
MAX_ROWS = 5_000
# Of the height of a picture of one plot: a line of text above it, and what else is around it.
_LINE_PIXELS, _AROUND_PIXELS = 17, 64


def build_chart(
    kind: str,
    body: Mapping[str, Any],
    *,
    currency: str,
    name: str | None = None,
    theme: ThemeName = "light",
    **size: Any,
) -> Spec:
    """Return an answer as a Vega-Lite specification. kind: of the answer. size: `width` and `height`. Raises Invalid.

    A specification has nothing that a client wrote but texts: names are data and words of titles, and there is no URL and no
    expression in it but ours.
    """
    answer = ChartAnswer(body, currency, **size)
    if (count := len(answer.rows)) > MAX_ROWS:
        detail = (
            f"A chart has at most {MAX_ROWS:,} rows; this answer has {count:,}. Ask for longer periods or fewer groups."
        )
        raise Invalid.at("/query/format", detail, code="too_many_rows")
    chart = choose_chart(kind, name, answer)
    return _specify(chart, chart.draw(answer), answer, theme)


def _specify(chart: Chart, picture: Picture, answer: ChartAnswer, theme: ThemeName) -> Spec:
    title, notes = wrap_title(picture.title, answer.width), wrap_notes(filter(None, picture.notes), answer.width)
    fit: Spec = {}
    if picture.is_single:
        fit = {"autosize": {"type": "fit", "contains": "padding"}}
        if answer.height is None:
            # The plot keeps its size, whatever is written above it.
            height = picture.view["height"] + _AROUND_PIXELS + _LINE_PIXELS * (len(title) + len(notes))
            picture = picture._replace(view={**picture.view, "height": height})
    return {
        "$schema": SCHEMA,
        "title": {"text": title, "subtitle": notes},
        "description": " ".join([f"{picture.title}.", picture.summary]).strip(),
        "usermeta": {"chart": chart.name},
        **fit,
        "data": {"name": "rows", "values": list(picture.values)},
        **picture.view,
        "config": theme_config(theme),
    }


@dataclass(frozen=True, slots=True)
class ChartService:
    """What draws charts in a process that serves requests."""

    renderer: Renderer

    def check_name(self, kind: str, name: str) -> None:
        """Raise Invalid for a name of no chart that this kind of answer makes."""
        find_chart(kind, name)

    async def draw(
        self, kind: str, body: Mapping[str, Any], format: str, parameters: ChartParameters, *, currency: str
    ) -> bytes:
        """Return an answer as a chart in one of CHART_FORMATS. kind: of the answer, one of ANSWERS. Raises Problem."""
        build = partial(
            build_chart,
            kind,
            body,
            currency=currency,
            name=parameters.chart,
            theme=parameters.theme,
            width=parameters.width,
            height=parameters.height,
        )
        specification = await run_aside(build, items=len(body.get("rows", ())))
        if format == "vega":
            return to_json(specification)
        return await self.renderer.render(specification, format, scale=parameters.scale)


@asynccontextmanager
async def open_charts() -> AsyncIterator[ChartService]:
    """Keep what draws charts as long as a process serves requests. The renderer starts with the first picture."""
    renderer = Renderer()
    try:
        yield ChartService(renderer)
    finally:
        await renderer.stop()
