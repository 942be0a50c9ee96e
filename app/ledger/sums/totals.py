"""The monthly totals of accounts, and of all accounts together, as statements read them.

They hold everything that is recorded by now. With `as_of` the same rows are made from the entries. The statements over
them are in `flows` and `balances`.
"""

from typing import Any

import sqlalchemy as sa

from app.database.tables import MONTH_COLUMNS, entry, grand_total, total
from app.ledger.sums.selection import Shape


def totals_source(shape: Shape, *, stock: bool) -> Any:
    """Return the monthly totals that answer a selection: a row per measure, account, subject, channel and year.

    stock: the totals of stocks are cumulated within the year. With `as_of` the statement needs the parameters `since` and
    `until`, the days whose entries count.
    """
    if shape.as_of:
        return _totals_as_of(stock=stock)
    by_account = shape.depends_on_days or shape.by_account or {"account", "segment"} & set(shape.group_by)
    return total if by_account else grand_total


def _totals_as_of(*, stock: bool) -> Any:
    year, month = (sa.cast(sa.extract(part, entry.c.effective_on), sa.Integer) for part in ("year", "month"))
    keys = (entry.c.measure, entry.c.account_id, entry.c.subject, entry.c.channel)
    sums = [
        sa.func.coalesce(sa.func.sum(entry.c.value).filter(month <= number if stock else month == number), 0)
        for number in range(1, 13)
    ]
    query = sa.select(*keys, year.label("year"), *(s.label(m.name) for s, m in zip(sums, MONTH_COLUMNS, strict=True)))
    query = query.where(
        entry.c.recorded_on <= sa.bindparam("as_of", type_=sa.Date),
        entry.c.effective_on >= sa.bindparam("since", type_=sa.Date),
        entry.c.effective_on < sa.bindparam("until", type_=sa.Date),
    )
    return query.group_by(*keys, year).subquery("totals")
