"""When a request is sent again, and after how long."""

import random
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx

# The service, or a proxy before it, says by these that the same request may succeed later.
_TEMPORARY = frozenset({408, 429, 502, 503, 504})


@dataclass(frozen=True)
class RetryPolicy:
    """How often a request is tried, and how long the client waits before it tries again, in seconds.

    The wait doubles with each try, up to `longest`, by chance between half and all of it, so that many clients do not come back
    at once. If the service says when to come back (`Retry-After`), the client waits until then, but not longer than `patience`: a
    service that wants more is an error.
    """

    tries: int = 6
    first: float = 0.5
    longest: float = 30
    patience: float = 120

    def wait(self, tries: int, response: httpx.Response | None) -> float | None:
        """Return how long to wait after so many tries; None: do not try again.

        response: of the last try; None if there was none, since the connection failed.
        """
        if tries >= self.tries or (response is not None and response.status_code not in _TEMPORARY):
            return None
        doubled = min(self.longest, self.first * 2.0 ** (tries - 1)) * random.uniform(0.5, 1)
        named = None if response is None else _retry_after(response.headers.get("retry-after", ""))
        if named is None:
            return doubled
        return max(named, doubled) if named <= self.patience else None


def _retry_after(text: str) -> float | None:
    """Return the seconds of a `Retry-After` header, which has seconds or a date; None for anything else."""
    if text.strip().isdecimal():
        return float(text)
    try:
        at = parsedate_to_datetime(text)
    except ValueError:
        return None
    at = at if at.tzinfo is not None else at.replace(tzinfo=UTC)
    return max(0.0, (at - datetime.now(UTC)).total_seconds())
