"""The sums of a large question in little memory: 8 bytes each, where a dictionary of Python's numbers takes up to 250.

They are loaded some spans at a time, so that the rows of the database are not all in memory either.
"""

from array import array
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from functools import partial
from typing import Any

from app.books.books import Books
from app.core.aside import run_aside
from app.database.connection import Connection
from app.database.query_plan import run_plan
from app.ledger.money import per_month
from app.ledger.sums.operand_sums import Operand
from app.ledger.sums.selection import Group, Selection, Span
from app.metrics.lookup import OperandSums, SumsByGroup, load_measured_sums
from app.metrics.question import Question

# So many are in memory as Python's numbers.
_SUMS_AT_ONCE = 100_000


class CompactSums(Mapping[Group, Mapping[int, Any]]):
    """The sums of one operand, by group and index of the span, with a column for each span.

    is_per_year: whether they are the twelfths of what the columns have.
    """

    def __init__(self, span_count: int, *, is_per_year: bool) -> None:
        self.is_per_year = is_per_year
        self.columns: list[Any] = [array("q") for _ in range(span_count)]
        self._rows: dict[Group, int] = {}

    def add(self, sums: SumsByGroup, *, first: int, count: int) -> None:
        """Add the sums of the spans from the first on; in `sums`, it has the index 0."""
        rows = [(self._rows.setdefault(group, len(self._rows)), values) for group, values in sums.items()]
        for offset in range(count):
            numbers = [0] * len(self._rows)
            for row, values in rows:
                if value := values.get(offset):
                    numbers[row] = int(value * 12) if self.is_per_year else value
            self.columns[first + offset] = _pack(numbers)

    def __getitem__(self, group: Group) -> Mapping[int, Any]:
        return _Values(self, self._rows[group])

    def __contains__(self, group: object) -> bool:
        return group in self._rows

    def __iter__(self) -> Iterator[Group]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)


def _pack(numbers: list[Any]) -> Sequence[Any]:
    try:
        return array("q", numbers)
    except (TypeError, OverflowError):  # fractions, or larger than 64 bits
        return numbers


class _Values(Mapping[int, Any]):
    """The sums of a group by the index of the span. There is one for each span, though it may be 0."""

    __slots__ = ("_row", "_sums")

    def __init__(self, sums: CompactSums, row: int) -> None:
        self._sums, self._row = sums, row

    def __getitem__(self, index: int) -> Any:
        if not 0 <= index < len(self._sums.columns):
            raise KeyError(index)
        return self._read(index)

    def get(self, index: int, default: Any = None) -> Any:
        return self._read(index) if 0 <= index < len(self._sums.columns) else default

    def _read(self, index: int) -> int | Fraction:
        column = self._sums.columns[index]
        # A group that came later has nothing in the columns before.
        value: Any = column[self._row] if self._row < len(column) else 0
        return per_month(value) if self._sums.is_per_year and value else value

    def __iter__(self) -> Iterator[int]:
        return iter(range(len(self._sums.columns)))

    def __len__(self) -> int:
        return len(self._sums.columns)


async def load_compact_sums(
    connection: Connection,
    books: Books,
    question: Question,
    operands: Sequence[Operand],
    spans_of_splits: Sequence[Sequence[Span]],
    selection: Selection,
    size: int,
) -> list[OperandSums]:
    """Load the sums of operands in the spans of each split, some spans at a time.

    selection, size: from `measure_question`.
    """
    per_span = size // max(1, sum(map(len, spans_of_splits)))
    step = max(1, _SUMS_AT_ONCE // max(1, per_span))
    results: list[OperandSums] = []
    for spans in spans_of_splits:
        sums = {operand: CompactSums(len(spans), is_per_year=operand.is_per_year) for operand in operands}
        for first in range(0, len(spans), step):
            next_spans = spans[first : first + step]
            plan = load_measured_sums(books, question, selection, operands, next_spans)
            next_sums = await run_plan(connection, plan, items=per_span)
            await run_aside(partial(_add, sums, next_sums, first=first, count=len(next_spans)), items=per_span)
        results.append(sums)
    return results


def _add(all_sums: Mapping[Operand, CompactSums], next_sums: OperandSums, *, first: int, count: int) -> None:
    for operand, sums in next_sums.items():
        all_sums[operand].add(sums, first=first, count=count)
