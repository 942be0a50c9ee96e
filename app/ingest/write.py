"""Write a batch of resolved events in one transaction: store each event once and post what is new."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any

from app.accounts.accounts import LockedAccount, lock_accounts, lock_accounts_plan
from app.accounts.attributes import ACCOUNT_UPDATED, derive_attributes
from app.books.books import Books
from app.core.errors import EventRejected, Invalid
from app.core.periods import Calendar
from app.database.connection import Connection, bind_json_rows
from app.database.query_plan import QueryPlan, merge_plans, run_plan
from app.database.tables import MIN_DATE
from app.ingest.outcome import Verdict
from app.ingest.references import freeze_on_first_use
from app.ingest.retract import retract_replaced
from app.ingest.stages import DatedEvent, IncomingEvent, ResolvedEvent
from app.ledger.posting import PostingContext, load_posting_context, post_events

# account_id and id: what is unique of an event.
EventKey = tuple[int, str]
Accounts = Mapping[int, LockedAccount]


async def write_batch(
    connection: Connection, events: Sequence[ResolvedEvent], *, books: Books, today: date
) -> list[Verdict]:
    """Write a batch within the transaction of `connection`; return the verdict on each event, in order.

    It may be run again, after a deadlock or midnight, so it keeps no state outside. Raises ReferenceChanged, and Invalid.

    The order of the calls matters:

    - The locks of the accounts come first, in the order of the accounts' keys. So batches wait for one another but never in a
      circle, and whatever is read about an account afterwards was committed before. Everything below an account (events,
      presence, attributes, entries, totals) is written only under its lock.
    - The clock of an account is read under its lock, so the insertion of events comes after it, and every day is decided then.
    - Surveys and rates are locked after the accounts, when it is certain which events use them for the first time.
    - Posting comes last, because it ends with the grand totals, which all batches write: they are locked for the shortest time.
    - While accounts are locked, no round trip is spent that can be saved: step 1 is a single one, and what posting writes
      last is sent together with the commit.
    """
    # 1. Lock the accounts, insert the events, and load what is needed to post them.
    accounts, inserted, context = await _lock_insert_and_load(connection, events, books=books, today=today)
    # 2. Decide on which day each event is recorded, and by that which ones are new.
    first = _first_by_key(events, accounts, today=today)
    accepted = [dated for key, dated in first.items() if key in inserted]
    # 3. Load what tells a duplicate from a conflict.
    old = {(resolved.event.account_id, resolved.event.id) for resolved in events} - inserted
    fingerprints = await _load_fingerprints(connection, old)
    # 4. Retract the account updates that a new one replaces.
    await retract_replaced(connection, accepted)
    # 5. Freeze the surveys and exchange rates that are used for the first time.
    await freeze_on_first_use(connection, accepted)
    # 6. Advance the accounts' last recorded day, before which nothing can be recorded from now on.
    await _advance_last_recorded_on(connection, accepted, accounts)
    # 7. Derive the attributes of the accounts that were updated.
    await _derive_attributes(connection, accepted, calendar=books.calendar)
    # 8. Post entries, presence, registrations and streams.
    await post_events(connection, [(dated.posting, dated.recorded_on) for dated in accepted], context, books=books)
    # 9. Say what became of each event.
    fingerprints |= {key: first[key].event.fingerprint for key in inserted}
    new = {id(dated.event) for dated in accepted}
    return [
        "accepted" if id(resolved.event) in new else _judge_old(resolved.event, fingerprints, accounts)
        for resolved in events
    ]


async def _lock_insert_and_load(
    connection: Connection, events: Sequence[ResolvedEvent], *, books: Books, today: date
) -> tuple[Accounts, set[EventKey], PostingContext]:
    """Return the locked accounts, the keys of the events that were inserted, and what posting needs: one round trip."""
    incoming = [resolved.event for resolved in events]
    plans: list[QueryPlan[Any]] = [
        lock_accounts_plan({event.account_id: (event.account, MIN_DATE) for event in incoming}),
        _insert_plan(events, today=today),
        load_posting_context([resolved.posting for resolved in events], books=books),
    ]
    accounts, inserted, context = await run_plan(connection, merge_plans(plans))
    if any(accounts[event.account_id].id != event.account for event in incoming):
        detail = "Two account ids have the same internal number; one of them cannot be used."
        raise Invalid(detail, code="id_collision")
    return accounts, inserted, context


# The recorded day as `_recorded_on` decides it, of the account's last day as it is under the lock. Of several events with
# one id, the first that can be recorded is inserted, as in `_first_by_key`.
_INSERT = """
    INSERT INTO event (account_id, id, type, user_id, occurred_at, recorded_on, rate, fingerprint, data, stream)
    SELECT account_id, row.id, type, user_id, occurred_at,
        coalesce(recorded_on_override, greatest(CAST(%(today)s AS date), last_recorded_on)), rate, fingerprint, data, stream
    FROM json_to_recordset(CAST(%(rows)s AS json)) AS row(number integer, account_id bigint, id text, type text,
        user_id text, occurred_at timestamptz, recorded_on_override date, rate numeric, fingerprint bigint, data jsonb,
        stream text)
    CROSS JOIN LATERAL (
        SELECT last_recorded_on FROM account WHERE account.account_id = row.account_id OFFSET 0) AS account
    WHERE recorded_on_override IS NULL OR recorded_on_override >= last_recorded_on
    ORDER BY account_id, row.id COLLATE "C", number
    ON CONFLICT (account_id, id) DO NOTHING
    RETURNING account_id, id
    """


def _insert_plan(events: Iterable[ResolvedEvent], *, today: date) -> QueryPlan[set[EventKey]]:
    """Insert the events that can be recorded and are not stored yet; return their keys."""
    rows = [
        {
            "number": number,
            "account_id": event.account_id,
            "id": event.id,
            "type": event.type,
            "user_id": event.user_id,
            "occurred_at": event.occurred_at,
            "recorded_on_override": event.recorded_on_override,
            "rate": None if rate is None else str(rate.rate),
            "fingerprint": event.fingerprint,
            "data": event.data,
            "stream": posting.stream,
        }
        for number, (event, _, rate, posting) in enumerate(events)
    ]
    results = yield [*bind_json_rows(_INSERT, rows, today=today)]
    return {key for keys in results for key in keys}


def _first_by_key(events: Iterable[ResolvedEvent], accounts: Accounts, *, today: date) -> dict[EventKey, DatedEvent]:
    """Return, by key, the first event that can be recorded, with its day."""
    first: dict[EventKey, DatedEvent] = {}
    for resolved in events:
        event = resolved.event
        key = event.account_id, event.id
        recorded_on = _recorded_on(event, accounts[event.account_id].last_recorded_on, today=today)
        if recorded_on is not None and key not in first:
            first[key] = DatedEvent(*resolved, recorded_on)
    return first


def _recorded_on(event: IncomingEvent, last: date, *, today: date) -> date | None:
    """Return the day on which an event is recorded; None where the sender set one before the account's last."""
    if event.recorded_on_override is None:
        return max(today, last)
    return event.recorded_on_override if event.recorded_on_override >= last else None


