"""Sums of ledger entries by period and group: the one shape of SQL that answers every question.

Whole months are read from the monthly totals, everything else (days, weeks, clipped edges, what was known on a day) from the
entries. An attribute or a segment is that of the start of the period, as an account's history was known.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from app.accounts.filters import Filter, condition
from app.store.tables import BEGINNING, END, MONTHS, WHOLE_BUSINESS, account, attribute, entry, label, total

# The values of a group, each with the name of its type.
Group = tuple[tuple[str, Any], ...]
# group -> measure -> sum by the index of the span
Sums = dict[Group, dict[str, dict[int, int]]]

_DAY = timedelta(days=1)


class Span(NamedTuple):
    """A period to sum over, `[start, end)`, and the day at whose start accounts belong to their groups."""

    start: date
    end: date
    member_on: date


@dataclass(frozen=True, slots=True)
class Selection:
    """Which entries are meant and how they are grouped; the same for every operand of a question.

    group_by: attribute keys, or `account`, `segment`, `subject`, `channel`. accounts: numbers; None means all.
    segments: name and filter of each group of `segment`. as_of: None means all that is known.
    """

    group_by: tuple[str, ...] = ()
    filter: Filter | None = None
    segments: tuple[tuple[str, Filter], ...] = ()
    accounts: tuple[int, ...] | None = None
    subjects: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()
    as_of: date | None = None

    @property
    def shape(self) -> "_Shape":
        """What of it decides how the statement is built; the rest are its parameters."""
        return _Shape(
            self.group_by,
            self.filter,
            tuple(filter for _, filter in self.segments),
            by_account=self.accounts is not None,
            by_subject=bool(self.subjects),
            by_channel=bool(self.channels),
            as_of=self.as_of is not None,
        )


@dataclass(frozen=True, slots=True)
class _Shape:
    group_by: tuple[str, ...]
    filter: Filter | None
    segments: tuple[Filter, ...]
    by_account: bool
    by_subject: bool
    by_channel: bool
    as_of: bool

    @property
    def keys(self) -> list[str]:
        """The attributes that decide where an account belongs."""
        named = set(self.group_by) - {"account", "segment", "subject", "channel"}
        for filter in (self.filter, *self.segments):
            named |= set(filter.keys) if filter else set()
        return sorted(named)


async def flows(
    connection: AsyncConnection,
    *,
    measures: Mapping[str, int],
    spans: Sequence[Span],
    selection: Selection,
    labels: Mapping[str, int],
    today: date,
) -> Sums:
    """Sums of entries whose day lies in each span; spans do not overlap. A span that has not ended ends tomorrow.

    measures: name -> number; labels: the numbers of the selection's subjects and channels, as far as they have one.
    Groups and measures without an entry are left out.
    """
    months, edges = _parts(spans, today=today, by_entry=selection.as_of is not None)
    names = {number: name for name, number in measures.items()}
    sums: Sums = defaultdict(lambda: defaultdict(lambda: defaultdict(int)))

    parameters = _parameters(selection, list(names), labels)
    if months and names:
        statement = _of_totals(selection.shape)
        for measure, year, *rest in await connection.execute(statement, parameters | _calendar(months, spans)):
            for month, value in enumerate(rest[:12], start=1):
                if value and (year, month) in months:
                    sums[_group(rest[12:])][names[measure]][months[year, month]] += int(value)
    if edges and names:
        columns = {name: list(column) for name, column in zip(_Edge._fields, zip(*edges, strict=True), strict=True)}
        for measure, index, value, *group in await connection.execute(
            _of_entries(selection.shape), parameters | columns
        ):
            if value:
                sums[_group(group)][names[measure]][index] += int(value)
    return sums


def _parameters(selection: Selection, measures: list[int], labels: Mapping[str, int]) -> dict[str, Any]:
    def numbers(words: Sequence[str]) -> list[int]:
        return [labels[word] for word in words if word in labels]

    return {
        "measures": measures,
        "accounts": list(selection.accounts or ()),
        "subjects": numbers(selection.subjects),
        "channels": numbers(selection.channels),
        "as_of": selection.as_of,
    }


def _group(values: Sequence[Any]) -> Group:
    # True and 1 are the same key of a dict, but not the same value of an attribute.
    return tuple((type(value).__name__, value) for value in values)


class _Edge(NamedTuple):
    """A stretch of days that is read from the entries, added to the span `index` or, where `sign` is -1, taken off."""

    span: int
    start: date
    end: date
    sign: int
    member_on: date


def _parts(spans: Sequence[Span], *, today: date, by_entry: bool) -> tuple[dict[tuple[int, int], int], list[_Edge]]:
    """How the spans are made of whole months, (year, month) -> index, and of edges.

    The running month is read whole too; what is dated after today is then taken off again, since that is little.
    """
    months: dict[tuple[int, int], int] = {}
    edges: list[_Edge] = []
    tomorrow = today + _DAY
    for index, (start, end, member_on) in enumerate(spans):
        at, stop = start, max(start, min(end, tomorrow))
        while at < stop:
            following = _next_month(at)
            if not by_entry and at.day == 1 and following <= end:
                months[at.year, at.month] = index
                if following > stop:
                    edges.append(_Edge(index, stop, following, -1, member_on))
            else:
                following = stop if by_entry else min(following, stop)
                edges.append(_Edge(index, at, following, 1, member_on))
            at = following
    return months, edges


def _next_month(day: date) -> date:
    return date(day.year + day.month // 12, day.month % 12 + 1, 1)


def _calendar(months: Mapping[tuple[int, int], int], spans: Sequence[Span]) -> dict[str, Any]:
    """For each year, the day that decides about membership, month by month."""
    years = sorted({year for year, _ in months})
    members = {
        f"member{month}": [
            spans[months[year, month]].member_on if (year, month) in months else BEGINNING for year in years
        ]
        for month in range(1, 13)
    }
    return {"year": years} | members


# Statements depend on the shape of a question only, so each is built once: building costs as much as answering.
@lru_cache(maxsize=256)
def _of_totals(shape: _Shape) -> sa.Select[Any]:
    """Rows (measure, year, twelve sums, group...); a month's sum is of the accounts that belong to the group for it."""
    names = [f"member{month}" for month in range(1, 13)]
    calendar = _values("calendar", {"year": sa.Integer} | dict.fromkeys(names, sa.Date))
    attributes = _attributes(shape)
    source = total.join(calendar, calendar.c.year == total.c.year)
    sums: list[Any] = [sa.func.sum(month) for month in MONTHS]
    if attributes:
        belongs = [
            sa.and_(*(rows.c.key.is_(None) | _holds_on(rows, calendar.c[name]) for rows in attributes.values()))
            for name in names
        ]
        sums = [sum.filter(then) for sum, then in zip(sums, belongs, strict=True)]
    for key, rows in attributes.items():
        # An attribute that an account never had is held by a row of nulls, at any time. Of its others only those count
        # that hold at some period's start: two long histories would make many pairs.
        at_some_start = sa.or_(*(_holds_on(rows, calendar.c[name]) for name in names))
        source = source.outerjoin(rows, sa.and_(_known(key, rows, total, shape), at_some_start))
    return _grouped([total.c.measure, total.c.year], sums, source, total, shape, attributes)


