"""The kind of components that is the last response to a survey."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Any, ClassVar, Literal, Self

from pydantic import Field

from app.core.ids import Id
from app.core.names import Fault, build_fault
from app.database.query_plan import QueryPlan
from app.database.statements import BoundStatement, Statement
from app.database.tables import WHOLE_BUSINESS
from app.health.kinds import WHOLE, Component, ComponentValues, Surroundings, by_row, kind
from app.ledger.sums.account_sums import (
    AccountSumsRequest,
    Block,
    DayBound,
    Part,
    block_of_rows,
    empty_block,
    merge_blocks,
)
from app.ledger.surveys import score_subject

_MEASURE = "survey_scores"
_BILLION = 1_000_000_000
_SURVEYS = Statement("SELECT kind, id, low, high, easy_is FROM survey WHERE kind = ANY(%(kinds)s) ORDER BY id")


@dataclass(frozen=True, slots=True)
class LastResponse(Part):
    """The age in days of an account's last day with survey responses, the sum of how good they were, in billionths, their number.

    kinds: of which kinds of surveys. surveys: of which ones; empty for all. days: how far to look back. None without any.
    """

    default: ClassVar[Any] = None
    kinds: tuple[str, ...]
    surveys: tuple[str, ...]
    days: int

    @property
    def label_texts(self) -> frozenset[str]:
        return frozenset({_MEASURE})

    @classmethod
    def load(cls, request: AccountSumsRequest, parts: Sequence[Self]) -> QueryPlan[Block]:
        """Return the block of the parts: a statement for each part, after one for the surveys."""
        kinds = sorted({kind for part in parts for kind in part.kinds})
        (surveys,) = yield [BoundStatement(_SURVEYS, {"kinds": kinds})]
        if _MEASURE not in request.labels or not surveys:
            return empty_block(len(parts))
        results = yield [part._statement(request, surveys) for part in parts]
        return merge_blocks([block_of_rows(_responses(rows), 1) for rows in results])

    def _statement(self, request: AccountSumsRequest, surveys: Sequence[Sequence[Any]]) -> BoundStatement:
        scores = {
            score_subject(id, score): _goodness(score, low, high, easy_is)
            for kind, id, low, high, easy_is in surveys
            if kind in self.kinds and id in (self.surveys or (id,))
            for score in range(low, high + 1)
        }
        parameters = {
            "measure": request.labels[_MEASURE],
            "texts": list(scores),
            "goodness": list(scores.values()),
            "index": range(len(request.days)),
            "day": [at.day for at in request.days],
            "since": [DayBound(self.days).on(at.tomorrow) for at in request.days],
            "recorded_by": [at.recorded_by for at in request.days],
        }
        return BoundStatement(_statement(request.account_condition), parameters | request.account_parameters)


def _goodness(score: int, low: int, high: int, easy_is: str | None) -> int:
    """Return how far a score is on the way from the worst to the best of its scale."""
    share = Fraction(score - low, high - low)
    return round(_BILLION * (1 - share if easy_is == "low" else share))


@lru_cache(maxsize=4)
def _statement(account_condition: str) -> Statement:
    """Return the query of rows (index of the day, account, age, sum of the goodness of its responses, their number)."""
    text = f"""
    SELECT day.index, own.*
    FROM unnest(CAST(%(index)s AS int[]), CAST(%(day)s AS date[]), CAST(%(since)s AS date[]),
        CAST(%(recorded_by)s AS date[])) AS day(index, day, since, recorded_by)
    CROSS JOIN LATERAL (
        SELECT DISTINCT ON (account_id)
            account_id, day.day - effective_on AS age, bigint_sum(value * goodness) AS sum, bigint_sum(value) AS count
        FROM entry
        JOIN label ON label.key = entry.subject
        JOIN unnest(CAST(%(texts)s AS text[]), CAST(%(goodness)s AS bigint[])) AS score(text, goodness) USING (text)
        WHERE measure = %(measure)s AND effective_on >= day.since AND effective_on <= day.day
            AND recorded_on <= day.recorded_by AND account_id <> {WHOLE_BUSINESS} {account_condition}
        GROUP BY account_id, effective_on HAVING bigint_sum(value) > 0
        ORDER BY account_id, effective_on DESC OFFSET 0) AS own
    """
    names = dict.fromkeys(("index", "day", "since", "recorded_by", "goodness"), str)
    return Statement(text, array_formats=names | ({"accounts": str} if account_condition else {}))


def _responses(rows: Sequence[Sequence[Any]]) -> list[tuple[int, int, tuple[int, int, int]]]:
    return [(index, account, (age, total, count)) for index, account, age, total, count in rows]


def _value(response: tuple[int, int, int] | None) -> float | None:
    """Return how good the responses of a day were on average, in percent."""
    if response is None:
        return None
    _, goodness, count = response
    return WHOLE * goodness / (count * _BILLION)


@kind
class LastResponseComponent(Component):
    """How good the account's last survey response was, in percent of the way from the worst to the best score of its survey.

    Of the last day with responses, the mean counts. The answer loses weight with age: it has its whole weight for `fresh_days`,
    then linearly less, and none from `stale_days` on. Takes no part where there is no response younger than that.
    """

    kind: Literal["last_response"] = "last_response"
    survey_kinds: list[Literal["nps", "csat", "ces"]] = Field(
        ["nps", "csat"], min_length=1, max_length=3, description="Of which kinds of surveys."
    )
    surveys: list[Id] = Field([], max_length=100, description="Of which surveys. Default: all of these kinds.")
    fresh_days: int = Field(90, ge=0, le=2_000, description="Up to which age a response has its whole weight.")
    stale_days: int = Field(365, ge=1, le=2_000, description="From which age on it has none.")

    @property
    def unit(self) -> str:
        return "percent"

    def faults(self, pointer: str) -> list[Fault]:
        faults = super().faults(pointer)
        if self.fresh_days >= self.stale_days:
            detail = "`stale_days` must be more than `fresh_days`."
            faults.append(build_fault(f"{pointer}/stale_days", detail, code="invalid"))
        return faults

    def parts(self, window_days: int) -> Sequence[Part]:
        return [self._part]

    def values(self, window_days: int, surroundings: Surroundings) -> ComponentValues:
        responses = surroundings.columns[self._part]
        return ComponentValues(by_row(_value, [responses]), by_row(self._factor, [responses]))

    @property
    def _part(self) -> LastResponse:
        return LastResponse(tuple(sorted({*self.survey_kinds})), tuple(self.surveys), self.stale_days)

    def _factor(self, response: tuple[int, int, int] | None) -> int:
        """Return the percentage of its weight that a response has by its age, rounded up."""
        if response is None:
            return 0
        age = response[0]
        if age <= self.fresh_days:
            return WHOLE
        return -(-WHOLE * (self.stale_days - age) // (self.stale_days - self.fresh_days))
