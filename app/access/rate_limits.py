"""Rate limits: how many questions a key may ask a process in a minute, and the headers that tell a client where it stands.

The headers are those of the IETF's draft "RateLimit header fields for HTTP": `RateLimit-Policy: "questions";q=60000;w=60` is the
limit, `RateLimit: "questions";r=59999;t=60` what is left of it and the seconds until it is full again.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from math import ceil
from time import monotonic

from app.core.errors import Busy

_WINDOW_SECONDS = 60


@dataclass(slots=True)
class RateLimits:
    """The questions of each key in the running window. per_minute: how many a key may ask."""

    per_minute: int
    clock: Callable[[], float] = monotonic
    _until: float = 0
    _counts: dict[str, int] = field(default_factory=dict)

    def count(self, caller: str) -> dict[str, str]:
        """Count a question and return the headers of its response. Raises Busy when it is one too many."""
        if (now := self.clock()) >= self._until:
            self._until = now + _WINDOW_SECONDS
            self._counts.clear()
        count = self._counts[caller] = self._counts.get(caller, 0) + 1
        seconds = ceil(self._until - now)
        headers = {
            "RateLimit-Policy": f'"questions";q={self.per_minute};w={_WINDOW_SECONDS}',
            "RateLimit": f'"questions";r={max(0, self.per_minute - count)};t={seconds}',
        }
        if count > self.per_minute:
            detail = f"This key may ask {self.per_minute:,} questions a minute. Retry after {seconds} seconds."
            raise Busy(detail, headers={"Retry-After": str(seconds), **headers})
        return headers
