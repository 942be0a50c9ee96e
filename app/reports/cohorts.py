"""The retention triangle: what became of the customers, or users, that came in the same month, quarter or year."""

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

from pydantic import Field

from app.books.books import Books
from app.core.periods import Period
from app.database.labels import lookup_labels
from app.database.query_plan import QueryPlan, run_plan
from app.ledger.sums import cohorts
from app.ledger.sums.cohorts import FIRST, Triangle, no_triangle
from app.ledger.sums.selection import Group, Span
from app.metrics.currencies import format_amount
from app.metrics.lookup import span_of
from app.metrics.question import CommonParameters, Parameters, Question, resolve_question
from app.metrics.results import MONEY_SCALE
from app.metrics.rows import Row, always, check_many, name_of, order, page, percent, row_in


class CohortParameters(CommonParameters):
    """What may be asked of cohorts. Accounts are in the groups that they were in when their cohort's period began."""

    by: Literal["month", "quarter", "year"] = Field("month", description="How long a cohort and a period are.")
    measure: Literal["customers", "mrr", "users"] = Field(
        "customers",
        description="What is followed: customers and their MRR by first payment, or active users by first use.",
    )


class _Measure(NamedTuple):
    """What of a cohort is followed. initial: the measure of what it begins with; stock: of what it stands at later.

    of: the metric whose accounts or users the cohorts part. presence: where users are seen, in place of both.
    """

    of: str
    initial: str = ""
    stock: str = ""
    presence: str = ""


_MEASURES = {
    "customers": _Measure("customers", initial=FIRST, stock="customers"),
    "mrr": _Measure("customers", initial="mrr_new", stock="mrr"),
    "users": _Measure("active_users", presence="active_users"),
}


class _Found(NamedTuple):
    """What there is of cohorts: how many are in each, what each began with, and what it is in each span."""

    sizes: Triangle
    initial: Triangle
    values: Triangle


class _Cell(NamedTuple):
    """A row that has not been written yet."""

    group: Group
    cohort: int
    place: int
    periods: Sequence[Period]

    @property
    def name(self) -> str:
        period = self.periods[self.place]
        return name_of(self.cohort, period.name, period.start, self.group)


async def triangle(books: Books, asked: CohortParameters) -> tuple[dict[str, object], list[Row], str | None]:
    """The question as it was understood, a page of rows and the cursor of the next page.

    A row is a cohort in one period from its own on, until today, ordered by cohort, group and period. Its value is the
    customers or MRR that there are of the cohort at the period's end, or the users of it that were active within; `percent`
    of what the cohort began with: its size, or the MRR of the days on which its customers paid for the first time.
    Raises Invalid for what cannot be answered, and for an answer of more than a million rows.
    """
    measure = _MEASURES[asked.measure]
    question = await resolve_question(books, [measure.of], Parameters.of(asked, granularity=asked.by))
    periods = [period for period in question.periods if period.start <= question.today]
    spans = [span_of(question, period) for period in periods]
    found = await books.database.read(lambda connection: run_plan(connection, _find(books, question, measure, spans)))
    groups = sorted(always(question).union(*found), key=order)
    many = len(periods) * (len(periods) + 1) // 2 * len(groups)
    check_many(many, pointer="/query/by", instead="ask for longer cohorts or a shorter range")
    cells = [
        _Cell(group, cohort, place, periods)
        for cohort in range(len(periods))
        for group in groups
        for place in range(cohort, len(periods))
    ]
    here, following = page(cells, limit=asked.limit, cursor=asked.cursor)
    of_money = books.currency if asked.measure == "mrr" else None
    understood = question.understood(without=("metrics", "conventions", "granularity", "totals"))
    understood |= {"by": asked.by, "measure": asked.measure}
    return understood, [_row(cell, question, found, of_money) for cell in here], following


def _find(books: Books, question: Question, measure: _Measure, spans: Sequence[Span]) -> QueryPlan[_Found]:
    if not spans:
        return _Found(no_triangle(), no_triangle(), no_triangle())
    if measure.presence:
        labels = yield from lookup_labels(books.database, {measure.presence})
        at = labels.get(measure.presence)
        seen = no_triangle() if at is None else (yield from cohorts.users(question.selection, spans, at=at))
        return _Found(seen, seen, seen)
    labels = yield from lookup_labels(books.database, {FIRST, measure.initial, measure.stock})
    if FIRST not in labels:
        return _Found(no_triangle(), no_triangle(), no_triangle())
    sums = yield from cohorts.customers(question.selection, spans, measures=labels)
    return _Found(sums[FIRST], sums[measure.initial], _standing(sums[measure.stock], len(spans)))


def _standing(moves: Triangle, many: int) -> Triangle:
    """What a stock stands at, from how it moved."""
    found = no_triangle()
    for group, moved in moves.items():
        for cohort in {cohort for cohort, _ in moved}:
            balance = 0
            for place in range(cohort, many):
                balance += moved.get((cohort, place), 0)
                found[group][cohort, place] = balance
    return found


def _row(cell: _Cell, question: Question, found: _Found, currency: str | None) -> Row:
    cohort, period = cell.periods[cell.cohort], cell.periods[cell.place]
    own = (cell.cohort, cell.cohort)
    size, initial = (_at(of, cell.group, own) for of in (found.sizes, found.initial))
    value = _at(found.values, cell.group, (cell.cohort, cell.place))
    row: Row = {
        "cohort": cohort.name,
        "cohort_start": cohort.start,
        "number": cell.place - cell.cohort,
        **row_in(period, cell.group, question),
        "size": size,
        "initial": initial / MONEY_SCALE if currency else initial,
        "value": value / MONEY_SCALE if currency else value,
        "percent": percent(value, initial),
    }
    if currency:
        row["amount"] = format_amount(value, currency)
    return row


def _at(found: Mapping[Group, Mapping[tuple[int, int], int]], group: Group, place: tuple[int, int]) -> int:
    return found[group].get(place, 0) if group in found else 0
