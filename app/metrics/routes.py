"""The door to the numbers."""

import csv
import io
from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response

from app import wire
from app.access import books_of, needs
from app.accounts import segments
from app.errors import Invalid, NotFound
from app.metrics import catalogue
from app.metrics.answer import Row, answer
from app.metrics.define import METRICS, Metric, meaning
from app.metrics.question import Parameters, Question, SeveralParameters, understand
from app.periods import GRANULARITIES

router = APIRouter(prefix="/v1", tags=["metrics"], dependencies=[Depends(needs("read"))])

assert catalogue  # importing it fills METRICS

_REPEATABLE = ("metrics", "account", "segment", "group_by", "subject", "channel")
_NUMBERS = ("value", "numerator", "denominator", "sample_size")
_CSV = "text/csv"
_NUMBER = {"type": ["number", "null"]}
ANSWER_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["question", "rows", "next"],
    "properties": {
        "definition": {"type": "object", "description": "The metric's entry in the catalogue."},
        "question": {"type": "object", "description": "The question as it was understood."},
        "rows": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["metric", "period", "start", "end", "complete", "group", *_NUMBERS, "interval"],
                "properties": {
                    "metric": {"type": "string"},
                    "period": {"type": "string", "examples": ["2026-03"]},
                    "start": {"type": "string", "format": "date"},
                    "end": {"type": "string", "format": "date", "description": "Excluded."},
                    "complete": {"type": "boolean", "description": "Whether the period has ended."},
                    "group": {"type": "object", "description": "A value for each grouping."},
                    **dict.fromkeys(_NUMBERS, _NUMBER),
                    "interval": {
                        "type": ["array", "null"],
                        "items": {"type": "number"},
                        "description": "Low and high at 95 %, of proportions and scores.",
                    },
                    "amount": {
                        "type": ["string", "null"],
                        "description": "Of money: the value, rounded to the digits of the base currency.",
                    },
                    "reason": {"type": "string", "description": "Why there is no value."},
                },
            },
        },
        "next": {"type": ["string", "null"], "description": "The cursor of the next page."},
    },
}
_ANSWERS: Any = {
    200: {
        "description": "Rows of numbers, each with its proof.",
        "content": {
            "application/json": {"schema": {"$ref": "#/components/schemas/Answer"}},
            _CSV: {"schema": {"type": "string"}},
        },
    }
}


class _Asked(wire.InUrl, Parameters):
    """The parameters of one metric's URL."""


class _SeveralAsked(wire.InUrl, SeveralParameters):
    """The parameters of a URL for several metrics."""


def described(metric: Metric) -> dict[str, Any]:
    """An entry of the catalogue, as it is shown."""
    return {
        "name": metric.name,
        "title": metric.title,
        "description": metric.description,
        "unit": metric.unit,
        "better": metric.better,
        "range": list(metric.range),
        "adds_over": list(metric.adds_over),
        "dimensions": {"group_by": ["account", "segment", "<attribute>", *metric.dimensions], **metric.dimensions},
        "granularities": list(GRANULARITIES),
        "operands": {name: meaning(operand) for name, operand in metric.operands.items()},
        "conventions": ["default"],
        "version": metric.version,
        "example": dict(metric.example),
    }


@router.get("/metrics")
async def list_metrics(request: Request) -> Response:
    """The catalogue: what each metric means, what it is made of and how it may be asked for."""
    return wire.json(request, {"metrics": [described(METRICS[name]) for name in sorted(METRICS)]})


@router.get("/metrics/{metric}", responses=_ANSWERS, response_class=Response)
async def get_metric(request: Request, metric: str, asked: Annotated[_Asked, Query()]) -> Response:
    """One metric: its definition and its numbers."""
    if metric not in METRICS:
        raise NotFound("There is no such metric; GET /v1/metrics lists them.", code="unknown_metric")
    return await _answered(request, [metric], asked, definition=described(METRICS[metric]))


@router.get("/query", responses=_ANSWERS, response_class=Response)
async def get_query(request: Request, asked: Annotated[_SeveralAsked, Query()]) -> Response:
    """Several metrics in one answer."""
    return await _answered(request, asked.metrics, asked)


@router.post("/query", responses=_ANSWERS, response_class=Response, openapi_extra=wire.takes(SeveralParameters))
async def post_query(request: Request) -> Response:
    """Several metrics in one answer, asked for in JSON."""
    asked = await wire.read(request, SeveralParameters)
    try:
        return await _answered(request, asked.metrics, asked)
    except Invalid as invalid:
        # The same parameters, but they stood in the body.
        for fault in invalid.errors:
            fault["pointer"] = fault["pointer"].removeprefix("/query")
        raise


async def _answered(
    request: Request, names: Sequence[str], asked: Parameters, *, definition: dict[str, Any] | None = None
) -> Response:
    wire.once(request, repeatable=_REPEATABLE)
    books = books_of(request)
    by_segment = asked.segment or "segment" in asked.group_by
    stored = await segments.on(books, asked.as_of, names=asked.segment or None) if by_segment else {}
    question = understand(names, asked, calendar=books.calendar, today=books.today(), segments=stored)
    rows, following = await answer(books, question, limit=asked.limit, cursor=asked.cursor)
    link = wire.next_link(request, following)
    if _wants_csv(request, asked):
        return wire.tagged(request, _csv(rows, question), media_type=f"{_CSV}; charset=utf-8", headers=link)
    said = {"definition": definition} if definition else {}
    body = said | {"question": question.understood(), "rows": rows, "next": following}
    return wire.json(request, body, headers=link)


def _wants_csv(request: Request, asked: Parameters) -> bool:
    if asked.format is not None:
        return asked.format == "csv"
    return request.headers.get("accept", "").split(",")[0].split(";")[0].strip().lower() == _CSV


def _csv(rows: Sequence[Row], question: Question) -> bytes:
    """The rows as a flat table (RFC 4180): a column for each grouping, the interval as two."""
    text = io.StringIO()
    table = csv.writer(text)
    groups = list(question.selection.group_by)
    table.writerow(
        [
            "metric",
            "period",
            "start",
            "end",
            "complete",
            *map(_safe, groups),
            *_NUMBERS,
            "low",
            "high",
            "reason",
            "amount",
        ]
    )
    for row in rows:
        low, high = row["interval"] or (None, None)
        table.writerow(
            [
                row["metric"],
                row["period"],
                row["start"],
                row["end"],
                str(row["complete"]).lower(),
                *(_safe(row["group"][name]) for name in groups),
                *(row[name] for name in _NUMBERS),
                low,
                high,
                row.get("reason"),
                row.get("amount"),
            ]
        )
    return text.getvalue().encode()


def _safe(cell: Any) -> Any:
    """A text that a spreadsheet would take for a formula, marked as a text."""
    if isinstance(cell, bool):
        return str(cell).lower()
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(("=", "+", "-", "@", "\t", "\r")) else cell
