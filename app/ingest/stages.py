"""The stages of an event on its way into the ledger: read, resolved, dated. Each is immutable; none is filled in later.

`read` makes an `IncomingEvent` of raw JSON, `references` a `ResolvedEvent` of that, `write` a `DatedEvent` under the lock of its
account. What remains for the ledger is the posting and the day.
"""

from datetime import date, datetime
from typing import Any, NamedTuple

from app.ingest.exchange_rates import ExchangeRate
from app.ledger.posting import EventPosting
from app.ledger.surveys import Survey

# The ids of the events that the service itself makes of PUT /v1/accounts/{id} begin so; clients cannot send them.
RESERVED_ID_PREFIX = "PUT "


class IncomingEvent(NamedTuple):
    """An event that is valid by the declaration of its type.

    position: in the request, from 0. account: the client's id, empty for the whole business; account_id: its key.
    recorded_on_override: `recorded_on` as the sender set it; None: the day is decided under the account's lock.
    fingerprint: a hash of the content, by which a duplicate is told from a conflict.
    """

    position: int
    id: str
    type: str
    account: str
    account_id: int
    user_id: str | None
    occurred_at: datetime
    recorded_on_override: date | None
    data: dict[str, Any]
    fingerprint: int


class ResolvedEvent(NamedTuple):
    """An event with the survey and the exchange rate that it refers to, if any, and with what it posts by these."""

    event: IncomingEvent
    survey: Survey | None
    rate: ExchangeRate | None
    posting: EventPosting


class DatedEvent(NamedTuple):
    """A resolved event with the day on which it is recorded, decided under the lock of its account."""

    event: IncomingEvent
    survey: Survey | None
    rate: ExchangeRate | None
    posting: EventPosting
    recorded_on: date
