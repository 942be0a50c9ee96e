"""Sums of ledger entries by period and group: the one shape of SQL that answers every question.

Whole months are read from the monthly totals, everything else (days, weeks, clipped edges, what was known on a day) from the
entries. An attribute or a segment is that of the start of the period, as an account's history was known.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
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
    def keys(self) -> list[str]:
        """The attributes that decide where an account belongs."""
        named = set(self.group_by) - {"account", "segment", "subject", "channel"}
        for filter in [self.filter, *(filter for _, filter in self.segments)]:
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

    def asked(facts: sa.Table) -> _Asked:
        aliases = {key: attribute.alias(f"attribute{number}") for number, key in enumerate(selection.keys)}
        return _Asked(facts, list(names), selection, labels, aliases)

    if months and names:
        for measure, year, *rest in await connection.execute(_of_totals(months, spans, asked(total))):
            for month, value in enumerate(rest[:12], start=1):
                if value and (year, month) in months:
                    sums[_group(rest[12:])][names[measure]][months[year, month]] += int(value)
    if edges and names:
        for measure, index, value, *group in await connection.execute(_of_entries(edges, asked(entry))):
            if value:
                sums[_group(group)][names[measure]][index] += int(value)
    return sums


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


def _of_totals(months: Mapping[tuple[int, int], int], spans: Sequence[Span], asked: "_Asked") -> sa.Select[Any]:
    """Rows (measure, year, twelve sums, group...); a month's sum is of the accounts that belong to the group for it."""
    years = sorted({year for year, _ in months})
    columns = [total.c.measure, total.c.year]
    if not asked.attributes:
        whole = [sa.func.sum(month) for month in MONTHS]
        return _grouped(columns, whole, total, asked).where(total.c.year.in_(years))
    # For each year, the day that decides about membership, month by month.
    members = [
        [spans[months[year, month]].member_on if (year, month) in months else BEGINNING for year in years]
        for month in range(1, 13)
    ]
    names = [f"member{month}" for month in range(1, 13)]
    calendar = _values(
        "calendar",
        {"year": (sa.Integer, years)} | {name: (sa.Date, days) for name, days in zip(names, members, strict=True)},
    )
    belongs = [sa.and_(*(_holds_on(rows, calendar.c[name]) for rows in asked.attributes.values())) for name in names]
    sums = [sa.func.sum(month).filter(then) for month, then in zip(MONTHS, belongs, strict=True)]
    source = total.join(calendar, calendar.c.year == total.c.year)
    for key, rows in asked.attributes.items():
        # An attribute that an account never had is held by a row of nulls, at any time.
        source = source.outerjoin(rows, _known(key, rows, total, asked.selection))
    return _grouped(columns, sums, source, asked)


def _of_entries(edges: Sequence[_Edge], asked: "_Asked") -> sa.Select[Any]:
    """Rows (measure, index of the span, sum, group...)."""
    kinds = (sa.Integer, sa.Date, sa.Date, sa.Integer, sa.Date)
    edge = _values(
        "edge",
        {
            name: (kind, list(column))
            for name, kind, column in zip(_Edge._fields, kinds, zip(*edges, strict=True), strict=True)
        },
    )
    source = edge.join(entry, (entry.c.effective_on >= edge.c.start) & (entry.c.effective_on < edge.c.end))
    for key, rows in asked.attributes.items():
        source = source.outerjoin(rows, _known(key, rows, entry, asked.selection) & _holds_on(rows, edge.c.member_on))
    sums = [sa.func.sum(entry.c.value * edge.c.sign)]
    query = _grouped([entry.c.measure, edge.c.span], sums, source, asked)
    as_of = asked.selection.as_of
    return query if as_of is None else query.where(entry.c.recorded_on <= as_of)


@dataclass(frozen=True, slots=True)
class _Asked:
    """A selection in the database's numbers, with an alias of the attribute table for each attribute that it needs."""

    facts: sa.Table
    measures: list[int]
    selection: Selection
    labels: Mapping[str, int]
    attributes: Mapping[str, Any]


def _values(name: str, columns: Mapping[str, tuple[Any, list[Any]]]) -> Any:
    """A table made of arrays, so that the statement's text does not depend on how many periods are asked for."""
    arrays = [sa.literal(values, sa.ARRAY(kind)) for kind, values in columns.values()]
    shape = [sa.column(column, kind) for column, (kind, _) in columns.items()]
    return sa.func.unnest(*arrays).table_valued(*shape, name=name).render_derived()


def _known(key: str, rows: Any, facts: sa.Table, selection: Selection) -> sa.ColumnElement[bool]:
    """The rows of an attribute, of the facts' account, that are what is known, or was on the day `as_of`."""
    this = (rows.c.key == key, rows.c.account_id == facts.c.account_id)
    if selection.as_of is None:
        return sa.and_(*this, rows.c.ceased_on == END)
    return sa.and_(*this, rows.c.recorded_on <= selection.as_of, rows.c.ceased_on > selection.as_of)


def _holds_on(rows: Any, day: sa.ColumnElement[date]) -> sa.ColumnElement[bool]:
    return sa.or_(rows.c.key.is_(None), sa.and_(rows.c.valid_from <= day, rows.c.valid_to > day))


def _grouped(
    columns: Sequence[sa.ColumnElement[Any]], sums: Sequence[sa.ColumnElement[Any]], source: Any, asked: _Asked
) -> sa.Select[Any]:
    """Columns, sums and a column for each grouping, narrowed to what is selected and grouped."""
    shown, by = list(columns), list(columns)
    for group in asked.selection.group_by:
        if group == "segment":
            numbers = list(range(len(asked.selection.segments)))
            segment = _values("segment", {"number": (sa.Integer, numbers)})
            source = source.join(segment, _in_segment(segment.c.number, asked))
            column = label_of = segment.c.number
        elif group == "account":
            column = asked.facts.c.account_id
            label_of = sa.select(account.c.id).where(account.c.account_id == column).scalar_subquery()
        elif group in ("subject", "channel"):
            column = asked.facts.c[group]
            label_of = sa.select(label.c.text).where(label.c.key == column).scalar_subquery()
        else:
            column = label_of = asked.attributes[group].c.value
        shown.append(label_of)
        by.append(column)
    given = len(columns)
    query = sa.select(*shown[:given], *sums, *shown[given:]).select_from(source)
    return query.where(*_narrowed(asked)).group_by(*by)


def _in_segment(number: sa.ColumnElement[int], asked: _Asked) -> sa.ColumnElement[bool]:
    inside = (
        (number == index) & condition(filter, lambda key: asked.attributes[key].c.value)
        for index, (_, filter) in enumerate(asked.selection.segments)
    )
    return sa.or_(sa.false(), *inside)


def _narrowed(asked: _Asked) -> list[sa.ColumnElement[bool]]:
    facts, selection = asked.facts, asked.selection
    narrowed: list[sa.ColumnElement[bool]] = [facts.c.measure.in_(asked.measures)]
    for column, words in ((facts.c.subject, selection.subjects), (facts.c.channel, selection.channels)):
        if words:
            narrowed.append(column.in_([asked.labels[word] for word in words if word in asked.labels]))
    if selection.accounts is not None:
        narrowed.append(facts.c.account_id.in_(selection.accounts))
    if selection.filter is not None:
        narrowed.append(condition(selection.filter, lambda key: asked.attributes[key].c.value))
    if selection.filter is not None or selection.segments:
        narrowed.append(facts.c.account_id != WHOLE_BUSINESS)
    return narrowed
