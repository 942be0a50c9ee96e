"""From the operands of a question to their sums, in a few statements: one for each kind of them."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import date
from itertools import pairwise, zip_longest
from typing import Any

from app.core.periods import UNITS, Calendar, months_before, units_containing
from app.database.query_plan import QueryPlan, merge_plans
from app.database.tables import MIN_DATE
from app.ledger.measures import MEASURES, PRESENCES, entry_units
from app.ledger.sums import populations, totals
from app.ledger.sums.operands import Balance, Flow, Operand, Population, Registered, Trailing, Users
from app.ledger.sums.selection import Selection, Span, Sums, empty_sums

# The number of no word.
_NO_MEASURE = -1


def operand_label_texts(operands: Iterable[Operand]) -> set[str]:
    """The words whose numbers `sum_operands` needs, besides those of the selection."""
    found = {""}
    for operand in operands:
        if isinstance(operand, Flow):
            found |= {operand.measure, operand.any_subject or operand.measure}
        elif isinstance(operand, Balance):
            found.add(operand.measure)
        elif isinstance(operand, Population):
            found |= operand.measures
        elif isinstance(operand, Trailing):
            found |= operand_label_texts([operand.of])
        elif isinstance(operand, Registered):
            found |= {operand.stock, *(f"{operand.joined}_{unit}" for unit in UNITS)}
        else:
            for name in filter(None, (operand.presence, operand.any_subject)):
                found |= {name, *(measure.name for measure in PRESENCES[name].units.values())}
    return found


@dataclass(slots=True)
class _SumsRequest:
    """One question, and what has been found for it so far."""

    selection: Selection
    spans: Sequence[Span]
    labels: Mapping[str, int]
    calendar: Calendar
    tomorrow: date
    found: dict[Operand, Sums]
    all_spans: frozenset[int] = field(init=False)

    def __post_init__(self) -> None:
        self.all_spans = frozenset(range(len(self.spans)))


def sum_operands(
    operands: Collection[Operand],
    *,
    spans: Sequence[Span],
    selection: Selection,
    labels: Mapping[str, int],
    calendar: Calendar,
    tomorrow: date,
) -> QueryPlan[dict[Operand, Sums]]:
    """The sums of each operand, by group and index of the span. Spans do not overlap and end tomorrow at the latest.

    labels: the numbers of `operand_label_texts` and of the selection's subjects and channels, as far as they have one.
    Operands that are never divided have groups without subject and channel.
    """
    found: dict[Operand, Sums] = {}
    parts: list[QueryPlan[None]] = []
    trailing = [operand for operand in operands if isinstance(operand, Trailing)]
    if trailing:
        parts.append(_trailing(_SumsRequest(selection, spans, labels, calendar, tomorrow, found), trailing))
    operands = [operand for operand in operands if not isinstance(operand, Trailing)]
    undivided = [operand for operand in operands if isinstance(operand, Users | Registered) and operand.whole]
    divided = [operand for operand in operands if operand not in undivided]
    if undivided and selection.undivided() == selection:
        divided, undivided = [*divided, *undivided], []
    for some, chosen in ((divided, selection), (undivided, selection.undivided())):
        if some:
            asked = _SumsRequest(chosen, spans, labels, calendar, tomorrow, found)
            parts += [part(asked, some) for part in (_flows, _balances, _populations, _unaligned_spans)]
    yield from merge_plans(parts)
    return found


def _trailing(asked: _SumsRequest, operands: Sequence[Trailing]) -> QueryPlan[None]:
    """What is asked of the months up to the spans' ends: each month once, whatever the spans that it counts for."""
    for months in {operand.months for operand in operands}:
        counts_for: dict[Span, list[int]] = defaultdict(list)
        for index, span in enumerate(asked.spans):
            for month in _last_months(span, months):
                # Where accounts are nowhere in particular, all that matters of a month is its days.
                counts_for[month if asked.selection.shape.keys else month._replace(member_on=MIN_DATE)].append(index)
        wanted = [operand for operand in operands if operand.months == months]
        for apart in _apart(counts_for):
            sums = yield from sum_operands(
                [operand.of for operand in wanted],
                spans=apart,
                selection=asked.selection,
                labels=asked.labels,
                calendar=asked.calendar,
                tomorrow=asked.tomorrow,
            )
            for operand in wanted:
                target = asked.found.setdefault(operand, empty_sums())
                for group, values in sums[operand.of].items():
                    for place, value in values.items():
                        for index in counts_for[apart[place]]:
                            target[group][index] += value


