"""The health of all accounts with its components, for other features: see `OFFERS.account_health`."""

from datetime import date
from typing import Any

from app.books.books import Books
from app.database.connection import Connection
from app.database.query_plan import QueryPlan, merge_plans, run_plan
from app.health.answers import money_text
from app.health.card import show_component
from app.health.flags import flag_finder
from app.health.overrides import load_overrides
from app.health.scores import load_scores
from app.ledger.sums.account_sums import KnownDay
from app.metrics.offers import OFFERS, AccountHealth


async def load_account_health(connection: Connection, books: Books, *, day: date) -> list[AccountHealth]:
    """Return the health of all accounts with any data on a day, ordered by their keys."""
    at = KnownDay(day, None)
    plans: list[QueryPlan[Any]] = [load_scores([at]), load_overrides(books, at)]
    [scores], overrides = await run_plan(connection, merge_plans(plans))
    flags_of = flag_finder(scores)
    rows = [
        AccountHealth(
            account=account,
            score=scores.scores[index],
            band=scores.band(index),
            coverage=round(float(scores.shares[index].coverage), 4),
            flags=list(flags_of(index)),
            is_customer=scores.customers[index],
            mrr=money_text(scores.mrr[index], books.currency),
            override_score=overrides[account].score if account in overrides else None,
            model_version=scores.version.number,
            components=[show_component(own) for own in scores.contributions(index)],
        )
        for index, account in enumerate(scores.accounts)
    ]
    return sorted(rows, key=lambda own: own.account)


OFFERS.account_health = load_account_health
