"""Which segment of a model's list decides about the weights of an account on a day."""

from collections.abc import Sequence
from datetime import date
from functools import lru_cache

from app.accounts.filters import Filter, parse_filter
from app.database.query_plan import QueryPlan
from app.database.statements import BoundStatement, Statement
from app.health.accounts import integers
from app.health.model import HealthModel
from app.ledger.sums.account_sums import KnownDay
from app.ledger.sums.members import find_members
from app.ledger.sums.selection import Selection

_DEFINITIONS = Statement(
    "SELECT name, recorded_on, filter FROM segment WHERE name = ANY(%(names)s) ORDER BY recorded_on"
)


def find_segments(model: HealthModel, at: KnownDay, accounts: Sequence[int] | None) -> QueryPlan[dict[int, int]]:
    """Return for each account in any segment of the model's list the index of the first one.

    Accounts are in segments by their attributes at the end of the day, as far as was known; a segment is what it was then.
    """
    names = [own.segment for own in model.segment_weights]
    (rows,) = yield [BoundStatement(_DEFINITIONS, {"names": names})]
    filters: dict[str, str | None] = {}
    for name, recorded_on, text in rows:
        if recorded_on <= at.recorded_by:
            filters[name] = text
    segments = [(name, _parse(text)) for name in names if (text := filters.get(name)) is not None]
    numbers = [number for number, name in enumerate(names) if filters.get(name) is not None]
    return (yield from _find_first(segments, numbers, at.tomorrow, at.as_of, accounts)) if segments else {}


@lru_cache(maxsize=1_024)
def _parse(text: str) -> Filter:
    return parse_filter(text)


def _find_first(
    segments: Sequence[tuple[str, Filter]],
    numbers: Sequence[int],
    day: date,
    as_of: date | None,
    accounts: Sequence[int] | None,
) -> QueryPlan[dict[int, int]]:
    selection = Selection(
        group_by=("segment",),
        segments=tuple(segments),
        accounts=tuple(accounts) if accounts is not None else None,
        as_of=as_of,
    )
    members = (yield from find_members(selection, [day])).members
    if members is None or members.segment is None:
        return {}
    first: dict[int, int] = {}
    for account, segment in zip(integers(members.account), integers(members.segment), strict=True):
        first[account] = min(first.get(account, segment), segment)
    return {account: numbers[segment] for account, segment in first.items()}
