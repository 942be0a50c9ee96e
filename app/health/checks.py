"""What must be true of health on any data: checks of `/v1/checks`."""

from collections.abc import Iterator, Mapping
from datetime import date, timedelta

from app.accounts.all_accounts import load_ids
from app.books.books import Books
from app.core.aside import run_aside
from app.database.connection import Connection
from app.database.query_plan import run_plan
from app.health.answers import check_account_count, pair_accounts
from app.health.explanation import compare
from app.health.scores import DayScores, score_days
from app.health.versions import load_versions, version_on
from app.ledger.sums.account_sums import KnownDay
from app.metrics.answer import AnswerTable, build_answer_table
from app.metrics.offers import OFFERS, Comparison, DataChecks
from app.metrics.parameters import Parameters
from app.metrics.question import build_question

_CONTRIBUTIONS, _DIFFERENCES, _BANDS = "health_contributions", "health_differences", "health_bands"
# Today is compared with the day so long before, as explanations do by default.
_DAYS_BETWEEN = timedelta(days=28)


async def _compare(connection: Connection, books: Books, today: date) -> Mapping[str, list[Comparison]]:
    """Return the comparisons of all checks, for which the scores are computed once."""
    table = await _load_bands(connection, books, today)
    versions = await run_plan(connection, load_versions())
    days = [today - _DAYS_BETWEEN, today]
    models = [version_on(versions, day, None).model for day in days]
    await check_account_count(connection, books, models)
    # One day after the other: what is loaded is more than the scores that are kept of it.
    before, after = [
        scores
        for day, model in zip(days, models, strict=True)
        for scores in await run_plan(
            connection, score_days(versions, [KnownDay(day, None)], only_customers=True), items=model.items
        )
    ]
    ids = await run_plan(connection, load_ids([*{*before.accounts, *after.accounts}]))

    def compare_all() -> dict[str, list[Comparison]]:
        return {
            _CONTRIBUTIONS: [*_contribution_sums(after, ids)],
            _DIFFERENCES: [*_difference_sums(before, after, ids)],
            _BANDS: [*_bands(after, table, ids)],
        }

    return await run_aside(compare_all, items=len(ids))


async def _load_bands(connection: Connection, books: Books, today: date) -> AnswerTable:
    """Return the number of customers by band, of each account."""
    parameters = Parameters(
        start=str(today), end=str(today + timedelta(days=1)), granularity="total", group_by=["account", "subject"]
    )
    question = build_question(["accounts_by_band"], parameters, calendar=books.calendar, today=today, segments={})
    return await build_answer_table(connection, books, question)


def _contribution_sums(scores: DayScores, ids: dict[int, str]) -> Iterator[Comparison]:
    for index, (key, score) in enumerate(zip(scores.accounts, scores.scores, strict=True)):
        if score is not None:
            total = sum(own.contribution for own in scores.contributions(index))
            yield Comparison(score / 100, total / 100, {"account": ids[key]})


def _difference_sums(before: DayScores, after: DayScores, ids: dict[int, str]) -> Iterator[Comparison]:
    for key, earlier_index, index in pair_accounts(before, after):
        score, earlier_score = after.scores[index], before.scores[earlier_index]
        if score is None or earlier_score is None:
            continue
        differences = compare(before.contributions(earlier_index), after.contributions(index))
        total = sum(own.by_value + own.by_weight for own in differences)
        yield Comparison((score - earlier_score) / 100, total / 100, {"account": ids[key]})


def _bands(scores: DayScores, table: AnswerTable, ids: dict[int, str]) -> Iterator[Comparison]:
    counts = {tuple(value for _, value in row.group): table.result(row).value or 0 for row in table.pending_rows}
    bands = {(ids[key], scores.band(index)): 1 for index, key in enumerate(scores.accounts)}
    for key in {*counts, *bands}:
        if key[1] is not None:
            location = {"metrics": ["accounts_by_band"], "account": key[0], "band": key[1]}
            yield Comparison(counts.get(key, 0), bands.get(key, 0), location)


OFFERS.checks.append(
    DataChecks(
        {
            _CONTRIBUTIONS: "The contributions of all components add up to the health score of each customer.",
            _DIFFERENCES: "The differences of contributions add up to the difference of the scores of today "
            "and of 28 days before.",
            _BANDS: "Each customer with a health score is counted once in its band, and no other account.",
        },
        _compare,
    )
)