@lru_cache(maxsize=256)
def _of_entries(shape: _Shape) -> sa.Select[Any]:
    """Rows (measure, index of the span, sum, group...)."""
    kinds = (sa.Integer, sa.Date, sa.Date, sa.Integer, sa.Date)
    edge = _values("edge", dict(zip(_Edge._fields, kinds, strict=True)))
    source = edge.join(entry, (entry.c.effective_on >= edge.c.start) & (entry.c.effective_on < edge.c.end))
    attributes = _attributes(shape)
    for key, rows in attributes.items():
        source = source.outerjoin(rows, _known(key, rows, entry, shape) & _holds_on(rows, edge.c.member_on))
    sums = [sa.func.sum(entry.c.value * edge.c.sign)]
    query = _grouped([entry.c.measure, edge.c.span], sums, source, entry, shape, attributes)
    return query.where(entry.c.recorded_on <= sa.bindparam("as_of", type_=sa.Date)) if shape.as_of else query


def _attributes(shape: _Shape) -> dict[str, Any]:
    return {key: attribute.alias(f"attribute{number}") for number, key in enumerate(shape.keys)}


def _values(name: str, columns: Mapping[str, Any]) -> Any:
    """A table made of arrays, which are parameters named like its columns."""
    arrays = [_array(column, kind) for column, kind in columns.items()]
    shape = [sa.column(column, kind) for column, kind in columns.items()]
    return sa.func.unnest(*arrays).table_valued(*shape, name=name).render_derived()


