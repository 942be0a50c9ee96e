"""Accounts by a part of their name or id."""

import re
from collections.abc import Sequence

from app.database.query_plan import QueryPlan
from app.database.statements import BoundStatement, Statement
from app.ledger.sums.account_sums import KnownDay

# The names of all accounts are read: of 20,000 accounts that takes a few hundredths of a second.
_HELD = """
    key = 'name' AND valid_from <= %(on)s AND valid_to > %(on)s AND recorded_on <= %(recorded_by)s
    AND ceased_on > %(recorded_by)s AND value IS NOT NULL
"""
# The ids are sorted by their bytes; letters are compared as the database compares them.
_SEARCH = Statement(
    f"""
    SELECT account_id FROM account WHERE id COLLATE "default" ILIKE %(pattern)s
    UNION
    SELECT account_id FROM attribute WHERE {_HELD} AND value #>> '{{}}' ILIKE %(pattern)s
    """
)
_NAMES = Statement(
    f"""
    SELECT account_id, value #>> '{{}}' FROM attribute
    WHERE {_HELD} AND account_id = ANY(CAST(%(accounts)s AS bigint[]))
    """,
    array_formats={"accounts": str},
)
_WILDCARD = re.compile(r"[\\%_]")


def search_accounts(text: str, at: KnownDay) -> QueryPlan[set[int]]:
    """Return the keys of the accounts with a text in their id, or in the name that they have at the end of a day."""
    pattern = "%" + _WILDCARD.sub(r"\\\g<0>", text) + "%"
    (rows,) = yield [BoundStatement(_SEARCH, {"pattern": pattern, **_day_parameters(at)})]
    return {key for (key,) in rows}


def load_names(accounts: Sequence[int], at: KnownDay) -> QueryPlan[dict[int, str]]:
    """Return the names that accounts have at the end of a day, by key; of those that have one."""
    if not accounts:
        return {}
    (rows,) = yield [BoundStatement(_NAMES, {"accounts": accounts, **_day_parameters(at)})]
    return dict(rows)


def _day_parameters(at: KnownDay) -> dict[str, object]:
    return {"on": at.tomorrow, "recorded_by": at.recorded_by}
