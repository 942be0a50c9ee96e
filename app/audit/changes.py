"""How past numbers changed after their periods had ended: on which days, from what to what, and in which accounts.

The search starts with the numbers as they are answered now and goes back, day by day. What was recorded on a day changes
numbers only through the accounts that it is about. So the change of a day is what these few accounts add up to at its
end, less what they added up to at the end of the day before: the operands of every metric are sums over accounts.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import partial
from typing import Any, NamedTuple

import sqlalchemy as sa

from app.accounts.listing import day_after
from app.books.books import Books
from app.books.first_day import load_first_day
from app.core.aside import run_aside
from app.core.errors import Invalid
from app.core.periods import FIRST_DAY
from app.database.connection import Connection
from app.database.labels import lookup_labels
from app.database.query_plan import QueryPlan, merge_plans, run_plan
from app.database.tables import MAX_DATE, MIN_DATE, MONTH_NAMES, attribute, entry, presence, registration
from app.ledger.sums.operand_sums import Operand, SumsRequest, operand_label_texts, sum_operands
from app.ledger.sums.selection import Group, Span, Sums, array_item
from app.metrics.answer import AnswerTable, bind_inputs, build_answer_table, context_values, values_in
from app.metrics.lookup import OperandSums, SumsByGroup, split_question
from app.metrics.pending_rows import PendingRow
from app.metrics.question import Question
from app.metrics.question_names import check_names
from app.metrics.results import NOTHING_KNOWN, Result
from app.metrics.rows import group_sort_key, round_number, row_name

_DAY = timedelta(days=1)
_MAX_DAYS = 1_000
_MAX_ACCOUNT_DAYS = 200_000


class Change(NamedTuple):
    """A row of a metric whose value changed on a day, and the accounts whose part of it changed."""

    row: PendingRow
    recorded_on: date
    before: Result
    after: Result
    accounts: frozenset[str]

    @property
    def name(self) -> str:
        return row_name(self.row.name, self.recorded_on)


@dataclass(frozen=True, slots=True)
class _Search:
    """A question about one metric, and what is needed to ask it again for other days and accounts."""

    connection: Connection
    books: Books
    question: Question
    operands: Sequence[Operand]
    labels: Mapping[str, int]


async def find_changes(
    connection: Connection, books: Books, question: Question, *, since: date | None = None, max_days: int = _MAX_DAYS
) -> list[Change]:
    """Return the changes of a metric's rows by period, group and day. All periods of the question must have ended.

    since: only those of this day and later ones. max_days: Raises Invalid when there are more days to look at.
    """
    (metric,) = question.metrics
    operands = list(dict.fromkeys(metric.operands))
    texts = {*operand_label_texts(operands), *question.selection.subjects, *question.selection.channels}
    labels = await run_plan(connection, lookup_labels(books.database, texts))
    search = _Search(connection, books, question, operands, labels)
    accounts = await _accounts_by_day(search, since or FIRST_DAY, max_days=max_days)
    if not accounts:
        await run_plan(connection, check_names(books.database, question.names))
        return []
    table = await build_answer_table(connection, books, question)
    touched_accounts = sum(map(len, accounts.values()))
    await books.database.reserve_memory(2 * touched_accounts * len(operands) * len(question.periods))
    days = [await _load_day(search, day, sorted(accounts[day])) for day in sorted(accounts, reverse=True)]
    changed_rows = await run_aside(partial(_compare_days, table, days), items=_count_moves(days))
    first_day = await run_plan(connection, load_first_day(books.first_day)) if changed_rows else None
    # Before the first day of all a number was not zero: nothing was known of it.
    changed_rows = [
        change._replace(before=NOTHING_KNOWN) if change.recorded_on == first_day else change for change in changed_rows
    ]
    return await run_aside(partial(sorted, changed_rows, key=_change_order), items=len(changed_rows))


def _change_order(change: Change) -> Any:
    return change.row.period_index, group_sort_key(change.row.group), change.recorded_on


def _compare_days(table: AnswerTable, days: Sequence["_Day"]) -> list[Change]:
    """Return the changes of rows on these days, the latest of which comes first."""
    groups, unified_days = _unify_groups(table, days)
    return [change for step in _steps_back(table, unified_days) for change in _changed_rows(table, groups, step)]


def _count_moves(days: Sequence["_Day"]) -> int:
    return sum(len(moves) for day in days for moves in day.moves.values())


class _FactTable(NamedTuple):
    """A table in which something may be recorded late.

    days: the days on which a row changes what is known. since: the first day that a row is about.
    """

    table: Any
    days: Sequence[Any]
    since: Any
    conditions: Sequence[Any] = ()


def _fact_tables(search: _Search) -> list[_FactTable]:
    """Return the tables that the question's numbers depend on."""
    labels = list(search.labels.values())
    facts = [_FactTable(entry, [entry.c.recorded_on], entry.c.effective_on, [entry.c.measure.in_(labels)])]
    history_tables = frozenset().union(*(operand.history_tables for operand in search.operands))
    if presence in history_tables:
        is_used = presence.c.presence.in_(labels)
        january = sa.func.make_date(presence.c.year, 1, 1)
        facts.append(_FactTable(presence, [presence.c.recorded_on], january, [is_used, _has_late_days()]))
        facts.append(_FactTable(presence, [presence.c.ceased_on], january, [is_used]))
    if registration in history_tables:
        recorded_columns = [registration.c.recorded_on, registration.c.ceased_on]
        facts.append(_FactTable(registration, recorded_columns, registration.c.since))
    if keys := search.question.selection.shape.attribute_keys:
        is_used = attribute.c.key.in_(keys)
        recorded_columns = [attribute.c.recorded_on, attribute.c.ceased_on]
        if search.question.group_day is None:
            facts.append(_FactTable(attribute, recorded_columns, attribute.c.valid_from, [is_used]))
        else:
            # Attributes of today decide about every period, and they also change as time passes.
            always = sa.literal(MIN_DATE)
            facts.append(_FactTable(attribute, [*recorded_columns, attribute.c.valid_from - 1], always, [is_used]))
    return facts


