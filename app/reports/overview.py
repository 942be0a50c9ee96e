"""One account on one card: all its metrics with their trend, what it pays, what is open, what it said, when it was here."""

from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import groupby
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from app.accounts.accounts import account_key
from app.accounts.listing import day_after, select_accounts, select_descriptions
from app.books.books import Books
from app.core.errors import Invalid, NotFound
from app.core.periods import Day
from app.database.connection import Connection
from app.database.labels import lookup_labels
from app.database.query_plan import run_plan
from app.database.tables import account as account_table
from app.ledger.measures import rank_of
from app.ledger.streams import tickets
from app.ledger.surveys import load_surveys as find_surveys
from app.metrics.answer import AnswerTable, build_answer_table
from app.metrics.currencies import format_amount
from app.metrics.define import METRICS
from app.metrics.question import Parameters, resolve_question
from app.metrics.rows import Row

_MOST_PERIODS = 60
_MOST_LISTED = 50
_USES = ["session.ended", "feature.used"]
_VOICES = ["survey.responded", "feedback.received"]
_MOVEMENTS = ("mrr_new", "mrr_expansion", "mrr_contraction", "mrr_churned", "mrr_reactivated")


class OverviewParameters(BaseModel):
    """How far back the trends go, and in which steps."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    start: Day | None = Field(None, description="First day.")
    end: Day | None = Field(None, description="The day after the last.")
    period: str | None = Field(
        None, max_length=40, description="Instead of start and end. Default: the last 12 months and the running one."
    )
    granularity: Literal["day", "week", "month", "quarter", "year"] = Field("month", description="The trends' steps.")


async def overview(books: Books, account: str, asked: OverviewParameters) -> dict[str, Any]:
    """The card of an account, all of one moment. Raises NotFound, and Invalid for a range of more than 60 periods."""
    question = await resolve_question(books, sorted(METRICS), Parameters.of(asked, account=[account]))
    if len(question.periods) > _MOST_PERIODS:
        detail = f"A trend has at most {_MOST_PERIODS} periods; ask for a shorter range or longer periods."
        raise Invalid.at("/query/granularity", detail, code="too_many_periods")
    on = day_after(question.today)
    until = books.calendar.midnight(on)

    async def find(connection: Connection) -> tuple[dict[str, Any], AnswerTable]:
        this = select_accounts(None, on=on).where(account_table.c.account_id == account_key(account))
        rows = await connection.execute(select_descriptions(this, on=on))
        if not rows:
            raise NotFound("There is no such account.")
        own = {"account_id": account_key(account), "until": until, "most": _MOST_LISTED}
        card = rows[0]._asdict() | {
            "last_activity": await _last_activity(connection, own),
            "open_tickets": await _open_tickets(connection, own),
            "answers": await _answers(connection, own),
            "movements": await _movements(connection, books, own | {"on": on}),
        }
        return card, await build_answer_table(connection, books, question)

    card, table = await books.database.read(find)
    rows = map(table.row, table.cells)
    span = {"start": question.start, "end": question.end, "granularity": question.granularity}
    return card | {
        "question": span,
        "metrics": [_trend(list(own)) for _, own in groupby(rows, key=lambda r: r["metric"])],
    }


def _trend(rows: Sequence[Row]) -> dict[str, Any]:
    """A metric of the account: its last complete period, the one that runs, and its value in each."""
    metric = METRICS[rows[0]["metric"]]
    told = [{name: value for name, value in row.items() if name not in ("metric", "group")} for row in rows]
    ended = [row for row in told if row["complete"]]
    running = [row for row in told if not row["complete"]]
    return {
        "metric": metric.name,
        "title": metric.title,
        "unit": metric.unit,
        "better": metric.better,
        "latest": ended[-1] if ended else None,
        "running": running[0] if running else None,
        "trend": [{name: row[name] for name in ("period", "complete", "value")} for row in told],
    }


_LIVE = "account_id = %(account_id)s AND retracted_on IS NULL AND occurred_at < %(until)s"

_LAST_ACTIVITY = f"""
    SELECT occurred_at, type, user_id FROM event WHERE {_LIVE} AND type = ANY(%(types)s)
    ORDER BY occurred_at DESC, id DESC LIMIT 1
    """


async def _last_activity(connection: Connection, own: dict[str, Any]) -> dict[str, Any] | None:
    rows = await connection.execute(_LAST_ACTIVITY, own | {"types": _USES})
    return {"at": _utc(rows[0].occurred_at), "type": rows[0].type, "user_id": rows[0].user_id} if rows else None


# What was said of it last decides, replies aside; at one instant, as streams have it.
_OPEN_TICKETS = f"""
    SELECT data->>'ticket_id' AS ticket_id, min(occurred_at) AS opened_at, max(occurred_at) AS last_at,
        (array_agg(data->>'channel' ORDER BY occurred_at, rank, id) FILTER (WHERE data ? 'channel'))[1] AS channel,
        (array_agg(data->>'priority' ORDER BY occurred_at DESC, rank DESC, id DESC) FILTER (WHERE data ? 'priority'))[1]
            AS priority
    FROM event JOIN unnest(CAST(%(types)s AS text[]), CAST(%(ranks)s AS int[])) AS kind(type, rank) USING (type)
    WHERE {_LIVE} AND stream IS NOT NULL
    GROUP BY 1
    HAVING {tickets.IS_OPEN_SQL}
    ORDER BY 2, 1 LIMIT %(most)s
    """


async def _open_tickets(connection: Connection, own: dict[str, Any]) -> list[dict[str, Any]]:
    types = list(tickets.TYPES)
    kinds = {"types": types, "ranks": [rank_of(type) for type in types]} | tickets.IS_OPEN_PARAMETERS
    rows = await connection.execute(_OPEN_TICKETS, own | kinds)
    days = ("opened_at", "last_at")
    return [{name: _utc(value) if name in days else value for name, value in row._asdict().items()} for row in rows]


_ANSWERS = f"""
    SELECT id, type, user_id, occurred_at, data FROM event WHERE {_LIVE} AND type = ANY(%(types)s)
    ORDER BY occurred_at DESC, id DESC LIMIT %(most)s
    """


async def _answers(connection: Connection, own: dict[str, Any]) -> list[dict[str, Any]]:
    rows = await connection.execute(_ANSWERS, own | {"types": _VOICES})
    said = ("survey", "score", "comment", "channel", "tags")
    surveys = await find_surveys(connection, {row.data["survey"] for row in rows if "survey" in row.data})
    return [
        {"event_id": row.id, "occurred_at": _utc(row.occurred_at), "user_id": row.user_id}
        | {"tags": []}
        | {name: row.data.get(name) for name in said if name in row.data or name != "tags"}
        | ({"comment": None} if "erased" in row.data else {})
        | {"class": surveys[row.data["survey"]].class_of(row.data["score"]) if "survey" in row.data else None}
        for row in rows
    ]


_MOVED = """
    SELECT effective_on, measure, label.text AS reason, sum(value) AS amount FROM entry JOIN label ON label.key = subject
    WHERE account_id = %(account_id)s AND measure = ANY(%(measures)s) AND effective_on < %(on)s
    GROUP BY effective_on, measure, label.text HAVING sum(value) <> 0
    ORDER BY effective_on DESC LIMIT %(most)s
    """


async def _movements(connection: Connection, books: Books, own: dict[str, Any]) -> list[dict[str, Any]]:
    """How its MRR moved, the last first: a day moves it in one way."""
    numbers = await run_plan(connection, lookup_labels(books.database, set(_MOVEMENTS)))
    kinds = {number: name.removeprefix("mrr_") for name, number in numbers.items()}
    rows = await connection.execute(_MOVED, own | {"measures": list(numbers.values())})
    return [
        {
            "on": row.effective_on,
            "kind": kinds[row.measure],
            "amount": format_amount(int(row.amount), books.currency),
            "reason": row.reason or None,
        }
        for row in rows
    ]


def _utc(at: datetime) -> datetime:
    return at.astimezone(UTC)
