"""The kind of components that is the time since the account did something."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar, Literal, Self

from pydantic import Field

from app.core.names import Fault
from app.database.query_plan import QueryPlan
from app.database.statements import BoundStatement, Statement
from app.database.tables import WHOLE_BUSINESS
from app.health.kinds import Component, ComponentValues, Surroundings, kind
from app.health.metric_values import counted_measure, counted_metric_faults
from app.ledger.sums.account_sums import AccountSumsRequest, Block, DayBound, Part, block_of_rows, merge_blocks


@dataclass(frozen=True, slots=True)
class DaysSince(Part):
    """The days since the last one on which a measure was above zero; None where it never was.

    days: how many days are read for all accounts at once; of those with nothing in them, the last day is looked up.
    """

    default: ClassVar[Any] = None
    measure: str
    days: int

    @property
    def label_texts(self) -> frozenset[str]:
        return frozenset({self.measure})

    @classmethod
    def load(cls, request: AccountSumsRequest, parts: Sequence[Self]) -> QueryPlan[Block]:
        """Return the block of the parts: a statement for each part."""
        results = yield [part._statement(request) for part in parts]
        return merge_blocks([block_of_rows(rows, 1) for rows in results])

    def _statement(self, request: AccountSumsRequest) -> BoundStatement:
        parameters = {
            "measure": request.labels.get(self.measure, -1),
            "index": range(len(request.days)),
            "day": [at.day for at in request.days],
            "since": [DayBound(self.days).on(at.tomorrow) for at in request.days],
            "recorded_by": [at.recorded_by for at in request.days],
        }
        return BoundStatement(_statement(request.account_condition), parameters | request.account_parameters)


@lru_cache(maxsize=4)
def _statement(account_condition: str) -> Statement:
    """Return the query of rows (index of the day, account, days since).

    Nearly all accounts that use a product have used it lately: their last day is found in one pass over the recent entries. Only
    for the others, all of their entries are looked at.
    """
    is_known = "measure = %(measure)s AND recorded_on <= day.recorded_by"
    text = f"""
    SELECT day.index, own.account_id, day.day - own.last_day
    FROM unnest(CAST(%(index)s AS int[]), CAST(%(day)s AS date[]), CAST(%(since)s AS date[]),
        CAST(%(recorded_by)s AS date[])) AS day(index, day, since, recorded_by)
    CROSS JOIN LATERAL (
        WITH recent AS MATERIALIZED (
            SELECT account_id, max(effective_on) AS last_day FROM (
                SELECT account_id, effective_on FROM entry
                WHERE {is_known} AND effective_on >= day.since AND effective_on <= day.day
                    AND account_id <> {WHOLE_BUSINESS} {account_condition}
                GROUP BY account_id, effective_on HAVING bigint_sum(value) > 0) AS active
            GROUP BY account_id)
        SELECT account_id, last_day FROM recent
        UNION ALL
        SELECT account.account_id, earlier.effective_on
        FROM account CROSS JOIN LATERAL (
            SELECT effective_on FROM entry
            WHERE entry.account_id = account.account_id AND {is_known} AND effective_on < day.since
            GROUP BY effective_on HAVING bigint_sum(value) > 0
            ORDER BY effective_on DESC LIMIT 1) AS earlier
        WHERE account.account_id NOT IN (SELECT account_id FROM recent)
            AND account.account_id <> {WHOLE_BUSINESS} {account_condition.replace("account_id", "account.account_id")}
        OFFSET 0) AS own
    """
    names = dict.fromkeys(("index", "day", "since", "recorded_by"), str)
    return Statement(text, array_formats=names | ({"accounts": str} if account_condition else {}))


@kind
class DaysSinceComponent(Component):
    """The days since the last one on which a metric was above zero, such as the last day with an active user.

    It is 0 on such a day itself. Takes no part for an account that never had one: never used.
    """

    kind: Literal["days_since"] = "days_since"
    metric: str = Field(
        "active_user_days", max_length=128, description="A metric that counts one kind of thing, such as `sessions`."
    )

    @property
    def unit(self) -> str:
        return "days"

    @property
    def verbs(self) -> tuple[str, str]:
        return "moved", "moved"

    @property
    def units(self) -> tuple[str, str]:
        return "", " days ago"

    def faults(self, pointer: str) -> list[Fault]:
        return super().faults(pointer) + counted_metric_faults(self.metric, f"{pointer}/metric")

    def parts(self, window_days: int) -> Sequence[Part]:
        return [self._part]

    def values(self, window_days: int, surroundings: Surroundings) -> ComponentValues:
        return ComponentValues(surroundings.columns[self._part])

    @property
    def _part(self) -> DaysSince:
        # Anchors may lie beyond any date.
        return DaysSince(counted_measure(self.metric) or "", min(60, max(1, int(max(self.poor, self.good)) + 1)))
