"""The events behind a number: those that are kept and whose postings make the metric's operands."""

import base64
import binascii
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any, NamedTuple

from pydantic import TypeAdapter, ValidationError
from pydantic_core import to_json
from sqlalchemy.ext.asyncio import AsyncConnection

from app.accounts.book import key_of
from app.errors import Invalid
from app.ledger import surveys
from app.ledger.streams.define import STREAMS
from app.ledger.surveys import Survey
from app.ledger.unfold import StreamName, load
from app.metrics.answer import tabulate
from app.metrics.lookup import span_of
from app.metrics.question import Question
from app.periods import Calendar
from app.proof.origins import Days, Origins, Side, day_of, fact_of, origins_of
from app.store.books import Books
from app.store.database import send
from app.store.tables import BEGINNING, END, WHOLE_BUSINESS

_AT_A_TIME = 2_000


class _Place(NamedTuple):
    """Where an event stands among all of them."""

    occurred_at: datetime
    account: str
    id: str


_PLACES = TypeAdapter(_Place)


@dataclass(slots=True)
class _Search:
    """What is looked for, and in which periods of which accounts there is something of it."""

    connection: AsyncConnection
    calendar: Calendar
    origins: Origins
    side: Side
    behind: Mapping[int, Sequence[Days]]
    known: date
    surveys: Mapping[str, Survey]


async def events(
    books: Books, question: Question, *, limit: int, cursor: str | None
) -> tuple[list[dict[str, Any]], str | None]:
    """A page of the events behind a metric, in the order in which they occurred, and the cursor of the next page.

    Of the accounts that have anything of the metric in a period: the events that post what counts in it or saw a user who
    does; and of the streams that post such (a ticket, an account's subscriptions) every event that has a say in it, which
    for balances are those up to the period's end. Events that were not known on the day `as_of`, or were retracted by
    then, are not behind the number. Raises Invalid for a grouping, and for a cursor of another kind.
    """
    if set(question.selection.group_by) - {"segment"}:
        raise Invalid.at("/query/group_by", "The events of a number are not grouped.", code="not_grouped")
    after = _read(cursor) if cursor is not None else None
    (metric,) = question.metrics

    async def look(connection: AsyncConnection) -> list[Any]:
        search = _Search(
            connection,
            books.calendar,
            origins_of(metric.sums),
            Side(question.selection.subjects, question.selection.channels),
            await _behind(connection, books, question),
            question.selection.as_of or END,
            await surveys.find(connection),
        )
        return await _find(search, after, limit + 1)

    found = await books.database.read(look)
    shown = found[:limit]
    following = _written(_place(shown[-1])) if len(found) > limit else None
    return [_shown(row) for row in shown], following


async def _behind(connection: AsyncConnection, books: Books, question: Question) -> dict[int, list[Days]]:
    """The accounts that have anything of the metric, with the periods in which they do."""
    group_by = (*question.selection.group_by, "account")
    by_account = replace(question, totals=False, selection=replace(question.selection, group_by=group_by))
    table = await tabulate(connection, books, by_account)
    found: dict[int, dict[Days, None]] = defaultdict(dict)
    for cell in table.cells:
        if cell.has_something:
            start, end, _ = span_of(question, cell.period)
            account = cell.group[-1][1]
            found[key_of(account) if account else WHOLE_BUSINESS][Days(start, end)] = None
    return {account: _joined(sorted(days)) for account, days in found.items()}


def _joined(periods: Iterable[Days]) -> list[Days]:
    """Periods without those borders between them that make no difference."""
    found: list[Days] = []
    for days in periods:
        if found and found[-1].end == days.start:
            found[-1] = Days(found[-1].start, days.end)
        else:
            found.append(days)
    return found


async def _find(search: _Search, after: _Place | None, many: int) -> list[Any]:
    """The first events after a place. They are found by type and time, and then looked at."""
    ranges = [row for account, periods in search.behind.items() for row in _ranges(search, account, periods)]
    found: list[Any] = []
    while len(found) < many:
        rows = await send(search.connection, _EVENTS, ranges, **_limits(search, after))
        # Of very many ranges they come in parts, each with its own first ones.
        page = sorted(rows, key=_place)[:_AT_A_TIME]
        found += await _that_count(search, page)
        if len(page) < _AT_A_TIME:
            break
        after = _place(page[-1])
    return found[:many]


