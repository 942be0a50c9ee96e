"""A second opinion on filters: random ones, as text and as a function of a row, written after the specification."""

import operator
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any, NamedTuple

from hypothesis import strategies as st

Row = dict[str, Any]
LETTERS = ["", "a", "b", "A", "it's", "=1+1", "é", "日本", "%", "_", "a'b''c", " x ", "É"]


class Filter(NamedTuple):
    """A condition: as text, and as a function that returns True, False or None."""

    text: str
    value: Callable[[Row], Any]


class Operand(NamedTuple):
    """A value: as text, and as a function of a row."""

    text: str
    value: Callable[[Row], Any]


def as_instant(value: Any) -> Any:
    """A date as midnight in UTC."""
    if isinstance(value, date) and not isinstance(value, datetime):
        return datetime(value.year, value.month, value.day, tzinfo=UTC)
    return value


def compare(name: str, left: Any, right: Any) -> bool:
    left, right = as_instant(left), as_instant(right)
    if name in ("eq", "ne"):
        return (left == right) is (name == "eq")
    if left is None or right is None:
        return False
    return {"gt": operator.gt, "ge": operator.ge, "lt": operator.lt, "le": operator.le}[name](left, right)


def negate(value: Any) -> Any:
    return None if value is None else not value


def conjunction(values: list[Any]) -> Any:
    return False if False in values else None if None in values else True


def disjunction(values: list[Any]) -> Any:
    return True if True in values else None if None in values else False


def literal(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, date):
        return value.isoformat()
    return "'" + value.replace("'", "''") + "'" if isinstance(value, str) else str(value)


def constant(value: Any) -> Operand:
    return Operand(literal(value), lambda row: value)


def member(name: str) -> Operand:
    return Operand(name, lambda row: row[name])


def function(name: str, compute: Callable[..., Any], *arguments: Operand) -> Operand:
    def evaluate(row: Row) -> Any:
        values = [own.value(row) for own in arguments]
        return None if None in values else compute(*values)

    return Operand(f"{name}({','.join(own.text for own in arguments)})", evaluate)


def texts(names: list[str]) -> st.SearchStrategy[Operand]:
    plain = st.sampled_from(names).map(member) | st.sampled_from(LETTERS).map(constant)
    return plain | st.one_of(
        plain.map(lambda own: function("tolower", str.lower, own)),
        plain.map(lambda own: function("trim", lambda text: text.strip(" \t\n\r\f\v"), own)),
        st.tuples(plain, plain).map(lambda own: function("concat", operator.add, *own)),
        st.tuples(plain, st.integers(0, 3).map(constant)).map(
            lambda own: function("substring", lambda a, b: a[b:], *own)
        ),
    )


def numbers(names: list[str]) -> st.SearchStrategy[Operand]:
    values = st.sampled_from([-1, 0, 1, 2, 5, 9, 10, 10.5, 100, None])
    return st.sampled_from(names).map(member) | values.map(constant)


DAYS = [date(2026, 1, 1), date(2026, 3, 10), date(2026, 3, 11)]
INSTANTS = [*DAYS, datetime(2026, 3, 10, 12, tzinfo=UTC), datetime(2026, 2, 11, 12, 0, 0, 250_000, tzinfo=UTC), None]


def instants(names: list[str]) -> st.SearchStrategy[Operand]:
    return st.sampled_from(names).map(member) | st.sampled_from(INSTANTS).map(constant)


def comparisons(operands: st.SearchStrategy[Operand], *, has_order: bool = True) -> st.SearchStrategy[Filter]:
    names = st.sampled_from(["eq", "ne", "gt", "ge", "lt", "le"] if has_order else ["eq", "ne"])

    def build(parts: tuple[Operand, str, Operand]) -> Filter:
        left, name, right = parts
        return Filter(f"{left.text} {name} {right.text}", lambda row: compare(name, left.value(row), right.value(row)))

    return st.tuples(operands, names, operands).map(build)


def memberships(operands: st.SearchStrategy[Operand], values: list[Any]) -> st.SearchStrategy[Filter]:
    def build(parts: tuple[Operand, list[Any]]) -> Filter:
        item, choices = parts
        listed = ",".join(map(literal, choices))
        return Filter(
            f"{item.text} in ({listed})", lambda row: any(compare("eq", item.value(row), choice) for choice in choices)
        )

    return st.tuples(operands, st.lists(st.sampled_from(values), min_size=1, max_size=4)).map(build)


def searches(operands: st.SearchStrategy[Operand]) -> st.SearchStrategy[Filter]:
    kinds = {
        "contains": lambda text, part: part in text,
        "startswith": str.startswith,
        "endswith": str.endswith,
    }

    def build(parts: tuple[str, Operand, Operand]) -> Filter:
        name, left, right = parts
        return Filter(*function(name, kinds[name], left, right))

    return st.tuples(st.sampled_from([*kinds]), operands, operands).map(build)


TRUTHS = st.sampled_from([True, False, None]).map(constant)


def truths(conditions: st.SearchStrategy[Filter]) -> st.SearchStrategy[Operand]:
    """Conditions as values, of which one may be null."""
    return conditions.map(lambda own: Operand(f"({own.text})", own.value)) | TRUTHS


def filters(*, text: list[str], number: list[str], instant: list[str], boolean: list[str]) -> st.SearchStrategy[Filter]:
    """Random filters over properties of these types."""
    atoms = [comparisons(texts(text)), searches(texts(text)), memberships(texts(text), [*LETTERS, None])]
    atoms += [comparisons(numbers(number)), memberships(numbers(number), [0, 1, 5, 10, 10.5, None])]
    if instant:
        atoms += [comparisons(instants(instant)), memberships(instants(instant), INSTANTS)]
    if boolean:
        atoms += [
            comparisons(st.sampled_from(boolean).map(member) | TRUTHS, has_order=False),
            st.sampled_from(boolean).map(lambda name: Filter(*member(name))),
        ]

    def combine(parts: st.SearchStrategy[Filter]) -> st.SearchStrategy[Filter]:
        several = st.lists(parts, min_size=2, max_size=3)
        return st.one_of(
            parts.map(lambda own: Filter(f"not ({own.text})", lambda row: negate(own.value(row)))),
            several.map(
                lambda own: Filter(
                    "(" + " and ".join(part.text for part in own) + ")",
                    lambda row: conjunction([part.value(row) for part in own]),
                )
            ),
            several.map(
                lambda own: Filter(
                    "(" + " or ".join(part.text for part in own) + ")",
                    lambda row: disjunction([part.value(row) for part in own]),
                )
            ),
            comparisons(truths(parts), has_order=False),
            memberships(truths(parts), [True, False, None]),
        )

    return st.recursive(st.one_of(atoms), combine, max_leaves=6)
