"""The cut-offs of a back-test, and what is known of the accounts at each: who was a customer, and whom the outcome followed.

Who counts is decided by what was known at the cut-off; what followed, by what is known now (or on the day `as_of`).
"""

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from typing import Any, Literal, NamedTuple

from app.core.errors import Invalid
from app.database.labels import lookup_labels
from app.database.pool import Database
from app.database.query_plan import QueryPlan
from app.database.statements import BoundStatement, Statement
from app.database.tables import MIN_DATE, WHOLE_BUSINESS

Outcome = Literal["churned", "churned_or_contracted"]

# The stock that falls when the outcome follows. An account is a customer while its balance of either is above 0.
_MEASURES: dict[str, str] = {"churned": "customers", "churned_or_contracted": "mrr"}

# With a smaller share of a cut-off's customers known on its day, their history was recorded later.
_MIN_RECORDED_SHARE = 0.5


class CutOff(NamedTuple):
    """The day of which the scores are, as known at its end, and the last day of the horizon, which begins on the day after."""

    day: date
    until: date


class CutOffCustomers(NamedTuple):
    """The accounts at a cut-off, by their keys, each with whether the outcome followed.

    observable: customers, as far as was known. cancellation_known: customers of whom it was known already that they would leave
    (or contract). left_before: how many customers had left by the cut-off, which was recorded later. not_recorded_then: how
    many were customers, which was recorded later.
    """

    observable: dict[int, bool]
    cancellation_known: dict[int, bool]
    left_before: int = 0
    not_recorded_then: int = 0

    @property
    def reason(self) -> str | None:
        """Why the cut-off cannot be used; None if it can."""
        customers = len(self.observable) + len(self.cancellation_known)
        if not customers + self.left_before + self.not_recorded_then:
            return "no_customers"
        if customers < _MIN_RECORDED_SHARE * (customers + self.not_recorded_then) or not customers:
            return "not_recorded_then"
        return None


