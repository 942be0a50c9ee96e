"""What is asked of the ledger: which accounts, grouped how, in which spans; and how that is said in SQL.

An attribute or a segment is that of the start of a span, as an account's history was known.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, NamedTuple

import sqlalchemy as sa

from app.accounts.filters import Filter
from app.database.tables import MAX_DATE, WHOLE_BUSINESS

# The values of a group, each with the name of its type.
Group = tuple[tuple[str, Any], ...]
# What entries are told apart by; all other groupings are of accounts.
ENTRY_DIMENSIONS = ("subject", "channel")
# group -> sum by the index of the span
Sums = dict[Group, dict[int, int]]


def empty_sums() -> Sums:
    """Sums to be added to."""
    return defaultdict(lambda: defaultdict(int))


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

    def undivided(self) -> "Selection":
        """The same without telling subjects and channels apart."""
        group_by = tuple(by for by in self.group_by if by not in ENTRY_DIMENSIONS)
        return replace(self, group_by=group_by, subjects=(), channels=())

    @property
    def divided(self) -> bool:
        """Whether it is not about all accounts as one: groups of them, or some only."""
        return bool(set(self.group_by) - set(ENTRY_DIMENSIONS) or self.filter) or self.accounts is not None

    @property
    def shape(self) -> "Shape":
        """What of it decides how the statement is built; the rest are its parameters."""
        return Shape(
            self.group_by,
            self.filter,
            tuple(filter for _, filter in self.segments),
            by_account=self.accounts is not None,
            by_subject=bool(self.subjects),
            by_channel=bool(self.channels),
            as_of=self.as_of is not None,
        )


@dataclass(frozen=True, slots=True)
class Shape:
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
        named = set(self.group_by) - {"account", "segment", *ENTRY_DIMENSIONS}
        for filter in (self.filter, *self.segments):
            named |= set(filter.keys) if filter else set()
        return sorted(named)


def parameters_of(selection: Selection, measures: Mapping[str, int], labels: Mapping[str, int]) -> dict[str, Any]:
    """What a statement of the selection's shape is given."""

    def numbers(words: Sequence[str]) -> list[int]:
        return [labels[word] for word in words if word in labels]

    return {
        "measures": list(measures.values()),
        "accounts": list(selection.accounts or ()),
        "subjects": numbers(selection.subjects),
        "channels": numbers(selection.channels),
        "as_of": selection.as_of,
    }


def array_columns(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> dict[str, list[Any]]:
    """Rows as the parameters of `array_table`."""
    return {name: list(column) for name, column in zip(names, zip(*rows, strict=True), strict=True)}


def group_key(values: Sequence[Any]) -> Group:
    """The values of a group as a key."""
    # True and 1 are the same key of a dict, but not the same value of an attribute.
    return tuple((type(value).__name__, value) for value in values)


def array_table_clause(name: str, columns: Mapping[str, Any]) -> Any:
    """A table made of arrays, which are parameters named like its columns."""
    arrays = [array_param(column, kind) for column, kind in columns.items()]
    shape = [sa.column(column, kind) for column, kind in columns.items()]
    return sa.func.unnest(*arrays).table_valued(*shape, name=name).render_derived()


def array_param(name: str, kind: Any) -> sa.BindParameter[Any]:
    """A parameter that is a list."""
    return sa.bindparam(name, type_=sa.ARRAY(kind))


def known_rows(rows: Any, shape: Shape) -> sa.ColumnElement[bool]:
    """The rows of a table with two clocks that are what is known, or was on the day `as_of`."""
    if not shape.as_of:
        return rows.c.ceased_on == MAX_DATE  # type: ignore[no-any-return]
    as_of = sa.bindparam("as_of", type_=sa.Date)
    return sa.and_(rows.c.recorded_on <= as_of, rows.c.ceased_on > as_of)


def account_conditions(facts: Any, shape: Shape) -> list[sa.ColumnElement[bool]]:
    """Which rows of facts are meant: those of the asked accounts."""
    return [facts.c.account_id == sa.any_(array_param("accounts", sa.BigInteger))] if shape.by_account else []


def narrowing_conditions(facts: Any, shape: Shape) -> list[sa.ColumnElement[bool]]:
    """Which rows of facts are meant: those of the asked measures, subjects, channels and accounts."""
    wanted: list[sa.ColumnElement[bool]] = [facts.c.measure == sa.any_(array_param("measures", sa.Integer))]
    if shape.by_subject:
        wanted.append(facts.c.subject == sa.any_(array_param("subjects", sa.Integer)))
    if shape.by_channel:
        wanted.append(facts.c.channel == sa.any_(array_param("channels", sa.Integer)))
    if shape.filter is not None or shape.segments:
        wanted.append(facts.c.account_id != WHOLE_BUSINESS)
    return wanted + account_conditions(facts, shape)
