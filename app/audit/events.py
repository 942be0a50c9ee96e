"""The events behind a number: those that are kept and whose postings make the metric's operands."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from app.audit.origins import Days, DimensionFilter, Origins, origins_of
from app.audit.stored_events import AT_ONCE, TOGETHER, day_of, event_view, events_where, number_of, parameters
from app.books.books import Books
from app.core.errors import Invalid
from app.core.periods import Calendar
from app.database.connection import Connection
from app.database.tables import MAX_DATE
from app.ledger import surveys
from app.ledger.event_cursor import EventCursor, cursor_of, parse_cursor
from app.ledger.stream_diff import StreamName, load_streams
from app.ledger.streams.define import STREAMS
from app.ledger.surveys import Survey
from app.metrics.answer import build_answer_table
from app.metrics.lookup import span_of
from app.metrics.question import Question

# How many events are read and looked at together: more each time that few of them counted.
_FEWEST, _MOST = 500, 20_000


@dataclass(frozen=True, slots=True)
class _Search:
    """What is looked for, and in which periods of which accounts there is something of it."""

    connection: Connection
    calendar: Calendar
    origins: Origins
    side: DimensionFilter
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
    after = parse_cursor(cursor) if cursor is not None else None
    (metric,) = question.metrics

    async def look(connection: Connection) -> tuple[list[Any], Mapping[int, str]]:
        behind, names = await _behind(connection, books, question)
        search = _Search(
            connection,
            books.calendar,
            origins_of(metric.operands),
            DimensionFilter(question.selection.subjects, question.selection.channels),
            behind,
            question.selection.as_of or MAX_DATE,
            await surveys.load_surveys(connection),
        )
        return (await _find(search, after, limit + 1) if behind else []), names

    found, names = await books.database.read(look)
    here = found[:limit]
    following = cursor_of(here[-1]).encode() if len(found) > limit else None
    return [_shown(row, names) for row in here], following


async def _behind(
    connection: Connection, books: Books, question: Question
) -> tuple[dict[int, list[Days]], dict[int, str]]:
    """The accounts that have anything of the metric, with the periods in which they do, and with their ids."""
    group_by = (*question.selection.group_by, "account")
    by_account = replace(question, totals=False, selection=replace(question.selection, group_by=group_by))
    table = await build_answer_table(connection, books, by_account)
    found: dict[str, dict[Days, None]] = defaultdict(dict)
    for cell in table.pending_rows:
        if cell.has_data:
            start, end, _ = span_of(question, cell.period)
            found[cell.group[-1][1]][Days(start, end)] = None
    names = {number_of(account): account for account in found}
    return {number: _joined(sorted(found[account])) for number, account in names.items()}, names


def _joined(periods: Iterable[Days]) -> list[Days]:
    """Periods without those borders between them that make no difference."""
    found: list[Days] = []
    for days in periods:
        if found and found[-1].end == days.start:
            found[-1] = Days(found[-1].start, days.end)
        else:
            found.append(days)
    return found


async def _find(search: _Search, after: EventCursor | None, many: int) -> list[Any]:
    """The first events after a place. They are found by time, type and stream, and then looked at."""
    asked = _parameters(search)
    found: list[Any] = []
    size = min(max(_FEWEST, 4 * many), _MOST)
    while len(found) < many:
        at, account_id, id = after or ("-infinity", 0, "")
        place = {"at": at, "account_id": account_id, "id": id, "many": size}
        page = await search.connection.execute(_EVENTS, asked | place)
        found += await _that_count(search, page)
        if len(page) < size:
            break
        after, size = cursor_of(page[-1]), min(2 * size, _MOST)
    return found[:many]


def _parameters(search: _Search) -> dict[str, Any]:
    start = min(periods[0].start for periods in search.behind.values())
    end = max(periods[-1].end for periods in search.behind.values())
    asked = parameters(search.origins, search.behind, start=start, end=end, calendar=search.calendar)
    return asked | {"ever": "infinity" if search.origins.flow_kinds else asked["until"], "known": search.known}


async def _that_count(search: _Search, rows: Sequence[Any]) -> list[Any]:
    """The events that do count in some period."""
    streams = await _streams_that_count(search, rows)
    return [row for row in rows if _has_a_say(search, row, streams) or _counts(search, row)]


def _has_a_say(search: _Search, row: Any, streams: Collection[StreamName]) -> bool:
    if (row.account_id, row.stream) not in streams:
        return False
    end = search.behind[row.account_id][-1].end
    return bool(search.origins.flow_kinds) or day_of(row, search.calendar) < end


def _counts(search: _Search, row: Any) -> bool:
    fact, day = event_view(row, search.surveys), day_of(row, search.calendar)
    return any(search.origins.include_event(fact, day, days, search.side) for days in search.behind[row.account_id])


async def _streams_that_count(search: _Search, rows: Sequence[Any]) -> set[StreamName]:
    """The streams of events that post what counts in some period; of users, whose activity is no part of them, all."""
    kinds = search.origins.stream_kinds
    names = {(row.account_id, row.stream) for row in rows if row.stream and row.stream.partition(" ")[0] in kinds}
    known = search.known
    derived = {name for name in names if name[1].partition(" ")[0] in STREAMS}
    found = names - derived
    for (account, stream), events in (await load_streams(search.connection, derived)).items():
        live = [
            stored.event
            for stored in events.values()
            if stored.recorded_on <= known and (stored.retracted_on is None or stored.retracted_on > known)
        ]
        derive = STREAMS[stream.partition(" ")[0]]
        dated = list(derive(sorted(live, key=lambda happening: happening[:3]), search.calendar))
        if any(search.origins.include_lines(dated, days, search.side) for days in search.behind[account]):
            found.add((account, stream))
    return found


def _shown(row: Any, names: Mapping[int, str]) -> dict[str, Any]:
    return {
        "id": row.id,
        "type": row.type,
        "account_id": names[row.account_id] or None,
        "user_id": row.user_id,
        "occurred_at": row.occurred_at,
        "recorded_on": row.recorded_on,
        "retracted_on": row.retracted_on,
        "data": row.data,
    }


_PAGE = """
    AND occurred_at >= CAST(%(at)s AS timestamptz)
    AND (occurred_at, account_id, id) > (CAST(%(at)s AS timestamptz), CAST(%(account_id)s AS bigint), %(id)s)
    AND recorded_on <= %(known)s AND (retracted_on IS NULL OR retracted_on > %(known)s)
    ORDER BY occurred_at, account_id, id
    LIMIT %(many)s
    """
_EVENTS = f"""
    ({events_where(AT_ONCE)} {_PAGE}) UNION ALL
    ({events_where(f"{TOGETHER} AND occurred_at < CAST(%(ever)s AS timestamptz)")} {_PAGE})
    ORDER BY occurred_at, account_id, id
    LIMIT %(many)s
    """
