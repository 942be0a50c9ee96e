"""The rows of accounts that detectors read: all columns of all detectors, loaded together."""

from collections import namedtuple
from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from typing import Any

from app.database.labels import lookup_labels
from app.database.pool import Database
from app.database.query_plan import QueryPlan
from app.insights.sources import AccountRow, AccountSource, Column, Moment, Source
from app.ledger.sums.account_operands import Narrowing, OwnOperand, own_operand
from app.ledger.sums.account_sums import AccountSumsRequest, AccountTable, KnownDay, load_account_sums


def load_account_rows(
    database: Database, sources: Collection[AccountSource], moment: Moment
) -> QueryPlan[dict[Source, list[AccountRow]]]:
    """Return the rows of each source, of all accounts that have data of any of them, by their keys."""
    if not sources:
        return {}
    operands = {column: _own_operand(column) for source in sources for _, column in source.columns}
    parts = [part for own in operands.values() for part in own.parts]
    labels = yield from lookup_labels(database, frozenset[str]().union(*(part.label_texts for part in parts)))
    # The day before, so that the windows end at the beginning of the day that counts as today.
    yesterday = KnownDay(moment.today - timedelta(days=1), moment.as_of)
    table = yield from load_account_sums(parts, AccountSumsRequest([yesterday], labels))
    values = {column: own.compute(table.columns) for column, own in operands.items()}
    return {source: _rows(source, table, values) for source in sources}


def _own_operand(column: Column) -> OwnOperand:
    return own_operand(column.operand, column.window, Narrowing())


def _rows(source: AccountSource, table: AccountTable, values: Mapping[Column, Sequence[Any]]) -> list[AccountRow]:
    make_type: Any = namedtuple
    row_type = make_type("AccountRow", ("account", *(name for name, _ in source.columns)))
    columns = [values[column] for _, column in source.columns]
    accounts = [account for _, account in table.keys]
    return [row_type(*row) for row in zip(accounts, *columns, strict=True) if any(row[1:])]
