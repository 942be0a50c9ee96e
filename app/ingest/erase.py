"""Erase a person, or one comment. Every number stays, as of any day.

A person's id is replaced by a pseudonym, and what the person wrote is blanked. A comment that names no user, or another person
than the one who wrote it, is blanked by itself.
"""

from collections.abc import Awaitable, Callable, Collection
from secrets import token_hex
from typing import NamedTuple

import sqlalchemy as sa

from app.accounts.accounts import account_key, lock_accounts
from app.accounts.recorded_names import account_not_found
from app.books.books import Books
from app.database.connection import Connection
from app.database.tables import COMMENT_IS_NOT_BLANK, MIN_DATE, account, presence, registration
from app.ledger.measures import EventView, stream_name_of
from app.ledger.presence.keys import user_key
from app.ledger.stream_diff import write_stream_names
from app.ledger.streams.feedback import ERASED, KIND


class Erasure(NamedTuple):
    """What has been erased of an account: a user, or a comment.

    account_id: the key of the account. event_ids: of the events that were about the user, or are the comment and its notes.
    user: the user's id; None for a comment.
    """

    account_id: int
    event_ids: Collection[str]
    user: str | None = None


# Erase the same from what other packages keep of these events, in the same transaction.
ERASERS: list[Callable[[Connection, Erasure], Awaitable[None]]] = []

# The fingerprint goes as well, since the content could be guessed from it; from then on any event with the id is a duplicate.
# The event's id stays: without it the same event could be sent again and be counted twice.
_BLANK = f"""
    fingerprint = NULL,
    data = data - 'extra' || '{{"erased": true}}'::jsonb
        || CASE WHEN {COMMENT_IS_NOT_BLANK} THEN '{{"comment": "{ERASED}"}}'::jsonb ELSE '{{}}' END
        || CASE WHEN data ? 'note' THEN '{{"note": ""}}'::jsonb ELSE '{{}}' END
    """
_OVERRIDES = "'health.overridden', 'health.override_withdrawn'"
# Erases the user's events, events that name the user as `who`, notes about the user's comments, and the author of an override of
# the account's health, with what the author wrote.
_ERASE = f"""
    UPDATE event SET
        user_id = CASE WHEN user_id = %(user)s THEN %(pseudonym)s ELSE user_id END,
        {_BLANK}
            || CASE WHEN data ->> 'who' = %(user)s THEN jsonb_build_object('who', %(pseudonym)s::text) ELSE '{{}}' END
            || CASE WHEN type IN ({_OVERRIDES}) AND data ->> 'author' = %(user)s
                THEN jsonb_build_object('author', %(pseudonym)s::text) ELSE '{{}}' END
            || CASE WHEN type IN ({_OVERRIDES}) AND data ? 'reason'
                THEN jsonb_build_object('reason', '{ERASED}'::text) ELSE '{{}}' END
    WHERE account_id = %(account_id)s AND (user_id = %(user)s OR data ->> 'who' = %(user)s
        OR (type IN ({_OVERRIDES}) AND data ->> 'author' = %(user)s) OR stream IN (
        SELECT '{KIND} ' || id FROM event
        WHERE account_id = %(account_id)s AND user_id = %(user)s AND {COMMENT_IS_NOT_BLANK}))
    RETURNING account_id, id, type, user_id, data, stream
    """

# Erases a comment and the notes about it.
_ERASE_COMMENT = f"""
    UPDATE event SET {_BLANK}
    WHERE account_id = %(account_id)s AND (id = %(id)s OR stream = '{KIND} ' || %(id)s)
    RETURNING id
    """
_HAS_COMMENT = f"SELECT 1 FROM event WHERE account_id = %(account_id)s AND id = %(id)s AND {COMMENT_IS_NOT_BLANK}"


async def erase_comment(books: Books, *, account_id: str, event_id: str) -> bool:
    """Blank the comment of an event and the notes about it, also of a retracted event. Return whether there is a comment."""
    key = account_key(account_id)
    parameters = {"account_id": key, "id": event_id}

    async def write(connection: Connection) -> bool:
        # Before the lock, which would create an unknown account.
        if not await connection.execute(_HAS_COMMENT, parameters):
            return False
        await lock_accounts(connection, {key: (account_id, MIN_DATE)})
        rows = await connection.execute(_ERASE_COMMENT, parameters)
        await _erase_elsewhere(connection, Erasure(key, [row.id for row in rows]))
        return True

    return await books.database.write(write)


async def erase_user(books: Books, *, account_id: str, user_id: str) -> None:
    """Replace a user's id by a random pseudonym and blank what the user wrote; do nothing for an unknown user.

    The pseudonym remains one user, so all numbers stay. Later events of the person are those of a new user: nothing is stored
    that would link the two. Raises NotFound for an unknown account.
    """
    key = account_key(account_id)

    async def write(connection: Connection) -> None:
        if await connection.scalar(sa.select(account.c.id).where(account.c.account_id == key)) is None:
            raise await account_not_found(connection, account_id)
        await lock_accounts(connection, {key: (account_id, MIN_DATE)})
        pseudonym = f"erased-{token_hex(16)}"
        await _erase_events(connection, key, user_id, pseudonym)
        for table in (presence, registration):
            is_of_user = (table.c.account_id == key) & (table.c.user_key == user_key(key, user_id))
            await connection.execute(sa.update(table).where(is_of_user).values(user_key=user_key(key, pseudonym)))

    await books.database.write(write)


async def _erase_elsewhere(connection: Connection, erasure: Erasure) -> None:
    for erase in ERASERS:
        await erase(connection, erasure)


async def _erase_events(connection: Connection, key: int, user_id: str, pseudonym: str) -> None:
    """Erase a user from the events of an account, and move those events whose stream is named by the user."""
    parameters = {"account_id": key, "user": user_id, "pseudonym": pseudonym}
    rows = await connection.execute(_ERASE, parameters)
    await _erase_elsewhere(connection, Erasure(key, [row.id for row in rows], user_id))
    streams = {
        (key, row.id): stream
        for row in rows
        # An event whose stream was never stored gets it from `rebuild`, not from here.
        if row.stream is not None
        and (stream := stream_name_of(EventView(row.type, row.user_id, row.data, id=row.id))) != row.stream
    }
    await write_stream_names(connection, streams)
