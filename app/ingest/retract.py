"""Retract events: what an event posted is posted again with the opposite sign, today. What was known before stays."""

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any

import sqlalchemy as sa

from app.accounts.accounts import account_key, lock_accounts
from app.accounts.attributes import ACCOUNT_UPDATED, derive_attributes
from app.accounts.recorded_names import account_not_found
from app.books.books import Books
from app.core.errors import NotFound
from app.database.connection import Connection
from app.database.labels import ensure_labels
from app.database.query_plan import QueryPlan, merge_plans, run_plan
from app.database.tables import MIN_DATE, WHOLE_BUSINESS, event
from app.database.tables import account as account_table
from app.ingest.reactions import LedgerChange, load_interests, react
from app.ingest.stages import RESERVED_ID_PREFIX, DatedEvent
from app.ledger.entries import EntryKey
from app.ledger.posting import EventPosting, build_posting, load_posting_context, post_events, posting_label_texts
from app.ledger.surveys import load_surveys


async def retract_event(books: Books, *, account: str | None, id: str) -> None:
    """Retract an event, unless it is retracted already. Raises NotFound.

    account: the client's id; None for an event of the whole business.
    """
    account_id = WHOLE_BUSINESS if account is None else account_key(account)
    is_event = sa.and_(event.c.account_id == account_id, event.c.id == id)
    # Labels are numbered in a transaction of their own, before the account is locked.
    _, posting = await books.database.read(lambda connection: _load_event(connection, is_event, account, books=books))
    await ensure_labels(books.database, posting_label_texts([posting]))

    async def write(connection: Connection, today: date) -> None:
        accounts = await lock_accounts(connection, {account_id: (account or "", MIN_DATE)})
        today = max(today, accounts[account_id].last_recorded_on)
        retraction = sa.update(event).where(is_event, event.c.retracted_on.is_(None)).values(retracted_on=today)
        if not (await connection.execute(retraction)).row_count:
            return
        # The lock again, now to advance the account's last recorded day.
        await lock_accounts(connection, {account_id: (account or "", today)})
        # Load the event again, under the lock: its user may have been erased since.
        row, posting = await _load_event(connection, is_event, account, books=books)
        if row.type == ACCOUNT_UPDATED:
            await derive_attributes(connection, {account_id: {today}}, calendar=books.calendar)
        plans: list[QueryPlan[Any]] = [load_posting_context([posting], books=books), *load_interests()]
        context, *interests = await run_plan(connection, merge_plans(plans))

        async def react_to(entries: Mapping[EntryKey, int]) -> None:
            change = LedgerChange(today, entries, retracted_ids=[(account_id, id)])
            await react(connection, books, interests, change)

        await post_events(
            connection, [(posting, today)], context, books=books, is_retraction=True, before_posting=react_to
        )

    await books.write(write)


async def _load_event(
    connection: Connection, is_event: sa.ColumnElement[bool], account: str | None, *, books: Books
) -> tuple[Any, EventPosting]:
    """Return the row of an event and what it posted. Only erasure ever changes either. Raises NotFound."""
    row = next(iter(await connection.execute(sa.select(event).where(is_event))), None)
    if row is None:
        raise await _event_not_found(connection, account)
    survey_id = row.data.get("survey")
    surveys = await load_surveys(connection, [survey_id]) if survey_id else {}
    return row, build_posting(row, surveys.get(survey_id), row.rate, calendar=books.calendar)


async def _event_not_found(connection: Connection, account: str | None) -> NotFound:
    """Return the error of an event that does not exist. account: the one that it should be of; None: the whole business."""
    if account is None:
        return NotFound(
            "No event without an account has this id. DELETE /v1/accounts/{account_id}/events/{event_id} is for all others."
        )
    is_account = account_table.c.account_id == account_key(account)
    if await connection.scalar(sa.select(account_table.c.id).where(is_account)) is None:
        # A key that may only send events does not learn which accounts there are.
        return await account_not_found(connection, account, suggest=False)
    return NotFound("The account has no event with this id. It is the `id` that was sent, with / written as %2F.")


async def retract_replaced(connection: Connection, new_events: Iterable[DatedEvent]) -> None:
    """Retract the account updates by PUT that a new one for the same moment replaces.

    This runs in the transaction that stores the new update, under the account's lock, so that exactly one counts at any time;
    the last one if there are several new ones. Updates post nothing, and the caller derives the attributes anew.
    """
    updates = (
        update
        for update in new_events
        if update.incoming.type == ACCOUNT_UPDATED and update.incoming.id.startswith(RESERVED_ID_PREFIX)
    )
    last_updates = {(update.incoming.account_id, update.incoming.occurred_at): update for update in updates}
    for new, *_, recorded_on in last_updates.values():
        is_replaced = sa.and_(
            event.c.account_id == new.account_id,
            event.c.type == ACCOUNT_UPDATED,
            event.c.occurred_at == new.occurred_at,
            event.c.id.startswith(RESERVED_ID_PREFIX, autoescape=True),
            event.c.id != new.id,
            event.c.retracted_on.is_(None),
        )
        await connection.execute(sa.update(event).where(is_replaced).values(retracted_on=recorded_on))
