"""Which accounts an answer about health is about: the day it is about, and those that a filter, a segment and ids select."""

from collections.abc import Sequence
from datetime import date
from typing import NamedTuple

from app.accounts import segments
from app.accounts.accounts import account_key
from app.accounts.filters import Filter, parse_filter
from app.accounts.recorded_names import AttributeUse, account_not_found, attribute_faults
from app.accounts.segments import unknown_segment
from app.books.books import Books
from app.books.first_day import is_recorded_by
from app.core.errors import FaultList, Invalid
from app.core.ids import normalize_id
from app.core.period_names import parse_as_of
from app.core.periods import LAST_END
from app.database.connection import Connection
from app.database.query_plan import QueryPlan
from app.database.statements import BoundStatement, Statement
from app.ledger.sums.account_sums import KnownDay
from app.ledger.sums.members import find_members
from app.ledger.sums.selection import Selection

_EXISTS = Statement(
    """
    SELECT FROM event WHERE account_id = %(account)s AND (retracted_on IS NULL OR retracted_on > %(since)s) LIMIT 1
    """
)


class HealthScope(NamedTuple):
    """What an answer is about: a day as known on a day, and the accounts that are selected.

    is_known: whether anything had been recorded then.
    """

    at: KnownDay
    filter: Filter | None
    segments: tuple[tuple[str, Filter], ...]
    strict: bool
    is_known: bool

    def names(self) -> list[AttributeUse]:
        """Return the attributes that have to be recorded."""
        if not self.strict:
            return []
        uses = [AttributeUse(key, "/query/filter") for key in (self.filter.keys if self.filter else ())]
        return uses + [
            AttributeUse(key, "/query/segment", name) for name, segment in self.segments for key in segment.keys
        ]


async def resolve_scope(
    books: Books, *, as_of: date | None, filter: str | None = None, segment: Sequence[str] = (), strict: bool = True
) -> HealthScope:
    """Return the scope that parameters name. Raises Invalid with all faults but attributes that were never recorded."""
    faults = FaultList()
    today = await books.load_today(as_of=as_of)
    stored = await segments.load_segments(books, as_of, names=segment) if segment else {}
    other_names = [*await segments.load_segments(books, None)] if set(segment) - stored.keys() else []

    def parse() -> Filter | None:
        return parse_filter(normalize_id(filter)) if filter is not None else None

    def choose() -> tuple[tuple[str, Filter], ...]:
        if unknown := [name for name in dict.fromkeys(segment) if name not in stored]:
            raise Invalid.of([unknown_segment(name, other_names, "/query/segment") for name in unknown])
        return tuple((name, stored[name]) for name in dict.fromkeys(segment))

    last_day = faults.attempt(lambda: parse_as_of(as_of, today=today), today)
    parsed_filter = faults.attempt(parse, None)
    chosen: tuple[tuple[str, Filter], ...] = faults.attempt(choose, ())
    faults.raise_all(subject="The question")
    at = KnownDay(last_day, None if as_of in (None, today) else as_of)
    is_known = at.as_of is None or await is_recorded_by(books.database, books.first_day, at.as_of)
    return HealthScope(at, parsed_filter, chosen, strict, is_known)


def find_accounts(scope: HealthScope) -> QueryPlan[set[int] | None]:
    """Return the keys of the accounts that filter and segments select at the end of the day; None where there are none of both.

    Raises Invalid for attributes that were never recorded.
    """
    if faults := (yield from attribute_faults(scope.names())):
        raise Invalid.of(faults, subject="The question")
    if scope.filter is None and not scope.segments:
        return None
    group_by = ("segment",) if scope.segments else ()
    selection = Selection(group_by, scope.filter, scope.segments, as_of=scope.at.as_of)
    members = (yield from find_members(selection, [scope.at.tomorrow], required=True)).members
    return set(integers(members.account)) if members else set()


async def check_account(connection: Connection, id: str, *, since: date | None) -> None:
    """Raise NotFound for an account that has no event.

    since: the earliest day that is looked at as it was known then. An event that was retracted after it was known on it.
    """
    (rows,) = await connection.fetch_batch(
        BoundStatement(_EXISTS, {"account": account_key(id), "since": since or LAST_END})
    )
    if not rows:
        raise await account_not_found(connection, id)


def integers(array: str) -> list[int]:
    """Return the numbers of an array as PostgreSQL writes it."""
    return [int(text) for text in array[1:-1].split(",")] if len(array) > 2 else []