def _has_late_days() -> Any:
    """Return the condition that a row of presence has days before the one on which it was recorded."""
    month = sa.cast(sa.extract("month", presence.c.recorded_on), sa.Integer)
    day = sa.cast(sa.extract("day", presence.c.recorded_on), sa.Integer)
    year = sa.cast(sa.extract("year", presence.c.recorded_on), sa.Integer)
    days_before = sa.literal(1).op("<<")(day - 1) - 1
    late = [
        presence.c[name].op("&")(sa.case((month > number, -1), (month == number, days_before), else_=0)) != 0
        for number, name in enumerate(MONTH_NAMES, start=1)
    ]
    return sa.or_(presence.c.year < year, *late)


async def _accounts_by_day(search: _Search, earliest: date, *, max_days: int) -> dict[date, set[int]]:
    """Return the accounts about which something was recorded late, that is, after a period of the question had ended.

    Raises Invalid for too many days or accounts.
    """
    question, accounts = search.question, search.question.selection.accounts
    first_end = max(question.periods[0].end, earliest)
    ends = sa.literal([period.end for period in question.periods], sa.ARRAY(sa.Date))
    queries = []
    for table, days, since, conditions in _fact_tables(search):
        own = [table.c.account_id.in_(accounts)] if accounts is not None else []
        for day in days:
            recorded_on = sa.cast(day, sa.Date)
            last_end = array_item(ends, sa.func.width_bucket(recorded_on, ends))
            query = sa.select(recorded_on.label("day"), table.c.account_id).where(since < last_end, *conditions, *own)
            queries.append(query.where(day >= first_end, day <= question.today, day < MAX_DATE))
    rows = await search.connection.execute(sa.union(*queries).limit(_MAX_ACCOUNT_DAYS + 1))
    accounts_by_day: dict[date, set[int]] = defaultdict(set)

    def collect() -> None:
        for day, account in rows:
            accounts_by_day[day].add(account)

    await run_aside(collect, items=len(rows))
    if len(accounts_by_day) > max_days or len(rows) > _MAX_ACCOUNT_DAYS:
        detail = (
            f"Late data was recorded on more than {max_days:,} days, or for too many accounts. Use a shorter range or one "
            "segment."
        )
        raise Invalid.at("/query/period", detail, code="too_many_days")
    return accounts_by_day


# (group, account id, index of the period) -> by how much a sum changed
_Moves = dict[tuple[Group, str, int], int]


class _Day(NamedTuple):
    """A day on which something was recorded late, and by how much it changed each operand."""

    day: date
    moves: Mapping[Operand, _Moves]


async def _load_day(search: _Search, day: date, accounts: Sequence[int]) -> _Day:
    """Return by how much a day changed the operands, in the periods that had ended by then."""
    plans = [_sums_as_of(search, as_of, day, accounts) for as_of in (day, day - _DAY)]
    after, before = await run_plan(search.connection, merge_plans(plans))

    def compare() -> _Day:
        return _Day(day, {operand: _difference(before[operand], after[operand]) for operand in search.operands})

    return await run_aside(compare, items=len(accounts))


