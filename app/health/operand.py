"""The kind of operand that is about health: scores of current customers, added up or counted.

It is defined here and not beside the other kinds, since health is computed from metrics. `sum_operands` does not know the
difference.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Self

import sqlalchemy as sa

from app.accounts.accounts import account_key
from app.database.query_plan import QueryPlan
from app.database.tables import presence, registration
from app.health.model import BANDS
from app.health.scores import DayScores, batches_of_days, load_scores
from app.ledger.measures import MEASURES, PRESENCES
from app.ledger.sums.account_sums import KnownDay
from app.ledger.sums.operand_sums import Operand, OperandTerm, SumsRequest, sum_operands
from app.ledger.sums.operands import Balance
from app.ledger.sums.selection import Group, Selection, Sums, empty_sums

_CUSTOMERS = Balance("customers", closing=True)
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class HealthTerm(OperandTerm):
    """What `HealthScores` sums, of the customers at the end of each span."""

    adds_scores: bool
    by_band: bool

    @classmethod
    def load(cls, request: SumsRequest, terms: Sequence[Self]) -> QueryPlan[list[Sums]]:
        """Return the sums of each term. The scores of a day are loaded once, and of few days at a time if they are many."""
        sums = [empty_sums() for _ in terms]
        spans = {index: span for index, span in enumerate(request.spans) if span.start < span.end}
        groups_by_span = yield from _groups_by_span(request)
        customers = {account for groups in groups_by_span.values() for account in groups}
        days = [KnownDay(span.end - _DAY, request.selection.as_of) for span in spans.values()]
        indices = iter(spans)
        for batch in batches_of_days(days, accounts=len(customers)):
            for scores in (yield from load_scores(batch, accounts=request.selection.accounts, only_customers=True)):
                index = next(indices)
                for term, own in zip(terms, sums, strict=True):
                    term._add(own, request.selection, index, scores, groups_by_span[index])
        return sums

    def _add(
        self, sums: Sums, selection: Selection, index: int, scores: DayScores, groups: dict[int, list[Group]]
    ) -> None:
        position = selection.group_by.index("subject") if self.by_band and "subject" in selection.group_by else None
        for number, account in enumerate(scores.accounts):
            score, band = scores.scores[number], scores.band(number)
            if score is None or (self.by_band and selection.subjects and band not in selection.subjects):
                continue
            for group in groups.get(account, ()):
                key = group if position is None else (*group[:position], ("str", band), *group[position:])
                sums[key][index] += score if self.adds_scores else 1


def _groups_by_span(request: SumsRequest) -> QueryPlan[dict[int, dict[int, list[Group]]]]:
    """Return the groups of each customer at the end of each span, by account: several where it is in several segments."""
    selection = request.selection.without_dimensions()
    selection = replace(selection, group_by=(*selection.group_by, "account"), members=None)
    sums = (yield from sum_operands([_CUSTOMERS], replace(request, selection=selection)))[_CUSTOMERS]
    groups: dict[int, dict[int, list[Group]]] = {index: {} for index in range(len(request.spans))}
    for (*group, (_, id)), values in sums.items():
        for index, value in values.items():
            if value:
                groups[index].setdefault(account_key(id), []).append(tuple(group))
    return groups


@dataclass(frozen=True, slots=True)
class HealthScores(Operand):
    """The health scores of customers at the end of the period, added up in hundredths of a point, or their number."""

    adds_scores: bool
    by_band: bool = False

    def describe(self, period: str) -> str:
        customers = f"customers at the end of the {period} that have a health score"
        if self.adds_scores:
            return f"The health scores of all {customers}, added up, in hundredths of a point."
        return f"The number of {customers}."

    @property
    def label_texts(self) -> frozenset[str]:
        return self.postings

    @property
    def postings(self) -> frozenset[str]:
        # A model may be about any of them.
        return frozenset({*MEASURES, *PRESENCES})

    @property
    def subject(self) -> str | None:
        return "health band" if self.by_band else None

    @property
    def subject_texts(self) -> frozenset[str]:
        return frozenset(BANDS if self.by_band else ())

    @property
    def is_cumulative(self) -> bool:
        return True

    @property
    def sums_per_account(self) -> int:
        # The columns of a model, of one day at a time, are as large as some sums of a question.
        return 6

    @property
    def history_tables(self) -> frozenset[sa.Table]:
        return frozenset({presence, registration})

    def terms(self, request: SumsRequest) -> Iterable[OperandTerm]:
        return [HealthTerm(self.adds_scores, self.by_band)]
