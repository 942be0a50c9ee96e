"""The kinds of operands: sums of ledger entries, each kind in its own way.

A kind says what it is (for the catalogue), which postings make it (for audits) and of which terms its sum consists. The
SQL is in the modules of the terms.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

import sqlalchemy as sa

from app.core.periods import UNITS, units_containing
from app.database.tables import presence as presence_table
from app.database.tables import registration as registration_table
from app.ledger.measures import MEASURES, PRESENCES, entry_units
from app.ledger.sums.account_values import AccountValue
from app.ledger.sums.balances import BalanceTerm
from app.ledger.sums.distinct_users import DistinctUsersTerm, RegisteredUsersTerm
from app.ledger.sums.flows import FlowTerm
from app.ledger.sums.operand_sums import Operand, OperandTerm, SumsRequest
from app.ledger.sums.populations import PopulationTerm
from app.ledger.sums.selection import Span
from app.ledger.sums.trailing import TrailingTerm


@dataclass(frozen=True, slots=True)
class MeasureOperand(Operand):
    """A sum of the entries of one measure, with the measure's subject and channel."""

    measure: str

    @property
    def label_texts(self) -> frozenset[str]:
        return frozenset({self.measure})

    @property
    def postings(self) -> frozenset[str]:
        # The measure of a presence has no posting of its own: its entries follow from the days of users.
        presences = (name for name, own in PRESENCES.items() if MEASURES[self.measure] in own.units.values())
        return frozenset({*presences} or {self.measure})

    @property
    def subject(self) -> str | None:
        return MEASURES[self.measure].subject

    @property
    def has_channels(self) -> bool:
        return MEASURES[self.measure].channel

    @property
    def is_per_year(self) -> bool:
        return MEASURES[self.measure].per_year


@dataclass(frozen=True, slots=True)
class Flow(MeasureOperand):
    """The sum of the entries of a measure within the period.

    any_subject: the measure to use where subjects need not be distinguished, which has fewer entries.
    """

    any_subject: str | None = None

    def describe(self, period: str) -> str:
        return MEASURES[self.measure].description

    @property
    def label_texts(self) -> frozenset[str]:
        return frozenset({self.measure, self.any_subject or self.measure})

    def terms(self, request: SumsRequest) -> Iterable[OperandTerm]:
        by_subject = request.selection.separates_subjects
        return [FlowTerm(self.measure if by_subject else self.any_subject or self.measure, request.all_spans)]


@dataclass(frozen=True, slots=True)
class Balance(MeasureOperand):
    """The sum of all entries of a stock before the start of the period or, when it is `closing`, before its end."""

    closing: bool

    def describe(self, period: str) -> str:
        stock = MEASURES[self.measure].description.removesuffix(".")
        return f"{stock} at the {'end' if self.closing else 'start'} of the {period}."

    @property
    def is_cumulative(self) -> bool:
        return True

    def terms(self, request: SumsRequest) -> Iterable[OperandTerm]:
        return [BalanceTerm(self.measure, self.closing, request.all_spans)]


@dataclass(frozen=True, slots=True)
class Users(Operand):
    """Distinct users who were present in the period.

    any_subject: the presence to use where subjects need not be distinguished. ignores_dimensions: count users of all
    subjects and channels even where the question is about some.
    """

    presence: str
    any_subject: str | None = None
    ignores_dimensions: bool = False

    def describe(self, period: str) -> str:
        return f"{PRESENCES[self.presence].description.removesuffix('.')} in the {period}."

    @property
    def label_texts(self) -> frozenset[str]:
        measures = (measure.name for name in self.postings for measure in PRESENCES[name].units.values())
        return self.postings.union(measures)

    @property
    def postings(self) -> frozenset[str]:
        return frozenset(filter(None, (self.presence, self.any_subject)))

    @property
    def subject(self) -> str | None:
        return PRESENCES[self.presence].subject

    @property
    def history_tables(self) -> frozenset[sa.Table]:
        return frozenset({presence_table})

    def terms(self, request: SumsRequest) -> Iterable[OperandTerm]:
        selection = request.selection
        presence = self.presence if selection.separates_subjects else self.any_subject or self.presence
        # The users of several features together are fewer than those of each: no sum of entries has their number.
        is_joint = len(selection.subjects) > 1 and "subject" not in selection.group_by
        units = _units(request, () if is_joint else PRESENCES[presence].units)
        yield from _unit_flows(presence, units)
        if unaligned_spans := frozenset(index for index, unit in enumerate(units) if unit is None):
            yield DistinctUsersTerm(presence, unaligned_spans)


