"""Cursors of lists that are ordered by a time and an id."""

from datetime import datetime
from typing import NamedTuple

from app.core.errors import Invalid
from app.core.ids import decode_token, encode_token


class ListPosition(NamedTuple):
    """Where a page ended: the time and the id of its last row."""

    at: datetime
    id: str

    def encode(self) -> str:
        """Return the cursor that a client sends to get the next page."""
        return encode_token(f"{self.at.isoformat()} {self.id}")


def parse_position(cursor: str) -> ListPosition:
    """Return the position that a cursor stands for. Raises Invalid."""
    try:
        at, _, id = decode_token(cursor).partition(" ")
        position = ListPosition(datetime.fromisoformat(at), id)
    except ValueError:
        raise invalid_cursor() from None
    # A client can write anything into it: PostgreSQL has no U+0000, and reads a time without an offset in a zone of its own.
    if position.at.tzinfo is None or "\0" in id:
        raise invalid_cursor()
    return position


def invalid_cursor(pointer: str = "/query/cursor") -> Invalid:
    """Return the error of a cursor that no page of this list has returned."""
    detail = (
        "The cursor does not belong to this list. Use `next` of the page before, unchanged, or start again without it."
    )
    return Invalid.at(pointer, detail, code="invalid_cursor")
