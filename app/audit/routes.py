"""The door to the proof of numbers."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from pydantic import Field

from app.access.auth import Caller, books_of, requires
from app.audit.checks import checks
from app.audit.contributors import contributors
from app.audit.events import events
from app.audit.restatements import restatements
from app.core.errors import Forbidden
from app.core.periods import Day
from app.http.formats import FlatTable
from app.http.openapi import list_schema, object_schema, query_schema, response_schema
from app.http.params import QueryParams, parse_query
from app.http.responses import json_response, rows_response
from app.metrics.describe import metric_in_path
from app.metrics.parameters import Granularity, MetricParameters, Parameters
from app.metrics.question import Question, resolve_question
from app.metrics.schema import (
    NUMBER_SCHEMA,
    OPTIONAL_ROW_SCHEMA,
    PERIOD_COLUMNS,
    ROW_SCHEMA,
    flatten_interval,
    number_columns,
    rows_schema,
    table_builder,
)

router = APIRouter(
    prefix="/v1", tags=["proof"], dependencies=[Depends(requires("read"))], default_response_class=Response
)

_SHARE: dict[str, Any] = {
    "account": {"type": ["string", "null"], "description": "Null: the business as a whole."},
    "contribution": NUMBER_SCHEMA | {"description": "Its numerator; its value, of a metric without one."},
    "share": NUMBER_SCHEMA
    | {"description": "Per hundred of the whole's; null where contributions do not add up to it."},
}
_CONTRIBUTORS = rows_schema(
    "Accounts, each with its own numbers and its share.",
    ROW_SCHEMA | _SHARE,
    OPTIONAL_ROW_SCHEMA,
    totals=list_schema(ROW_SCHEMA, OPTIONAL_ROW_SCHEMA)
    | {"description": "The rows of the metric that the accounts are behind."},
)


@router.get(
    "/metrics/{metric}/contributors",
    responses=_CONTRIBUTORS,
    openapi_extra=query_schema(Parameters),
)
async def get_contributors(request: Request, metric: str) -> Response:
    """The accounts behind a metric's numbers, largest first, with their share.

    It is asked as the metric is; for each row of the metric's answer (`totals`) there are the accounts in it that have
    anything of the metric in the period, in the order of what they contribute to its numerator (a metric without one: to
    its value). Contributions add up to the whole's; where they do not, as for `clv`, `share` is null.
    """
    asked = parse_query(request, Parameters)
    question = await _understood(request, metric, asked)
    totals, rows, following = await contributors(books_of(request), question, limit=asked.limit, cursor=asked.cursor)
    body = {"question": question.understood(), "totals": totals, "rows": rows, "next": following}
    build_table = table_builder(body, after=(*_SHARE, *number_columns(question)), flatten=flatten_interval)
    return rows_response(request, asked.format, body, build_table)


async def _understood(request: Request, metric: str, asked: MetricParameters) -> Question:
    return await resolve_question(books_of(request), [metric_in_path(metric).name], Parameters.of(asked))


_CHANGE: dict[str, Any] = {
    "recorded_on": {"type": "string", "format": "date", "description": "At the end of that day it was another."},
    "from": NUMBER_SCHEMA,
    "to": NUMBER_SCHEMA,
    "change": NUMBER_SCHEMA | {"description": "Null where there was, or is, no value."},
    **dict.fromkeys(("from_numerator", "from_denominator", "to_numerator", "to_denominator"), NUMBER_SCHEMA),
    "events": {
        "type": ["array", "null"],
        "description": "Null where there are more than 20,000: a history that was imported.",
        "items": object_schema(
            {"type": {"type": "string"}, "arrived": {"type": "integer"}, "retracted": {"type": "integer"}}
        ),
    },
}
_RESTATEMENTS = rows_schema(
    "Changes of ended periods' numbers.", {name: ROW_SCHEMA[name] for name in (*PERIOD_COLUMNS, "group")} | _CHANGE
)


@router.get(
    "/metrics/{metric}/restatements",
    responses=_RESTATEMENTS,
    openapi_extra=query_schema(MetricParameters),
)
async def get_restatements(request: Request, metric: str) -> Response:
    """How a metric's past numbers have changed since their periods' ends.

    It is asked as the metric is. For each period that has ended, and each group, there are the days at whose end its value
    was another than at the end of the day before (the first one: than at the end of the period's last day), from what to
    what; each is what `as_of` answers. `events` counts, by type, those that arrived or were retracted on that day in the
    accounts whose part of the number changed, as far as they can make the metric or say to which group an account
    belongs. Segments are as they are defined now, or on the day `as_of`, after which nothing is looked at.
    """
    asked = parse_query(request, MetricParameters)
    question = await _understood(request, metric, asked)
    rows, following = await restatements(books_of(request), question, limit=asked.limit, cursor=asked.cursor)
    body = {"question": question.understood(), "rows": rows, "next": following}
    return rows_response(request, asked.format, body, table_builder(body, after=_CHANGE))


_EVENT: dict[str, Any] = {
    "id": {"type": "string"},
    "type": {"type": "string"},
    "account_id": {"type": ["string", "null"]},
    "user_id": {"type": ["string", "null"]},
    "occurred_at": {"type": "string", "format": "date-time"},
    "recorded_on": {"type": "string", "format": "date", "description": "The day on which it became known."},
    "retracted_on": {"type": ["string", "null"], "format": "date", "description": "After the day `as_of`."},
    "data": {"type": "object"},
}
_EVENTS = rows_schema("Events, as they are kept.", _EVENT)


@router.get("/metrics/{metric}/events", responses=_EVENTS, openapi_extra=query_schema(MetricParameters))
async def get_events(request: Request, metric: str) -> Response:
    """The events behind a metric's number, in the order in which they occurred.

    It is asked as the metric is, without a grouping. Of the accounts that have anything of the metric in a period there
    are: the events that by themselves post what counts in it, or saw a user who does, exactly these; of streams, events
    that mean something only together (a ticket, an account's subscriptions), all events of each stream that posts what
    counts in the period, for balances and populations those up to the period's end; and for registered users what was
    said of them, and whatever they did, up to the period's end. Events that were not known at the end of `as_of`, or had
    been retracted, are left out; one retracted later says when.
    """
    asked = parse_query(request, MetricParameters)
    question = await _understood(request, metric, asked)
    rows, following = await events(books_of(request), question, limit=asked.limit, cursor=asked.cursor)
    body = {"question": question.understood(), "rows": rows, "next": following}

    def build_table() -> FlatTable:
        return FlatTable(list(_EVENT), ([row[name] for name in _EVENT] for row in rows))

    return rows_response(request, asked.format, body, build_table)


class _Range(QueryParams):
    """Over which range, and of how many accounts, the books are checked."""

    start: Day | None = Field(None, description="First day.")
    end: Day | None = Field(None, description="The day after the last.")
    period: str | None = Field(None, max_length=40, description="Instead of start and end, as of a metric.")
    granularity: Granularity = "month"
    accounts: int = Field(20, ge=1, le=1_000, description="Of how many accounts single ones are checked.")
    all: bool = Field(
        False,
        description="Check the ledger of all accounts against the kept events: scope admin, it takes a while.",
    )


_CHECK: dict[str, Any] = {
    "name": {"type": "string"},
    "sentence": {"type": "string", "description": "What has to be."},
    "ok": {"type": "boolean"},
    "compared": {"type": "integer", "description": "Numbers; of the ledger, events."},
    "differing": {"type": "integer"},
    "differences": {
        "type": "array",
        "items": {"type": "object"},
        "description": "The first ones: where, and the two that should be equal.",
    },
}
_CHECKS = response_schema(
    "The checks, each with what differs.",
    object_schema({"ok": {"type": "boolean", "description": "Whether all hold."}, "checks": list_schema(_CHECK)}),
)


@router.get("/checks", responses=_CHECKS, openapi_extra=query_schema(_Range))
async def get_checks(request: Request, caller: Annotated[Caller, Depends(requires("read"))]) -> Response:
    """Whether the identities that must always hold do so, on these very books.

    Each check says in a sentence what has to be equal, how often it was compared, and where it differs. The movements of
    revenue and customers and the rates of retention are compared in each period: of the whole, by the attributes that
    most accounts have and few values of, by stored segment, and by account for some accounts, others every day. What is
    said to add up over groups and over time is added up; what is known today is held against the monthly totals; and the
    ledger of the same accounts, or with `all` of every one, against what the kept events make of it, computed anew.
    """
    asked = parse_query(request, _Range)
    if asked.all and not caller.has("admin"):
        raise Forbidden("To compute the whole ledger anew needs a key with scope admin.")
    found = await checks(books_of(request), Parameters.of(asked), sample=None if asked.all else asked.accounts)
    return json_response(request, {"ok": all(check["ok"] for check in found), "checks": found})
