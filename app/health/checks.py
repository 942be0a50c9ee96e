"""What must be true of health on any data: checks of `/v1/checks`."""

from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from functools import partial

from app.books.books import Books
from app.core.aside import run_aside
from app.database.connection import Connection
from app.database.query_plan import run_plan
from app.health.accounts import load_ids
from app.health.answers import check_account_count
from app.health.explanation import compare
from app.health.scores import DayScores, score_days
from app.health.versions import load_versions, version_on
from app.ledger.sums.account_sums import KnownDay
from app.metrics.answer import build_answer_table
from app.metrics.offers import OFFERS, Comparison, DataCheck
from app.metrics.parameters import Parameters
from app.metrics.question import build_question

# Today is compared with the day so long before, as explanations do by default.
_DAYS_BETWEEN = timedelta(days=28)


async def _load(connection: Connection, books: Books, days: Sequence[date]) -> tuple[list[DayScores], dict[int, str]]:
    """Return the scores of customers on each of the days, and the ids of the accounts by key."""
    versions = await run_plan(connection, load_versions())
    models = [version_on(versions, day, None).model for day in days]
    await check_account_count(connection, books, max(models, key=lambda model: len(model.parts())), times=len(days))
    # One day after the other: what is loaded is more than the scores that are kept of it.
    plans = [score_days(versions, [KnownDay(day, None)], only_customers=True) for day in days]
    scores = [own for plan in plans for own in await run_plan(connection, plan)]
    return scores, await run_plan(connection, load_ids([*{key for own in scores for key in own.accounts}]))


async def _compare_contributions(connection: Connection, books: Books, today: date) -> Iterable[Comparison]:
    (scores,), ids = await _load(connection, books, [today])
    return await run_aside(partial(_contribution_sums, scores, ids), items=len(ids))


def _contribution_sums(scores: DayScores, ids: dict[int, str]) -> list[Comparison]:
    return [
        Comparison(
            score / 100, sum(own.contribution for own in scores.contributions(index)) / 100, {"account": ids[key]}
        )
        for index, (key, score) in enumerate(zip(scores.accounts, scores.scores, strict=True))
        if score is not None
    ]


async def _compare_differences(connection: Connection, books: Books, today: date) -> Iterable[Comparison]:
    (before, after), ids = await _load(connection, books, [today - _DAYS_BETWEEN, today])
    return await run_aside(partial(_difference_sums, before, after, ids), items=len(ids))


def _difference_sums(before: DayScores, after: DayScores, ids: dict[int, str]) -> list[Comparison]:
    earlier_indices = {key: index for index, key in enumerate(before.accounts)}
    comparisons = []
    for index, (key, score) in enumerate(zip(after.accounts, after.scores, strict=True)):
        earlier_index = earlier_indices.get(key)
        earlier_score = None if earlier_index is None else before.scores[earlier_index]
        if score is None or earlier_index is None or earlier_score is None:
            continue
        differences = compare(before.contributions(earlier_index), after.contributions(index))
        total = sum(own.by_value + own.by_weight for own in differences)
        comparisons.append(Comparison((score - earlier_score) / 100, total / 100, {"account": ids[key]}))
    return comparisons


async def _compare_bands(connection: Connection, books: Books, today: date) -> Iterable[Comparison]:
    parameters = Parameters(
        start=str(today), end=str(today + timedelta(days=1)), granularity="total", group_by=["account", "subject"]
    )
    question = build_question(["accounts_by_band"], parameters, calendar=books.calendar, today=today, segments={})
    table = await build_answer_table(connection, books, question)
    (scores,), ids = await _load(connection, books, [today])

    def compare_counts() -> list[Comparison]:
        counts = {tuple(value for _, value in row.group): table.result(row).value or 0 for row in table.pending_rows}
        bands = {(ids[key], scores.band(index)): 1 for index, key in enumerate(scores.accounts)}
        location = {"metrics": ["accounts_by_band"]}
        return [
            Comparison(counts.get(key, 0), bands.get(key, 0), location | {"account": key[0], "band": key[1]})
            for key in {*counts, *bands}
            if key[1] is not None
        ]

    return await run_aside(compare_counts, items=len(scores.accounts))


OFFERS.checks += [
    DataCheck(
        "health_contributions",
        "The contributions of all components add up to the health score of each customer.",
        _compare_contributions,
    ),
    DataCheck(
        "health_differences",
        "The differences of contributions add up to the difference of the scores of today and of 28 days before.",
        _compare_differences,
    ),
    DataCheck(
        "health_bands",
        "Each customer with a health score is counted once in its band, and no other account.",
        _compare_bands,
    ),
]
