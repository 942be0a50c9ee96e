"""The door to the numbers."""

from collections.abc import Callable, Collection, Sequence
from typing import Any

from fastapi import APIRouter, Depends, Request, Response

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

PERIOD = ("metric", "period", "start", "end", "complete")
_NUMBERS = ("value", "numerator", "denominator", "sample_size")
_NUMBER = {"type": ["number", "null"]}
# What a row of numbers has, and what it has at times.
ROW: dict[str, Any] = {
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
}
AT_TIMES: dict[str, Any] = {
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
}


def _with_rows(rows: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "question": {"type": "object", "description": "The question as it was understood."},
        **more,
        "rows": rows,
        "next": {"type": ["string", "null"], "description": "The cursor of the next page."},
    }


def gives_rows(
    description: str, row: dict[str, Any], at_times: dict[str, Any] | None = None, **more: Any
) -> dict[int | str, dict[str, Any]]:
    """What the OpenAPI document says of an answer with a question, such rows and more."""
    return wire.gives(description, wire.object_of(_with_rows(wire.list_of(row, at_times), **more)), table=True)


ANSWER_SCHEMA = wire.object_of(
    _with_rows(wire.list_of(ROW, AT_TIMES)),
    {"definition": {"type": "object", "description": "The metric's entry in the catalogue."}},
)
_ANSWERS = wire.gives("Rows of numbers, each with its proof.", {"$ref": "#/components/schemas/Answer"}, table=True)


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


@router.get("/metrics/{metric}", responses=_ANSWERS, response_class=Response, openapi_extra=wire.asks(Parameters))
async def get_metric(request: Request, metric: str) -> Response:
    """One metric: its definition and its numbers."""
    asked = wire.asked(request, Parameters)
    return await _numbers(request, [metric], asked, definition=described(known(metric)))


@router.get(
    "/metrics/{metric}/conventions", responses=_ANSWERS, response_class=Response, openapi_extra=wire.asks(Parameters)
)
async def get_conventions(request: Request, metric: str) -> Response:
    """The same question about one metric by each of its conventions, on the same data."""
    asked = wire.asked(request, Parameters)
    return await _numbers(request, [metric], asked, definition=described(known(metric)), side_by_side=True)


def known(metric: str) -> Metric:
    """The metric that a path names. Raises NotFound."""
    if metric not in METRICS:
        raise NotFound("There is no such metric; GET /v1/metrics lists them.", code="unknown_metric")
    return METRICS[metric]


@router.get("/query", responses=_ANSWERS, response_class=Response, openapi_extra=wire.asks(SeveralParameters))
async def get_query(request: Request) -> Response:
    """Several metrics in one answer."""
    asked = wire.asked(request, SeveralParameters)
    return await _numbers(request, asked.metrics, asked)


@router.post("/query", responses=_ANSWERS, response_class=Response, openapi_extra=wire.takes(SeveralParameters))
async def post_query(request: Request) -> Response:
    """Several metrics in one answer, asked for in JSON."""
    asked = await wire.read(request, SeveralParameters)
    try:
        return await _numbers(request, asked.metrics, asked)
    except Invalid as invalid:
        # The same parameters, but they stood in the body.
        for fault in invalid.errors:
            fault["pointer"] = fault["pointer"].removeprefix("/query")
        raise


async def _numbers(
    request: Request,
    names: Sequence[str],
    asked: Parameters,
    *,
    definition: dict[str, Any] | None = None,
    side_by_side: bool = False,
) -> Response:
    books = books_of(request)
    question = await ask(books, names, asked, side_by_side=side_by_side)
    rows, following = await answer(books, question, limit=asked.limit, cursor=asked.cursor)
    said = {"definition": definition} if definition else {}
    body = said | {"question": question.understood(), "rows": rows, "next": following}
    return reply(request, asked.format, body, after=columns(question), flat=flattened)


def columns(question: Question) -> tuple[str, ...]:
    """What a table says of a row's numbers: the interval as two columns."""
    said = (*_NUMBERS, "low", "high", "reason", "amount", "convention")
    return (*said, *PREVIOUS) if question.compare else said


def flattened(row: Row) -> Row:
    """A row of numbers as `columns` names them."""
    low, high = row["interval"] or (None, None)
    return row | {"low": low, "high": high}


def reply(
    request: Request,
    format: str | None,
    body: dict[str, Any],
    *,
    before: Collection[str] = PERIOD,
    after: Collection[str],
    flat: Callable[[Row], Row] = lambda row: row,
) -> Response:
    """An answer with a `question`, `rows` and `next`: as JSON, or as a table with columns before and after the groups'.

    flat: makes a row of the table of one of the answer's; a column that it has not is empty.
    """
    link = wire.next_link(request, body["next"])
    if not wire.wants_csv(request, format):
        return wire.json(request, body, headers=link)
    rows = ([*(r[c] for c in before), *r["group"].values(), *map(r.get, after)] for r in map(flat, body["rows"]))
    return wire.csv(request, [*before, *body["question"]["group_by"], *after], rows, headers=link)
