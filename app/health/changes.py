"""The health of the largest customers on two days: what other features may ask, see `OFFERS.health_changes`."""

from datetime import date
from math import ceil

from app.books.books import Books
from app.database.connection import Connection
from app.database.labels import lookup_labels
from app.database.pool import Database
from app.database.query_plan import QueryPlan, run_plan
from app.health.answers import pair_accounts
from app.health.scores import DayScores, score_days
from app.health.versions import load_versions, version_on
from app.ledger.money import per_month
from app.ledger.sums.account_operands import Narrowing, sum_before
from app.ledger.sums.account_sums import AccountSumsRequest, DayBound, KnownDay, load_account_sums
from app.metrics.offers import OFFERS, HealthChange

# Of the customers with the most MRR, at most so many are looked at.
_MAX_ACCOUNTS = 2_000
_MRR = sum_before("mrr", DayBound(), Narrowing())


async def load_health_changes(
    connection: Connection, books: Books, *, largest: float, day: date, earlier_day: date, as_of: date | None = None
) -> list[HealthChange]:
    """Return the health of the customers with the most MRR that have a score on both days.

    largest: the percentage of all customers that are looked at. The model is that of the later day.
    """
    days = KnownDay(day, as_of), KnownDay(earlier_day, as_of)
    later, earlier = await run_plan(connection, _load_scores(books.database, *days, largest=largest))
    return [
        HealthChange(
            account,
            per_month(later.mrr[index]),
            later_score / 100,
            later_band,
            earlier_score / 100,
            earlier_band,
        )
        for account, earlier_index, index in pair_accounts(earlier, later)
        if (later_score := later.scores[index]) is not None
        and (later_band := later.band(index)) is not None
        and (earlier_score := earlier.scores[earlier_index]) is not None
        and (earlier_band := earlier.band(earlier_index)) is not None
    ]


OFFERS.health_changes = load_health_changes


def _load_scores(
    database: Database, day: KnownDay, earlier_day: KnownDay, *, largest: float
) -> QueryPlan[list[DayScores]]:
    labels = yield from lookup_labels(database, {"mrr"})
    table = yield from load_account_sums(_MRR.parts, AccountSumsRequest([day], labels))
    customers = sorted(
        (-mrr, account) for (_, account), mrr in zip(table.keys, _MRR.compute(table.columns), strict=True) if mrr > 0
    )
    accounts = [account for _, account in customers[: min(ceil(len(customers) * largest / 100), _MAX_ACCOUNTS)]]
    versions = yield from load_versions()
    version = version_on(versions, day.day, day.as_of)
    # On the earlier day another model may have held, and the scores of two models cannot be compared.
    return (yield from score_days([version.always()], [day, earlier_day], accounts=accounts))