def _last_months(span: Span, many: int) -> Iterable[Span]:
    """The last whole months up to the end of a span, its accounts in the same groups."""
    bounds = [months_before(span.end.replace(day=1), number) for number in range(many, -1, -1)]
    return (Span(start, end, span.member_on) for start, end in pairwise(bounds))


def _apart(months: Iterable[Span]) -> list[list[Span]]:
    """The months in turns, since those of one turn may not overlap: a month by several groups is in several turns."""
    same_days: dict[date, list[Span]] = defaultdict(list)
    for month in months:
        same_days[month.start].append(month)
    return [[month for month in turn if month] for turn in zip_longest(*same_days.values())]


def _flows(asked: _SumsRequest, operands: Sequence[Operand]) -> QueryPlan[None]:
    """Everything that is a flow: of measures, and of users within the units that the spans are."""
    wanted: dict[str, Set[int]] = {}
    parts: list[tuple[Operand, Mapping[str, Set[int]]]] = []
    for operand in operands:
        measures = _measures_of(asked, operand)
        parts.append((operand, measures))
        for measure, indices in measures.items():
            wanted[measure] = wanted[measure] | indices if measure in wanted else indices
    sums = yield from _read(asked, wanted)
    for operand, measures in parts:
        if isinstance(operand, Flow):
            [measure] = measures
            asked.found[operand] = sums.get(measure, empty_sums())
            continue
        for measure, indices in measures.items():
            target = asked.found.setdefault(operand, empty_sums())
            for group, values in sums.get(measure, {}).items():
                for index in indices & values.keys():
                    target[group][index] += values[index]


def _read(asked: _SumsRequest, wanted: Mapping[str, Set[int]]) -> QueryPlan[totals.ByMeasure]:
    """The flows of measures, each for its spans: in one statement those that are wanted for the same spans."""
    alike: dict[tuple[frozenset[int], bool], dict[str, int]] = defaultdict(dict)
    for measure, indices in wanted.items():
        if measure in asked.labels:
            alike[frozenset(indices), MEASURES[measure].by_month][measure] = asked.labels[measure]
    parts = [
        totals.flows(
            asked.selection,
            {index: asked.spans[index] for index in sorted(some)},
            measures=measures,
            labels=asked.labels,
            tomorrow=asked.tomorrow,
            by_month=by_month,
        )
        for (some, by_month), measures in alike.items()
    ]
    return {measure: sums for found in (yield from merge_plans(parts)) for measure, sums in found.items()}


def _measures_of(asked: _SumsRequest, operand: Operand) -> Mapping[str, Set[int]]:
    """The measures whose flows an operand is, each in some spans."""
    if isinstance(operand, Flow):
        measure = operand.measure if _told_apart(asked) else operand.any_subject or operand.measure
        return {measure: asked.all_spans}
    found: dict[str, set[int]] = defaultdict(set)
    if isinstance(operand, Users | Registered):
        prefix = operand.joined if isinstance(operand, Registered) else _presence_of(asked, operand)
        for index, unit in enumerate(_units(asked, operand)):
            for entered in entry_units(unit) if unit is not None else ():
                found[f"{prefix}_{entered}"].add(index)
    return found


def _presence_of(asked: _SumsRequest, operand: Users) -> str:
    return operand.presence if _told_apart(asked) or operand.any_subject is None else operand.any_subject


def _told_apart(asked: _SumsRequest) -> bool:
    """Whether it matters what the subject is."""
    return "subject" in asked.selection.group_by or bool(asked.selection.subjects)


