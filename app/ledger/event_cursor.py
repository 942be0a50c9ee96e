"""The cursor of lists of events: the position of an event in the order in which events occurred."""

from datetime import datetime
from typing import Any, NamedTuple

from app.core.errors import Invalid
from app.core.ids import decode_token, encode_token


class EventCursor(NamedTuple):
    """The position of an event; events are listed in this order."""

    occurred_at: datetime
    account_id: int
    id: str

    def encode(self) -> str:
        """Return the text that a client sends to get the next page."""
        return encode_token("\0".join([self.occurred_at.isoformat(), str(self.account_id), self.id]))


def cursor_of(row: Any) -> EventCursor:
    """Return the position of a row of the event table."""
    return EventCursor(row.occurred_at, row.account_id, row.id)


def parse_cursor(text: str) -> EventCursor:
    """Return the position that a client's cursor stands for. Raises Invalid."""
    try:
        occurred_at, account_id, id = decode_token(text).split("\0")
        cursor = EventCursor(datetime.fromisoformat(occurred_at), int(account_id), id)
        if cursor.occurred_at.tzinfo is not None and -(2**63) <= cursor.account_id < 2**63:
            return cursor
    except ValueError:
        pass
    detail = "The cursor is not valid here. Send the cursor of the previous page unchanged, or none for the first page."
    raise Invalid.at("/query/cursor", detail, code="invalid_cursor")
