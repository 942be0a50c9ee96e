"""Labels: the integers that stand for measures, subjects and channels inside the database. A label never changes.

Each process remembers the labels that it has read, in `Database.labels` (text -> label). A text that has no label yet gets one
when the first event that needs it is written.
"""

from collections.abc import Collection, Sequence

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from app.database.connection import Connection
from app.database.pool import Database
from app.database.query_plan import QueryPlan, run_plan
from app.database.statements import BoundStatement, compile_query
from app.database.tables import label

_TEXTS = sa.bindparam("texts", type_=sa.ARRAY(sa.Text))
_LOOK_UP = compile_query(sa.select(label.c.text, label.c.key).where(label.c.text == sa.any_(_TEXTS)))


async def ensure_labels(database: Database, texts: Collection[str]) -> dict[str, int]:
    """Return the labels of all texts that this process has read, among them `texts`; new texts get a label first.

    They get it in a transaction of its own. A label that is never used after all does no harm.
    """
    labels = database.labels
    missing = sorted({text for text in texts if text not in labels})
    if missing:
        await database.write_aside(lambda connection: _insert_labels(connection, missing))
        # Read outside the writing transaction: another process may have inserted the text in between.
        await database.read(lambda connection: run_plan(connection, lookup_labels(database, missing)))
    return labels


def lookup_labels(database: Database, texts: Collection[str]) -> QueryPlan[dict[str, int]]:
    """Return the labels of those texts that have one, as this transaction sees it."""
    labels = database.labels
    missing = [text for text in texts if text not in labels]
    if missing:
        (rows,) = yield [BoundStatement(_LOOK_UP, {"texts": missing})]
        labels.update(rows)
    return {text: labels[text] for text in texts if text in labels}


async def ensure_labels_within(connection: Connection, database: Database, texts: Collection[str]) -> dict[str, int]:
    """Return the labels of texts inside a transaction that has begun; new texts get theirs in that transaction.

    For transactions that must not wait for a second connection of the pool. Call it at most once in a transaction: it locks
    new texts in sorted order, so that no two transactions wait for each other.
    """
    labels = {text: database.labels[text] for text in texts if text in database.labels}
    if missing := set(texts) - labels.keys():
        # Not added to `database.labels`: this transaction may be rolled back, and its new labels with it.
        labels |= await _load_labels(connection, missing)
        if missing := set(texts) - labels.keys():
            await _insert_labels(connection, sorted(missing))
            labels |= await _load_labels(connection, missing)
    return labels


async def _load_labels(connection: Connection, texts: Collection[str]) -> dict[str, int]:
    (rows,) = await connection.fetch_batch(BoundStatement(_LOOK_UP, {"texts": list(texts)}))
    return dict(rows)


async def _insert_labels(connection: Connection, texts: Sequence[str]) -> None:
    """Insert labels for sorted texts; texts that have one keep it."""
    rows = [{"text": text} for text in texts]
    await connection.execute(insert(label).values(rows).on_conflict_do_nothing())
