"""The answers of a back-test: the report, and the scores that it is made of."""

from collections.abc import Iterator, Sequence
from datetime import date
from functools import partial
from typing import NamedTuple

from app.accounts.all_accounts import load_ids
from app.books.books import Books
from app.core.aside import run_aside
from app.core.errors import Invalid
from app.database.query_plan import run_plan
from app.health.answers import NOT_ENOUGH_DATA, format_score
from app.health.backtest.cut_offs import CutOff
from app.health.backtest.observe import Plan, ScoredAccount, observe, plan_backtest
from app.health.backtest.question import BacktestParameters, BacktestScoreParameters, resolve_backtest
from app.health.backtest.report import build_report
from app.health.backtest.schema import SCORE_ROW_SCHEMA, report_answer
from app.http.tables import Answer, columns
from app.metrics.parameters import DEFAULT_ROWS
from app.metrics.results import NOTHING_KNOWN
from app.metrics.rows import Row, round_number


async def run_backtest(books: Books, parameters: BacktestParameters) -> Answer:
    """Return the report. Raises Invalid."""
    question = await resolve_backtest(books, parameters)
    plan = await plan_backtest(books, question)
    cut_off_scores = [own async for own in observe(books, plan, plan.usable)]
    count = sum(len(own.accounts) for own in cut_off_scores)
    report = await run_aside(partial(build_report, question, plan, cut_off_scores), items=count)
    return report_answer(report)


class _Position(NamedTuple):
    """The place of a row among the scores: by cut-off, then by the key of the account."""

    day: date
    account: int

    def __str__(self) -> str:
        return f"{self.day}.{self.account}"


async def list_backtest_scores(books: Books, parameters: BacktestScoreParameters) -> Answer:
    """Return a page of scores, by cut-off and account.

    Only the cut-offs of the page are computed. Raises Invalid.
    """
    question = await resolve_backtest(books, parameters)
    plan = await plan_backtest(books, question)
    page, next_cursor = await run_aside(partial(_choose_page, plan, parameters), items=plan.accounts)
    on_page, rows = set(page), list[Row]()
    cut_offs = [own for own in plan.usable if own.day in {position.day for position in page}]
    async for scores in observe(books, plan, cut_offs):
        chosen = [own for own in scores.accounts if _Position(scores.cut_off.day, own.account) in on_page]
        ids = await _load_ids(books, [own.account for own in chosen])
        common = {"horizon_days": question.horizon_days, "model_version": scores.version.number}
        rows += [_score_row(scores.cut_off, own, ids[own.account], common) for own in chosen]
    unknown = {} if question.is_known else {"reason": NOTHING_KNOWN.reason}
    body = {"question": question.as_json(), "rows": rows, "next": next_cursor} | unknown

    async def load_more(cursor: str) -> Answer:
        return await list_backtest_scores(books, parameters.model_copy(update={"cursor": cursor}))

    return Answer(
        "backtest-scores",
        body,
        columns(SCORE_ROW_SCHEMA),
        row_count=len(rows),
        load_more=load_more,
    )


async def _load_ids(books: Books, accounts: Sequence[int]) -> dict[int, str]:
    return await books.database.ask(lambda connection: run_plan(connection, load_ids(accounts)))


def _choose_page(plan: Plan, parameters: BacktestScoreParameters) -> tuple[list[_Position], str | None]:
    """Return the places of a page, and the cursor of the next one. Raises Invalid for a cursor that is none of these places."""
    positions = list(_positions(plan, plan.usable))
    first = 0
    if parameters.cursor is not None:
        number_by_cursor = {str(position): number for number, position in enumerate(positions)}
        if parameters.cursor not in number_by_cursor:
            detail = "The cursor does not belong to this question. Start again without it."
            raise Invalid.at("/query/cursor", detail, code="invalid_cursor")
        first = number_by_cursor[parameters.cursor] + 1
    limit = parameters.limit or DEFAULT_ROWS
    page = positions[first : first + limit]
    return page, str(page[-1]) if first + limit < len(positions) else None


def _positions(plan: Plan, cut_offs: Sequence[CutOff]) -> Iterator[_Position]:
    for cut_off in cut_offs:
        customers = plan.customers[cut_off]
        for account in sorted(customers.observable.keys() | customers.cancellation_known.keys()):
            yield _Position(cut_off.day, account)


def _score_row(cut_off: CutOff, own: ScoredAccount, id: str, common: dict[str, int]) -> Row:
    left_out = "cancellation_known" if own.is_cancellation_known else NOT_ENOUGH_DATA if own.score is None else None
    return {
        "cut_off": cut_off.day,
        "until": cut_off.until,
        **common,
        "account": id,
        "score": format_score(own.score),
        "band": own.band,
        "coverage": round_number(own.coverage),
        "churned": own.has_outcome,
        "left_out": left_out,
    }
