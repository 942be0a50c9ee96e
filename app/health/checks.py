"""What must be true of health on any data: checks of `/v1/checks`."""

from collections.abc import Iterable
from datetime import date, timedelta

from app.books.books import Books
from app.core.aside import run_aside
from app.database.connection import Connection
from app.database.query_plan import run_plan
from app.health.accounts import load_ids
from app.health.answers import check_account_count
from app.health.scores import DayScores, HealthDay, score_days
from app.health.versions import load_versions, version_on
from app.metrics.answer import build_answer_table
from app.metrics.offers import OFFERS, Comparison, DataCheck
from app.metrics.parameters import Parameters
from app.metrics.question import build_question


async def _scores(connection: Connection, books: Books, today: date) -> DayScores:
    versions = await run_plan(connection, load_versions())
    await check_account_count(connection, books, version_on(versions, today, None).model)
    (scores,) = await run_plan(connection, score_days(versions, [HealthDay(today, None)], only_customers=True))
    return scores


async def _compare_contributions(connection: Connection, books: Books, today: date) -> Iterable[Comparison]:
    scores = await _scores(connection, books, today)
    ids = await run_plan(connection, load_ids(scores.accounts))

    def compare() -> list[Comparison]:
        return [
            Comparison(
                score / 100, sum(own.contribution for own in scores.contributions(index)) / 100, {"account": ids[key]}
            )
            for index, (key, score) in enumerate(zip(scores.accounts, scores.scores, strict=True))
            if score is not None
        ]

    return await run_aside(compare, items=len(scores.accounts))


async def _compare_bands(connection: Connection, books: Books, today: date) -> Iterable[Comparison]:
    parameters = Parameters(
        start=str(today), end=str(today + timedelta(days=1)), granularity="total", group_by=["account", "subject"]
    )
    question = build_question(["accounts_by_band"], parameters, calendar=books.calendar, today=today, segments={})
    table = await build_answer_table(connection, books, question)
    scores = await _scores(connection, books, today)
    ids = await run_plan(connection, load_ids(scores.accounts))

    def compare() -> list[Comparison]:
        counts = {tuple(value for _, value in row.group): table.result(row).value or 0 for row in table.pending_rows}
        bands = {(ids[key], scores.band(index)): 1 for index, key in enumerate(scores.accounts)}
        location = {"metrics": ["accounts_by_band"]}
        return [
            Comparison(counts.get(key, 0), bands.get(key, 0), location | {"account": key[0], "band": key[1]})
            for key in {*counts, *bands}
            if key[1] is not None
        ]

    return await run_aside(compare, items=len(scores.accounts))


OFFERS.checks += [
    DataCheck(
        "health_contributions",
        "The contributions of all components add up to the health score of each customer.",
        _compare_contributions,
    ),
    DataCheck(
        "health_bands",
        "Each customer with a health score is counted once in its band, and no other account.",
        _compare_bands,
    ),
]
