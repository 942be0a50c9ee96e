"""What ingest notes for alerts: which measures have changed. The cost is one short row for each transaction.

The rows are only added, so transactions do not wait for each other, and what is evaluated after a row was taken has seen its
transaction.
"""

from typing import Any

from app.accounts.attributes import ACCOUNT_UPDATED
from app.books.books import Books
from app.database.connection import Connection
from app.database.query_plan import QueryPlan
from app.database.statements import BoundStatement, Statement
from app.ingest.reactions import REACTIONS, LedgerChange, Reaction
from app.metrics.number_source import NumberSource

# Something has changed that is in no measure, such as an attribute.
ANYTHING = "*"

_INTEREST = Statement("""
    SELECT EXISTS (SELECT 1 FROM alert) OR EXISTS (
        SELECT 1 FROM webhook_endpoint WHERE state = 'enabled' AND topics && ARRAY['target.met', 'health.band_changed'])
    """)
_INSERT = Statement("INSERT INTO alert_change (measures) VALUES (%(measures)s)")
# The customers among the accounts: a number of each account is one of each customer, too.
_CUSTOMERS = "customers"


def load_interest() -> QueryPlan[bool]:
    """Return whether anybody wants to know of changes."""
    ((row,),) = yield [BoundStatement(_INTEREST, {})]
    return bool(row[0])


async def note_change(connection: Connection, books: Books, interest: Any, change: LedgerChange) -> None:
    """Note what a transaction changes."""
    measures = {key.measure for key, value in change.entries.items() if value}
    for event in change.events:
        posting = event.posting
        measures.update(key.presence for key in posting.presence_keys)
        if event.incoming.type == ACCOUNT_UPDATED or posting.is_registration:
            measures.add(ANYTHING)
    if change.retracted_ids:
        measures.add(ANYTHING)
    if measures:
        await connection.enqueue([BoundStatement(_INSERT, {"measures": sorted(measures)})])


def depends_on(source: NumberSource, measures: set[str], *, each_account: bool) -> bool:
    """Return whether a number may have changed when these measures have."""
    metric = source.find_metric()
    if metric is None or not measures:
        return False
    if ANYTHING in measures or (each_account and _CUSTOMERS in measures):
        return True
    return any(not measures.isdisjoint(operand.label_texts | operand.postings) for operand in metric.operands)


REACTIONS.append(Reaction(load_interest, note_change))
