"""The accounts behind a cell of the retention triangle."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from pydantic import Field

from app.accounts.cards import load_cards_by_id
from app.books.books import Books
from app.core.errors import Invalid
from app.core.names import name_fault, nearest_names
from app.core.periods import Period
from app.database.connection import Connection
from app.database.query_plan import QueryPlan, merge_plans, run_plan
from app.http.openapi import object_schema
from app.http.tables import Answer, columns, group_columns
from app.ledger.sums.selection import Group
from app.metrics.lookup import period_span
from app.metrics.parameters import Parameters
from app.metrics.question import Question, resolve_question
from app.metrics.question_names import check_names
from app.metrics.rows import Row, check_row_count, format_group, group_sort_key, knowledge_members, paginate, row_name
from app.metrics.schema import rows_schema
from app.reports.cohorts import (
    AMOUNT_SCHEMA,
    COHORT_MEASURES,
    POSITION_SCHEMA,
    VALUE_SCHEMA,
    CohortQuestion,
    CohortSums,
    compute_values,
    sum_cohorts,
)
from app.reports.schemas import GROUP_SCHEMA, OPTIONAL_TEXT

_ACCOUNT_SCHEMA: dict[str, Any] = {
    "account": {"type": "string", "description": "The id of the account."},
    "name": OPTIONAL_TEXT | {"description": "The name that it has today."},
    "is_retained": {"type": "boolean", "description": "Whether anything is left of it: `value` is above 0."},
}
COHORT_ACCOUNTS_SCHEMA = rows_schema(
    "CohortAccount",
    "One row per account of the cohort, those of the highest value first.",
    _ACCOUNT_SCHEMA | GROUP_SCHEMA | VALUE_SCHEMA,
    AMOUNT_SCHEMA,
    cell=object_schema("CohortCell", POSITION_SCHEMA, description="Which cell of the triangle it is."),
)


class CohortAccountsParameters(CohortQuestion):
    """Parameters of a cell: those of the triangle that it is in, and which cell."""

    cohort: str = Field(
        max_length=40, description="The period of the cohort, as in the rows of the triangle: `2026-01`."
    )
    number: int = Field(
        ge=0, le=10_000, description="The number of periods since that of the cohort, as in the rows of the triangle."
    )


class _CellRow(NamedTuple):
    """An account in a cell. group: the account and the groups that it was in."""

    group: Group
    values: Row

    @property
    def name(self) -> str:
        return row_name(self.group)


async def list_cohort_accounts(books: Books, parameters: CohortAccountsParameters) -> Answer:
    """Return the accounts behind one cell of a triangle, with their part of its numbers: they add up to those of the cell.

    Raises Invalid for an invalid question, and for a cell that is not in the triangle.
    """
    measure = COHORT_MEASURES[parameters.measure]
    group_by = list(dict.fromkeys(["account", *parameters.group_by]))
    by_account = Parameters.of(parameters, granularity=parameters.by, group_by=group_by)
    question = await resolve_question(books, [measure.metric], by_account)
    periods = _find_periods(question, parameters)
    spans = [period_span(question, period) for period in periods]
    cell = (0, len(periods) - 1)
    currency = books.currency if measure.is_money else None

    async def load(connection: Connection) -> CohortSums:
        plans: list[QueryPlan[Any]] = [check_names(books.database, question.names)]
        _, sums = await run_plan(connection, merge_plans([*plans, sum_cohorts(books, question, measure, spans)]))
        return sums

    sums = await books.database.ask(load)
    groups = [group for group, sizes in sums.sizes.items() if sizes.get((0, 0))] if question.is_known else []
    check_row_count(len(groups), pointer="/query/by", instead="use shorter cohorts or a filter")
    rows = [_CellRow(group, compute_values(sums, group, cell, measure, currency)) for group in groups]
    rows.sort(key=lambda row: (-row.values["value"], group_sort_key(row.group)))
    page, next_cursor = paginate(rows, limit=parameters.page_rows, cursor=parameters.cursor)
    question_json = question.as_json(without=("metrics", "conventions", "granularity", "totals"))
    # The account is a member of the row unless the question groups by it.
    visible_keys = [key for key in question.selection.group_by if key != "account" or key in parameters.group_by]
    names = ("by", "measure", "cohort", "number")
    body = {
        "question": question_json | {"group_by": visible_keys} | {name: getattr(parameters, name) for name in names},
        "cell": _cell_json(periods),
        "rows": await _describe(books, question, page, visible_keys),
        "next": next_cursor,
    } | knowledge_members(question)
    before = columns(_ACCOUNT_SCHEMA)
    after = columns(VALUE_SCHEMA | (AMOUNT_SCHEMA if currency else {}))
    group_fields = group_columns(visible_keys, beside=[*before, *after])
    return Answer("cohort_accounts", body, [*before, *group_fields, *after])


def _find_periods(question: Question, parameters: CohortAccountsParameters) -> Sequence[Period]:
    """Return the periods from that of the cohort to that of the cell. Raises Invalid."""
    periods = [period for period in question.periods if period.start <= question.today]
    names = [period.name for period in periods]
    if parameters.cohort not in names:
        nearest = nearest_names(parameters.cohort, names)
        advice = "The rows of GET /v1/cohorts for the same range have it."
        sentence = "The triangle of this range has no cohort{}."
        fault = name_fault("/query/cohort", sentence, parameters.cohort, nearest, code="unknown_cohort", advice=advice)
        raise Invalid.of([fault], subject="The question")
    first = names.index(parameters.cohort)
    if first + parameters.number >= len(periods):
        detail = f"The last cell of this cohort has the number {len(periods) - 1 - first}."
        raise Invalid.at("/query/number", detail, code="unknown_cohort")
    return periods[first : first + parameters.number + 1]


def _cell_json(periods: Sequence[Period]) -> Row:
    cohort, period = periods[0], periods[-1]
    return {
        "cohort": cohort.name,
        "cohort_start": cohort.start,
        "number": len(periods) - 1,
        "period": period.name,
        "start": period.start,
        "end": period.end,
        "complete": period.complete,
    }


async def _describe(
    books: Books, question: Question, page: Sequence[_CellRow], visible_keys: Sequence[str]
) -> list[Row]:
    """Return the rows of a page as JSON. visible_keys: the groupings in them."""
    groups = [format_group(row.group, question) for row in page]
    ids = [group["account"] for group in groups]
    cards = await books.database.ask(
        lambda connection: run_plan(connection, load_cards_by_id(ids, today=books.today()))
    )
    return [
        {
            "account": group["account"],
            "name": cards[group["account"]]["name"] if group["account"] in cards else None,
            "is_retained": row.values["value"] > 0,
            "group": {key: group[key] for key in visible_keys},
            **row.values,
        }
        for row, group in zip(page, groups, strict=True)
    ]
