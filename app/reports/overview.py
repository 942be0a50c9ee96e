"""The overview of an account: metrics with their trend, MRR movements, open tickets, responses and last activity."""

from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import groupby
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from app.accounts.accounts import account_key
from app.accounts.answers import ATTRIBUTES_SCHEMA
from app.accounts.listing import day_after, select_accounts, select_descriptions
from app.accounts.recorded_names import account_not_found
from app.books.books import Books
from app.core.errors import Invalid
from app.core.periods import Day
from app.database.connection import Connection
from app.database.labels import lookup_labels
from app.database.query_plan import run_plan
from app.database.tables import account as account_table
from app.http.openapi import COMPONENTS, component, list_schema, name_schema, object_schema, response_schema
from app.ledger.measures import rank_of
from app.ledger.money import per_month
from app.ledger.streams import tickets
from app.ledger.surveys import load_surveys
from app.metrics.answer import AnswerTable, build_answer_table
from app.metrics.currencies import format_amount
from app.metrics.define import METRICS
from app.metrics.offers import OFFERS
from app.metrics.parameters import Parameters
from app.metrics.question import resolve_question
from app.metrics.rows import Row
from app.metrics.schema import NUMBER_SCHEMA, ROW_SCHEMA
from app.reports.schemas import OPTIONAL_TEXT, PERIOD_SCHEMA

_MAX_PERIODS = 60
_MAX_ITEMS = 50
_ACTIVITY_TYPES = ["session.ended", "feature.used"]
_RESPONSE_TYPES = ["survey.responded", "feedback.received"]
_MOVEMENTS = ("mrr_new", "mrr_expansion", "mrr_contraction", "mrr_churned", "mrr_reactivated")

_TEXT = {"type": "string"}
_DAY = {"type": "string", "format": "date"}
_TIME = {"type": "string", "format": "date-time"}
_METRIC_ROW: dict[str, Any] = object_schema(
    "OverviewRow",
    {name: ROW_SCHEMA[name] for name in (*PERIOD_SCHEMA, "value", "numerator", "denominator", "sample_size")},
) | {"type": ["object", "null"]}
_OVERVIEW: dict[str, Any] = object_schema(
    "Overview",
    {
        "id": _TEXT,
        "name": OPTIONAL_TEXT,
        "attributes": ATTRIBUTES_SCHEMA | {"description": "The attributes of today."},
        "last_activity": object_schema(
            "LastActivity", {"at": _TIME, "type": name_schema("EventType"), "user_id": _TEXT}
        )
        | {"type": ["object", "null"], "description": "The last session or use of a feature."},
        "open_tickets": list_schema(
            "OpenTicket",
            {
                "ticket_id": _TEXT,
                "opened_at": _TIME,
                "last_at": _TIME | {"description": "The time of the last event of the ticket."},
                "channel": OPTIONAL_TEXT,
                "priority": OPTIONAL_TEXT,
            },
        )
        | {"description": f"Up to {_MAX_ITEMS} open support tickets, the oldest first."},
        "answers": list_schema(
            "CustomerAnswer",
            {
                "event_id": _TEXT,
                "occurred_at": _TIME,
                "user_id": OPTIONAL_TEXT,
                "survey": OPTIONAL_TEXT,
                "score": NUMBER_SCHEMA,
                "class": OPTIONAL_TEXT | {"description": "The class of the score, such as `promoter`."},
                "comment": OPTIONAL_TEXT,
                "channel": OPTIONAL_TEXT,
                "tags": {"type": "array", "items": _TEXT},
            },
        )
        | {"description": f"The last {_MAX_ITEMS} survey responses and free comments, the newest first."},
        "movements": list_schema("Movement", {"on": _DAY, "kind": _TEXT, "amount": _TEXT, "reason": OPTIONAL_TEXT})
        | {
            "description": f"The last {_MAX_ITEMS} MRR movements, the newest first: `new`, `expansion`, `contraction`, "
            "`churned` or `reactivated`."
        },
        "question": object_schema(
            "OverviewQuestion", {"start": _DAY, "end": _DAY, "granularity": name_schema("Granularity")}
        ),
        "metrics": list_schema(
            "OverviewMetric",
            {
                "metric": name_schema("MetricName"),
                "title": _TEXT,
                "unit": _TEXT,
                "better": _TEXT,
                "latest": _METRIC_ROW | {"description": "The row of the last period that has ended."},
                "running": _METRIC_ROW | {"description": "The row of the current period."},
                "trend": list_schema(
                    "TrendPoint", {"period": _TEXT, "complete": {"type": "boolean"}, "value": NUMBER_SCHEMA}
                ),
            },
        ),
    },
)
# Features add members when the catalogues are filled.
COMPONENTS["Overview"] = lambda: _OVERVIEW | {"properties": _OVERVIEW["properties"] | OFFERS.account_schemas}
OVERVIEW_SCHEMA = response_schema(
    "The overview of the account.",
    component("Overview"),
)


