"""The balance of a stock of some accounts at the end of a day of this month, from the monthly totals."""

from collections.abc import Collection
from datetime import date

from app.core.periods import months_before
from app.database.query_plan import QueryPlan
from app.database.statements import BoundStatement, Statement
from app.database.tables import MONTH_NAMES

_MONTH = " ".join(f"WHEN {number} THEN {name}" for number, name in enumerate(MONTH_NAMES, start=1))
# The totals of stocks are cumulated within the year. That of the month has what is scheduled for the rest of it.
_LOAD = Statement(
    f"""
    SELECT row.account_id, coalesce(before.value, 0) - coalesce(ahead.value, 0)
    FROM unnest(CAST(%(accounts)s AS bigint[])) AS row(account_id)
    CROSS JOIN LATERAL (
        SELECT bigint_sum(CASE WHEN year < %(year)s THEN {MONTH_NAMES[-1]} ELSE CASE %(month)s {_MONTH} END END) AS value
        FROM total WHERE total.account_id = row.account_id AND year <= %(year)s AND measure = %(measure)s OFFSET 0) AS before
    CROSS JOIN LATERAL (
        SELECT bigint_sum(value) AS value FROM entry
        WHERE entry.account_id = row.account_id AND measure = %(measure)s
            AND effective_on > %(day)s AND effective_on < %(next_month)s OFFSET 0) AS ahead
    """,
    array_formats={"accounts": str},
)


def load_balances(accounts: Collection[int], *, measure: int | None, day: date) -> QueryPlan[dict[int, int]]:
    """Return the balance of accounts, as known now. measure: the label of a stock; None while nothing is posted."""
    if not accounts or measure is None:
        return dict.fromkeys(accounts, 0)
    next_month = months_before(day.replace(day=1), -1)
    parameters = {"accounts": accounts, "measure": measure, "day": day, "next_month": next_month}
    (rows,) = yield [BoundStatement(_LOAD, parameters | {"year": day.year, "month": day.month})]
    return dict(rows)
