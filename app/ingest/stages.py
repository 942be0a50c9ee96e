"""The stages of an event on its way into the ledger: read, resolved, dated. Each is an immutable value.

An event that is not valid is an `InvalidEvent`, so that all of its faults can be found before it is rejected.

| stage | made in | from |
|---|---|---|
| `IncomingEvent` | `read` | raw JSON, validated |
| `ResolvedEvent` | `references` | its survey and exchange rate, and what it posts |
| `DatedEvent` | `write` | its recorded day, under the lock of its account |

The ledger then posts `posting` on `recorded_on`.
"""

from datetime import date, datetime
from typing import Any, NamedTuple

from app.core.names import Fault
from app.ingest.exchange_rates import ExchangeRate
from app.ledger.posting import EventPosting
from app.ledger.surveys import Survey

# The ids of the events that PUT /v1/accounts/{id} stores begin with this; clients cannot send such ids.
RESERVED_ID_PREFIX = "PUT "


class IncomingEvent(NamedTuple):
    """An event that is valid by the declaration of its type.

    position: its position in the request, from 0. account: the client's id of the account, empty for the whole business.
    account_id: the key of the account. recorded_on_override: `recorded_on` as the sender set it; where it is None, the day is
    decided under the account's lock. fingerprint: a hash of the content, which distinguishes duplicates from conflicts.
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


class InvalidEvent(NamedTuple):
    """An event that is rejected.

    id: as sent. fields: those that are valid by themselves. faults: what is wrong so far. more_faults: how many are not in it.
    """

    position: int
    id: Any
    fields: dict[str, Any]
    faults: list[Fault]
    more_faults: int = 0


class ResolvedEvent(NamedTuple):
    """An event with the survey and the exchange rate that it refers to, if any, and with what it posts."""

    incoming: IncomingEvent
    survey: Survey | None
    rate: ExchangeRate | None
    posting: EventPosting


class DatedEvent(NamedTuple):
    """A resolved event with the day on which it is recorded."""

    incoming: IncomingEvent
    survey: Survey | None
    rate: ExchangeRate | None
    posting: EventPosting
    recorded_on: date
