"""The catalogue of charts."""

from fastapi import APIRouter, Depends, Request, Response

from app.access.auth import requires
from app.charts.define import CHARTS
from app.charts.describe import describe_chart
from app.http.openapi import list_schema, name_schema, object_schema, response_schema
from app.http.polls import pollable
from app.http.responses import json_response

router = APIRouter(
    prefix="/v1", tags=["charts"], dependencies=[Depends(requires("read"))], default_response_class=Response
)

_TEXT = {"type": "string"}
_CHARTS = response_schema(
    "The charts.",
    object_schema(
        "ChartList",
        {
            "charts": list_schema(
                "Chart",
                {
                    "name": name_schema("ChartName", "For the parameter `chart`."),
                    "title": _TEXT,
                    "description": _TEXT,
                    "paths": {"type": "array", "items": _TEXT, "description": "The endpoints whose answers make it."},
                    "when": _TEXT | {"description": "The questions that make it."},
                    "example": _TEXT | {"description": "A request that makes it."},
                },
            )
        },
    ),
)


@router.get("/charts", responses=_CHARTS)
@pollable
async def list_charts(request: Request) -> Response:
    """List all charts: which endpoints make each of them, and for which questions.

    `format=vega` of such an endpoint answers a Vega-Lite specification with its data, `svg` and `png` a picture of it. Of an
    endpoint with several charts, the first that fits is made, or the one that `chart` names.
    """
    return json_response(request, {"charts": [describe_chart(chart) for chart in CHARTS.values()]})
