"""Sums of every account on its own, on several days: a row for each account and day, with a column for each sum.

Where `operand_sums` answers a question with few groups, this answers one about all accounts at once: what is needed are columns
of plain numbers, and a number of statements that depends neither on the accounts nor on the days. A column is a `Part`; parts of
one class are loaded together. The days of a part are counted back from each day, see `DayBound`.
"""

from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from operator import itemgetter
from typing import Any, ClassVar, NamedTuple, Self

from app.core.periods import months_before
from app.database.query_plan import QueryPlan, merge_plans
from app.database.tables import MAX_DATE

_DAY = timedelta(days=1)
# As known now: what was recorded by the last of all days, and has not ceased to be known.
_NOW = MAX_DATE - _DAY


class DayBound(NamedTuple):
    """A day, counted back from the day after the one that is looked at.

    days: how many days before it. months: not that day itself, but the first day of the month so many months before its month.
    """

    days: int = 0
    months: int | None = None

    def on(self, tomorrow: date) -> date:
        """Return the day, from the day after the one that is looked at."""
        day = tomorrow - timedelta(days=self.days)
        return day if self.months is None else months_before(day.replace(day=1), self.months)


class Window(NamedTuple):
    """The days `[start, end)`."""

    start: DayBound
    end: DayBound


class KnownDay(NamedTuple):
    """A day, and the last day whose recordings count; None for all that is recorded by now."""

    day: date
    as_of: date | None

    @property
    def tomorrow(self) -> date:
        """The day after it, at whose start everything that is true of the day holds."""
        return self.day + _DAY

    @property
    def recorded_by(self) -> date:
        """The last day whose recordings count."""
        return self.as_of or _NOW


@dataclass(frozen=True)
class AccountSumsRequest:
    """What parts are loaded for: days, and accounts by their keys (None: all).

    labels: text -> label, of the parts' `label_texts`; a text without a label has no entries.
    """

    days: Sequence[KnownDay]
    labels: Mapping[str, int]
    accounts: Sequence[int] | None = None

    @property
    def account_condition(self) -> str:
        """The SQL condition for rows of the accounts, of which there may be all; it begins with AND."""
        return "" if self.accounts is None else "AND account_id = ANY(CAST(%(accounts)s AS bigint[]))"

    @property
    def account_parameters(self) -> dict[str, Any]:
        return {} if self.accounts is None else {"accounts": list(self.accounts)}


# The index of a day of the request, and an account.
RowKey = tuple[int, int]


class Block(NamedTuple):
    """The columns of some parts: a value for each of these days and accounts."""

    keys: Sequence[RowKey]
    columns: Sequence[Sequence[Any]]


class Part(ABC):
    """A number of an account that one statement loads for all accounts. Immutable and hashable. default: where it has no row."""

    __slots__ = ()
    default: ClassVar[Any] = 0

    @property
    @abstractmethod
    def label_texts(self) -> frozenset[str]: ...

    @classmethod
    @abstractmethod
    def load(cls, request: AccountSumsRequest, parts: Sequence[Self]) -> QueryPlan[Block]:
        """Return a block whose columns are the parts."""


class MeasurePart(Part):
    """A part that is made of the entries of a measure. subjects, channels: of which only these count; empty for all."""

    __slots__ = ()
    measure: str
    subjects: tuple[str, ...]
    channels: tuple[str, ...]

    @property
    def label_texts(self) -> frozenset[str]:
        return frozenset({self.measure, *self.subjects, *self.channels})

    @staticmethod
    def have_entries(request: AccountSumsRequest, parts: "Sequence[MeasurePart]") -> bool:
        """Return whether any of the measures may have entries."""
        return bool(request.labels.keys() & {part.measure for part in parts})


class AccountTable(NamedTuple):
    """The columns of all parts, each with a value for every key. The keys of a day follow each other, in the order of days."""

    keys: Sequence[RowKey]
    columns: Mapping[Part, Sequence[Any]]


def load_account_sums(parts: Collection[Part], request: AccountSumsRequest) -> QueryPlan[AccountTable]:
    """Return the columns of parts on all days, in one round trip: one statement for each class of parts, or a few."""
    by_class: dict[type[Part], list[Part]] = defaultdict(list)
    for part in dict.fromkeys(parts):
        by_class[type(part)].append(part)
    blocks = yield from merge_plans([class_.load(request, alike) for class_, alike in by_class.items()])
    # Most accounts have rows of everything, and those of one statement are often in the order of another.
    keys = [*dict.fromkeys(key for block in blocks for key in block.keys)]
    if len(request.days) > 1:
        keys.sort(key=itemgetter(0))
    columns: dict[Part, Sequence[Any]] = {}
    for alike, block in zip(by_class.values(), blocks, strict=True):
        columns |= dict(zip(alike, _spread(block, keys, [part.default for part in alike]), strict=True))
    return AccountTable(keys, columns)


def _spread(block: Block, keys: Sequence[RowKey], defaults: Sequence[Any]) -> Sequence[Sequence[Any]]:
    """Return the columns of a block over other keys. defaults: of each column, for a key that it does not have."""
    if block.keys == keys:
        return block.columns
    positions = {key: position for position, key in enumerate(block.keys)}
    # The last position is that of the default.
    order = [positions.get(key, -1) for key in keys]
    values = ((*column, default) for column, default in zip(block.columns, defaults, strict=True))
    return [[own[position] for position in order] for own in values]


def empty_block(width: int) -> Block:
    """Return a block of so many parts without rows."""
    return Block([], [()] * width)


def block_of_rows(rows: Iterable[Sequence[Any]], width: int) -> Block:
    """Return the rows (index of the day, account, value of each part …) of a statement as a block of `width` parts."""
    columns = list(zip(*rows, strict=True))
    return Block([*zip(*columns[:2], strict=True)], columns[2:]) if columns else empty_block(width)


def merge_blocks(blocks: Sequence[Block]) -> Block:
    """Return blocks of one column each as one of all columns; None where a key is not in a block."""
    if len(blocks) == 1:
        return blocks[0]
    keys = [*dict.fromkeys(key for block in blocks for key in block.keys)]
    return Block(keys, [_spread(block, keys, [None])[0] for block in blocks])
