"""List the contributors of a number: the accounts behind it, the largest first, with their shares."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import groupby
from math import fsum, isclose
from typing import Any, NamedTuple

from app.books.books import Books
from app.core.aside import run_aside
from app.core.errors import Invalid
from app.database.connection import Connection
from app.http.openapi import list_schema
from app.http.tables import Answer, columns
from app.metrics.answer import AnswerTable, build_answer_table
from app.metrics.pending_rows import PendingRow
from app.metrics.question import Question
from app.metrics.question_names import NO_NAMES
from app.metrics.results import Result
from app.metrics.rows import Row, group_sort_key, knowledge_members, paginate, round_number
from app.metrics.schema import (
    NUMBER_SCHEMA,
    OPTIONAL_ROW_SCHEMA,
    ROW_SCHEMA,
    number_columns,
    question_answer,
    rows_schema,
)

_SHARE_SCHEMA: dict[str, Any] = {
    "account": {"type": ["string", "null"], "description": "The account id; null for costs of the whole company."},
    "contribution": NUMBER_SCHEMA
    | {"description": "The account's own numerator or, for a metric without a numerator, its value."},
    "share": NUMBER_SCHEMA
    | {"description": "The contribution as a percentage of the total's; null where contributions do not add up to it."},
}
CONTRIBUTORS_SCHEMA = rows_schema(
    "Contributor",
    "One row per account, with its own numbers and its share of the total.",
    ROW_SCHEMA | _SHARE_SCHEMA,
    OPTIONAL_ROW_SCHEMA,
    totals=list_schema("Row", ROW_SCHEMA, OPTIONAL_ROW_SCHEMA)
    | {"description": "The rows of the metric that the accounts of this page contribute to."},
    chart=True,
)


class _Contributor(NamedTuple):
    """An account's row of the metric, the row that it contributes to (`total`), and its contribution to that."""

    row: PendingRow
    total: PendingRow
    contribution: float | None
    share: float | None

    @property
    def name(self) -> str:
        return self.row.name


async def list_contributors(books: Books, question: Question, *, limit: int, cursor: str | None) -> Answer:
    """Return the answer, with a page of contributors and their totals.

    Contributors are ordered by period, group and contribution; accounts without data of the metric are left out. A
    contribution is the account's own numerator or, for a metric without one, its value; None where it has none. A share is a
    percentage of the total's contribution, and None where the contributions do not add up to that, as for averages of
    averages. For a negative total, the most negative contributions come first. Raises Invalid for a grouping by account.
    """
    selection = question.selection
    if "account" in selection.group_by:
        detail = 'Contributors are accounts already. Remove "account" from group_by.'
        raise Invalid.at("/query/group_by", detail, code="grouped_by_account")
    selection_by_account = replace(selection, group_by=(*selection.group_by, "account"))
    by_account = replace(question, selection=selection_by_account, names=NO_NAMES)

    async def read(connection: Connection) -> tuple[AnswerTable, AnswerTable]:
        totals = await build_answer_table(connection, books, question)
        return totals, await build_answer_table(connection, books, by_account)

    totals, accounts = await books.database.ask(read)

    def compute_page() -> tuple[Sequence[_Contributor], list[Row], str | None]:
        page, next_cursor = paginate(_find_contributors(totals, accounts), limit=limit, cursor=cursor)
        return page, [_row(accounts, contributor) for contributor in page], next_cursor

    page, rows, next_cursor = await run_aside(compute_page, items=len(accounts.pending_rows))
    # Every page repeats the totals of its accounts, so that it can be read without the other pages.
    totals_of_page = {id(contributor.total): contributor.total for contributor in page}
    body = {
        "question": question.as_json(),
        "totals": [totals.row(total) for total in totals_of_page.values()],
        "rows": rows,
        "next": next_cursor,
    } | knowledge_members(question)
    return question_answer(
        "contributors", body, question, after=[*columns(_SHARE_SCHEMA), *number_columns(question)], row_count=len(rows)
    )


def _find_contributors(totals: AnswerTable, accounts: AnswerTable) -> list[_Contributor]:
    # By the order of groups, in which 1 and 1.0 are the same value, as they are for the database.
    totals_by_key = {(row.period, group_sort_key(row.group)): row for row in totals.pending_rows}
    contributors: list[_Contributor] = []
    for key, rows in groupby(accounts.pending_rows, key=lambda row: (row.period, group_sort_key(row.group[:-1]))):
        if total := totals_by_key.get(key):
            amount = _contribution(totals.result(total)) or 0
            contributors += _contributors_of(total, amount, accounts, rows)
    return contributors


def _contributors_of(
    total: PendingRow, total_amount: float, accounts: AnswerTable, rows: Iterable[PendingRow]
) -> list[_Contributor]:
    """Return the contributors of one row of the metric, those with equal contributions in the order of their ids."""
    amounts = [(_contribution(accounts.result(row)), row) for row in rows if row.has_data]
    total_of_amounts = fsum(amount or 0 for amount, _ in amounts)
    adds_up = total_amount != 0 and isclose(total_of_amounts, total_amount, rel_tol=1e-9)
    sign = -1 if total_amount < 0 else 1
    amounts.sort(key=lambda pair: (pair[0] is None, -sign * (pair[0] or 0)))
    return [
        _Contributor(row, total, amount, None if amount is None or not adds_up else 100 * amount / total_amount)
        for amount, row in amounts
    ]


def _contribution(result: Result) -> float | None:
    number = result.value if result.numerator is None else result.numerator
    return None if number is None else float(number)


def _row(accounts: AnswerTable, contributor: _Contributor) -> Row:
    row = accounts.row(contributor.row)
    account = row["group"].pop("account")
    return row | {
        "account": account,
        "contribution": round_number(contributor.contribution),
        "share": round_number(contributor.share),
    }
