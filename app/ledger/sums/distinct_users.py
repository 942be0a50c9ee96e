"""Distinct users of any span, counted one by one: spans that are no calendar unit, of which the ledger has no entries."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from typing import Any, Self

import sqlalchemy as sa

from app.database.query_plan import QueryPlan, merge_plans
from app.database.statements import BoundStatement, Statement, compile_query
from app.database.tables import MONTH_COLUMNS, presence, registration
from app.ledger.sums.grouping import group_on_day, select_groups
from app.ledger.sums.operand_sums import OperandTerm, SumsRequest
from app.ledger.sums.selection import (
    Shape,
    Span,
    Sums,
    account_conditions,
    array_param,
    array_table,
    array_table_parameters,
    empty_sums,
    group_key,
    selection_parameters,
    version_condition,
)

_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class DistinctUsersTerm(OperandTerm):
    """The distinct users who were present in a span, for some of the spans."""

    presence: str
    spans: frozenset[int]

    @classmethod
    def load(cls, request: SumsRequest, terms: Sequence[Self]) -> QueryPlan[list[Sums]]:
        """Return the sums of each term, each in a statement: what narrows the rows most is the presence."""
        return (yield from merge_plans([term._load(request) for term in terms]))

    def _load(self, request: SumsRequest) -> QueryPlan[Sums]:
        selection, labels = request.selection, request.labels
        subjects = [labels[subject] for subject in selection.subjects if subject in labels]
        spans = _spans_with_days(request, self.spans)
        if not spans or self.presence not in labels or (selection.subjects and not subjects):
            return empty_sums()
        by_subject = "subject" in selection.group_by
        # A user has a row for each year and subject; where only one of them can match, no user comes twice.
        in_one_year = all((span.end - _DAY).year == span.start.year for span in spans.values())
        once = in_one_year and (by_subject or len(subjects) < 2)
        parameters = selection_parameters(selection, {}, {}) | calendar_parameters(spans)
        parameters |= {"presence": labels[self.presence], "subjects": subjects}
        statement = _users_statement(selection.shape, by_subject, bool(subjects), once)
        (rows,) = yield [BoundStatement(statement, parameters)]
        return _read(rows)


@dataclass(frozen=True, slots=True)
class RegisteredUsersTerm(OperandTerm):
    """The distinct users who were registered at any time of a span, for some of the spans."""

    spans: frozenset[int]

    @classmethod
    def load(cls, request: SumsRequest, terms: Sequence[Self]) -> QueryPlan[list[Sums]]:
        """Return the sums of each term, each in a statement."""
        return (yield from merge_plans([term._load(request) for term in terms]))

    def _load(self, request: SumsRequest) -> QueryPlan[Sums]:
        spans = [(index, *request.spans[index]) for index in sorted(self.spans)]
        parameters = selection_parameters(request.selection, {}, {}) | array_table_parameters(tuple(_SPAN), spans)
        (rows,) = yield [BoundStatement(_registered_statement(request.selection.shape), parameters)]
        return _read(rows)


def _spans_with_days(request: SumsRequest, indices: Iterable[int]) -> dict[int, Span]:
    spans = {index: request.spans[index] for index in sorted(indices)}
    return {index: span for index, span in spans.items() if span.start < span.end}


def _read(rows: Iterable[Sequence[Any]]) -> Sums:
    sums = empty_sums()
    for index, value, *group in rows:
        if value:
            sums[group_key(group)][index] += int(value)
    return sums


def presence_calendar() -> tuple[Any, sa.ColumnElement[bool]]:
    """Return a statement's calendar, and the condition that a row of presence has a day in a span of it.

    The calendar has a row for each span and year, with the days of each month as bits.
    """
    columns = {"span": sa.Integer, "group_day": sa.Date, "year": sa.Integer}
    calendar = array_table("calendar", columns | {month.name: sa.Integer for month in MONTH_COLUMNS})
    has_day = sa.or_(*(presence.c[month.name].op("&")(calendar.c[month.name]) != 0 for month in MONTH_COLUMNS))
    return calendar, (presence.c.year == calendar.c.year) & has_day


def calendar_parameters(spans: Mapping[int, Span]) -> dict[str, list[Any]]:
    """Return the rows of `presence_calendar` as its parameters. At least one span must have days."""
    rows = [
        (index, span.group_day, year, *month_bits(span, year))
        for index, span in spans.items()
        for year in range(span.start.year, span.end.year + 1)
        if span.start < span.end
    ]
    return array_table_parameters(("span", "group_day", "year", *(month.name for month in MONTH_COLUMNS)), rows)


def month_bits(span: Span, year: int) -> list[int]:
    """Return for each month of a year its days in the span: bit 0 is the first day."""
    bits = []
    for month in range(1, 13):
        first = date(year, month, 1).toordinal()
        days = range(max(span.start.toordinal() - first, 0), min(span.end.toordinal() - first, 31))
        bits.append(sum(1 << day for day in days))
    return bits


@lru_cache(maxsize=256)
def _users_statement(shape: Shape, by_subject: bool, has_subjects: bool, once: bool) -> Statement:
    """Return the query of rows (index of the span, distinct users, group...).

    once: whether no user has two rows in a span and group.
    """
    calendar, is_present = presence_calendar()
    keys = [
        calendar.c.span,
        calendar.c.group_day,
        presence.c.account_id,
        *([presence.c.subject] if by_subject else []),
    ]
    users = presence.c.user_key if once else presence.c.user_key.distinct()
    query = sa.select(*keys, sa.func.count(users).label("users")).join_from(calendar, presence, is_present)
    query = query.where(
        presence.c.presence == sa.bindparam("presence", type_=sa.Integer),
        *account_conditions(presence, shape),
        version_condition(presence, shape),
    )
    if has_subjects:
        query = query.where(presence.c.subject == sa.any_(array_param("subjects", sa.Integer)))
    return _by_groups(query.group_by(*keys), shape)


_SPAN = {"span": sa.Integer, "start": sa.Date, "end": sa.Date, "group_day": sa.Date}


@lru_cache(maxsize=256)
def _registered_statement(shape: Shape) -> Statement:
    """Return the query of rows (index of the span, distinct users, group...)."""
    spans = array_table("spans", _SPAN)
    keys = (spans.c.span, spans.c.group_day, registration.c.account_id)
    # A span without days has the users who were registered at its start, and none who registered later.
    starts_before_end = registration.c.since < sa.func.greatest(spans.c.end, spans.c.start)
    is_registered = starts_before_end & (registration.c.until > spans.c.start)
    query = sa.select(*keys, sa.func.count(registration.c.user_key.distinct()).label("users"))
    query = query.join_from(spans, registration, is_registered)
    query = query.where(*account_conditions(registration, shape), version_condition(registration, shape))
    return _by_groups(query.group_by(*keys), shape)


def _by_groups(users: sa.Select[Any], shape: Shape) -> Statement:
    """Return the statement that adds up users, counted by span and account, by group."""
    counts = users.subquery("counts")
    sums = [sa.func.sum(counts.c.users).label("users")]
    rows = group_on_day([counts.c.span], sums, counts, shape, day=counts.c.group_day).subquery("rows")
    return compile_query(select_groups([rows.c.span], [sa.func.sum(rows.c.users)], rows, rows, shape))
