"""Erasure: a person's id and words leave the books, and what was counted of it stays as it was, as of any day."""

from secrets import token_hex

import sqlalchemy as sa

from app.accounts.accounts import account_key, lock_accounts
from app.books.books import Books
from app.core.errors import NotFound
from app.database.connection import Connection
from app.database.tables import MIN_DATE, account, presence, registration
from app.ledger.measures import EventView, stream_name_of
from app.ledger.presence.keys import user_key
from app.ledger.stream_diff import write_stream_names
from app.ledger.streams.feedback import ERASED, KIND

# The events of the person, those that name it as `who`, and what was said of its comments. A fingerprint could be guessed
# from, so it goes too: from then on, whatever comes under the id is a repeat. The id stays, or it would be counted twice.
_ERASE = f"""
    UPDATE event SET
        user_id = CASE WHEN user_id = %(user)s THEN %(pseudonym)s ELSE user_id END,
        fingerprint = NULL,
        data = data - 'extra' || '{{"erased": true}}'::jsonb
            || CASE WHEN data ->> 'comment' <> '' THEN '{{"comment": "{ERASED}"}}'::jsonb ELSE '{{}}' END
            || CASE WHEN data ? 'note' THEN '{{"note": ""}}'::jsonb ELSE '{{}}' END
            || CASE WHEN data ->> 'who' = %(user)s THEN jsonb_build_object('who', %(pseudonym)s::text) ELSE '{{}}' END
    WHERE account_id = %(account_id)s AND (user_id = %(user)s OR data ->> 'who' = %(user)s OR stream IN (
        SELECT '{KIND} ' || id FROM event
        WHERE account_id = %(account_id)s AND user_id = %(user)s AND data ->> 'comment' <> ''))
    RETURNING account_id, id, type, user_id, data, stream
    """


async def erase_user(books: Books, *, account_id: str, user_id: str) -> None:
    """Put a random pseudonym in the place of a user and blank what it wrote; a user who is not there is no fault.

    The pseudonym remains one user, so that all numbers stay. What comes of the person later is of a new user: nothing is
    kept by which it could be known again. Raises NotFound for an account that is not there.
    """
    key = account_key(account_id)

    async def write(connection: Connection) -> None:
        if await connection.scalar(sa.select(account.c.id).where(account.c.account_id == key)) is None:
            raise NotFound("There is no such account.")
        await lock_accounts(connection, {key: (account_id, MIN_DATE)})
        pseudonym = f"erased-{token_hex(16)}"
        named = {"account_id": key, "user": user_id, "pseudonym": pseudonym}
        moved = {
            (key, row.id): stream
            for row in await connection.execute(_ERASE, named)
            # What waits for `rebuild` goes on waiting.
            if row.stream is not None
            and (stream := stream_name_of(EventView(row.type, row.user_id, row.data, id=row.id))) != row.stream
        }
        await write_stream_names(connection, moved)
        for table in (presence, registration):
            this = (table.c.account_id == key) & (table.c.user_key == user_key(key, user_id))
            await connection.execute(sa.update(table).where(this).values(user_key=user_key(key, pseudonym)))

    await books.database.write(write)
