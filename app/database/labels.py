"""Words and their numbers: measures, subjects and channels are numbers inside, which never change."""

from collections.abc import Collection, Sequence

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from app.database.connection import BoundStatement, Connection, compile_query
from app.database.pool import Database
from app.database.query_plan import QueryPlan, run_plan
from app.database.tables import label

_WORDS = sa.bindparam("words", type_=sa.ARRAY(sa.Text))
_LOOK_UP = compile_query(sa.select(label.c.text, label.c.key).where(label.c.text == sa.any_(_WORDS)))


async def ensure_labels(database: Database, words: Collection[str]) -> dict[str, int]:
    """The numbers of `words`; a new word gets one, in a transaction of its own (a word that is left over harms nobody)."""
    known = database.labels
    missing = sorted({word for word in words if word not in known})
    if missing:
        await database.write(lambda connection: _insert_labels(connection, missing))
        # Read outside the writing transaction: another process may have inserted the word in between.
        await database.read(lambda connection: run_plan(connection, lookup_labels(database, missing)))
    return known


def lookup_labels(database: Database, words: Collection[str]) -> QueryPlan[dict[str, int]]:
    """The numbers of those `words` that have one, as this transaction sees it."""
    known = database.labels
    missing = [word for word in words if word not in known]
    if missing:
        (rows,) = yield [BoundStatement(_LOOK_UP, {"words": missing})]
        known.update(rows)
    return {word: known[word] for word in words if word in known}


async def ensure_labels_within(connection: Connection, database: Database, words: Collection[str]) -> dict[str, int]:
    """The numbers of `words`, in a transaction that has begun and should not wait for another connection.

    Once in a transaction: it locks new words in their order.
    """
    known = {word: database.labels[word] for word in words if word in database.labels}
    if missing := set(words) - known.keys():
        # Not remembered: what this transaction has learned itself may yet be rolled back.
        known |= await _look_up(connection, missing)
        if missing := set(words) - known.keys():
            await _insert_labels(connection, sorted(missing))
            known |= await _look_up(connection, missing)
    return known


async def _look_up(connection: Connection, words: Collection[str]) -> dict[str, int]:
    (rows,) = await connection.fetch_batch(BoundStatement(_LOOK_UP, {"words": list(words)}))
    return dict(rows)


async def _insert_labels(connection: Connection, words: Sequence[str]) -> None:
    """Number new words, in their order, so that two transactions never wait for each other for ever."""
    rows = [{"text": word} for word in words]
    await connection.execute(insert(label).values(rows).on_conflict_do_nothing())
