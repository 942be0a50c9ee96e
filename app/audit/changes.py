"""How a past number changed after its period's end: on which days, from what to what, and in which accounts.

What is known now is taken as it is answered; from there it goes back in time. A day of knowledge changes numbers only by
the accounts of which something became known on it, so what it changed is what these few come to at its end, less what they
came to the day before: the operands of every metric are sums over accounts.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any, NamedTuple

import sqlalchemy as sa

from app.accounts.listing import day_after
from app.books.books import Books
from app.core.errors import Invalid
from app.database.connection import Connection
from app.database.labels import lookup_labels
from app.database.query_plan import QueryPlan, merge_plans, run_plan
from app.database.tables import MAX_DATE, MIN_DATE, MONTH_NAMES, attribute, entry, presence, registration
from app.ledger.sums.operand_sums import operand_label_texts, sum_operands
from app.ledger.sums.operands import Operand, Registered, Users
from app.ledger.sums.selection import Group, Selection, Span, Sums
from app.metrics.answer import AnswerTable, PendingRow, build_answer_table, givens_of, operands_in, parts_of
from app.metrics.lookup import split_question
from app.metrics.question import Question
from app.metrics.results import Result
from app.metrics.rows import name_of, order, rounded

_DAY = timedelta(days=1)
_MOST_DAYS = 1_000
_MOST_LEARNED = 200_000

# By operand, group, account and index of the period: by how much a sum has changed.
_Moves = dict[tuple[Operand, Group, str, int], int]


class Change(NamedTuple):
    """A row of a metric that became another on a day of knowledge, and the accounts whose part of it changed."""

    cell: PendingRow
    recorded_on: date
    before: Result
    after: Result
    accounts: frozenset[str]

    @property
    def name(self) -> str:
        return name_of(self.cell.name, self.recorded_on)


@dataclass(slots=True)
class _Search:
    connection: Connection
    books: Books
    question: Question
    operands: Sequence[Operand]
    labels: Mapping[str, int]


async def changes(connection: Connection, books: Books, question: Question) -> list[Change]:
    """The changes of a metric's rows, of periods that have ended, by period, group and day.

    Raises Invalid when there are more than a thousand days to look at.
    """
    (metric,) = question.metrics
    operands = list(dict.fromkeys(metric.sums))
    words = {*operand_label_texts(operands), *question.selection.subjects, *question.selection.channels}
    labels = await run_plan(connection, lookup_labels(books.database, words))
    search = _Search(connection, books, question, operands, labels)
    table = await build_answer_table(connection, books, question)
    learned = await _learned(search)
    moves = {day: await _moves(search, day, sorted(learned[day])) for day in sorted(learned, reverse=True)}
    return _changes(table, moves)


async def _learned(search: _Search) -> dict[date, set[int]]:
    """The accounts of which something became known that is true of a period which had ended by then, by the day."""
    question, selection = search.question, search.question.selection
    ends = [period.end for period in question.periods]
    numbers = list(search.labels.values())
    facts = [_Facts(entry, [entry.c.recorded_on], entry.c.effective_on, [entry.c.measure.in_(numbers)])]
    if any(isinstance(operand, Users) for operand in search.operands):
        at = presence.c.presence.in_(numbers)
        january = sa.func.make_date(presence.c.year, 1, 1)
        facts.append(_Facts(presence, [presence.c.recorded_on], january, [at, _has_late_days()]))
        facts.append(_Facts(presence, [presence.c.ceased_on], january, [at]))
    if any(isinstance(operand, Registered) for operand in search.operands):
        facts.append(_Facts(registration, [registration.c.recorded_on, registration.c.ceased_on], registration.c.since))
    if keys := selection.shape.keys:
        of_keys = [attribute.c.key.in_(keys)]
        changed = [attribute.c.recorded_on, attribute.c.ceased_on]
        if question.members_on is None:
            facts.append(_Facts(attribute, changed, attribute.c.valid_from, of_keys))
        else:
            # Attributes of today change every period, and by the passing of time, too.
            always = sa.literal(MIN_DATE)
            facts.append(_Facts(attribute, [*changed, attribute.c.valid_from - 1], always, of_keys))
    # A list in a function, since PostgreSQL would read `list::date[][place]` as a type.
    thresholds = sa.func.coalesce(sa.literal(ends, sa.ARRAY(sa.Date)), type_=sa.ARRAY(sa.Date))
    parts = []
    for table, days, since, conditions in facts:
        mine = [table.c.account_id.in_(selection.accounts)] if selection.accounts is not None else []
        for day in days:
            known = sa.cast(day, sa.Date)
            last = thresholds[sa.func.width_bucket(known, thresholds)]
            part = sa.select(known.label("day"), table.c.account_id).where(since < last, *conditions, *mine)
            parts.append(part.where(day >= ends[0], day <= question.today, day < MAX_DATE))
    found: dict[date, set[int]] = defaultdict(set)
    rows = await search.connection.execute(sa.union(*parts).limit(_MOST_LEARNED + 1))
    for day, account in rows:
        found[day].add(account)
    if len(found) > _MOST_DAYS or len(rows) > _MOST_LEARNED:
        detail = f"Something became known late on more than {_MOST_DAYS} days, or of very many accounts; ask for less at once."
        raise Invalid.at("/query/period", detail, code="too_many_days")
    return found


class _Facts(NamedTuple):
    """What may have become known late: on which days, and since when it is true of its account."""

    table: Any
    days: Sequence[Any]
    since: Any
    conditions: Sequence[Any] = ()


def _has_late_days() -> Any:
    """Whether a row of presence has days before the one from which it is known."""
    month = sa.cast(sa.extract("month", presence.c.recorded_on), sa.Integer)
    day = sa.cast(sa.extract("day", presence.c.recorded_on), sa.Integer)
    year = sa.cast(sa.extract("year", presence.c.recorded_on), sa.Integer)
    before = sa.literal(1).op("<<")(day - 1) - 1
    late = [
        presence.c[name].op("&")(sa.case((month > number, -1), (month == number, before), else_=0)) != 0
        for number, name in enumerate(MONTH_NAMES, start=1)
    ]
    return sa.or_(presence.c.year < year, *late)


async def _moves(search: _Search, day: date, accounts: Sequence[int]) -> _Moves:
    """What a day of knowledge has changed, of the periods that had ended by then."""
    moves: _Moves = defaultdict(int)
    both = [_known(search, known, day, accounts) for known in (day, day - _DAY)]
    for found, sign in zip(await run_plan(search.connection, merge_plans(both)), (1, -1), strict=True):
        for operand, sums in found.items():
            for group, values in sums.items():
                for index, value in values.items():
                    moves[operand, group[:-1], group[-1][1], index] += sign * value
    return {place: value for place, value in moves.items() if value}


def _known(search: _Search, known: date, day: date, accounts: Sequence[int]) -> QueryPlan[Mapping[Operand, Sums]]:
    """The operands of some accounts as they were known at the end of a day."""
    question = search.question
    member_on = day_after(known) if question.members_on is not None else None
    spans = [Span(p.start, p.end, member_on or p.start) for p in question.periods if p.end <= day]
    group_by = (*question.selection.group_by, "account")
    selection: Selection = replace(question.selection, group_by=group_by, accounts=tuple(accounts), as_of=known)
    return sum_operands(
        search.operands,
        spans=spans,
        selection=selection,
        labels=search.labels,
        calendar=search.books.calendar,
        tomorrow=day_after(known),
    )


def _changes(table: AnswerTable, moves: Mapping[date, _Moves]) -> list[Change]:
    """The changes of rows by period, group and day, found from the last day of knowledge to the first."""
    (metric,) = table.question.metrics
    [known_now] = table.found
    sums = {o: {group: dict(values) for group, values in known_now.get(o, {}).items()} for o in metric.sums}
    width = len(table.question.selection.group_by)
    groups = {order(cell.group): cell.group for cell in table.cells}
    for group in sorted({place[1] for day in moves.values() for place in day if len(place[1]) == width}, key=order):
        groups.setdefault(order(group), group)
    [cut] = split_question(table.question)
    operands, given = operands_in(metric, sums), givens_of(table.question, table.margins, cut.spans)

    def as_it_stands(group: Group, index: int) -> PendingRow:
        return PendingRow(metric, cut, index, group, parts_of(table.question, operands, given, group))

    found: list[Change] = []
    for day in sorted(moves, reverse=True):
        # What is of all subjects belongs to each of them.
        touched: dict[tuple[Group, int], set[str]] = defaultdict(set)
        for _, group, account, index in moves[day]:
            for whole in (groups[order(group)],) if len(group) == width else groups.values():
                touched[whole, index].add(account)
        after = {place: table.result(as_it_stands(*place)) for place in touched}
        for (operand, group, _, index), value in moves[day].items():
            values = sums[operand].setdefault(groups.get(order(group), group), {})
            values[index] = values.get(index, 0) - value
        for place, now in after.items():
            cell = as_it_stands(*place)
            before = table.result(cell)
            if rounded(before.value) != rounded(now.value):
                found.append(Change(cell, day, before, now, frozenset(touched[place])))
    return sorted(found, key=lambda one: (one.cell.number, order(one.cell.group), one.recorded_on))