def _ranges(search: _Search, account: int, periods: Sequence[Days]) -> Iterable[dict[str, Any]]:
    """When events of an account have to have occurred: such as post by themselves, and such as have a say in a stream."""
    before = any(source.before for source in search.origins.sources)
    ever = END if search.origins.flowing else periods[-1].end
    midnight = search.calendar.midnight
    merged = [Days(BEGINNING, periods[-1].end)] if before else periods
    for number, days in enumerate(merged):
        yield {
            "account_id": account,
            "since": None if days.start == BEGINNING else midnight(days.start),
            "until": midnight(days.end),
            # Once for an account.
            "ever": (midnight(ever) if ever != END else "infinity") if not number else "-infinity",
        }


def _limits(search: _Search, after: _Place | None) -> dict[str, Any]:
    at, account, id = after or ("-infinity", "", "")
    origins = search.origins
    return {
        "types": list(origins.types),
        "kinds": list(origins.kinds),
        "known": search.known,
        "at": at,
        "account": account,
        "id": id,
        "many": _AT_A_TIME,
    }


async def _that_count(search: _Search, rows: Sequence[Any]) -> list[Any]:
    """The events that do count in some period."""
    streams = await _streams_that_count(search, rows)
    return [
        row
        for row in rows
        if (row.account_id, row.stream) in streams
        or any(
            search.origins.at_once(fact_of(row, search.surveys), day_of(row, search.calendar), days, search.side)
            for days in search.behind[row.account_id]
        )
    ]


async def _streams_that_count(search: _Search, rows: Sequence[Any]) -> set[StreamName]:
    """The streams of events that post what counts in some period; of users, whose activity is no part of them, all."""
    kinds = search.origins.kinds
    names = {(row.account_id, row.stream) for row in rows if row.stream and row.stream.partition(" ")[0] in kinds}
    known = search.known
    derived = {name for name in names if name[1].partition(" ")[0] in STREAMS}
    found = names - derived
    for (account, stream), events in (await load(search.connection, derived)).items():
        live = [
            event.happening
            for event in events.values()
            if event.recorded_on <= known and (event.retracted_on is None or event.retracted_on > known)
        ]
        derive = STREAMS[stream.partition(" ")[0]]
        dated = list(derive(sorted(live, key=lambda happening: happening[:3]), search.calendar))
        if any(search.origins.together(dated, days, search.side) for days in search.behind[account]):
            found.add((account, stream))
    return found


def _place(row: Any) -> _Place:
    return _Place(row.occurred_at, row.account, row.id)


def _shown(row: Any) -> dict[str, Any]:
    return {
        "id": row.id,
        "type": row.type,
        "account_id": row.account or None,
        "user_id": row.user_id,
        "occurred_at": row.occurred_at,
        "recorded_on": row.recorded_on,
        "retracted_on": row.retracted_on,
        "data": row.data,
    }


def _written(place: _Place) -> str:
    return base64.urlsafe_b64encode(to_json(place)).decode().rstrip("=")


def _read(cursor: str) -> _Place:
    try:
        place = _PLACES.validate_json(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        if place.occurred_at.utcoffset() is None or "\0" in place.account + place.id:
            raise ValueError
        return place
    except (ValueError, binascii.Error, ValidationError):
        raise Invalid.at("/query/cursor", "That is no cursor.", code="invalid_cursor") from None


_EVENTS = """
    WITH behind AS (
        SELECT * FROM json_to_recordset(CAST(%(rows)s AS json))
            AS row(account_id bigint, since timestamptz, until timestamptz, ever timestamptz)
    )
    SELECT DISTINCT event.account_id, account.id AS account, event.id, type, user_id, occurred_at, recorded_on, retracted_on,
        rate, stream, data
    FROM behind JOIN event USING (account_id) JOIN account USING (account_id)
    WHERE (
            type = ANY(%(types)s) AND occurred_at < until AND (since IS NULL OR occurred_at >= since)
            OR split_part(stream, ' ', 1) = ANY(%(kinds)s) AND occurred_at < ever
        )
        AND occurred_at >= CAST(%(at)s AS timestamptz)
        AND (occurred_at, account.id, event.id) > (CAST(%(at)s AS timestamptz), %(account)s, %(id)s)
        AND recorded_on <= %(known)s AND (retracted_on IS NULL OR retracted_on > %(known)s)
    ORDER BY occurred_at, account.id, event.id
    LIMIT %(many)s
    """
