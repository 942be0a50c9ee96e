"""From the operands of a question to their sums, in a few statements: one for each kind of term.

An operand's sum is the sum of its terms. Each class of terms knows its SQL, and loads all terms of a question at once:

    sums[operand] = Σ sums of operand.terms(request)         terms of one class: one `load`, whatever their operands

The kinds of operands are in `operands`; the classes of terms are in `flows`, `balances`, `populations`, `distinct_users`
and `trailing`, each beside its statement. A new kind of operand touches two files, and this is neither of them.
"""

from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import cached_property
from typing import Self

import sqlalchemy as sa

from app.core.periods import Calendar
from app.database.query_plan import QueryPlan, merge_plans
from app.ledger.money import per_month
from app.ledger.sums.members import find_members
from app.ledger.sums.selection import Selection, Span, Sums, empty_sums


@dataclass(frozen=True)
class SumsRequest:
    """What operands are summed over: entries of a selection, in spans that do not overlap and end tomorrow at the latest.

    labels: text -> label, of `operand_label_texts` and of the selection's subjects and channels; a text without a label
    has no entries.
    """

    selection: Selection
    spans: Sequence[Span]
    labels: Mapping[str, int]
    calendar: Calendar
    tomorrow: date

    @cached_property
    def all_spans(self) -> frozenset[int]:
        """The indices of all spans."""
        return frozenset(range(len(self.spans)))


class OperandTerm(ABC):
    """A part of an operand's sum that one statement answers. Terms of one class are loaded together."""

    __slots__ = ()

    @classmethod
    @abstractmethod
    def load(cls, request: SumsRequest, terms: Sequence[Self]) -> QueryPlan[Sequence[Sums]]:
        """Return the sums of each term, which must not be changed: terms may share them."""


class Operand(ABC):
    """A sum of ledger entries that a formula uses. Immutable and hashable, since sums are found by their operand.

    label_texts: the texts whose labels its terms need. postings: the measures and presences whose postings make it.
    """

    __slots__ = ()

    @property
    @abstractmethod
    def label_texts(self) -> frozenset[str]: ...

    @property
    @abstractmethod
    def postings(self) -> frozenset[str]: ...

    @property
    def description(self) -> str:
        """What it is, as a sentence for the catalogue of metrics."""
        return self.describe("period")

    @abstractmethod
    def describe(self, period: str) -> str:
        """Return the description with another word for the period."""

    @property
    def subject(self) -> str | None:
        """What the subjects are by which it can be broken down; None when it has none."""
        return None

    @property
    def has_channels(self) -> bool:
        """Whether it can be broken down by channel."""
        return False

    @property
    def ignores_dimensions(self) -> bool:
        """Whether it is the same for every subject and channel: the sum over all of them."""
        return False

    @property
    def is_cumulative(self) -> bool:
        """Whether postings from before the period count, too."""
        return False

    @property
    def is_per_year(self) -> bool:
        """Whether its terms are money per year, of which its sum is the twelfth: see `Measure.per_year`."""
        return False

    @property
    def subject_texts(self) -> frozenset[str]:
        """All subjects that there are, where these are fixed; empty where data brings them."""
        return frozenset()

    @property
    def sums_per_account(self) -> int:
        """How many sums of every account are in memory while it is summed, whatever the groups are."""
        return 0

    @property
    def history_tables(self) -> frozenset[sa.Table]:
        """The tables with both time axes that it is read from, besides the entries."""
        return frozenset()

    @abstractmethod
    def terms(self, request: SumsRequest) -> Iterable[OperandTerm]:
        """Return the terms whose sums add up to the operand's."""


def operand_label_texts(operands: Iterable[Operand]) -> frozenset[str]:
    """Return the texts whose labels `sum_operands` needs, besides those of the selection."""
    return frozenset({""}).union(*(operand.label_texts for operand in operands))


def sum_operands(operands: Collection[Operand], request: SumsRequest) -> QueryPlan[dict[Operand, Sums]]:
    """Return the sums of each operand, by group and index of the span: whole numbers, or fractions of money per month.

    The groups of operands that ignore dimensions have no subject and channel.
    """
    days = [span.group_day for span in request.spans]
    request = replace(request, selection=(yield from find_members(request.selection, days)))
    undivided_request = replace(request, selection=request.selection.without_dimensions())
    if undivided_request.selection == request.selection:
        return (yield from _sum_alike(operands, request))
    plans = [
        _sum_alike([operand for operand in operands if not operand.ignores_dimensions], request),
        _sum_alike([operand for operand in operands if operand.ignores_dimensions], undivided_request),
    ]
    divided_sums, undivided_sums = yield from merge_plans(plans)
    return divided_sums | undivided_sums


def _sum_alike(operands: Collection[Operand], request: SumsRequest) -> QueryPlan[dict[Operand, Sums]]:
    """Return the sums of operands that all count the entries of the request's selection."""
    terms = [(operand, list(operand.terms(request))) for operand in operands]
    by_class: dict[type[OperandTerm], list[OperandTerm]] = defaultdict(list)
    for _, own_terms in terms:
        for term in own_terms:
            by_class[type(term)].append(term)
    results_by_class = yield from merge_plans([class_.load(request, alike) for class_, alike in by_class.items()])
    results = {class_: iter(results) for class_, results in zip(by_class, results_by_class, strict=True)}
    sums = {operand: _add_up([next(results[type(term)]) for term in own_terms]) for operand, own_terms in terms}
    return {operand: _per_month(own) if operand.is_per_year else own for operand, own in sums.items()}


def _add_up(parts: Sequence[Sums]) -> Sums:
    if len(parts) == 1:
        return parts[0]
    total = empty_sums()
    for part in parts:
        for group, values in part.items():
            target = total[group]
            for index, value in values.items():
                target[index] += value
    return total


def _per_month(sums: Sums) -> Sums:
    return {group: {index: per_month(value) for index, value in values.items()} for group, values in sums.items()}
