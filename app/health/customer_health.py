"""The health of all customers on a day: what other features may ask, see `OFFERS.customer_health`."""

from datetime import date
from functools import partial

from app.books.books import Books
from app.database.connection import Connection
from app.database.query_plan import run_plan
from app.health.answers import money_text
from app.health.scores import MAX_SCORE, DayScores, load_scores
from app.ledger.sums.account_sums import KnownDay
from app.metrics.offers import OFFERS, CustomerHealth, WeakPart
from app.metrics.rows import round_number

_MAX_WEAK = 3


async def load_customer_health(connection: Connection, books: Books, *, day: date) -> list[CustomerHealth]:
    """Return the health of all customers that have a score on a day."""
    [scores] = await run_plan(connection, load_scores([KnownDay(day, None)], only_customers=True))
    coverage = scores.coverage
    return [
        CustomerHealth(
            account=account,
            score=score,
            band=band,
            model_version=scores.version.number,
            coverage=round(100 * coverage[index], 2),
            mrr=money_text(scores.mrr[index], books.currency),
            load_weakest=partial(_weakest, scores, index),
        )
        for index, account in enumerate(scores.accounts)
        if (score := scores.scores[index]) is not None and (band := scores.band(index)) is not None
    ]


OFFERS.customer_health = load_customer_health


def _weakest(scores: DayScores, index: int) -> list[WeakPart]:
    """Return the components that cost an account most points."""
    parts = [
        (float(own.share) * MAX_SCORE - own.contribution, own)
        for own in scores.contributions(index)
        if own.score is not None
    ]
    costly = sorted((part for part in parts if part[0] > 0), key=lambda part: -part[0])
    return [
        WeakPart(
            own.component.id, own.component.name, round_number(own.value), own.component.unit, round(lost / 100, 2)
        )
        for lost, own in costly[:_MAX_WEAK]
    ]