@dataclass(frozen=True, slots=True)
class Registered(Operand):
    """Distinct users who were registered at any time of the period: at its start, or joined in it.

    stock: the measure of registered users; joined: the prefix of its measures by unit, of users who joined.
    ignores_dimensions: count users also where the question is about some subjects or channels.
    """

    stock: str
    joined: str
    ignores_dimensions: bool = False

    def describe(self, period: str) -> str:
        return f"Distinct users who were registered at any time during the {period}."

    @property
    def label_texts(self) -> frozenset[str]:
        return frozenset({self.stock, *(f"{self.joined}_{unit}" for unit in UNITS)})

    @property
    def postings(self) -> frozenset[str]:
        return frozenset({self.stock})

    @property
    def is_cumulative(self) -> bool:
        return True

    @property
    def history_tables(self) -> frozenset[sa.Table]:
        return frozenset({registration_table})

    def terms(self, request: SumsRequest) -> Iterable[OperandTerm]:
        units = _units(request, UNITS)
        if aligned_spans := frozenset(index for index, unit in enumerate(units) if unit is not None):
            yield BalanceTerm(self.stock, False, aligned_spans)
        yield from _unit_flows(self.joined, units)
        if unaligned_spans := request.all_spans - aligned_spans:
            yield RegisteredUsersTerm(unaligned_spans)


@dataclass(frozen=True, slots=True)
class Population(Operand):
    """The number of accounts that satisfy a condition or, with `total`, the sum of a value of theirs over them.

    Only accounts whose balances change within the period are looked at: the condition has to be false for all others.
    sentence: what is counted or summed, with `{period}` where the word for the period belongs.
    """

    where: AccountValue
    total: AccountValue | None = None
    sentence: str = field(kw_only=True, compare=False)

    def describe(self, period: str) -> str:
        return self.sentence.format(period=period)

    @property
    def label_texts(self) -> frozenset[str]:
        return self.where.measures | (self.total.measures if self.total else frozenset())

    @property
    def postings(self) -> frozenset[str]:
        return self.label_texts

    @property
    def is_cumulative(self) -> bool:
        return True

    @property
    def is_per_year(self) -> bool:
        return self.total is not None and any(MEASURES[measure].per_year for measure in self.total.measures)

    def terms(self, request: SumsRequest) -> Iterable[OperandTerm]:
        return [PopulationTerm(self.where, self.total)]


@dataclass(frozen=True, slots=True)
class Trailing(Operand):
    """The sum of what an operand comes to in each of the last whole calendar months up to the period's end.

    Accounts are in the group of the period in all of these months.
    """

    of: Operand
    months: int

    def describe(self, period: str) -> str:
        months = f"the last {self.months} whole months up to the end of the {period}"
        return f"{self.of.describe('month').removesuffix('.')}, added up over {months}."

    @property
    def label_texts(self) -> frozenset[str]:
        return self.of.label_texts

    @property
    def postings(self) -> frozenset[str]:
        return self.of.postings

    @property
    def subject(self) -> str | None:
        return self.of.subject

    @property
    def has_channels(self) -> bool:
        return self.of.has_channels

    @property
    def ignores_dimensions(self) -> bool:
        return self.of.ignores_dimensions

    @property
    def is_cumulative(self) -> bool:
        return self.of.is_cumulative

    @property
    def history_tables(self) -> frozenset[sa.Table]:
        return self.of.history_tables

    def terms(self, request: SumsRequest) -> Iterable[OperandTerm]:
        return [TrailingTerm(self.of, self.months)]


def _units(request: SumsRequest, units: Collection[str]) -> list[str | None]:
    """Return for each span the unit that it begins with and lies in; None where none of the units does.

    From the start of a unit on, the number of its users so far is a sum of entries.
    """
    return [_unit(request, span, units) for span in request.spans]


def _unit(request: SumsRequest, span: Span, units: Collection[str]) -> str | None:
    for unit, (start, end) in zip(UNITS, units_containing(span.start, request.calendar), strict=True):
        if unit in units and span.start == start and span.end <= end:
            return unit
    return None


def _unit_flows(prefix: str, units: Iterable[str | None]) -> Iterable[OperandTerm]:
    """Return the flows of the measures by unit whose sum is the number of users: see `entry_units`."""
    spans: dict[str, set[int]] = defaultdict(set)
    for index, unit in enumerate(units):
        for entered_unit in entry_units(unit) if unit else ():
            spans[f"{prefix}_{entered_unit}"].add(index)
    return [FlowTerm(measure, frozenset(indices)) for measure, indices in spans.items()]