def list_cut_offs(start: date, end: date, *, horizon_days: int) -> Iterator[CutOff]:
    """Yield the first day of each month within `[start, end)`."""
    month = 12 * start.year + start.month - 1 + (start.day > 1)
    while month < 12 * 9999 and (day := date(month // 12, month % 12 + 1, 1)) < end:
        yield CutOff(day, day + timedelta(days=horizon_days))
        month += 1


_STATEMENT = Statement(
    f"""
    WITH cut_off AS MATERIALIZED (
        SELECT * FROM unnest(CAST(%(index)s AS int[]), CAST(%(day)s AS date[]), CAST(%(until)s AS date[]))
            AS cut_off(index, day, until)
    ), fact AS MATERIALIZED (
        SELECT account_id, effective_on, recorded_on, value FROM entry
        WHERE measure = %(measure)s AND account_id <> {WHOLE_BUSINESS} AND recorded_on <= %(recorded_by)s
    ), own AS (
        SELECT cut_off.index, balance.* FROM cut_off CROSS JOIN LATERAL (
            SELECT account_id,
                coalesce(bigint_sum(value) FILTER (WHERE effective_on <= day AND recorded_on <= day), 0) AS at_day,
                coalesce(bigint_sum(value) FILTER (WHERE effective_on <= until AND recorded_on <= day), 0) AS to_horizon,
                coalesce(bigint_sum(value) FILTER (WHERE recorded_on <= day), 0) AS to_end,
                coalesce(bigint_sum(value) FILTER (WHERE effective_on <= day), 0) AS true_at_day,
                coalesce(bigint_sum(value) FILTER (WHERE effective_on <= until), 0) AS true_to_horizon
            FROM fact GROUP BY account_id OFFSET 0) AS balance
        WHERE at_day > 0 OR true_at_day > 0
    )
    SELECT index,
        CASE WHEN at_day <= 0 THEN 'not_recorded_then' WHEN true_at_day <= 0 THEN 'left_before'
            WHEN least(to_horizon, to_end) < at_day THEN 'cancellation_known' ELSE 'observable' END AS population,
        true_to_horizon < true_at_day AS has_outcome,
        count(*),
        CASE WHEN (SELECT count(*) FROM own) <= %(limit)s THEN
            array_agg(account_id ORDER BY account_id) FILTER (WHERE at_day > 0 AND true_at_day > 0) END,
        (SELECT count(*) FROM own)
    FROM own GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
    """,
    array_formats={"index": str, "day": str, "until": str},
)
_EXTENT = Statement(
    f"SELECT count(*), max(last_recorded_on) FROM account WHERE account_id <> {WHOLE_BUSINESS}",
)
# On most days something that has just occurred is recorded. Only if not, all events are looked through.
_LAST_RECORDED = Statement(
    f"""
    SELECT CASE
        WHEN EXISTS (
            SELECT FROM event WHERE recorded_on = CAST(%(day)s AS date) AND account_id <> {WHOLE_BUSINESS}
                AND occurred_at > CAST(%(day)s AS date) - 1 AND occurred_at < CAST(%(day)s AS date) + 2)
        THEN CAST(%(day)s AS date)
        ELSE greatest(
            (SELECT max(recorded_on) FROM event WHERE recorded_on <= %(day)s AND account_id <> {WHOLE_BUSINESS}),
            (SELECT max(retracted_on) FROM event WHERE retracted_on <= %(day)s AND account_id <> {WHOLE_BUSINESS}))
    END
    """
)


class Extent(NamedTuple):
    """The number of all accounts, customers or not, and the last day on which anything was recorded for one."""

    accounts: int
    last_recorded_on: date


def load_extent(as_of: date | None) -> QueryPlan[Extent]:
    """Return the extent of the data. as_of: a day that is over, after which nothing counts as recorded; None: by now."""
    statements = [BoundStatement(_EXTENT, {})]
    if as_of is not None:
        statements.append(BoundStatement(_LAST_RECORDED, {"day": as_of}))
    (((count, day),), *earlier) = yield statements
    if earlier:
        (((day,),),) = earlier
    return Extent(count, day or MIN_DATE)


def _too_many(total: int, months: int, limit: int) -> Invalid:
    detail = (
        f"There are {total:,} customers at {months} cut-offs, each counted at each, so {months} months are too many for one "
        f"back-test: at most {limit:,} are looked at at once. Test {max(1, months * limit // total)} months at a time."
    )
    return Invalid.at("/query/period", detail, code="too_many_rows")


def load_customers(
    database: Database, cut_offs: Sequence[CutOff], *, outcome: Outcome, recorded_by: date, limit: int
) -> QueryPlan[list[CutOffCustomers]]:
    """Return the accounts at each cut-off. Raises Invalid for more than `limit` of all cut-offs, before they are in memory.

    recorded_by: the day whose knowledge decides what followed.

    The outcome follows when the balance at the end of the horizon is below that at the cut-off: of customers, or of MRR.
    """
    customers = [CutOffCustomers({}, {}) for _ in cut_offs]
    measure = _MEASURES[outcome]
    labels = yield from lookup_labels(database, {measure})
    if measure not in labels or not cut_offs:
        return customers
    parameters: dict[str, Any] = {
        "index": range(len(cut_offs)),
        "day": [own.day for own in cut_offs],
        "until": [own.until for own in cut_offs],
        "measure": labels[measure],
        "recorded_by": recorded_by,
        "limit": limit,
    }
    (rows,) = yield [BoundStatement(_STATEMENT, parameters)]
    for index, name, has_outcome, count, accounts, total in rows:
        if total > limit:
            raise _too_many(total, len(cut_offs), limit)
        own = customers[index]
        if accounts:
            getattr(own, name).update(dict.fromkeys(accounts, has_outcome))
        else:
            customers[index] = own._replace(**{name: getattr(own, name) + count})
    return customers
