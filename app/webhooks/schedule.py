"""When an attempt is repeated: growing pauses over about 28 hours, and what the receiver asks for."""

import random
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

# The pauses after the first, the second … failure, in seconds. There is one attempt more.
PAUSES = (5, 60, 300, 1_800, 3_600, 7_200, 14_400, 28_800, 43_200)
MAX_ATTEMPTS = len(PAUSES) + 1
# An endpoint to which nothing has arrived for so long is disabled.
MAX_FAILURE = timedelta(hours=28)
# Receivers that fail together are not called together again.
_JITTER = (0.95, 1.1)
_MAX_RETRY_AFTER = timedelta(hours=24)


def next_attempt(attempts: int, *, now: datetime, retry_after: timedelta | None) -> datetime | None:
    """Return when to try again after so many failures; None: not at all. retry_after: the pause that the receiver wants."""
    if attempts >= MAX_ATTEMPTS:
        return None
    pause = timedelta(seconds=PAUSES[attempts - 1] * random.uniform(*_JITTER))
    return now + max(pause, retry_after or timedelta())


def parse_retry_after(headers: Mapping[str, str], now: datetime) -> timedelta | None:
    """Return the pause that a response asks for, up to a day; None if it asks for none that can be read."""
    text = headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        pause = _MAX_RETRY_AFTER if len(text) > 6 else timedelta(seconds=int(text))
    else:
        try:
            at = parsedate_to_datetime(text)
            pause = (at if at.tzinfo else at.replace(tzinfo=UTC)) - now
        except (ValueError, OverflowError, IndexError, TypeError):
            return None
    return min(pause, _MAX_RETRY_AFTER) if pause > timedelta() else None
