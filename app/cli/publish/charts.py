"""The reference page of charts: every chart, which questions make it, and how it looks."""

from collections.abc import Iterator

from app.charts.define import ANSWERS, CHARTS, Chart
from app.charts.theme import THEMES
from app.cli.publish.markdown import bullets, code, codes, page, table

INTRO = """Every chart of `format=vega`, `svg` and `png`. [Charts](../guides/charts.md) explains how to ask for them.
`GET /v1/charts` returns the same catalogue as JSON.

Of the charts of an endpoint, an answer makes the first that fits; `chart=` chooses another one. The pictures are those of the
examples on which the tests run."""


def render() -> str:
    """Return the page."""
    rows = ([_link(own), own.title, own.when, codes(ANSWERS[own.of])] for own in CHARTS.values())
    summary = table(("chart", "title", "made by", "endpoints"), rows)
    return page("Charts", INTRO, summary, *(part for own in CHARTS.values() for part in _chart(own)))


def _link(chart: Chart) -> str:
    return f"[{code(chart.name)}](#{chart.name})"


def _chart(chart: Chart) -> Iterator[str]:
    yield f"## {code(chart.name)}"
    yield f"**{chart.title}:** {chart.description}"
    yield bullets([f"Made by: {chart.when}", f"Example: {code(f'GET {chart.path}')}"])
    yield "\n".join(f"![{chart.title}, {theme}](../images/charts/{chart.name}-{theme}.png)" for theme in THEMES)
