"""Find the events behind a number: the stored events whose postings make the metric's operands."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import partial
from typing import Any

from app.audit.candidate_events import (
    IS_DIRECT,
    IS_IN_STREAM,
    condition_parameters,
    day_of,
    key_of_account,
    kind_of_stream,
    select_events,
    select_sequence_events,
    to_event_view,
)
from app.audit.origins import Days, DimensionFilter, Origins, origins_of
from app.books.books import Books
from app.core.aside import run_aside
from app.core.errors import Invalid
from app.core.periods import Calendar
from app.database.connection import Connection
from app.database.tables import MAX_DATE, MIN_DATE
from app.http.openapi import map_schema, name_schema
from app.http.tables import Answer, columns
from app.ledger.event_cursor import EventCursor, cursor_of, parse_cursor
from app.ledger.sequences import load_invitations
from app.ledger.stream_diff import StreamName, load_streams, stored_event
from app.ledger.streams import invitations
from app.ledger.streams.define import STREAMS, DatedLine, StreamEvent
from app.ledger.surveys import Survey, load_surveys
from app.metrics.answer import AnswerTable, build_answer_table
from app.metrics.lookup import period_span
from app.metrics.question import Question
from app.metrics.rows import knowledge_members
from app.metrics.schema import rows_schema

# How many events are read and examined at once. The number doubles while more are needed.
_MIN_BATCH, _MAX_BATCH = 500, 20_000

_EVENT_SCHEMA: dict[str, Any] = {
    "id": {"type": "string"},
    "type": name_schema("EventType"),
    "account_id": {"type": ["string", "null"], "description": "Null for costs of the whole company."},
    "user_id": {"type": ["string", "null"]},
    "occurred_at": {"type": "string", "format": "date-time"},
    "recorded_on": {"type": "string", "format": "date", "description": "The day on which the event became known."},
    "retracted_on": {
        "type": ["string", "null"],
        "format": "date",
        "description": "The day on which the event was retracted, if that was after the day `as_of`.",
    },
    "data": map_schema("StoredEventData", description="The fields of its event type."),
}
EVENTS_SCHEMA = rows_schema("StoredEvent", "The events as they are stored.", _EVENT_SCHEMA)


@dataclass(frozen=True, slots=True)
class _EventSearch:
    """What is searched for. periods_by_account: the days that count, in order, of accounts that have data of the metric."""

    connection: Connection
    calendar: Calendar
    origins: Origins
    dimensions: DimensionFilter
    periods_by_account: Mapping[int, Sequence[Days]]
    as_of: date
    surveys: Mapping[str, Survey]


async def list_events_behind(books: Books, question: Question, *, limit: int, cursor: str | None) -> Answer:
    """Return the answer, with a page of events in the order of their times.

    The events are of accounts that have data of the metric in a period: events that post by themselves, or by the presence
    of their user, what counts in the period; all events of a stream that posts what counts, for balances up to the end of the
    period, unless a later event is backdated into it; and the responses that belong to invitations that count. Events that
    were recorded after the day `as_of`, or retracted by then, are left out. Raises Invalid for a grouping, and for an invalid
    cursor.
    """
    if set(question.selection.group_by) - {"segment"}:
        detail = "The events behind a number cannot be grouped. Remove group_by, and narrow the question with filter."
        raise Invalid.at("/query/group_by", detail, code="not_grouped")
    after = parse_cursor(cursor) if cursor is not None else None
    (metric,) = question.metrics

    async def read(connection: Connection) -> tuple[list[Any], Mapping[int, str]]:
        periods_by_account, account_ids = await _load_accounts(connection, books, question)
        search = _EventSearch(
            connection,
            books.calendar,
            origins_of(metric.operands),
            DimensionFilter(question.selection.subjects, question.selection.channels),
            periods_by_account,
            question.selection.as_of or MAX_DATE,
            await load_surveys(connection),
        )
        return (await _find(search, after, limit + 1) if periods_by_account else []), account_ids

    rows, account_ids = await books.database.ask(read)
    page = rows[:limit]
    events = [_event_json(row, account_ids) for row in page]
    next_cursor = cursor_of(page[-1]).encode() if len(rows) > limit else None
    body = {"question": question.as_json(), "rows": events, "next": next_cursor} | knowledge_members(question)
    return Answer(
        "events",
        body,
        columns(_EVENT_SCHEMA),
        load_more=lambda after: list_events_behind(books, question, limit=limit, cursor=after),
    )


async def _load_accounts(
    connection: Connection, books: Books, question: Question
) -> tuple[dict[int, list[Days]], dict[int, str]]:
    """Return, by account, the days of the periods in which it has data of the metric, and its id."""
    group_by = (*question.selection.group_by, "account")
    by_account = replace(question, totals=False, selection=replace(question.selection, group_by=group_by))
    table = await build_answer_table(connection, books, by_account)
    return await run_aside(partial(_periods_of_accounts, question, table), items=len(table.pending_rows))


def _periods_of_accounts(question: Question, table: AnswerTable) -> tuple[dict[int, list[Days]], dict[int, str]]:
    # A dictionary, because several segments may have the same account in the same period.
    periods_by_id: dict[str, dict[Days, None]] = defaultdict(dict)
    for row in table.pending_rows:
        if row.has_data:
            start, end, _ = period_span(question, row.period)
            periods_by_id[row.group[-1][1]][Days(start, end)] = None
    account_ids = {key_of_account(account_id): account_id for account_id in periods_by_id}
    periods_by_account = {key: _merge_adjacent(sorted(periods_by_id[id])) for key, id in account_ids.items()}
    return periods_by_account, account_ids


def _merge_adjacent(periods: Iterable[Days]) -> list[Days]:
    """Return the periods with those merged that follow each other without a gap."""
    merged_periods: list[Days] = []
    for days in periods:
        if merged_periods and merged_periods[-1].end == days.start:
            merged_periods[-1] = Days(merged_periods[-1].start, days.end)
        else:
            merged_periods.append(days)
    return merged_periods


async def _find(search: _EventSearch, after: EventCursor | None, count: int) -> list[Any]:
    """Return the first events after a cursor. Candidates are read in batches, by time, type and stream, and examined."""
    parameters = _parameters(search)
    events: list[Any] = []
    size = min(max(_MIN_BATCH, 4 * count), _MAX_BATCH)
    while len(events) < count:
        at, account_id, id = after or ("-infinity", 0, "")
        position = {"at": at, "account_id": account_id, "id": id, "limit": size}
        batch = await search.connection.execute(_select_candidates(search.origins), parameters | position)
        events += await _select_behind(search, batch)
        if len(batch) < size:
            break
        after, size = cursor_of(batch[-1]), min(2 * size, _MAX_BATCH)
    return events[:count]


def _parameters(search: _EventSearch) -> dict[str, Any]:
    start = min(periods[0].start for periods in search.periods_by_account.values())
    end = max(periods[-1].end for periods in search.periods_by_account.values())
    accounts, origins = search.periods_by_account, search.origins
    parameters = condition_parameters(origins, accounts, start=start, end=end, calendar=search.calendar)
    stream_until = "infinity" if origins.flow_kinds or origins.backdating_kinds else parameters["until"]
    return parameters | {"stream_until": stream_until, "as_of": search.as_of}


async def _select_behind(search: _EventSearch, rows: Sequence[Any]) -> list[Any]:
    """Return the events that are behind the number of some period."""
    streams, responses = await _streams_behind(search, rows), await _responses_behind(search, rows)
    return [
        row
        for row in rows
        if (row.account_id, row.id) in responses
        or day_of(row, search.calendar) < streams.get((row.account_id, row.stream), MIN_DATE)
        or _is_behind_directly(search, row)
    ]


def _is_behind_directly(search: _EventSearch, row: Any) -> bool:
    event, day = to_event_view(row, search.surveys), day_of(row, search.calendar)
    periods = search.periods_by_account[row.account_id]
    return any(search.origins.include_event(event, day, days, search.dimensions) for days in periods)


async def _streams_behind(search: _EventSearch, rows: Sequence[Any]) -> dict[StreamName, date]:
    """Return the streams of these events that post what counts in some period, each with the day before which its events count.

    The registration of a user is always among them: what it posts depends on presence too, which is not in its events.
    """
    kinds = search.origins.stream_kinds
    names = {(row.account_id, row.stream) for row in rows if row.stream and kind_of_stream(row.stream) in kinds}
    stream_names = {name for name in names if kind_of_stream(name[1]) in STREAMS}
    result = {name: _end_of_events(search, name[0]) for name in names - stream_names}
    for name, events in (await load_streams(search.connection, stream_names)).items():
        live = [
            stored_event.event
            for stored_event in events.values()
            if stored_event.recorded_on <= search.as_of
            and (stored_event.retracted_on is None or stored_event.retracted_on > search.as_of)
        ]
        live.sort(key=lambda event: event[:3])
        if lines := _counting_lines(search, name, live):
            end = _end_of_events(search, name[0])
            early = [event for event in live if search.calendar.day(event.at) < end]
            result[name] = end if _counting_lines(search, name, early) == lines else MAX_DATE
    return result


def _end_of_events(search: _EventSearch, account_id: int) -> date:
    """Return the day before which events of streams count: for balances, unless they are backdated, the end of the period."""
    return MAX_DATE if search.origins.flow_kinds else search.periods_by_account[account_id][-1].end


def _counting_lines(search: _EventSearch, name: StreamName, events: Sequence[StreamEvent]) -> Counter[DatedLine]:
    """Return what some events of a stream post that counts in some period."""
    account_id, stream = name
    periods = search.periods_by_account[account_id]
    counting: Counter[DatedLine] = Counter()
    for day, line in STREAMS[kind_of_stream(stream)](events, search.calendar):
        if any(search.origins.include_line((day, line), days, search.dimensions) for days in periods):
            counting[day, line._replace(value=0)] += line.value
    return counting


async def _responses_behind(search: _EventSearch, rows: Sequence[Any]) -> set[tuple[int, str]]:
    """Return accounts and ids of the survey responses that answer an invitation that counts in some period."""
    responses = {(row.account_id, row.id): row for row in rows if row.type == invitations.RESPONDED}
    if not search.origins.sequence_types or not responses:
        return set()
    result = set()
    for key, invitation in (await load_invitations(search.connection, responses, as_of=search.as_of)).items():
        events = [invitation.event, stored_event(responses[key]).event]
        lines = list(invitations.invitations(events, search.calendar))
        periods = search.periods_by_account[key[0]]
        if any(search.origins.include_line(line, days, search.dimensions) for line in lines for days in periods):
            result.add(key)
    return result


def _event_json(row: Any, account_ids: Mapping[int, str]) -> dict[str, Any]:
    return {
        "id": row.id,
        "type": row.type,
        "account_id": account_ids[row.account_id] or None,
        "user_id": row.user_id,
        "occurred_at": row.occurred_at,
        "recorded_on": row.recorded_on,
        "retracted_on": row.retracted_on,
        "data": row.data,
    }


_PAGE = """
    AND occurred_at >= CAST(%(at)s AS timestamptz)
    AND (occurred_at, account_id, id) > (CAST(%(at)s AS timestamptz), CAST(%(account_id)s AS bigint), %(id)s)
    AND recorded_on <= %(as_of)s AND (retracted_on IS NULL OR retracted_on > %(as_of)s)
    ORDER BY occurred_at, account_id, id
    LIMIT %(limit)s
    """
_UNTIL = "occurred_at < CAST(%(stream_until)s AS timestamptz)"


def _select_candidates(origins: Origins) -> str:
    """Return the SQL that selects a page of the events that may be behind a number."""
    parts = [select_events(IS_DIRECT) + _PAGE, select_events(f"{IS_IN_STREAM} AND {_UNTIL}") + _PAGE]
    parts += select_sequence_events(origins, _PAGE)
    union = " UNION ALL ".join(f"({part})" for part in parts)
    return f"{union} ORDER BY occurred_at, account_id, id LIMIT %(limit)s"
