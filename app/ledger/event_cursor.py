"""Where an event stands among all of them, in the order of time: what a list of events goes on after."""

from datetime import datetime
from typing import Any, NamedTuple

from app.core.errors import Invalid
from app.core.ids import decode_token, encode_token


class EventCursor(NamedTuple):
    """The place of an event: when it occurred, the number of its account, and its id."""

    occurred_at: datetime
    account_id: int
    id: str

    def written(self) -> str:
        """As a client is given it, for the next page."""
        return encode_token("\0".join([self.occurred_at.isoformat(), str(self.account_id), self.id]))


def cursor_of(row: Any) -> EventCursor:
    """The place of a row of the event table."""
    return EventCursor(row.occurred_at, row.account_id, row.id)


def parse_cursor(given: str) -> EventCursor:
    """The place that a client gives back. Raises Invalid."""
    try:
        at, account_id, id = decode_token(given).split("\0")
        cursor = EventCursor(datetime.fromisoformat(at), int(account_id), id)
        if cursor.occurred_at.tzinfo is not None and -(2**63) <= cursor.account_id < 2**63:
            return cursor
    except ValueError:
        pass
    raise Invalid.at("/query/cursor", "That is no cursor.", code="invalid_cursor")
