"""Members: the accounts of a selection and their groups, found before the sums where several attributes decide about them.

The attributes of all accounts are read once, in one pass and without a join (see `filter_bits`), whatever their number, the
filter and the number of sums. The stretches of days in which nothing changes for an account come from running sums: a value adds
its bits on the first day and subtracts them on the day after the last.

A single attribute needs no such pass: its intervals are joined where they are used, see `grouping`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import date
from functools import lru_cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import array

from app.accounts.filter_bits import ConditionBits
from app.accounts.filter_matching import selects_without_attributes
from app.database.query_plan import QueryPlan
from app.database.statements import BoundStatement, Statement, compile_query
from app.database.tables import MAX_DATE, WHOLE_BUSINESS, account, attribute
from app.ledger.sums.selection import (
    EPOCH,
    Members,
    Selection,
    Shape,
    account_conditions,
    array_item,
    array_param,
    version_condition,
)

# Before a value, the number of the day from which an account has it: the largest text is the latest value.
_DIGITS = 7


def find_members(selection: Selection, days: Iterable[date], *, required: bool = False) -> QueryPlan[Selection]:
    """Return the selection with its members on these days, if several attributes decide about them.

    required: also if a single one does.
    """
    shape = selection.shape
    is_complex = len(shape.attribute_keys) > 1 or "segment" in shape.group_by
    if selection.members is not None or not (is_complex or (required and shape.attribute_keys)):
        return selection
    parameters = {
        "days": sorted(set(days)),
        "keys": shape.attribute_keys,
        "accounts": selection.accounts or (),
        "as_of": selection.as_of,
    }
    ((columns,),) = yield [BoundStatement(_statement(shape), parameters)]
    account_ids, since, until, *more = columns
    segment = more.pop(0) if "segment" in shape.group_by else None
    return replace(selection, members=Members(account_ids, since, until, segment, tuple(more)))


@lru_cache(maxsize=256)
def _statement(shape: Shape) -> Statement:
    """Return the query of one row: the columns of the members, each an array written as text."""
    bits = ConditionBits.of(filter for filter in (shape.filter, *shape.segments) if filter)
    stretches = _stretches(shape, bits)
    numbers = [stretches.c[name] for name in bits.names]
    source: Any = stretches
    segment: Any = sa.literal_column("0", sa.Integer)
    if "segment" in shape.group_by:
        segments = _segments_of(shape, bits, numbers)
        source, segment = stretches.join(segments, sa.true()), segments.c.number
    days = array_param("days", sa.Date)
    until = sa.func.coalesce(array_item(days, stretches.c.until + 1), sa.literal(MAX_DATE, sa.Date))
    # As numbers, since dates take several times as long to be written and read.
    columns = [stretches.c.account_id, array_item(days, stretches.c.since + 1) - EPOCH, until - EPOCH]
    columns += [segment] if "segment" in shape.group_by else []
    columns += [
        sa.func.nullif(sa.func.substr(stretches.c[f"value{number}"], _DIGITS + 1), "")
        for number in range(len(shape.attribute_groupings))
    ]
    arrays = [sa.func.coalesce(sa.cast(sa.func.array_agg(column), sa.Text), "{}") for column in columns]
    query = sa.select(*arrays).select_from(source)
    return compile_query(query if shape.filter is None else query.where(bits.evaluate(shape.filter, numbers)))


def _segments_of(shape: Shape, bits: ConditionBits, numbers: Sequence[Any]) -> Any:
    """Return the numbers of the segments to which an account belongs, a row for each."""
    cases: list[Any] = [
        sa.case((bits.evaluate(filter, numbers), sa.literal_column(str(number), sa.Integer)))
        for number, filter in enumerate(shape.segments)
    ]
    own = sa.func.array_remove(array(cases or [sa.null()], type_=sa.Integer()), None)
    return sa.func.unnest(own).table_valued(sa.column("number", sa.Integer), name="segments").render_derived().lateral()


def _stretches(shape: Shape, bits: ConditionBits) -> Any:
    """Return the stretches of days in which nothing changes for an account: account_id, since, until, numbers, values.

    Days are numbers of the parameter `days`. A value is preceded by the number of the day from which it holds.
    """
    changes = _changes(shape, bits)
    names = [f"value{number}" for number in range(len(shape.attribute_groupings))]
    keys = (changes.c.account_id, changes.c.day)
    steps = sa.select(
        *keys,
        *(_sum(changes.c[name]).label(name) for name in bits.names),
        *(sa.func.max(changes.c[name]).label(name) for name in names),
    )
    step = steps.group_by(*keys).subquery("steps")
    by_account: dict[str, Any] = {"partition_by": step.c.account_id, "order_by": step.c.day}
    so_far = by_account | {"rows": (None, 0)}
    day_count = sa.func.cardinality(array_param("days", sa.Date))
    return sa.select(
        step.c.account_id,
        step.c.day.label("since"),
        sa.func.lead(step.c.day, 1, day_count).over(**by_account).label("until"),
        *(_sum(step.c[name]).over(**so_far).label(name) for name in bits.names),
        *(sa.func.max(step.c[name]).over(**so_far).label(name) for name in names),
    ).subquery("stretches")


def _changes(shape: Shape, bits: ConditionBits) -> Any:
    """Return what changes for accounts on the days: account_id, day, the change of each number, the new values."""
    rows = _intervals(shape, bits)
    values = [f"value{number}" for number in range(len(shape.attribute_groupings))]
    begins = sa.select(
        rows.c.account_id,
        rows.c.since.label("day"),
        *(rows.c[name] for name in bits.names),
        *(rows.c[n] for n in values),
    )
    ends = sa.select(
        rows.c.account_id, rows.c.until, *(-rows.c[name] for name in bits.names), *(sa.null() for _ in values)
    )
    # After the last of the days nothing changes.
    queries = [begins, ends.where(rows.c.until < sa.func.cardinality(array_param("days", sa.Date)))]
    if _selects_accounts_without_attributes(shape):
        zero = sa.literal_column("0", sa.BigInteger)
        everyone = sa.select(
            account.c.account_id, sa.literal_column("0"), *(zero for _ in bits.names), *(sa.null() for _ in values)
        )
        is_own = (account.c.account_id != WHOLE_BUSINESS, *account_conditions(account, shape))
        queries.append(everyone.where(*is_own))
    return sa.union_all(*queries).subquery("changes")


def _selects_accounts_without_attributes(shape: Shape) -> bool:
    """Return whether an account that has none of the attributes is a member, and has to be listed as one."""
    if not shape.is_narrowed or not (shape.filter is None or selects_without_attributes(shape.filter)):
        return False
    return "segment" not in shape.group_by or any(map(selects_without_attributes, shape.segments))


def _intervals(shape: Shape, bits: ConditionBits) -> Any:
    """Return the intervals of the attributes that contain any of the days: account_id, since, until, numbers, values.

    It is used twice, so PostgreSQL computes it once and keeps the rows.
    """
    days = array_param("days", sa.Date)
    since, until = (
        sa.func.width_bucket(day - sa.literal_column("1", sa.Integer), days)
        for day in (attribute.c.valid_from, attribute.c.valid_to)
    )
    values = [
        sa.case((attribute.c.key == key, _with_day(since, attribute.c.value))).collate("C").label(f"value{number}")
        for number, key in enumerate(shape.attribute_groupings)
    ]
    numbers = bits.columns(attribute.c.key, attribute.c.value)
    query = sa.select(attribute.c.account_id, since.label("since"), until.label("until"), *numbers, *values)
    return query.where(
        attribute.c.key == sa.any_(array_param("keys", sa.Text)),
        version_condition(attribute, shape),
        since < until,
        *account_conditions(attribute, shape),
    ).cte("intervals")


def _with_day(since: Any, value: Any) -> Any:
    """Return a value as text, after the number of the day from which it holds; no value as empty text."""
    return sa.func.lpad(sa.cast(since, sa.Text), _DIGITS, "0").concat(sa.func.coalesce(sa.cast(value, sa.Text), ""))


def _sum(numbers: Any) -> Any:
    # PostgreSQL's own sum is numeric, and slow to make.
    return sa.func.bigint_sum(numbers, type_=sa.BigInteger)
