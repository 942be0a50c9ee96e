"""Trailing sums: the values of an operand in each of the last whole months before the end of a span, added up."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from itertools import pairwise, zip_longest
from typing import Self

from app.core.periods import months_before
from app.database.query_plan import QueryPlan
from app.database.tables import MIN_DATE
from app.ledger.sums.operand_sums import Operand, OperandTerm, SumsRequest, sum_operands
from app.ledger.sums.selection import Span, Sums, empty_sums


@dataclass(frozen=True, slots=True)
class TrailingTerm(OperandTerm):
    """The sum of an operand over each of the last whole calendar months up to the end of every span."""

    of: Operand
    months: int

    @classmethod
    def load(cls, request: SumsRequest, terms: Sequence[Self]) -> QueryPlan[list[Sums]]:
        """Return the sums of each term. A month that counts for several spans is read once."""
        sums = {term: empty_sums() for term in terms}
        for months in {term.months for term in terms}:
            alike = [term for term in terms if term.months == months]
            indices_by_month = _indices_by_month(request, months)
            for spans in _without_overlap(indices_by_month):
                by_month = yield from sum_operands([term.of for term in alike], replace(request, spans=spans))
                for term in alike:
                    _add(sums[term], by_month[term.of], [indices_by_month[span] for span in spans])
        return [sums[term] for term in terms]


def _add(sums: Sums, by_month: Sums, indices: Sequence[Sequence[int]]) -> None:
    """Add the sums of months to those of the spans for which they count."""
    for group, values in by_month.items():
        for month, value in values.items():
            for index in indices[month]:
                sums[group][index] += value


def _indices_by_month(request: SumsRequest, months: int) -> dict[Span, list[int]]:
    """Return the months before the spans' ends, each with the indices of the spans for which it counts.

    Accounts are in a month in the group in which they are in the span.
    """
    # Where groups do not depend on attributes, only the days of a month matter.
    by_attribute = request.selection.shape.depends_on_days
    indices: dict[Span, list[int]] = defaultdict(list)
    for index, span in enumerate(request.spans):
        for start, end in _last_months(span.end, months):
            indices[Span(start, end, span.group_day if by_attribute else MIN_DATE)].append(index)
    return indices


def _last_months(end: date, months: int) -> Iterable[tuple[date, date]]:
    """Return the days `[start, end)` of the last whole months before an end."""
    return pairwise(months_before(end.replace(day=1), number) for number in range(months, -1, -1))


def _without_overlap(months: Iterable[Span]) -> list[list[Span]]:
    """Return the months in lists without overlap: a month with several group days is in as many lists."""
    same_days: dict[date, list[Span]] = defaultdict(list)
    for month in months:
        same_days[month.start].append(month)
    return [[month for month in turn if month] for turn in zip_longest(*same_days.values())]
