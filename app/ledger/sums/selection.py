"""Selections: which entries a question counts and how it groups them, and the SQL that all statements of sums share.

An account's attributes and segments are those of the span's group day, as the account's history was recorded.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, NamedTuple

import sqlalchemy as sa

from app.accounts.filters import Filter
from app.database.tables import MAX_DATE, WHOLE_BUSINESS

# The values of a group in the order of `group_by`, each with the name of its type.
Group = tuple[tuple[str, Any], ...]
# The groupings by what an entry itself says; all other groupings are by account.
ENTRY_DIMENSIONS = ("subject", "channel")
EPOCH: Any = sa.literal_column("DATE '1970-01-01'", sa.Date)
# group -> index of the span -> sum: a whole number or, of money per month, a fraction
Sums = dict[Group, dict[int, Any]]


def empty_sums() -> Sums:
    """Return empty sums, in which every number starts at 0."""
    return defaultdict(lambda: defaultdict(int))


class Span(NamedTuple):
    """The days `[start, end)` to sum over, and the day at whose start an account's group is decided."""

    start: date
    end: date
    group_day: date


class Members(NamedTuple):
    """The accounts of a selection and their groups on some days: a row for each account, group and stretch of days.

    Every field is a list of one column, written as PostgreSQL writes an array: only PostgreSQL reads it again. since, until:
    the days of the stretch, as numbers of days since EPOCH. segment: the number of a segment, None without segments.
    values: of the groupings by an attribute, as JSON.
    """

    account: str
    since: str
    until: str
    segment: str | None
    values: tuple[str, ...]

    @property
    def row_count(self) -> int:
        """The number of rows."""
        return self.account.count(",") + (self.account != "{}")


@dataclass(frozen=True, slots=True)
class Selection:
    """Which entries are counted and how they are grouped; the same for every operand of a question.

    group_by: attribute keys, `account`, `segment`, `subject` or `channel`. accounts: account keys; None means all.
    segments: name and filter of each group of `segment`. as_of: None means everything that is recorded by now. members:
    the accounts that filter, segments and groupings by attribute select, if they were looked up (see `members`).
    """

    group_by: tuple[str, ...] = ()
    filter: Filter | None = None
    segments: tuple[tuple[str, Filter], ...] = ()
    accounts: tuple[int, ...] | None = None
    subjects: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()
    as_of: date | None = None
    members: Members | None = None

    def without_dimensions(self) -> "Selection":
        """Return the same selection for all subjects and channels together."""
        group_by = tuple(name for name in self.group_by if name not in ENTRY_DIMENSIONS)
        return replace(self, group_by=group_by, subjects=(), channels=())

    @property
    def separates_subjects(self) -> bool:
        """Whether entries of different subjects are treated differently."""
        return "subject" in self.group_by or bool(self.subjects)

    @property
    def covers_whole_business(self) -> bool:
        """Whether all accounts count together: no grouping by account, no filter and no choice of accounts."""
        return not (set(self.group_by) - set(ENTRY_DIMENSIONS) or self.filter) and self.accounts is None

    @property
    def shape(self) -> "Shape":
        """The part of the selection that decides the text of a statement; the rest are its parameters."""
        return Shape(
            self.group_by,
            self.filter if self.members is None else None,
            tuple(filter for _, filter in self.segments) if self.members is None else (),
            is_narrowed=self.filter is not None or "segment" in self.group_by,
            has_members=self.members is not None,
            by_account=self.accounts is not None,
            by_subject=bool(self.subjects),
            by_channel=bool(self.channels),
            as_of=self.as_of is not None,
        )


@dataclass(frozen=True, slots=True)
class Shape:
    """What decides the text of a selection's statements: statements are built and cached by shape.

    filter, segments: only where the members were not looked up. is_narrowed: whether accounts without attributes may be left
    out.
    """

    group_by: tuple[str, ...]
    filter: Filter | None
    segments: tuple[Filter, ...]
    is_narrowed: bool
    has_members: bool
    by_account: bool
    by_subject: bool
    by_channel: bool
    as_of: bool

    @property
    def attribute_groupings(self) -> list[str]:
        """The attributes by which accounts are grouped, in the order of `group_by`."""
        return [name for name in self.group_by if name not in ("account", "segment", *ENTRY_DIMENSIONS)]

    @property
    def attribute_keys(self) -> list[str]:
        """The attributes that decide to which group an account belongs, as far as it was not looked up."""
        if self.has_members:
            return []
        names = set(self.attribute_groupings)
        for filter in (self.filter, *self.segments):
            names |= set(filter.keys) if filter else set()
        return sorted(names)

    @property
    def depends_on_days(self) -> bool:
        """Whether an account may be in different groups on different days."""
        return self.has_members or bool(self.attribute_keys)


