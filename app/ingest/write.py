"""Write a batch of resolved events in one transaction: store each event once and post what is new."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any

from app.accounts.accounts import LockedAccount, lock_accounts, lock_accounts_plan
from app.accounts.attributes import ACCOUNT_UPDATED, derive_attributes
from app.books.books import Books
from app.books.first_day import note_recorded_days
from app.core.errors import Invalid
from app.core.periods import Calendar
from app.database.connection import Connection
from app.database.query_plan import QueryPlan, merge_plans, run_plan
from app.database.statements import bind_json_rows, json_table
from app.database.tables import MIN_DATE
from app.ingest.outcome import Verdict
from app.ingest.reactions import LedgerChange, load_interests, react
from app.ingest.references import freeze_on_first_use
from app.ingest.retract import retract_replaced
from app.ingest.stages import DatedEvent, ResolvedEvent
from app.ingest.verdicts import EventKey, as_old, date_events, judge_events, load_old_events
from app.ledger.entries import EntryKey
from app.ledger.posting import PostingContext, load_posting_context, post_events

Accounts = Mapping[int, LockedAccount]


async def write_batch(
    connection: Connection, events: Sequence[ResolvedEvent], *, books: Books, today: date
) -> list[Verdict]:
    """Write a batch within the transaction of `connection`; return the verdict on each event, in order.

    Raises ReferenceChanged, and Invalid for an account whose key is taken. The transaction may be run again, after a deadlock
    or at midnight, so this function keeps no state outside of it.

    The order of the calls matters:

    - Accounts are locked first, in the order of their keys. So batches with the same accounts wait for one another but never
      deadlock, and whatever is read about an account after that was committed before. Everything that belongs to an account
      (events, presence, attributes, entries, totals) is written under its lock only.
    - An account's last recorded day is read under its lock, so that no event is recorded on a day that is over.
    - The first recorded day, which is shared by all, is locked after the accounts, and hardly ever.
    - Surveys and rates are locked after the accounts, when it is certain which events are new.
    - Posting is last because it ends with the grand totals, which every batch writes: their locks are held for the shortest time.
    - Round trips are saved while accounts are locked: step 1 is a single one, and the last statements of posting are sent
      together with the commit.
    """
    # 1. Lock the accounts, insert the events and load what posting needs.
    accounts, inserted_keys, context, interests = await _lock_insert_and_load(
        connection, events, books=books, today=today
    )
    # 2. Decide on which day each event is recorded, and select the new ones.
    last_recorded_on = {account_id: account.last_recorded_on for account_id, account in accounts.items()}
    first_by_key = date_events(events, last_recorded_on, today=today)
    new_events = [event for key, event in first_by_key.items() if key in inserted_keys]
    await note_recorded_days(connection, books.first_day, {event.recorded_on for event in new_events})
    # 3. Load the stored events with the keys of the others, which may be duplicates or conflicts.
    old_keys = {(event.incoming.account_id, event.incoming.id) for event in events} - inserted_keys
    stored = await load_old_events(connection, old_keys)
    # 4. Retract the account updates that a new one replaces.
    await retract_replaced(connection, new_events)
    # 5. Freeze the surveys and exchange rates that are used for the first time.
    await freeze_on_first_use(connection, new_events)
    # 6. Advance the last recorded day of the accounts.
    await _advance_last_recorded_on(connection, new_events, accounts)
    # 7. Derive the attributes of the updated accounts.
    await _derive_attributes(connection, new_events, calendar=books.calendar)
    # 8. Post entries, presence, registrations and streams; before the entries are written, let others react to them.

    async def react_to(entries: Mapping[EntryKey, int]) -> None:
        await react(connection, books, interests, LedgerChange(today, entries, new_events))

    postings = [(event.posting, event.recorded_on) for event in new_events]
    await post_events(connection, postings, context, books=books, before_posting=react_to)
    # 9. Return what became of each event.
    return judge_events(events, new_events, stored | as_old(new_events), last_recorded_on)


async def _lock_insert_and_load(
    connection: Connection, events: Sequence[ResolvedEvent], *, books: Books, today: date
) -> tuple[Accounts, set[EventKey], PostingContext, Sequence[Any]]:
    """Return the locked accounts, the keys of the events that were inserted, and what posting and reactions need.

    It is one round trip.
    """
    incoming = [event.incoming for event in events]
    plans: list[QueryPlan[Any]] = [
        lock_accounts_plan({event.account_id: (event.account, MIN_DATE) for event in incoming}),
        _insert_plan(events, today=today),
        load_posting_context([event.posting for event in events], books=books),
        *load_interests(),
    ]
    accounts, inserted_keys, context, *interests = await run_plan(connection, merge_plans(plans))
    if any(accounts[event.account_id].id != event.account for event in incoming):
        detail = "Two account ids have the same internal number; one of them cannot be used."
        raise Invalid(detail, code="id_collision")
    return accounts, inserted_keys, context, interests


_ROW = """row(number integer, account_id bigint, id text, type text, user_id text, occurred_at timestamptz,
        recorded_on_override date, rate numeric, fingerprint bigint, data jsonb, stream text)"""
# Decides the recorded day in the same way as `date_events`, by the last day that the account has under its lock. Of several
# events with one id it inserts the first that can be recorded, the one that `date_events` selects.
_INSERT = f"""
    INSERT INTO event (account_id, id, type, user_id, occurred_at, recorded_on, rate, fingerprint, data, stream)
    SELECT account_id, row.id, type, user_id, occurred_at,
        coalesce(recorded_on_override, greatest(CAST(%(today)s AS date), last_recorded_on)), rate, fingerprint, data, stream
    FROM {json_table(_ROW)}
    CROSS JOIN LATERAL (
        SELECT last_recorded_on FROM account WHERE account.account_id = row.account_id OFFSET 0) AS account
    WHERE recorded_on_override IS NULL OR recorded_on_override >= last_recorded_on
    ORDER BY account_id, row.id COLLATE "C", number
    ON CONFLICT (account_id, id) DO NOTHING
    RETURNING account_id, id
    """


def _insert_plan(events: Iterable[ResolvedEvent], *, today: date) -> QueryPlan[set[EventKey]]:
    """Insert the events that can be recorded and are not stored yet; return their keys."""
    rows = []
    for number, event in enumerate(events):
        incoming = event.incoming
        row = {
            "number": number,
            "account_id": incoming.account_id,
            "id": incoming.id,
            "type": incoming.type,
            "user_id": incoming.user_id,
            "occurred_at": incoming.occurred_at,
            "recorded_on_override": incoming.recorded_on_override,
            "rate": None if event.rate is None else str(event.rate.rate),
            "fingerprint": incoming.fingerprint,
            "data": incoming.data,
            "stream": event.posting.stream,
        }
        rows.append(row)
    results = yield [*bind_json_rows(_INSERT, rows, today=today)]
    return {key for keys in results for key in keys}


async def _advance_last_recorded_on(
    connection: Connection, new_events: Iterable[DatedEvent], accounts: Accounts
) -> None:
    """Advance the last recorded day of accounts with new events. Live events cost an account one write a day."""
    days: dict[int, tuple[str, date]] = {}
    for event in new_events:
        account_id = event.incoming.account_id
        _, last = days.get(account_id, ("", accounts[account_id].last_recorded_on))
        if event.recorded_on > last:
            days[account_id] = (event.incoming.account, event.recorded_on)
    if days:
        await lock_accounts(connection, days)


async def _derive_attributes(connection: Connection, new_events: Iterable[DatedEvent], *, calendar: Calendar) -> None:
    days: dict[int, set[date]] = defaultdict(set)
    for event in new_events:
        if event.incoming.type == ACCOUNT_UPDATED:
            days[event.incoming.account_id].add(event.recorded_on)
    if days:
        await derive_attributes(connection, days, calendar=calendar)
