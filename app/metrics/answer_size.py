"""The size of an answer, known before its sums are computed: too large a question is refused at once.

What a question costs, in time and in memory, are its sums: one for each operand, period and group. Operands and periods are
known. The number of groups is bounded by the number of accounts, which is estimated from the size of the table; only where that
bound is too large are the groups counted.
"""

from collections.abc import Collection, Sequence
from dataclasses import replace
from functools import lru_cache
from math import prod
from time import monotonic
from typing import Any

import sqlalchemy as sa

from app.core.errors import Invalid
from app.database.labels import lookup_labels
from app.database.pool import Database
from app.database.query_plan import QueryPlan
from app.database.statements import BoundStatement, Statement, compile_query
from app.database.tables import attribute, entry, grand_total, total
from app.ledger.measures import MEASURES
from app.ledger.sums.members import find_members
from app.ledger.sums.operand_sums import Operand
from app.ledger.sums.selection import ENTRY_DIMENSIONS, Selection, Span, array_param

# A sum takes up to 250 bytes until the answer is written.
MAX_SUMS = 1_000_000
# A row of the table of accounts takes at least 44 bytes.
_ROWS_PER_BLOCK = 185
_ACCOUNT_BOUND = Statement(
    f"SELECT pg_relation_size('account') / current_setting('block_size')::int * {_ROWS_PER_BLOCK}"
)
_BOUND_SECONDS = 60


def check_size(
    database: Database, selection: Selection, operands: Collection[Operand], spans: Sequence[Span], *, per_group: int
) -> QueryPlan[tuple[Selection, int]]:
    """Raise Invalid when a selection has more than a million sums; return it, and a bound of their number.

    It has its members where they had to be found.

    spans: all spans of the question. per_group: the number of sums in each group.
    """
    selection, sums = yield from _check_groups(database, selection, operands, spans, per_group)
    if per_account := max((operand.sums_per_account for operand in operands), default=0):
        accounts = yield from _account_bound(database, replace(selection, members=None))
        return _check(max(sums, accounts * per_account), selection)
    return selection, sums


def _check_groups(
    database: Database, selection: Selection, operands: Collection[Operand], spans: Sequence[Span], per_group: int
) -> QueryPlan[tuple[Selection, int]]:
    group_by = set(selection.group_by) - {"segment"}
    if not group_by:
        return _check(per_group * max(1, len(selection.segments)), selection)
    if not group_by & set(ENTRY_DIMENSIONS):
        bound = yield from _account_bound(database, selection)
        if bound * per_group > MAX_SUMS and selection.shape.is_narrowed and selection.members is None:
            selection = yield from find_members(selection, [span.group_day for span in spans], required=True)
            bound = yield from _account_bound(database, selection)
        if bound * per_group <= MAX_SUMS:
            return selection, bound * per_group
    groups = yield from _count_groups(database, selection, operands, spans)
    return _check(per_group * groups, selection)


def _check(sums: int, selection: Selection) -> tuple[Selection, int]:
    if sums > MAX_SUMS:
        detail = (
            f"The answer needs about {sums:,} sums, one for each operand, period and group. At most {MAX_SUMS:,} are "
            "computed at once; ask for fewer periods, groups or metrics, or about fewer accounts."
        )
        raise Invalid.at("/query/granularity", detail, code="too_many_rows")
    return selection, sums


def _account_bound(database: Database, selection: Selection) -> QueryPlan[int]:
    """Return a number of accounts, each in its segments, that those of the selection do not exceed.

    The table of accounts may have grown in the last minute.
    """
    if selection.members is not None:
        return selection.members.row_count
    by_segment = max(1, len(selection.segments))
    if selection.accounts is not None:
        return len(selection.accounts) * by_segment
    now = monotonic()
    read_at, bound = database.sizes.get("account", (-_BOUND_SECONDS, 0))
    if now - read_at >= _BOUND_SECONDS:
        (((bound,),),) = yield [BoundStatement(_ACCOUNT_BOUND, {})]
        database.sizes["account"] = now, bound
    return bound * by_segment


def _count_groups(
    database: Database, selection: Selection, operands: Collection[Operand], spans: Sequence[Span]
) -> QueryPlan[int]:
    """Return how many groups have entries of any operand in the years of the spans; a bound, not the exact number."""
    by = tuple(name for name in selection.group_by if name in ("account", *ENTRY_DIMENSIONS))
    fixed_subjects = 1
    if "subject" in by and all(operand.subject_texts for operand in operands):
        fixed_subjects = max(len(operand.subject_texts) for operand in operands)
        by = tuple(name for name in by if name != "subject")
    # An account is in one group of an attribute at a time, so by account, attributes make no further groups.
    keys = () if "account" in by else selection.shape.attribute_groupings
    labels = yield from lookup_labels(database, {text for operand in operands for text in operand.label_texts})
    is_cumulative = any(operand.is_cumulative for operand in operands)
    members = selection.members
    parameters = {
        "measures": list(labels.values()),
        "accounts": members.account if members else selection.accounts or (),
        "keys": list(keys),
        "since": 0 if is_cumulative else min(span.start.year for span in spans),
        "until": max(span.end.year for span in spans),
    }
    has_totals = any(MEASURES[text].by_month for text in labels if text in MEASURES)
    by_account = members is not None or selection.accounts is not None
    statement = _count_statement(by, bool(keys), by_account, has_totals)
    (((groups, *values),),) = yield [BoundStatement(statement, parameters)]
    group_count = prod(values[0] if values and values[0] else ()) * max(1, len(selection.segments))
    return int(groups) * fixed_subjects * group_count


@lru_cache(maxsize=64)
def _count_statement(by: tuple[str, ...], by_attribute: bool, by_account: bool, has_totals: bool) -> Statement:
    """Return the query of the number of groups of accounts, subjects and channels and, by attribute, of its values.

    has_totals: whether the measures have monthly totals, which are fewer than their entries. The totals of all accounts
    together, without the account, are fewer still.
    """
    facts: Any = entry if not has_totals else total if by_account or "account" in by else grand_total
    columns: dict[str, Any] = {name: facts.c["account_id" if name == "account" else name] for name in by}
    year: Any = facts.c.year if has_totals else sa.cast(sa.extract("year", entry.c.effective_on), sa.Integer)
    conditions = [
        facts.c.measure == sa.any_(array_param("measures", sa.Integer)),
        year.between(sa.bindparam("since", type_=sa.Integer), sa.bindparam("until", type_=sa.Integer)),
    ]
    if by_account:
        conditions.append(facts.c.account_id == sa.any_(array_param("accounts", sa.BigInteger)))
    groups = sa.select(*(columns[name] for name in by)).where(*conditions).distinct().limit(MAX_SUMS).subquery("groups")
    counts: list[Any] = [sa.select(sa.func.count()).select_from(groups).scalar_subquery() if by else sa.literal(1)]
    if by_attribute:
        is_grouping = attribute.c.key == sa.any_(array_param("keys", sa.Text))
        values = sa.select(attribute.c.key, attribute.c.value).where(is_grouping).distinct().subquery("own")
        # The values of several attributes make at most as many groups as each has, and null, with each of the other.
        by_key = (
            sa.select((sa.func.count() + 1).label("count"))
            .select_from(values)
            .group_by(values.c.key)
            .subquery("by_key")
        )
        counts.append(sa.select(sa.func.array_agg(by_key.c.count)).scalar_subquery())
    return compile_query(sa.select(*counts))
