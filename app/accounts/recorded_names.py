"""Names of attributes and accounts that were never recorded: find them, and what may have been meant.

A name is looked up by an index, whatever the size of the tables. Suggestions are looked up for names that were not found only,
in a bounded number of steps.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import sqlalchemy as sa

from app.accounts.accounts import account_key
from app.core.errors import NotFound
from app.core.names import Fault, is_repeatable, name_fault, nearest_names
from app.database.connection import Connection
from app.database.query_plan import QueryPlan, merge_plans, run_plan
from app.database.statements import BoundStatement, Statement, compile_query
from app.database.tables import account

# What to do about a name that data may bring later.
NOT_STRICT = "With strict=false it counts as empty."

_EXISTENCE = "An account exists once it has an event that is not retracted."

# From so many attributes the nearest are chosen, and from those that are sorted after the beginning of the name.
_MAX_KEYS, _MAX_NEAR_KEYS, _PREFIX = 1_000, 200, 2
# So many of the unknown accounts of a question get suggestions.
_MAX_SUGGESTED = 5
_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789-_."
_MAX_EDITED_LENGTH = 40

# The smallest key that is not before another is found by one step in the index of the primary key. With `key = …` PostgreSQL may
# prefer to read the table until it meets the key, which for a key that is not there means all of it.
_UNRECORDED = Statement("""
    SELECT wanted.key FROM unnest(CAST(%(keys)s AS text[])) AS wanted(key)
    WHERE (SELECT min(attribute.key) FROM attribute WHERE attribute.key >= wanted.key) IS DISTINCT FROM wanted.key
    """)
_KEYS = Statement("""
    WITH RECURSIVE keys(key) AS (
        (SELECT min(key) FROM attribute WHERE key > %(after)s)
        UNION ALL
        SELECT (SELECT min(attribute.key) FROM attribute WHERE attribute.key > keys.key) FROM keys WHERE keys.key IS NOT NULL)
    SELECT key FROM keys WHERE key IS NOT NULL LIMIT %(limit)s
    """)
_ACCOUNTS = compile_query(
    sa.select(account.c.id).where(account.c.account_id == sa.any_(sa.bindparam("keys", type_=sa.ARRAY(sa.BigInteger))))
)
_NEIGHBORS = Statement("""
    (SELECT id FROM account WHERE id > %(id)s ORDER BY id LIMIT 20) UNION ALL
    (SELECT id FROM account WHERE id < %(id)s AND id <> '' ORDER BY id DESC LIMIT 20)
    """)


class AttributeUse(NamedTuple):
    """An attribute that a request names. segment: the stored segment whose filter names it. other_names: that may stand there."""

    key: str
    pointer: str
    segment: str = ""
    other_names: tuple[str, ...] = ()


def attribute_faults(uses: Sequence[AttributeUse]) -> QueryPlan[list[Fault]]:
    """Return a fault for each attribute that no account has ever had. One that was only ever null counts as recorded."""
    keys = [*dict.fromkeys(use.key for use in uses)]
    if not keys:
        return []
    (rows,) = yield [BoundStatement(_UNRECORDED, {"keys": keys})]
    unrecorded_keys = {key for (key,) in rows}
    if not unrecorded_keys:
        return []
    starts = ["", *sorted({key[:_PREFIX] for key in unrecorded_keys})]
    limits = [_MAX_KEYS, *[_MAX_NEAR_KEYS] * len(starts)]
    results = yield [
        BoundStatement(_KEYS, {"after": start, "limit": limit}) for start, limit in zip(starts, limits, strict=False)
    ]
    recorded_keys = {key for rows in results for (key,) in rows}
    return [_attribute_fault(use, recorded_keys) for use in uses if use.key in unrecorded_keys]


def _attribute_fault(use: AttributeUse, recorded_keys: Iterable[str]) -> Fault:
    sentence = "No account has ever had the attribute{}."
    if use.segment:
        name = f' "{use.segment}"' if is_repeatable(use.segment) else ""
        sentence = f"The segment{name} is about the attribute{{}}, which no account has ever had."
    nearest = nearest_names(use.key, [*recorded_keys, *use.other_names])
    correct = "Correct it with PUT /v1/segments/{name}. " if use.segment else ""
    advice = f"{correct}GET /v1/attributes lists all attributes. {NOT_STRICT}"
    return name_fault(use.pointer, sentence, use.key, nearest, code="unrecorded_attribute", advice=advice)


async def account_not_found(connection: Connection, id: str, *, suggest: bool = True) -> NotFound:
    """Return the error of a path with an account that does not exist. suggest: whether the caller may see other accounts."""
    nearest = await run_plan(connection, nearest_accounts(id)) if suggest else []
    return NotFound.of([account_fault("/path/account_id", id, nearest, _EXISTENCE)])


def account_faults(ids: Sequence[str], pointer: str) -> QueryPlan[list[Fault]]:
    """Return a fault for each account that no event has ever named."""
    if not ids:
        return []
    (rows,) = yield [BoundStatement(_ACCOUNTS, {"keys": [account_key(id) for id in ids]})]
    existing = {id for (id,) in rows}
    unknown = [id for id in dict.fromkeys(ids) if id not in existing]
    nearest = yield from merge_plans([nearest_accounts(id) for id in unknown[:_MAX_SUGGESTED]])
    nearest += [[]] * (len(unknown) - len(nearest))
    return [account_fault(pointer, id, similar, NOT_STRICT) for id, similar in zip(unknown, nearest, strict=True)]


def account_fault(pointer: str, id: str, nearest: Sequence[str], advice: str = "") -> Fault:
    """Return the fault of an account that does not exist."""
    advice = f"GET /v1/accounts lists all accounts. {advice}".strip()
    return name_fault(pointer, "Unknown account{}.", id, nearest, code="unknown_account", advice=advice)


def nearest_accounts(id: str) -> QueryPlan[list[str]]:
    """Return up to three accounts whose ids are like one that does not exist.

    They are looked for among its neighbors in the order of ids, and among all ids that differ from it by one letter, by case or
    by spaces around it, however many accounts there are.
    """
    # Not by the cache, which is for accounts that exist.
    keys = [account_key.__wrapped__(variant) for variant in set(_variants(id))]
    neighbors, variants = yield [BoundStatement(_NEIGHBORS, {"id": id}), BoundStatement(_ACCOUNTS, {"keys": keys})]
    return nearest_names(id, {other for (other,) in [*neighbors, *variants] if other})


def _variants(id: str) -> Iterator[str]:
    yield from (id.lower(), id.upper(), id.title(), id.capitalize(), id.strip())
    if len(id) > _MAX_EDITED_LENGTH:
        return
    letters = {*_LETTERS, *id}
    for position in range(len(id) + 1):
        before, after = id[:position], id[position:]
        yield before + after[1:]
        yield before + after[1:2] + after[:1] + after[2:]
        for letter in letters:
            yield before + letter + after
            yield before + letter + after[1:]