def _sums_as_of(search: _Search, as_of: date, day: date, accounts: Sequence[int]) -> QueryPlan[dict[Operand, Sums]]:
    """Return the operands by account, for some accounts, as of a day, in the periods that had ended by another."""
    question = search.question
    group_day = day_after(as_of) if question.group_day is not None else None
    # The first periods of the question, so the indices are the same.
    spans = [Span(p.start, p.end, group_day or p.start) for p in question.periods if p.end <= day]
    group_by = (*question.selection.group_by, "account")
    selection = replace(question.selection, group_by=group_by, accounts=tuple(accounts), as_of=as_of)
    request = SumsRequest(selection, spans, search.labels, search.books.calendar, tomorrow=day_after(as_of))
    return sum_operands(search.operands, request)


def _difference(before: Sums, after: Sums) -> _Moves:
    moves: _Moves = defaultdict(int)
    for sums, sign in ((after, 1), (before, -1)):
        for (*group, account), values in sums.items():
            for index, value in values.items():
                moves[tuple(group), account[1], index] += sign * value
    return {key: value for key, value in moves.items() if value}


def _unify_groups(table: AnswerTable, days: Sequence[_Day]) -> tuple[list[Group], list[_Day]]:
    """Return the groups of all rows, and the days with these groups.

    1 and 1.0 are the same value for the database, which answers with either; a row has the one of today's answer.
    """
    width = len(table.question.selection.group_by)
    groups_of_moves = {
        group for day in days for moves in day.moves.values() for group, _, _ in moves if len(group) == width
    }
    groups = {group_sort_key(row.group): row.group for row in table.pending_rows}
    for group in sorted(groups_of_moves, key=group_sort_key):
        groups.setdefault(group_sort_key(group), group)

    def unify(moves: _Moves) -> _Moves:
        moves_by_group: _Moves = defaultdict(int)
        for (group, account, index), value in moves.items():
            moves_by_group[groups.get(group_sort_key(group), group), account, index] += value
        return moves_by_group

    unified_days = [_Day(day, {operand: unify(moves) for operand, moves in own.items()}) for day, own in days]
    return list(groups.values()), unified_days


class _Step(NamedTuple):
    """A day of changes, with all sums before it and after it."""

    day: _Day
    before: OperandSums
    after: OperandSums


def _steps_back(table: AnswerTable, days: Sequence[_Day]) -> Iterator[_Step]:
    """Return the steps from the sums of today back in time. days: the latest first."""
    [after] = table.sums
    for day in days:
        before = {**after, **{operand: _subtract(after[operand], moves) for operand, moves in day.moves.items()}}
        yield _Step(day, before, after)
        after = before


def _subtract(sums: SumsByGroup, moves: _Moves) -> SumsByGroup:
    """Return the sums as they were before the moves."""
    by_group: dict[Group, dict[int, int]] = {}
    for (group, _, index), value in moves.items():
        values = by_group.setdefault(group, dict(sums.get(group, {})))
        values[index] = values.get(index, 0) - value
    return {**sums, **by_group}


def _changed_rows(table: AnswerTable, groups: Sequence[Group], step: _Step) -> Iterator[Change]:
    """Return the rows whose value after a day of changes is not that before it."""
    question = table.question
    (metric,) = question.metrics
    [split] = split_question(question)
    context = context_values(question, table.margins, split.spans)
    before, after = (bind_inputs(question, metric, sums, context) for sums in (step.before, step.after))
    for (group, index), accounts in _touched_rows(question, groups, step.day).items():
        row = PendingRow(metric, split, index, group, values_in(before, group))
        old, new = table.result(row), table.result(row._replace(inputs=values_in(after, group)))
        if round_number(old.value) != round_number(new.value):
            yield Change(row, step.day.day, old, new, frozenset(accounts))


def _touched_rows(question: Question, groups: Sequence[Group], day: _Day) -> dict[tuple[Group, int], set[str]]:
    """Return the rows that a day may have changed, by group and index of the period, with the accounts that did."""
    width = len(question.selection.group_by)
    accounts: dict[tuple[Group, int], set[str]] = defaultdict(set)
    for moves in day.moves.values():
        for group, account, index in moves:
            # What ignores dimensions is a part of every group.
            for row_group in [group] if len(group) == width else groups:
                accounts[row_group, index].add(account)
    return accounts
