"""Where the rows of an entity set come from: a query in SQL, or rows that are computed one after the other.

Both answer a page from a position on, so that no page costs more memory than its rows.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from heapq import nsmallest
from itertools import islice
from typing import Any, NamedTuple, Protocol

from app.books.books import Books
from app.core.errors import Malformed
from app.core.names import build_fault
from app.odata.evaluate import compile_condition, compile_expression
from app.odata.expressions import count_steps
from app.odata.position import PagePosition, invalid_position
from app.odata.query import Query

Row = Mapping[str, Any]
# The values that a row is sorted by, and its key, by whose order equal values are in order.
SortPosition = tuple[tuple[Any, ...], tuple[Any, ...]]

# Of filter and order, for all rows of a page: they take about as long as a question may.
MAX_STEPS = 100_000_000


class SetContext(NamedTuple):
    """What entity sets need to load rows. attribute_types: the types of attributes that are known already."""

    books: Books
    attribute_types: Any


class EntityPage(NamedTuple):
    """A page. row_count: of all rows that satisfy the filter, where it is wanted. next: where the next page begins after."""

    rows: Sequence[Row]
    row_count: int | None = None
    next: PagePosition | None = None


class KeyedRow(NamedTuple):
    """A row with its key, by which the rows of a set are in order."""

    key: tuple[Any, ...]
    row: Row


class RowSource(Protocol):
    """Rows that are computed one after the other."""

    def rows(self, after: tuple[Any, ...] | None) -> Iterator[KeyedRow]:
        """Yield the rows in order of their keys, those after a key. Raises TypeError for a key of another form."""
        ...


@dataclass(frozen=True, slots=True)
class ListSource:
    """Rows that are all there. key: the names of the members by which they are in order."""

    all_rows: Iterable[Row]
    key: tuple[str, ...]

    def rows(self, after: tuple[Any, ...] | None) -> Iterator[KeyedRow]:
        rows = sorted(
            (KeyedRow(tuple(row[name] for name in self.key), row) for row in self.all_rows), key=lambda own: own.key
        )
        return iter(rows) if after is None else (own for own in rows if own.key > after)


def read_page(source: RowSource, query: Query) -> EntityPage:
    """Return the page of a query."""
    try:
        return _read_sorted(source, query) if query.orders else _read_in_order(source, query)
    except TypeError:
        if query.after is not None:
            raise invalid_position() from None
        raise


def _selector(query: Query) -> Callable[[Row], bool]:
    """Return the function that says whether a row satisfies the filter. It raises Malformed when all rows take too long."""
    is_selected = compile_condition(query.filter)
    steps = count_steps(query.filter) + sum(count_steps(order.expression) for order in query.orders)
    rows_left = MAX_STEPS // max(steps, 1)

    def select(row: Row) -> bool:
        nonlocal rows_left
        rows_left -= 1
        if rows_left < 0:
            detail = "The filter and the order are too long for so many rows. Ask for fewer metrics, groups or periods."
            raise Malformed.of([build_fault("/query/$filter", detail, code="too_complex")])
        return is_selected(row)

    return select


def _read_in_order(source: RowSource, query: Query) -> EntityPage:
    is_selected = _selector(query)
    after = query.after.key if query.after is not None else None
    matches = (own for own in source.rows(after) if is_selected(own.row))
    skipped = sum(1 for _ in islice(matches, query.skip))
    page_and_next = list(islice(matches, query.limit + 1))
    count = skipped + len(page_and_next) + sum(1 for _ in matches) if query.wants_count else None
    return _cut_keyed(page_and_next, count, query)


def _read_sorted(source: RowSource, query: Query) -> EntityPage:
    is_selected = _selector(query)
    values_of = _evaluate_orders(query)
    after = None if query.after is None else (_values_of(query, query.after), query.after.key)
    count = 0

    def candidates() -> Iterator[tuple[SortPosition, Row]]:
        nonlocal count
        for key, row in source.rows(None):
            if is_selected(row):
                count += 1
                position = (_sort_values(query, values_of(row)), key)
                if after is None or after < position:
                    yield position, row

    rows = nsmallest(query.skip + query.limit + 1, candidates(), key=lambda own: own[0])[query.skip :]
    page_and_next = [KeyedRow(key, row) for (_, key), row in rows]
    return _cut_keyed(page_and_next, count if query.wants_count else None, query)


def _values_of(query: Query, after: PagePosition) -> tuple[Any, ...]:
    """Return the values of a position as the rows have them: numbers that are no decimals are floats."""
    values = [
        float(value) if order.expression.type == "number" and value is not None else value
        for order, value in zip(query.orders, after.values, strict=True)
    ]
    return _sort_values(query, values)


class _Reversed:
    """A value in descending order."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Reversed) and bool(self.value == other.value)

    def __lt__(self, other: "_Reversed") -> bool:
        return bool(other.value < self.value)


def _evaluate_orders(query: Query) -> Callable[[Row], tuple[Any, ...]]:
    """Return the function of the values of the items of `$orderby` for a row."""
    evaluators = [compile_expression(order.expression) for order in query.orders]
    return lambda row: tuple(evaluate(row) for evaluate in evaluators)


def _sort_values(query: Query, values: Sequence[Any]) -> tuple[Any, ...]:
    """Return values of the items of `$orderby` as Python sorts them. Null is before everything else, in descending order last."""
    pairs = ((value is not None, value if value is not None else 0) for value in values)
    return tuple(
        _Reversed(value) if order.is_descending else value for order, value in zip(query.orders, pairs, strict=True)
    )


def _cut_keyed(page_and_next: Sequence[KeyedRow], count: int | None, query: Query) -> EntityPage:
    values_of = _evaluate_orders(query)
    rows = [own.row for own in page_and_next]
    return cut_page(rows, count, query, lambda last: (values_of(rows[last]), page_and_next[last].key))


def cut_page(
    page_and_next: Sequence[Row],
    count: int | None,
    query: Query,
    position_of: Callable[[int], SortPosition],
) -> EntityPage:
    """Return the page of rows of which there may be one more than the page has.

    position_of: returns the values of the items of `$orderby` and the key of the row with a number.
    """
    rows = page_and_next[: query.limit]
    rows_left = None if query.rows_left is None else query.rows_left - len(rows)
    if len(page_and_next) <= query.limit or rows_left == 0:
        return EntityPage(rows, count)
    return EntityPage(rows, count, PagePosition(*position_of(len(rows) - 1), rows_left))