def selection_parameters(
    selection: Selection, measures: Mapping[str, int], labels: Mapping[str, int]
) -> dict[str, Any]:
    """Return the parameters that the conditions of every statement of the selection use.

    measures, labels: name -> label. A subject or channel without a label has no entries and is left out.
    """

    def label_list(texts: Iterable[str]) -> list[int]:
        return [labels[text] for text in texts if text in labels]

    return {
        "measures": list(measures.values()),
        "accounts": list(selection.accounts or ()),
        "subjects": label_list(selection.subjects),
        "channels": label_list(selection.channels),
        "as_of": selection.as_of,
    } | member_parameters(selection)


def member_parameters(selection: Selection) -> dict[str, str]:
    """Return the parameters of the table of members, if they were looked up."""
    if (members := selection.members) is None:
        return {}
    values = {f"member_value{number}": texts for number, texts in enumerate(members.values)}
    columns = {"member_account": members.account, "member_since": members.since, "member_until": members.until}
    return columns | values | ({"member_segment": members.segment} if members.segment is not None else {})


def group_key(values: Sequence[Any]) -> Group:
    """Return the values of a group as a dictionary key."""
    # True and 1 are the same key of a dict, but not the same value of an attribute.
    return tuple((type(value).__name__, value) for value in values)


def array_param(name: str, type_: Any) -> sa.BindParameter[Any]:
    """Return a parameter that is a list."""
    return sa.bindparam(name, type_=sa.ARRAY(type_))


def array_table(name: str, columns: Mapping[str, Any]) -> Any:
    """Return a FROM clause of rows that come as parameters: one list for each column, with the column's name.

    columns: name -> SQL type. `array_table_parameters` makes the parameters.
    """
    arrays = [array_param(column, type_) for column, type_ in columns.items()]
    shape = [sa.column(column, type_) for column, type_ in columns.items()]
    return sa.func.unnest(*arrays).table_valued(*shape, name=name).render_derived()


def array_table_parameters(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> dict[str, list[Any]]:
    """Return rows as the parameters of an `array_table`: the list of each column's values. There must be a row."""
    return {name: list(values) for name, values in zip(columns, zip(*rows, strict=True), strict=True)}


def array_item(array: Any, position: Any) -> Any:
    """Return the item of a list at a position, which SQL counts from 1."""
    # `coalesce` around the list, since PostgreSQL would read `list::date[][position]` as a type.
    return sa.func.coalesce(array, type_=array.type)[position]


def version_condition(versions: Any, shape: Shape) -> sa.ColumnElement[bool]:
    """Return the condition for the valid versions in a table with both time axes: of now, or of the day `as_of`."""
    if not shape.as_of:
        return versions.c.ceased_on == MAX_DATE  # type: ignore[no-any-return]
    as_of = sa.bindparam("as_of", type_=sa.Date)
    return sa.and_(versions.c.recorded_on <= as_of, versions.c.ceased_on > as_of)


def recorded_conditions(entries: Any, shape: Shape) -> list[sa.ColumnElement[bool]]:
    """Return the condition for entries that were recorded by the day `as_of`, if the question has one."""
    return [entries.c.recorded_on <= sa.bindparam("as_of", type_=sa.Date)] if shape.as_of else []


def account_conditions(facts: Any, shape: Shape) -> list[sa.ColumnElement[bool]]:
    """Return the condition for rows of the selection's accounts, if it names any."""
    return [facts.c.account_id == sa.any_(array_param("accounts", sa.BigInteger))] if shape.by_account else []


def entry_conditions(facts: Any, shape: Shape) -> list[sa.ColumnElement[bool]]:
    """Return the conditions for rows of the measures and of the selection's subjects, channels and accounts."""
    conditions: list[sa.ColumnElement[bool]] = [facts.c.measure == sa.any_(array_param("measures", sa.Integer))]
    if shape.by_subject:
        conditions.append(facts.c.subject == sa.any_(array_param("subjects", sa.Integer)))
    if shape.by_channel:
        conditions.append(facts.c.channel == sa.any_(array_param("channels", sa.Integer)))
    if shape.is_narrowed:
        conditions.append(facts.c.account_id != WHOLE_BUSINESS)
    return conditions + account_conditions(facts, shape)
