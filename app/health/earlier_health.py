"""The health of customers on two days: what other features may ask, see `OFFERS.account_health`."""

from datetime import date

from app.books.books import Books
from app.database.connection import Connection
from app.database.query_plan import QueryPlan, run_plan
from app.health.scores import DayScores, HealthDay, score_days
from app.health.versions import load_versions, version_on
from app.ledger.money import per_month
from app.metrics.offers import OFFERS, AccountHealth


async def load_account_health(
    connection: Connection, books: Books, *, day: date, earlier_day: date, as_of: date | None = None
) -> list[AccountHealth]:
    """Return the health of all customers of a day that have a score on both days, by the model that holds on the later day."""
    later, earlier = await run_plan(connection, _load_scores(HealthDay(day, as_of), HealthDay(earlier_day, as_of)))
    index_by_account = {account: index for index, account in enumerate(earlier.accounts)}
    changes: list[AccountHealth] = []
    for index, account in enumerate(later.accounts):
        earlier_index = index_by_account.get(account)
        if earlier_index is None or not later.customers[index]:
            continue
        score, band = later.scores[index], later.band(index)
        earlier_score, earlier_band = earlier.scores[earlier_index], earlier.band(earlier_index)
        if score is None or band is None or earlier_score is None or earlier_band is None:
            continue
        mrr = per_month(later.mrr[index])
        changes.append(AccountHealth(account, mrr, score / 100, band, earlier_score / 100, earlier_band))
    return changes


OFFERS.account_health = load_account_health


def _load_scores(day: HealthDay, earlier_day: HealthDay) -> QueryPlan[list[DayScores]]:
    versions = yield from load_versions()
    version = version_on(versions, day.day, day.as_of)
    # On the earlier day another model may have held, and the scores of two models cannot be compared.
    always = version._replace(effective_from=date.min, recorded_on=date.min)
    return (yield from score_days([always], [day, earlier_day]))