_LOAD_FINGERPRINTS = """
    SELECT stored.* FROM json_to_recordset(CAST(%(rows)s AS json)) AS key(account_id bigint, id text)
    CROSS JOIN LATERAL (
        SELECT account_id, id, fingerprint FROM event
        WHERE event.account_id = key.account_id AND event.id = key.id
        OFFSET 0) AS stored
    """


async def _load_fingerprints(connection: Connection, keys: Iterable[EventKey]) -> dict[EventKey, int | None]:
    """Return the fingerprints of those events that are stored; None for an erased one."""
    rows = [{"account_id": account_id, "id": id} for account_id, id in keys]
    stored = await connection.execute_rows(_LOAD_FINGERPRINTS, rows)
    return {(row.account_id, row.id): row.fingerprint for row in stored}


async def _advance_last_recorded_on(connection: Connection, accepted: Iterable[DatedEvent], accounts: Accounts) -> None:
    """Advance the last recorded day of accounts with new events. Of one account that is a write once a day."""
    days: dict[int, tuple[str, date]] = {}
    for dated in accepted:
        event = dated.event
        _, last = days.get(event.account_id, ("", accounts[event.account_id].last_recorded_on))
        if dated.recorded_on > last:
            days[event.account_id] = (event.account, dated.recorded_on)
    if days:
        await lock_accounts(connection, days)


async def _derive_attributes(connection: Connection, accepted: Iterable[DatedEvent], *, calendar: Calendar) -> None:
    days: dict[int, set[date]] = defaultdict(set)
    for dated in accepted:
        if dated.event.type == ACCOUNT_UPDATED:
            days[dated.event.account_id].add(dated.recorded_on)
    if days:
        await derive_attributes(connection, days, calendar=calendar)


def _judge_old(event: IncomingEvent, fingerprints: Mapping[EventKey, int | None], accounts: Accounts) -> Verdict:
    """Return the verdict on an event that was not inserted: a duplicate, a conflict, or recorded too early to be stored.

    fingerprints: of all stored events with the batch's keys. An erased event has none: whatever comes again is a duplicate.
    """
    key = event.account_id, event.id
    if key not in fingerprints:
        last = accounts[event.account_id].last_recorded_on
        detail = (
            f"recorded_on {event.recorded_on_override} is before {last}, the last day recorded for this account. Import "
            "history oldest first, before live events and before PUT /v1/accounts/{id}."
        )
        return EventRejected("recorded_before_last", detail, "/recorded_on")
    if fingerprints[key] not in (event.fingerprint, None):
        detail = (
            "This account already has an event with this id and different content. Retract it and send the correction "
            "under a new id."
        )
        return EventRejected("conflict", detail, "/id")
    return "duplicate"
