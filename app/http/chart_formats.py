"""The output formats that are charts, and the parameters that a question about a chart has besides its own.

A chart is made by the package `charts`, which `http` does not know: `app.state.charts` of the application draws it.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol

from pydantic import BaseModel, Field

from app.http.formats import DEFAULT_FORMAT, FORMATS, AnyFormat

MIN_SIDE, MAX_SIDE = 200, 1_600
DEFAULT_WIDTH = 640


class ChartFormat(NamedTuple):
    """An output format of charts. headers: what a response has besides. needs: a module, and the extra that has it."""

    media_type: str
    is_text: bool = True
    headers: Mapping[str, str] = {}
    needs: tuple[str, str] | None = None


# An image that a browser opens by itself runs nothing and loads nothing.
_SAFE_IMAGE = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox"}
_NEEDS = ("vl_convert", "charts")
CHART_FORMATS = {
    "vega": ChartFormat("application/vnd.vegalite.v6+json"),
    "svg": ChartFormat("image/svg+xml", headers=_SAFE_IMAGE, needs=_NEEDS),
    "png": ChartFormat("image/png", is_text=False, needs=_NEEDS),
}
_ALL_FORMATS: dict[str, AnyFormat] = {**FORMATS, **CHART_FORMATS}

# The type of the parameter `format` where an answer can be a chart.
if TYPE_CHECKING:
    AnyFormatName = str
else:
    AnyFormatName = Literal[tuple(_ALL_FORMATS)]


class ChartParameters(BaseModel):
    """The parameters of answers that can be charts, beside those of rows. It comes before them among the bases."""

    format: AnyFormatName | None = Field(
        None,
        description="Output format. `vega` is a Vega-Lite specification, `svg` and `png` are pictures of it. Default: the one "
        f"that the `Accept` header prefers, otherwise `{DEFAULT_FORMAT}`.",
    )
    chart: str | None = Field(
        None,
        max_length=100,
        json_schema_extra={"x-vocabulary": "ChartName"},
        description="Name of a chart of `GET /v1/charts`, where several fit. Default: the one that fits the question best.",
    )
    theme: Literal["light", "dark"] = Field("light", description="Colors of a chart.")
    width: int = Field(DEFAULT_WIDTH, ge=MIN_SIDE, le=MAX_SIDE, description="Width of a chart in pixels.")
    height: int | None = Field(
        None,
        ge=MIN_SIDE,
        le=MAX_SIDE,
        description="Approximate height of a chart in pixels. Default: what suits the chart.",
    )
    scale: float = Field(2, ge=1, le=3, description="Dots per pixel of a PNG; 2 is sharp on most screens.")

    @property
    def formats(self) -> Mapping[str, AnyFormat]:
        return _ALL_FORMATS


class Charts(Protocol):
    """What draws charts."""

    def check_name(self, kind: str, name: str) -> None:
        """Raise Invalid for a name of no chart that this kind of answer makes."""
        ...

    async def draw(
        self, kind: str, body: Mapping[str, Any], format: str, parameters: ChartParameters, *, currency: str
    ) -> bytes:
        """Return an answer as a chart in one of CHART_FORMATS. kind: of the answer, which the catalogue of charts knows.

        Raises Problem.
        """
        ...