def _units(asked: _SumsRequest, operand: Operand) -> list[str | None]:
    """For each span the unit from whose first day it goes, if it ends within it: then its users are a flow."""
    selection = asked.selection
    # Users of several features together are fewer than those of each.
    if isinstance(operand, Users) and len(selection.subjects) > 1 and "subject" not in selection.group_by:
        return [None] * len(asked.spans)
    counted = PRESENCES[_presence_of(asked, operand)].units if isinstance(operand, Users) else UNITS
    return [_unit(span, asked.calendar, counted) for span in asked.spans]


def _unit(span: Span, calendar: Calendar, counted: Collection[str]) -> str | None:
    for unit, (start, end) in zip(UNITS, units_containing(span.start, calendar), strict=True):
        if unit in counted and span.start == start and span.end <= end:
            return unit
    return None


def _balances(asked: _SumsRequest, operands: Sequence[Operand]) -> QueryPlan[None]:
    """Balances at the starts and ends of spans; who was registered at any time was so at the start, or joined."""
    bounds: dict[int, tuple[date, date]] = {}
    wanted: dict[Operand, tuple[str, dict[int, int]]] = {}
    for operand in operands:
        if isinstance(operand, Balance):
            places = {2 * index + operand.closing: index for index in range(len(asked.spans))}
            wanted[operand] = operand.measure, places
        elif isinstance(operand, Registered):
            aligned = {2 * i: i for i, unit in enumerate(_units(asked, operand)) if unit is not None}
            wanted[operand] = operand.stock, aligned
    for _, places in wanted.values():
        for place, index in places.items():
            span = asked.spans[index]
            bounds[place] = (span.end if place % 2 else span.start), span.member_on
    measures = {measure: asked.labels[measure] for measure, _ in wanted.values() if measure in asked.labels}
    sums = yield from totals.balances(asked.selection, bounds, measures=measures, labels=asked.labels)
    for operand, (measure, places) in wanted.items():
        target = asked.found.setdefault(operand, empty_sums())
        for group, values in sums.get(measure, {}).items():
            for place in places.keys() & values.keys():
                target[group][places[place]] += values[place]


def _populations(asked: _SumsRequest, operands: Sequence[Operand]) -> QueryPlan[None]:
    wanted = [operand for operand in operands if isinstance(operand, Population)]
    measures = {measure for population in wanted for measure in population.measures}
    for population in wanted:
        asked.found[population] = empty_sums()
    if wanted and measures & asked.labels.keys():
        # Of a measure that has no number there is no entry yet.
        numbers = {measure: asked.labels.get(measure, _NO_MEASURE) for measure in measures}
        spans = dict(enumerate(asked.spans))
        sums = yield from populations.populations(asked.selection, spans, wanted=wanted, measures=numbers)
        for population, values in sums.items():
            asked.found[population] = values


def _unaligned_spans(asked: _SumsRequest, operands: Sequence[Operand]) -> QueryPlan[None]:
    """Distinct users of spans that are no unit, counted one by one."""
    parts: dict[Operand, QueryPlan[Sums]] = {}
    for operand in operands:
        if not isinstance(operand, Users | Registered):
            continue
        units = _units(asked, operand)
        spans = {index: span for index, span in enumerate(asked.spans) if units[index] is None}
        if not spans:
            continue
        if isinstance(operand, Registered):
            parts[operand] = populations.registered(asked.selection, spans)
        else:
            parts[operand] = _users(asked, operand, spans)
    for operand, sums in zip(parts, (yield from merge_plans(list(parts.values()))), strict=True):
        for group, values in sums.items():
            asked.found.setdefault(operand, empty_sums())[group].update(values)


def _users(asked: _SumsRequest, operand: Users, spans: Mapping[int, Span]) -> QueryPlan[Sums]:
    name, labels = _presence_of(asked, operand), asked.labels
    if name not in labels:
        return empty_sums()
    chosen: dict[str, Any] = {
        "at": labels[name],
        "subjects": [labels[s] for s in asked.selection.subjects if s in labels],
    }
    if asked.selection.subjects and not chosen["subjects"]:
        return empty_sums()
    by_subject = "subject" in asked.selection.group_by
    return (yield from populations.users(asked.selection, spans, by_subject=by_subject, **chosen))
