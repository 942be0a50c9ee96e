"""Where an event stands among all of them, in the order of time: what a list of events goes on after."""

from datetime import datetime
from typing import Any, NamedTuple

from app.accounts.ids import packed, unpacked
from app.errors import Invalid


class Place(NamedTuple):
    """When it occurred, the number of its account, and its id."""

    occurred_at: datetime
    account_id: int
    id: str

    def written(self) -> str:
        """A place as a client is given it, for the next page."""
        return packed("\0".join([self.occurred_at.isoformat(), str(self.account_id), self.id]))


def place_of(row: Any) -> Place:
    """The place of a row of the event table."""
    return Place(row.occurred_at, row.account_id, row.id)


def place_in(cursor: str) -> Place:
    """The place that a client gives back. Raises Invalid."""
    try:
        at, account_id, id = unpacked(cursor).split("\0")
        place = Place(datetime.fromisoformat(at), int(account_id), id)
        if place.occurred_at.tzinfo is not None and -(2**63) <= place.account_id < 2**63:
            return place
    except ValueError:
        pass
    raise Invalid.at("/query/cursor", "That is no cursor.", code="invalid_cursor")