class OverviewParameters(BaseModel):
    """Parameters of an account's overview: the range and the periods of the trends."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    start: Day | None = Field(None, description="The first day.")
    end: Day | None = Field(None, description="The day after the last day.")
    period: str | None = Field(
        None,
        max_length=40,
        description="A period instead of `start` and `end`. Default: the last 12 months and the current one.",
    )
    granularity: Literal["day", "week", "month", "quarter", "year", "total"] = Field(
        "month", description="The unit of the trends' periods; `total` is the whole range as one period."
    )


async def account_overview(books: Books, account: str, parameters: OverviewParameters) -> dict[str, Any]:
    """Return the overview of an account, all of it from one snapshot of the database.

    Raises NotFound for an unknown account, and Invalid for an invalid range or one of more than 60 periods.
    """
    # Whether the account exists is looked up below: one whose events were all retracted does not.
    about_account = Parameters.of(parameters, account=[account], strict=False)
    question = await resolve_question(books, sorted(METRICS), about_account)
    if len(question.periods) > _MAX_PERIODS:
        detail = f"A trend has at most {_MAX_PERIODS} periods. Use a shorter range or longer periods."
        raise Invalid.at("/query/granularity", detail, code="too_many_periods")
    tomorrow = day_after(question.today)

    async def load(connection: Connection) -> tuple[dict[str, Any], AnswerTable]:
        query = select_accounts(None, on=tomorrow).where(account_table.c.account_id == account_key(account))
        rows = await connection.execute(select_descriptions(query, on=tomorrow))
        if not rows:
            raise await account_not_found(connection, account)
        parameters = {
            "account_id": account_key(account),
            "until": books.calendar.midnight(tomorrow),
            "most": _MAX_ITEMS,
        }
        members = rows[0]._asdict() | {
            "last_activity": await _last_activity(connection, parameters),
            "open_tickets": await _open_tickets(connection, parameters),
            "answers": await _responses(connection, parameters),
            "movements": await _movements(connection, books, parameters | {"on": tomorrow}),
        }
        for name, load_member in OFFERS.account_members.items():
            members[name] = await load_member(connection, books, account, question.today)
        return members, await build_answer_table(connection, books, question)

    members, table = await books.database.ask(load)
    rows = map(table.row, table.pending_rows)
    return members | {
        "question": {"start": question.start, "end": question.end, "granularity": question.granularity},
        "metrics": [_metric(list(metric_rows)) for _, metric_rows in groupby(rows, key=lambda row: row["metric"])],
    }


def _metric(rows: Sequence[Row]) -> dict[str, Any]:
    """Return a metric of the account: the row of its last complete period, that of the current one, and its trend."""
    metric = METRICS[rows[0]["metric"]]
    points = [{name: value for name, value in row.items() if name not in ("metric", "group")} for row in rows]
    complete = [row for row in points if row["complete"]]
    incomplete = [row for row in points if not row["complete"]]
    return {
        "metric": metric.name,
        "title": metric.title,
        "unit": metric.unit,
        "better": metric.better,
        "latest": complete[-1] if complete else None,
        "running": incomplete[0] if incomplete else None,
        "trend": [{name: row[name] for name in ("period", "complete", "value")} for row in points],
    }


_LIVE = "account_id = %(account_id)s AND retracted_on IS NULL AND occurred_at < %(until)s"

_LAST_ACTIVITY = f"""
    SELECT occurred_at, type, user_id FROM event WHERE {_LIVE} AND type = ANY(%(types)s)
    ORDER BY occurred_at DESC, id DESC LIMIT 1
    """


async def _last_activity(connection: Connection, parameters: dict[str, Any]) -> dict[str, Any] | None:
    rows = await connection.execute(_LAST_ACTIVITY, parameters | {"types": _ACTIVITY_TYPES})
    return {"at": _utc(rows[0].occurred_at), "type": rows[0].type, "user_id": rows[0].user_id} if rows else None


# The beginning of a ticket comes first, whatever its time. Events ahead of time count too in finding it.
_OPEN_TICKETS = f"""
    WITH ticket AS (
        SELECT data->>'ticket_id' AS ticket_id, occurred_at, rank, id, type, data,
            first_value(occurred_at) OVER beginning_first AS opened_at, row_number() OVER beginning_first > 1 AS is_later
        FROM event JOIN unnest(CAST(%(types)s AS text[]), CAST(%(ranks)s AS int[])) AS kind(type, rank) USING (type)
        WHERE account_id = %(account_id)s AND retracted_on IS NULL AND stream IS NOT NULL
        WINDOW beginning_first AS (PARTITION BY data->>'ticket_id' ORDER BY {tickets.BEGINNING_SQL}))
    SELECT ticket_id, opened_at, max(occurred_at) AS last_at,
        (array_agg(data->>'channel' ORDER BY is_later, occurred_at, rank, id) FILTER (WHERE data ? 'channel'))[1]
            AS channel,
        (array_agg(data->>'priority' ORDER BY is_later DESC, occurred_at DESC, rank DESC, id DESC)
            FILTER (WHERE data ? 'priority'))[1] AS priority
    FROM ticket
    WHERE opened_at < %(until)s AND occurred_at < %(until)s
    GROUP BY ticket_id, opened_at
    HAVING {tickets.IS_OPEN_SQL}
    ORDER BY opened_at, ticket_id LIMIT %(most)s
    """


async def _open_tickets(connection: Connection, parameters: dict[str, Any]) -> list[dict[str, Any]]:
    types = list(tickets.TYPES)
    ranks = [rank_of(type) for type in types]
    rows = await connection.execute(
        _OPEN_TICKETS, parameters | {"types": types, "ranks": ranks} | tickets.STATE_PARAMETERS
    )
    times = ("opened_at", "last_at")
    return [{name: _utc(value) if name in times else value for name, value in row._asdict().items()} for row in rows]


_RESPONSES = f"""
    SELECT id, type, user_id, occurred_at, data FROM event WHERE {_LIVE} AND type = ANY(%(types)s)
    ORDER BY occurred_at DESC, id DESC LIMIT %(most)s
    """


async def _responses(connection: Connection, parameters: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the last survey responses and free comments; the comment of an erased one is null."""
    rows = await connection.execute(_RESPONSES, parameters | {"types": _RESPONSE_TYPES})
    names = ("survey", "score", "comment", "channel", "tags")
    surveys = await load_surveys(connection, {row.data["survey"] for row in rows if "survey" in row.data})
    return [
        {"event_id": row.id, "occurred_at": _utc(row.occurred_at), "user_id": row.user_id}
        | {"tags": []}
        | {name: row.data.get(name) for name in names if name in row.data or name != "tags"}
        | ({"comment": None} if "erased" in row.data else {})
        | {"class": surveys[row.data["survey"]].class_of(row.data["score"]) if "survey" in row.data else None}
        for row in rows
    ]


_MRR_MOVEMENTS = """
    SELECT effective_on, measure, label.text AS reason, sum(value) AS amount FROM entry JOIN label ON label.key = subject
    WHERE account_id = %(account_id)s AND measure = ANY(%(measures)s) AND effective_on < %(on)s
    GROUP BY effective_on, measure, label.text HAVING sum(value) <> 0
    ORDER BY effective_on DESC LIMIT %(most)s
    """


async def _movements(connection: Connection, books: Books, parameters: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the last MRR movements, the newest first. A day has at most one."""
    labels = await run_plan(connection, lookup_labels(books.database, set(_MOVEMENTS)))
    kinds = {label: name.removeprefix("mrr_") for name, label in labels.items()}
    rows = await connection.execute(_MRR_MOVEMENTS, parameters | {"measures": list(labels.values())})
    return [
        {
            "on": row.effective_on,
            "kind": kinds[row.measure],
            "amount": format_amount(per_month(int(row.amount)), books.currency),
            "reason": row.reason or None,
        }
        for row in rows
    ]


def _utc(at: datetime) -> datetime:
    return at.astimezone(UTC)
