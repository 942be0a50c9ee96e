"""The retention triangle: what is left, in each later period, of the customers or users who started in the same period."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

from pydantic import Field

from app.books.books import Books
from app.core.periods import Period
from app.database.connection import Connection
from app.database.labels import lookup_labels
from app.database.query_plan import QueryPlan, merge_plans, run_plan
from app.http.chart_formats import ChartParameters
from app.http.tables import Answer, columns
from app.ledger.measures import MEASURES
from app.ledger.money import MONEY_SCALE, per_month
from app.ledger.sums import cohorts
from app.ledger.sums.cohorts import Triangle, empty_triangle
from app.ledger.sums.selection import Group, Span
from app.metrics.answer_size import check_size
from app.metrics.currencies import format_amount
from app.metrics.define import METRICS
from app.metrics.lookup import period_span
from app.metrics.parameters import CommonParameters, Parameters
from app.metrics.question import Question, resolve_question
from app.metrics.question_names import check_names
from app.metrics.results import Amount
from app.metrics.rows import (
    Row,
    base_row,
    check_row_count,
    default_groups,
    group_sort_key,
    knowledge_members,
    mask_unknown,
    paginate,
    percent,
    round_number,
    row_name,
)
from app.metrics.schema import NUMBER_SCHEMA, question_answer, rows_schema
from app.reports.schemas import GROUP_SCHEMA, PERIOD_SCHEMA, REASON_SCHEMA

POSITION_SCHEMA: dict[str, Any] = {
    "cohort": {
        "type": "string",
        "description": "The period of the first payment, first order or first use.",
        "examples": ["2026-01"],
    },
    "cohort_start": {"type": "string", "format": "date", "description": "The first day of that period."},
    "number": {"type": "integer", "description": "The number of periods since that of the cohort, which is 0."},
    **PERIOD_SCHEMA,
}
VALUE_SCHEMA: dict[str, Any] = {
    "size": {
        "type": ["integer", "null"],
        "description": "The number of customers, purchasers or users in the cohort.",
    },
    "initial": NUMBER_SCHEMA
    | {
        "description": "The value that is 100%: the size or, for `mrr` and `revenue`, the value in the cohort's own period."
    },
    "value": NUMBER_SCHEMA
    | {
        "description": "What is followed: customers or MRR of the cohort at the end of the period; its users who were active, "
        "its purchasers who ordered, or their revenue in the period.",
    },
    "percent": NUMBER_SCHEMA | {"description": "`value` as a percentage of `initial`."},
}
AMOUNT_SCHEMA: dict[str, Any] = {
    "amount": {
        "type": ["string", "null"],
        "format": "decimal",
        "description": "For `mrr` and `revenue`: the value with the decimals of the currency.",
    }
}
COHORTS_SCHEMA = rows_schema(
    "CohortPeriod",
    "One row per cohort and period, from the period of the cohort on.",
    POSITION_SCHEMA | GROUP_SCHEMA | VALUE_SCHEMA,
    AMOUNT_SCHEMA | REASON_SCHEMA,
    chart=True,
)


class CohortQuestion(CommonParameters):
    """What is asked of cohorts. An account is in the groups that it was in at the start of its cohort's period."""

    by: Literal["week", "month", "quarter", "year"] = Field("month", description="The length of cohorts and periods.")
    measure: Literal["customers", "mrr", "users", "purchasers", "revenue"] = Field(
        "customers",
        description="What is followed: `customers` or their `mrr`, by the period of their first payment; active `users`, by "
        "the period of their first use; `purchasers` who order in a period or their `revenue`, which is what they paid for "
        "orders minus refunds, by the period of their first order.",
    )


class CohortParameters(ChartParameters, CohortQuestion):
    """Parameters of the triangle, which can be a chart."""


class CohortMeasure(NamedTuple):
    """How a measure is followed.

    metric: the metric whose accounts or users the cohorts divide. presence: the presence of users. For accounts instead:
    first: the ledger measure that an account has once, in the period of its cohort. added, subtracted: the ledger measures
    of the value. is_balance: whether their balance is followed, and not their flow in each period. counts_accounts: whether
    the value is the number of accounts with such a flow. is_money: whether the value is money.
    """

    metric: str
    presence: str = ""
    first: str = ""
    added: str = ""
    subtracted: str = ""
    is_balance: bool = False
    counts_accounts: bool = False
    is_money: bool = False

    @property
    def is_per_year(self) -> bool:
        """Whether the value is money that is kept per year, of which the answer is the twelfth."""
        return self.is_money and MEASURES[self.added].per_year


_FIRST_PAYMENT, _FIRST_ORDER = "customers_new", "purchasers"
COHORT_MEASURES = {
    "customers": CohortMeasure("customers", first=_FIRST_PAYMENT, added="customers", is_balance=True),
    "mrr": CohortMeasure("customers", first=_FIRST_PAYMENT, added="mrr", is_balance=True, is_money=True),
    "users": CohortMeasure("active_users", presence="active_users"),
    "purchasers": CohortMeasure("revenue", first=_FIRST_ORDER, added="orders", counts_accounts=True),
    "revenue": CohortMeasure("revenue", first=_FIRST_ORDER, added="purchases", subtracted="refunds", is_money=True),
}


class CohortSums(NamedTuple):
    """The size of each cohort, in its own period, and its value in each period."""

    sizes: Triangle
    values: Triangle


class _CohortRow(NamedTuple):
    """A row that is not computed yet. cohort_index, period_index: which of the periods the cohort and the row have."""

    group: Group
    cohort_index: int
    period_index: int
    periods: Sequence[Period]

    @property
    def name(self) -> str:
        period = self.periods[self.period_index]
        return row_name(self.cohort_index, period.name, period.start, self.group)


