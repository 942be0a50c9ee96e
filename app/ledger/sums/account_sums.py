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


class Block(NamedTuple):
    """The columns of some parts on one day: a value for each of these accounts."""

    accounts: Sequence[int]
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
    def load(cls, request: AccountSumsRequest, parts: Sequence[Self]) -> QueryPlan[list[Block]]:
        """Return a block for each day, whose columns are the parts."""


class AccountTable(NamedTuple):
    """The columns of all parts on one day, each with a value for every account, in the order of `accounts`."""

    accounts: Sequence[int]
    columns: Mapping[Part, Sequence[Any]]


def load_account_sums(parts: Collection[Part], request: AccountSumsRequest) -> QueryPlan[list[AccountTable]]:
    """Return the columns of parts on each day, in one round trip: one statement for each class of parts, or a few."""
    by_class: dict[type[Part], list[Part]] = defaultdict(list)
    for part in dict.fromkeys(parts):
        by_class[type(part)].append(part)
    blocks = yield from merge_plans([class_.load(request, alike) for class_, alike in by_class.items()])
    return [
        _join([(alike, own[index]) for alike, own in zip(by_class.values(), blocks, strict=True)])
        for index in range(len(request.days))
    ]


def _join(blocks: Sequence[tuple[Sequence[Part], Block]]) -> AccountTable:
    """Return the blocks of one day as columns over all of their accounts."""
    accounts = [*dict.fromkeys(account for _, block in blocks for account in block.accounts)]
    columns: dict[Part, Sequence[Any]] = {}
    for parts, block in blocks:
        own_columns = block.columns
        # Most accounts have rows of everything, and the first block has them in the same order.
        if list(block.accounts) != accounts:
            own_columns = _spread(block, accounts, [part.default for part in parts])
        columns |= dict(zip(parts, own_columns, strict=True))
    return AccountTable(accounts, columns)


def _spread(block: Block, accounts: Sequence[int], defaults: Sequence[Any]) -> list[list[Any]]:
    """Return the columns of a block over other accounts. defaults: of each column, for an account that it does not have."""
    positions = {account: position for position, account in enumerate(block.accounts)}
    # The last position is that of the default.
    order = [positions.get(account, -1) for account in accounts]
    values = ((*column, default) for column, default in zip(block.columns, defaults, strict=True))
    return [[own[position] for position in order] for own in values]


def blocks_of_rows(rows: Iterable[Sequence[Any]], days: int, width: int) -> list[Block]:
    """Return the rows (index of the day, account, value of each part …) of a statement as blocks, of `width` parts each."""
    by_day: list[list[Sequence[Any]]] = [[] for _ in range(days)]
    for row in rows:
        by_day[row[0]].append(row)
    return [
        Block(columns[1], columns[2:]) if (columns := list(zip(*own, strict=True))) else Block((), [()] * width)
        for own in by_day
    ]


def merge_blocks(blocks: Sequence[Block]) -> Block:
    """Return blocks of one column each as one of all columns; None where an account is not in a block."""
    if len(blocks) == 1:
        return blocks[0]
    accounts = [*dict.fromkeys(account for block in blocks for account in block.accounts)]
    return Block(accounts, [_spread(block, accounts, [None])[0] for block in blocks])
