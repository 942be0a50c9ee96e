"""Reactions: what features do in the transaction that stores or retracts events, such as telling somebody.

A feature adds its reaction to REACTIONS when its module is imported. Ingest is fast because its transactions are short, so a
reaction first says whether it is interested in anything at all, by a query in a round trip that is made anyway.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import date
from typing import Any, NamedTuple

from app.accounts.attributes import ACCOUNT_UPDATED
from app.books.books import Books
from app.database.connection import Connection
from app.database.data_state import ANYTHING
from app.database.query_plan import QueryPlan
from app.ingest.stages import DatedEvent
from app.ledger.entries import EntryKey


class LedgerChange(NamedTuple):
    """What a transaction is about to post. The accounts are locked, the events stored, the entries not yet written.

    events: those that are new. retracted_ids: those that are retracted, as (account_id, id).
    """

    today: date
    entries: Mapping[EntryKey, int]
    events: Sequence[DatedEvent] = ()
    retracted_ids: Sequence[tuple[int, str]] = ()

    @property
    def measures(self) -> set[str]:
        """The measures and presences that change; with ANYTHING if something changes that is in none of them."""
        measures = {key.measure for key, value in self.entries.items() if value}
        for event in self.events:
            measures.update(key.presence for key in event.posting.presence_keys)
            if event.incoming.type == ACCOUNT_UPDATED or event.posting.is_registration:
                measures.add(ANYTHING)
        if self.retracted_ids:
            measures.add(ANYTHING)
        return measures

    @property
    def account_ids(self) -> set[int]:
        """The accounts that change."""
        ids = {event.incoming.account_id for event in self.events} | {
            account_id for account_id, _ in self.retracted_ids
        }
        return ids | {key.account_id for key, value in self.entries.items() if value}


class Reaction(NamedTuple):
    """What a feature does with changes. load_interest: returns what it is interested in; without any, it is not called."""

    load_interest: Callable[[], QueryPlan[Any]]
    react: Callable[[Connection, Books, Any, LedgerChange], Awaitable[None]]


REACTIONS: list[Reaction] = []


def load_interests() -> list[QueryPlan[Any]]:
    """Return the plans that load the interest of each reaction."""
    return [reaction.load_interest() for reaction in REACTIONS]


async def react(connection: Connection, books: Books, interests: Sequence[Any], change: LedgerChange) -> None:
    """Note what changes, and call the reactions that are interested. interests: what `load_interests` loads."""
    connection.note_changes(change.measures, change.account_ids)
    for reaction, interest in zip(REACTIONS, interests, strict=True):
        if interest:
            await reaction.react(connection, books, interest, change)
