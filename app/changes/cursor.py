"""The cursor of changes: which transactions a client knows of.

It is a snapshot of PostgreSQL, which says of every transaction whether it was committed by then. So a transaction that is
committed after a later one is not missed. Its ids are those of one server between two starts: after another start, everything
may have changed.
"""

import re
from datetime import date, datetime
from itertools import pairwise
from typing import NamedTuple

from app.core.cursors import invalid_cursor
from app.core.ids import decode_token, encode_token

_SNAPSHOT = re.compile(r"(\d{1,18}):(\d{1,18}):((?:\d{1,18})(?:,\d{1,18})*)?", re.ASCII)
_SEPARATOR = "|"


class ChangesCursor(NamedTuple):
    """Where a client stands.

    server: when the server started that knows the snapshots. at, today: when and on which day they were taken. since: the
    snapshot whose transactions it knows of. until: that of the first page, empty before it. after: the last account of the
    page before.
    """

    server: str
    at: datetime
    today: date
    since: str
    until: str = ""
    after: str = ""

    def encode(self) -> str:
        """Return the cursor as a client sends it."""
        head = (self.server, self.at.isoformat(), self.today.isoformat(), self.since, self.until)
        return encode_token(_SEPARATOR.join((*head, self.after)))


def parse_cursor(text: str) -> ChangesCursor:
    """Return the cursor that a text stands for. Raises Invalid."""
    try:
        server, at, today, since, until, after = decode_token(text).split(_SEPARATOR, 5)
        cursor = ChangesCursor(server, datetime.fromisoformat(at), date.fromisoformat(today), since, until, after)
    except ValueError:
        raise invalid_cursor("/query/since") from None
    is_snapshot = _is_snapshot(since) and (not until or _is_snapshot(until))
    if not is_snapshot or cursor.at.tzinfo is None or "\0" in text + after:
        raise invalid_cursor("/query/since")
    return cursor


def _is_snapshot(text: str) -> bool:
    """Return whether a text is a snapshot that PostgreSQL accepts."""
    if (match := _SNAPSHOT.fullmatch(text)) is None:
        return False
    first, end = int(match[1]), int(match[2])
    running = [int(number) for number in (match[3] or "").split(",") if number]
    is_sorted = all(number < later for number, later in pairwise(running))
    return 0 < first <= end and is_sorted and all(first <= number < end for number in running)
