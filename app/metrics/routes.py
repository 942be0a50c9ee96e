"""The door to the numbers."""

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response

from app import wire
from app.access import books_of, needs
from app.errors import Invalid, NotFound
from app.metrics import catalogue
from app.metrics.answer import answer
from app.metrics.compare import PREVIOUS
from app.metrics.define import METRICS, Metric, meaning
from app.metrics.question import Parameters, Question, SeveralParameters, ask
from app.metrics.rows import Row
from app.periods import GRANULARITIES

router = APIRouter(prefix="/v1", tags=["metrics"], dependencies=[Depends(needs("read"))])

assert catalogue  # importing it fills METRICS

REPEATABLE = ("metrics", "account", "segment", "group_by", "subject", "channel")
PERIOD = ("metric", "period", "start", "end", "complete")
_NUMBERS = ("value", "numerator", "denominator", "sample_size")
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
                "required": [
                    "metric",
                    "convention",
                    "period",
                    "start",
                    "end",
                    "complete",
                    "group",
                    *_NUMBERS,
                    "interval",
                ],
                "properties": {
                    "metric": {"type": "string"},
                    "convention": {"type": "string", "description": "The way in which it is counted."},
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
                    "previous": _NUMBER | {"description": "With `compare`: the value of the earlier period."},
                    "change": _NUMBER,
                    "change_percent": _NUMBER | {"description": "Per hundred of the earlier value's size; null of 0."},
                    "significant": {
                        "type": ["boolean", "null"],
                        "description": "Whether two proportions or scores differ by more than chance, at 95 %.",
                    },
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
            wire.CSV: {"schema": {"type": "string"}},
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
        "conventions": [_way(way) for way in metric.conventions.values()],
        "version": metric.version,
        "example": dict(metric.example),
    }


def _way(metric: Metric) -> dict[str, Any]:
    """One of the ways to count a metric, as it is shown."""
    return {
        "name": metric.convention,
        "description": metric.description,
        "counted_by": metric.counted_by or None,
        "unit": metric.unit,
        "range": list(metric.range),
        "operands": {name: meaning(operand) for name, operand in metric.operands.items()},
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
    return await _answered(request, [metric], asked, definition=described(known(metric)))


@router.get("/metrics/{metric}/conventions", responses=_ANSWERS, response_class=Response)
async def get_conventions(request: Request, metric: str, asked: Annotated[_Asked, Query()]) -> Response:
    """The same question about one metric by each of its conventions, on the same data."""
    return await _answered(request, [metric], asked, definition=described(known(metric)), side_by_side=True)


def known(metric: str) -> Metric:
    """The metric that a path names. Raises NotFound."""
    if metric not in METRICS:
        raise NotFound("There is no such metric; GET /v1/metrics lists them.", code="unknown_metric")
    return METRICS[metric]


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
    request: Request,
    names: Sequence[str],
    asked: Parameters,
    *,
    definition: dict[str, Any] | None = None,
    side_by_side: bool = False,
) -> Response:
    wire.once(request, repeatable=REPEATABLE)
    books = books_of(request)
    question = await ask(books, names, asked, side_by_side=side_by_side)
    rows, following = await answer(books, question, limit=asked.limit, cursor=asked.cursor)
    link = wire.next_link(request, following)
    if wire.wants_csv(request, asked.format):
        return wire.csv(request, _columns(question), map(_cells, rows), headers=link)
    said = {"definition": definition} if definition else {}
    body = said | {"question": question.understood(), "rows": rows, "next": following}
    return wire.json(request, body, headers=link)


def _columns(question: Question) -> list[str]:
    return [*PERIOD, *question.selection.group_by, *columns(question)]


def _cells(row: Row) -> list[Any]:
    return [*(row[name] for name in PERIOD), *row["group"].values(), *cells(row)]


def columns(question: Question) -> list[str]:
    """What a flat table says of a row's numbers: the interval as two columns."""
    return [*_NUMBERS, "low", "high", "reason", "amount", "convention", *(PREVIOUS if question.compare else ())]


def cells(row: Row) -> list[Any]:
    """The numbers of a row, as `columns` names them."""
    low, high = row["interval"] or (None, None)
    said = (row.get("reason"), row.get("amount"), row["convention"])
    return [*(row[name] for name in _NUMBERS), low, high, *said, *(row[name] for name in PREVIOUS if name in row)]
