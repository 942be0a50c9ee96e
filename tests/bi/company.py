"""A company with everything in it, for the tests that compare the views with the API."""

from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import psycopg

from tests.model.generators import random_step
from tests.model.pair import Pair
from tests.support.service import Service, account_update, event, session, survey_responses

UNICODE = "Ünï-コ '%s' \"x\""
_STEPS = 60


def fill(service: Service) -> None:
    """Store random events of every type, retract some, and add names and schedules that are easily wrong.

    At the end, the clock stands on the 10th of a month after that of the database: then both agree on today.
    """
    random, pair = Random(16), Pair(service, accounts=3)
    for _ in range(_STEPS):
        random_step(random, pair)
        pair.at(pair.now + timedelta(days=random.randrange(3), minutes=random.randrange(600)))
    _add_tickets(service, pair)
    latest = max(pair.now, datetime.now(UTC))
    service.now = (latest.replace(day=1) + timedelta(days=32)).replace(day=10, hour=12)
    today = service.now.date()
    service.send(
        account_update(UNICODE, name="Zoë's", plan="größer", seats=3, vip=True),
        account_update(UNICODE, at=f"{today}T00:00:00Z", plan="pro"),
        *survey_responses(
            "nps", [10, 3, 7], UNICODE, user="zoë", channel="email", comment="Très bien 🎉", at=str(today)
        ),
        session(UNICODE, user="zoë", at=str(today)),
        # Late: recorded today, true of months ago.
        session(UNICODE, user="zoë", at="2026-02-03"),
        event("subscription.changed", UNICODE, subscription_id="s", mrr="100.00", at="2026-02-05"),
        event("subscription.changed", UNICODE, subscription_id="y", amount="100.00", interval="year", at="2026-03-05"),
        # A movement in the month that runs.
        event("subscription.changed", "new", subscription_id="s", mrr="70.00", at=str(today)),
        # Known today, and effective later: within this month and after it.
        event(
            "subscription.changed",
            UNICODE,
            subscription_id="s",
            mrr="150.00",
            at=str(today),
            effective_at=_in(service, 5),
        ),
        event("subscription.canceled", UNICODE, subscription_id="y", at=str(today), ends_at=_in(service, 9)),
        event("ticket.opened", UNICODE, ticket_id="Ticket ü 1", channel="chat", priority="high", at=str(today)),
    )


def _add_tickets(service: Service, pair: Pair) -> None:
    """Store a ticket of each outcome, for each of the accounts."""
    outcomes = [
        ["opened"],
        ["opened", "replied"],
        ["opened", "replied", "resolved"],
        ["opened", "resolved", "reopened", "resolved"],
    ]
    service.send(
        *(
            event(
                f"ticket.{verb}",
                account,
                ticket_id=f"more-{number}",
                channel="email",
                at=f"2026-02-{10 + number + day}",
            )
            for account in pair.accounts
            for number, verbs in enumerate(outcomes)
            for day, verb in enumerate(verbs)
        )
    )


def _in(service: Service, days: int) -> str:
    return f"{service.now.date() + timedelta(days=days)}T12:00:00Z"


def query(service: Service, text: str, *parameters: Any) -> list[tuple[Any, ...]]:
    """Return the rows of a query in the database of a service."""
    assert service.url is not None
    with psycopg.connect(service.url.replace("+psycopg", "")) as connection:
        return connection.execute(text, parameters or None).fetchall()
