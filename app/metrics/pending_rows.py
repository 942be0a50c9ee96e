"""The rows of an answer before they are computed: a sequence whose rows are made only as they are taken."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Any, NamedTuple, overload

from app.core.periods import Period
from app.ledger.sums.operand_sums import Operand
from app.ledger.sums.selection import Group
from app.metrics.define import Metric
from app.metrics.lookup import PeriodSplit
from app.metrics.rows import row_name

# The values of one input of a formula, by the index of the span.
InputValues = Mapping[int, Any]


class PendingRow(NamedTuple):
    """A row whose number is not computed yet: of a metric, the period of a split with that index, and a group.

    inputs, previous_inputs: of the row, and of the split's earlier spans that it is compared with.
    """

    metric: Metric
    split: PeriodSplit
    period_index: int
    group: Group
    inputs: Sequence[InputValues]
    previous_inputs: Sequence[InputValues] = ()

    @property
    def period(self) -> Period:
        return self.split.periods[self.period_index]

    @property
    def name(self) -> str:
        return row_name(self.metric.name, self.metric.convention, self.period.name, self.period.start, self.group)

    @property
    def has_data(self) -> bool:
        """Whether any of its sums is other than zero."""
        pairs = zip(self.metric.inputs.values(), self.inputs, strict=True)
        return any(values.get(self.period_index) for input, values in pairs if isinstance(input, Operand))


class RowBlock(NamedTuple):
    """The rows of a metric in the periods of a split. parts: its groups, each with its inputs and its previous ones."""

    metric: Metric
    split: PeriodSplit
    parts: Sequence[tuple[Group, Sequence[InputValues], Sequence[InputValues]]]

    def row(self, number: int) -> PendingRow:
        """Return a row by its number within the block."""
        index, position = divmod(number, len(self.parts))
        return PendingRow(self.metric, self.split, index, *self.parts[position])


class PendingRows(Sequence[PendingRow]):
    """The rows of an answer in order, made only as they are taken: there may be a million."""

    def __init__(self, blocks: Iterable[RowBlock]) -> None:
        self.blocks = [block for block in blocks if block.parts and block.split.periods]
        self._ends = list(accumulate(len(block.parts) * len(block.split.periods) for block in self.blocks))

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    @overload
    def __getitem__(self, index: int) -> PendingRow: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[PendingRow]: ...
    def __getitem__(self, index: int | slice) -> "PendingRow | Sequence[PendingRow]":
        if isinstance(index, slice):
            return _RowSlice(self, range(len(self))[index])
        number = range(len(self))[index]
        position = bisect_right(self._ends, number)
        return self.blocks[position].row(number - (self._ends[position - 1] if position else 0))

    def __iter__(self) -> Iterator[PendingRow]:
        for block in self.blocks:
            for index in range(len(block.split.periods)):
                for part in block.parts:
                    yield PendingRow(block.metric, block.split, index, *part)


class _RowSlice(Sequence[PendingRow]):
    """Some of the rows of an answer, one after the other."""

    def __init__(self, rows: PendingRows, numbers: range) -> None:
        self._rows, self._numbers = rows, numbers

    def __len__(self) -> int:
        return len(self._numbers)

    @overload
    def __getitem__(self, index: int) -> PendingRow: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[PendingRow]: ...
    def __getitem__(self, index: int | slice) -> "PendingRow | Sequence[PendingRow]":
        numbers = self._numbers[index]
        return self._rows[numbers] if isinstance(numbers, int) else _RowSlice(self._rows, numbers)

    def __iter__(self) -> Iterator[PendingRow]:
        if self._numbers == range(len(self._rows)):
            return iter(self._rows)
        return map(self._rows.__getitem__, self._numbers)
