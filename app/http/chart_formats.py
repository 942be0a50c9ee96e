"""The output formats that are charts, and the parameters that a question about a chart has besides its own.

A chart is made by the package `charts`, which `http` does not know: `app.state.charts` of the application draws it.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol

from pydantic import BaseModel, Field

from app.http.formats import DEFAULT_FORMAT, FORMATS

MIN_SIDE, MAX_SIDE = 200, 1_600
DEFAULT_WIDTH = 640


class ChartFormat(NamedTuple):
    """An output format of charts. headers: what a response has besides."""

    media_type: str
    extension: str
    headers: Mapping[str, str] = {}


# An image that a browser opens by itself runs nothing and loads nothing.
_SAFE_IMAGE = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox"}
CHART_FORMATS = {
    "vega": ChartFormat("application/vnd.vegalite.v6+json", "vl.json"),
    "svg": ChartFormat("image/svg+xml", "svg", _SAFE_IMAGE),
    "png": ChartFormat("image/png", "png"),
}
_BY_MEDIA_TYPE = {entry.media_type: name for name, entry in CHART_FORMATS.items()}

# The type of the parameter `format` where an answer can be a chart.
if TYPE_CHECKING:
    AnyFormatName = str
else:
    AnyFormatName = Literal[(*FORMATS, *CHART_FORMATS)]


class ChartParameters(BaseModel):
    """The parameters of answers that can be charts."""

    format: AnyFormatName | None = Field(
        None,
        description="Output format. `vega` is a Vega-Lite specification, `svg` and `png` are pictures of it. Default: the first "
        f"media type of the `Accept` header, otherwise `{DEFAULT_FORMAT}`.",
    )
    chart: str | None = Field(
        None,
        max_length=100,
        description="Which chart, where several fit: one of `GET /v1/charts`. Default: what fits the question best.",
    )
    theme: Literal["light", "dark"] = Field("light", description="Of a chart: its colors.")
    width: int = Field(DEFAULT_WIDTH, ge=MIN_SIDE, le=MAX_SIDE, description="Of a chart: its width in pixels.")
    height: int | None = Field(
        None,
        ge=MIN_SIDE,
        le=MAX_SIDE,
        description="Of a chart: its height in pixels, about. Default: what suits the chart.",
    )
    scale: float = Field(2, ge=1, le=3, description="Of a chart as PNG: dots per pixel. 2 is sharp on most screens.")


class ChartRequest(NamedTuple):
    """What a chart is about: the kind of answer, which the catalogue of charts knows, and how it is wanted."""

    answer: str
    parameters: ChartParameters


class Charts(Protocol):
    """What draws charts."""

    async def draw(self, request: ChartRequest, format: str, body: Mapping[str, Any], *, currency: str) -> bytes:
        """Return an answer as a chart in one of CHART_FORMATS. Raises Problem."""
        ...


def choose_chart_format(name: str | None, accept: str) -> str | None:
    """Return the chart format that the parameter `format` names or, without it, `Accept`; None for one that is no chart."""
    if name is not None:
        return name if name in CHART_FORMATS else None
    return _BY_MEDIA_TYPE.get(accept.split(",")[0].split(";")[0].strip().lower())
