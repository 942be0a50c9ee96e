"""What ingest notes for alerts: which measures have changed, and since when. The cost is one short row for each transaction.

The rows are only added, so transactions do not wait for each other, and what is evaluated after a row was taken has seen its
transaction.
"""

from collections.abc import Mapping
from datetime import date
from typing import Any

from app.books.books import Books
from app.core.periods import FIRST_DAY
from app.database.connection import Connection
from app.database.data_state import ANYTHING
from app.database.query_plan import QueryPlan
from app.database.statements import BoundStatement, Statement
from app.ingest.reactions import REACTIONS, LedgerChange, Reaction
from app.metrics.number_source import NumberSource

_INTEREST = Statement("""
    SELECT EXISTS (SELECT 1 FROM alert) OR EXISTS (
        SELECT 1 FROM webhook_endpoint WHERE state = 'enabled' AND topics && ARRAY['target.met', 'health.band_changed'])
    """)
_INSERT = Statement("INSERT INTO alert_change (measures, since) VALUES (%(measures)s, %(since)s)")
# The customers among the accounts: a number of each account is one of each customer, too.
_CUSTOMERS = "customers"


def load_interest() -> QueryPlan[bool]:
    """Return whether anybody wants to know of changes."""
    ((row,),) = yield [BoundStatement(_INTEREST, {})]
    return bool(row[0])


async def note_change(connection: Connection, books: Books, interest: Any, change: LedgerChange) -> None:
    """Note what a transaction changes."""
    if measures := change.measures:
        days = {key.effective_on for key, value in change.entries.items() if value}
        days |= {event.posting.effective_on for event in change.events if event.posting.presence_keys}
        since = FIRST_DAY if ANYTHING in measures else min(days)
        await connection.enqueue([BoundStatement(_INSERT, {"measures": sorted(measures), "since": since})])


def first_change(source: NumberSource, changes: Mapping[str, date], *, each_account: bool) -> date | None:
    """Return the first day whose number may have changed; None where none has. changes: the first day by measure."""
    metric = source.find_metric()
    if metric is None or not changes:
        return None
    own_measures = {ANYTHING, *([_CUSTOMERS] if each_account else [])}
    for operand in metric.operands:
        own_measures |= operand.label_texts | operand.postings
    return min((changes[measure] for measure in own_measures & changes.keys()), default=None)


REACTIONS.append(Reaction(load_interest, note_change))