def _array(name: str, kind: Any) -> sa.BindParameter[Any]:
    return sa.bindparam(name, type_=sa.ARRAY(kind))


def _known(key: str, rows: Any, facts: sa.Table, shape: _Shape) -> sa.ColumnElement[bool]:
    """The rows of an attribute, of the facts' account, that are what is known, or was on the day `as_of`."""
    this = (rows.c.key == key, rows.c.account_id == facts.c.account_id)
    if not shape.as_of:
        return sa.and_(*this, rows.c.ceased_on == END)
    as_of = sa.bindparam("as_of", type_=sa.Date)
    return sa.and_(*this, rows.c.recorded_on <= as_of, rows.c.ceased_on > as_of)


def _holds_on(rows: Any, day: sa.ColumnElement[date]) -> sa.ColumnElement[bool]:
    return sa.and_(rows.c.valid_from <= day, rows.c.valid_to > day)


def _grouped(
    columns: Sequence[sa.ColumnElement[Any]],
    sums: Sequence[sa.ColumnElement[Any]],
    source: Any,
    facts: sa.Table,
    shape: _Shape,
    attributes: Mapping[str, Any],
) -> sa.Select[Any]:
    """Columns, sums and a column for each grouping, narrowed to what is selected and grouped."""
    values = {key: rows.c.value for key, rows in attributes.items()}
    shown: list[Any] = []
    by: list[Any] = []
    column: Any
    name: Any
    for group in shape.group_by:
        if group == "segment":
            numbers = sa.literal(list(range(len(shape.segments))), sa.ARRAY(sa.Integer))
            segment = (
                sa.func.unnest(numbers).table_valued(sa.column("number", sa.Integer), name="segment").render_derived()
            )
            inside = [
                (segment.c.number == number) & condition(filter, values.__getitem__)
                for number, filter in enumerate(shape.segments)
            ]
            source = source.join(segment, sa.or_(sa.false(), *inside))
            column = name = segment.c.number
        elif group == "account":
            column = facts.c.account_id
            name = sa.select(account.c.id).where(account.c.account_id == column).scalar_subquery()
        elif group in ("subject", "channel"):
            column = facts.c[group]
            name = sa.select(label.c.text).where(label.c.key == column).scalar_subquery()
        else:
            column = name = values[group]
        shown.append(name)
        by.append(column)
    query = sa.select(*columns, *sums, *shown).select_from(source)
    return query.where(*_narrowed(facts, shape, values)).group_by(*columns, *by)


def _narrowed(facts: sa.Table, shape: _Shape, values: Mapping[str, Any]) -> list[sa.ColumnElement[bool]]:
    narrowed: list[sa.ColumnElement[bool]] = [facts.c.measure == sa.any_(_array("measures", sa.Integer))]
    if shape.by_subject:
        narrowed.append(facts.c.subject == sa.any_(_array("subjects", sa.Integer)))
    if shape.by_channel:
        narrowed.append(facts.c.channel == sa.any_(_array("channels", sa.Integer)))
    if shape.by_account:
        narrowed.append(facts.c.account_id == sa.any_(_array("accounts", sa.BigInteger)))
    if shape.filter is not None:
        narrowed.append(condition(shape.filter, values.__getitem__))
    if shape.filter is not None or shape.segments:
        narrowed.append(facts.c.account_id != WHOLE_BUSINESS)
    return narrowed
