"""Populations: the accounts that satisfy a condition on their own balances, counted or with a value summed over them."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Any, NamedTuple, Self

import sqlalchemy as sa

from app.database.query_plan import QueryPlan
from app.database.statements import BoundStatement, Statement, compile_query
from app.database.tables import MIN_DATE, entry
from app.ledger.sums.account_values import BALANCES, AccountValue
from app.ledger.sums.grouping import group_on_day, select_groups
from app.ledger.sums.operand_sums import OperandTerm, SumsRequest
from app.ledger.sums.selection import (
    Shape,
    Span,
    Sums,
    account_conditions,
    array_item,
    array_param,
    empty_sums,
    group_key,
    recorded_conditions,
    selection_parameters,
)

# The label of a measure that has none, since it has no entries.
_NO_LABEL = -1


@dataclass(frozen=True, slots=True)
class PopulationTerm(OperandTerm):
    """The accounts that satisfy a condition or, with `total`, the sum of a value over them, in every span.

    Only accounts whose balances change within the span are looked at: the condition has to be false for all others.
    """

    where: AccountValue
    total: AccountValue | None

    @property
    def measures(self) -> frozenset[str]:
        """The measures whose balances are looked at."""
        return self.where.measures | (self.total.measures if self.total else frozenset())

    @classmethod
    def load(cls, request: SumsRequest, terms: Sequence[Self]) -> QueryPlan[list[Sums]]:
        """Return the sums of each term, in one statement."""
        sums = [empty_sums() for _ in terms]
        stretches = _stretches(request.spans)
        measures = {measure: request.labels.get(measure, _NO_LABEL) for measure in _measures(terms)}
        if len(stretches) == 1 or not measures.keys() & request.labels.keys():
            return sums
        parameters = selection_parameters(request.selection, measures, {}) | {
            "starts": [stretch.start for stretch in stretches],
            "group_days": [stretch.group_day for stretch in stretches],
            "until": stretches[-1].start,
        }
        parameters |= {f"measure{number}": label for number, label in enumerate(measures.values())}
        (rows,) = yield [BoundStatement(_statement(request.selection.shape, tuple(terms)), parameters)]
        for position, *values in rows:
            index = stretches[position - 1].span_index
            if index is not None:
                group = group_key(values[len(terms) :])
                for own_sums, value in zip(sums, values, strict=False):
                    if value:
                        own_sums[group][index] += int(value)
        return sums


class _Stretch(NamedTuple):
    """The days from a start to the start of the next stretch. span_index: of the span that they are; None between spans."""

    start: date
    span_index: int | None
    group_day: date


def _stretches(spans: Sequence[Span]) -> list[_Stretch]:
    """Return all time in order, as the spans divide it: before the first span, the spans and the gaps between them.

    Balances are added up in this order. The last stretch is what comes after the last span.
    """
    stretches = [_Stretch(MIN_DATE, None, MIN_DATE)]
    for index, (start, end, group_day) in sorted(enumerate(spans), key=lambda item: item[1].start):
        if start < end:
            if stretches[-1].start == start:
                stretches.pop()
            stretches += [_Stretch(start, index, group_day), _Stretch(end, None, MIN_DATE)]
    return stretches


def _measures(terms: Iterable[PopulationTerm]) -> list[str]:
    return sorted(frozenset().union(*(term.measures for term in terms)))


@lru_cache(maxsize=256)
def _statement(shape: Shape, terms: tuple[PopulationTerm, ...]) -> Statement:
    """Return the query of rows (position of the stretch, a sum for each term, group...)."""
    labels = {name: sa.bindparam(f"measure{n}", type_=sa.Integer) for n, name in enumerate(_measures(terms))}
    balances = _balances(shape, labels)
    # Most accounts that change are in no population: their groups need not be looked up.
    is_counted = sa.or_(*(account_value_sql(term.where, _balances_by_operator(balances, labels)) for term in terms))
    # Position 1 is all that was before the first span.
    changed_accounts = sa.select(balances).where(is_counted, balances.c.position != 1).subquery("changed")
    values = _balances_by_operator(changed_accounts, labels)
    sums = [
        (sa.func.sum(account_value_sql(term.total, values)) if term.total else sa.func.count())
        .filter(account_value_sql(term.where, values))
        .label(f"sum{number}")
        for number, term in enumerate(terms)
    ]
    group_day = array_item(array_param("group_days", sa.Date), changed_accounts.c.position)
    rows = group_on_day([changed_accounts.c.position], sums, changed_accounts, shape, day=group_day).subquery("rows")
    outer_sums = [sa.func.sum(rows.c[sum.name]) for sum in sums]
    return compile_query(select_groups([rows.c.position], outer_sums, rows, rows, shape))


def _balances(shape: Shape, labels: Mapping[str, Any]) -> Any:
    """Return rows (position, account_id, change of each measure, its closing balance) of the accounts that changed."""
    position = sa.func.width_bucket(entry.c.effective_on, array_param("starts", sa.Date)).label("position")
    # A balance of a single account is a 64-bit integer, as every total is.
    changes = [_sum(entry.c.value).filter(entry.c.measure == label).label(name) for name, label in labels.items()]
    query = sa.select(position, entry.c.account_id, *changes).where(
        entry.c.measure.in_(labels.values()),
        entry.c.effective_on < sa.bindparam("until", type_=sa.Date),
        *account_conditions(entry, shape),
        *recorded_conditions(entry, shape),
    )
    account_changes = query.group_by(position, entry.c.account_id).subquery("changes")
    running: dict[str, Any] = {
        "partition_by": account_changes.c.account_id,
        "order_by": account_changes.c.position,
        "rows": (None, 0),
    }
    closing = [_sum(account_changes.c[name]).over(**running).label(f"closing {name}") for name in labels]
    return sa.select(account_changes, *closing).subquery("balances")


def _sum(column: Any) -> Any:
    """Return the sum, 0 of nothing, as a bigint: PostgreSQL's own is numeric, and slow to make and to compare."""
    return sa.func.bigint_sum(column, type_=sa.BigInteger)


def _balances_by_operator(rows: Any, measures: Iterable[str]) -> dict[tuple[str, str], Any]:
    """Return an account's balances at the bounds of a span, by operator and measure."""
    closing = {("closing", name): rows.c[f"closing {name}"] for name in measures}
    return closing | {("opening", name): rows.c[f"closing {name}"] - rows.c[name] for name in measures}


_OPERATORS: dict[str, Callable[..., Any]] = {
    "-": lambda left, right: left - right,
    ">": lambda left, right: left > right,
    "and": sa.and_,
    "or": sa.or_,
    "not": sa.not_,
}


def account_value_sql(value: AccountValue, balances: Mapping[tuple[str, str], Any]) -> Any:
    """Return an account's value as SQL."""
    if value.operator in BALANCES:
        return balances[value.operator, value.parts[0]]
    parts = (account_value_sql(part, balances) if isinstance(part, AccountValue) else part for part in value.parts)
    return _OPERATORS[value.operator](*parts)