async def retention_triangle(books: Books, parameters: CohortParameters) -> Answer:
    """Return the answer, with a page of rows.

    Each cohort has a row for every period from its own to the current one, ordered by cohort, group and period. Raises
    Invalid for an invalid question, and for an answer of more than a million rows.
    """
    measure = COHORT_MEASURES[parameters.measure]
    question = await resolve_question(books, [measure.metric], Parameters.of(parameters, granularity=parameters.by))
    periods = [period for period in question.periods if period.start <= question.today]
    spans = [period_span(question, period) for period in periods]

    async def load(connection: Connection) -> CohortSums:
        plans: list[QueryPlan[Any]] = [check_names(books.database, question.names)]
        _, sums = await run_plan(connection, merge_plans([*plans, sum_cohorts(books, question, measure, spans)]))
        return sums

    sums = await books.database.ask(load)
    rows = _list_rows(question, sums, periods)
    page, next_cursor = paginate(rows, limit=parameters.page_rows, cursor=parameters.cursor)
    currency = books.currency if measure.is_money else None
    numbers = [*VALUE_SCHEMA, "amount"] if currency else [*VALUE_SCHEMA]
    question_json = question.as_json(without=("metrics", "conventions", "granularity", "totals"))
    body = {
        "question": question_json | {"by": parameters.by, "measure": parameters.measure},
        "rows": [mask_unknown(_compute_row(row, question, sums, measure, currency), numbers, question) for row in page],
        "next": next_cursor,
    } | knowledge_members(question)
    after = columns(VALUE_SCHEMA | AMOUNT_SCHEMA, numbers)
    return question_answer("cohorts", body, question, before=columns(POSITION_SCHEMA), after=after)


def sum_cohorts(
    books: Books, question: Question, measure: CohortMeasure, spans: Sequence[Span]
) -> QueryPlan[CohortSums]:
    """Return the sums of a measure, empty ones where nothing of it has been recorded."""
    texts = {measure.presence, measure.first, measure.added, measure.subtracted} - {""}
    labels = yield from lookup_labels(books.database, texts)
    if not spans or (measure.presence or measure.first) not in labels:
        return CohortSums(empty_triangle(), empty_triangle())
    # An account is in one cohort only.
    per_group = len(spans) * (2 if "account" in question.selection.group_by else len(spans) + 1)
    operands = METRICS[measure.metric].operands
    selection, _ = yield from check_size(books.database, question.selection, operands, spans, per_group=per_group)
    if measure.presence:
        users = yield from cohorts.sum_user_cohorts(selection, spans, presence_label=labels[measure.presence])
        return CohortSums(users, users)
    count = measure.counts_accounts
    first = labels[measure.first]
    sums = yield from cohorts.sum_account_cohorts(selection, spans, first=first, measures=labels, count_accounts=count)
    values = sums[measure.added]
    if measure.subtracted in sums:
        _subtract(sums[measure.subtracted], values)
    return CohortSums(sums[measure.first], _balances(values, len(spans)) if measure.is_balance else values)


def _subtract(triangle: Triangle, values: Triangle) -> None:
    for group, value_by_span in triangle.items():
        for key, value in value_by_span.items():
            values[group][key] -= value


def _balances(changes: Triangle, count: int) -> Triangle:
    """Return the balance of a stock at the end of each of `count` periods, from its changes in each period."""
    balances = empty_triangle()
    for group, changes_of_group in changes.items():
        for cohort in {cohort for cohort, _ in changes_of_group}:
            balance = 0
            for index in range(cohort, count):
                balance += changes_of_group.get((cohort, index), 0)
                balances[group][cohort, index] = balance
    return balances


def _list_rows(question: Question, sums: CohortSums, periods: Sequence[Period]) -> list[_CohortRow]:
    groups = sorted(default_groups(question).union(*sums), key=group_sort_key)
    count = len(periods) * (len(periods) + 1) // 2 * len(groups)
    check_row_count(count, pointer="/query/by", instead="use longer cohorts or a shorter range")
    return [
        _CohortRow(group, cohort, index, periods)
        for cohort in range(len(periods))
        for group in groups
        for index in range(cohort, len(periods))
    ]


def _compute_row(
    row: _CohortRow, question: Question, sums: CohortSums, measure: CohortMeasure, currency: str | None
) -> Row:
    cohort, period = row.periods[row.cohort_index], row.periods[row.period_index]
    return {
        "cohort": cohort.name,
        "cohort_start": cohort.start,
        "number": row.period_index - row.cohort_index,
        **base_row(period, row.group, question),
        **compute_values(sums, row.group, (row.cohort_index, row.period_index), measure, currency),
    }


def compute_values(
    sums: CohortSums, group: Group, cell: tuple[int, int], measure: CohortMeasure, currency: str | None
) -> Row:
    """Return size, initial value, value and percentage of a group. cell: the indexes of the cohort's period and of the period."""
    start = (cell[0], cell[0])
    size = _value(sums.sizes, group, start)
    initial = _value(sums.values, group, start) if currency else size
    value = _value(sums.values, group, cell)
    members: Row = {"size": size, "initial": initial, "value": value, "percent": percent(value, initial)}
    if currency:
        amounts: list[Amount] = [per_month(sum) if measure.is_per_year else sum for sum in (initial, value)]
        members["initial"], members["value"] = (round_number(float(amount / MONEY_SCALE)) for amount in amounts)
        members["amount"] = format_amount(amounts[1], currency)
    return members


def _value(triangle: Mapping[Group, Mapping[tuple[int, int], int]], group: Group, key: tuple[int, int]) -> int:
    return triangle[group].get(key, 0) if group in triangle else 0
