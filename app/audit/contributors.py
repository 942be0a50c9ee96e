"""The accounts behind a number, largest first, with their shares of it."""

from collections.abc import Iterable
from dataclasses import replace
from itertools import groupby
from math import fsum, isclose
from typing import NamedTuple

from app.books.books import Books
from app.core.errors import Invalid
from app.database.connection import Connection
from app.metrics.answer import AnswerTable, PendingRow, build_answer_table
from app.metrics.question import Question
from app.metrics.results import Result
from app.metrics.rows import Row, order, page, rounded


class _Contributor(NamedTuple):
    """An account within a row of the metric, `whole`, and what it brings to it; share: None where there is none."""

    cell: PendingRow
    whole: PendingRow
    contribution: float | None
    share: float | None

    @property
    def name(self) -> str:
        return self.cell.name


async def contributors(
    books: Books, question: Question, *, limit: int, cursor: str | None
) -> tuple[list[Row], list[Row], str | None]:
    """The rows of a metric and a page of the accounts behind them, with the cursor of the next page.

    Accounts are ordered by period, group and contribution, those with nothing of the metric left out. A contribution is
    the account's own numerator or, of a metric without one, its value; null where it has none. `share` is in percent of
    the whole's, and null where the accounts' numerators do not add up to it, as those of averages of averages. Of a whole
    below zero those come first that bring it there.
    """
    selection = question.selection
    if "account" in selection.group_by:
        raise Invalid.at("/query/group_by", "Contributors are accounts already.", code="grouped_by_account")
    by_account = replace(question, selection=replace(selection, group_by=(*selection.group_by, "account")))

    async def look(connection: Connection) -> tuple[AnswerTable, AnswerTable]:
        return await build_answer_table(connection, books, question), await build_answer_table(
            connection, books, by_account
        )

    table, own = await books.database.read(look)
    here, following = page(_ordered(table, own), limit=limit, cursor=cursor)
    # A page repeats the rows that its accounts belong to, so that it can be read by itself.
    totals = {id(found.whole): found.whole for found in here}
    return [table.row(cell) for cell in totals.values()], [_row(own, found) for found in here], following


def _ordered(table: AnswerTable, own: AnswerTable) -> list[_Contributor]:
    # By the order of groups, in which 1 and 1.0 are one value as they are for the database.
    totals = {(cell.period, order(cell.group)): cell for cell in table.pending_rows}
    found: list[_Contributor] = []
    for place, parts in groupby(own.pending_rows, key=lambda cell: (cell.period, order(cell.group[:-1]))):
        if whole := totals.get(place):
            found += _shared(whole, _contribution(table.result(whole)) or 0, own, parts)
    return found


def _shared(whole: PendingRow, total: float, own: AnswerTable, parts: Iterable[PendingRow]) -> list[_Contributor]:
    """The accounts of one row of the metric; of equal ones in the order of their ids."""
    amounts = [(_contribution(own.result(cell)), cell) for cell in parts if cell.has_data]
    adds_up = total != 0 and isclose(fsum(amount or 0 for amount, _ in amounts), total, rel_tol=1e-9)
    way = -1 if total < 0 else 1
    amounts.sort(key=lambda one: (one[0] is None, -way * (one[0] or 0)))
    return [
        _Contributor(cell, whole, amount, None if amount is None or not adds_up else 100 * amount / total)
        for amount, cell in amounts
    ]


def _contribution(result: Result) -> float | None:
    found = result.value if result.numerator is None else result.numerator
    return None if found is None else float(found)


def _row(own: AnswerTable, found: _Contributor) -> Row:
    row = own.row(found.cell)
    account = row["group"].pop("account")
    return row | {"account": account, "contribution": rounded(found.contribution), "share": rounded(found.share)}
