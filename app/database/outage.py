"""Report in the log when the database goes away and when it is back, once each, however many requests fail meanwhile."""

import re
from time import monotonic
from typing import Any

import structlog

from app.core import meters

# A database that comes and goes, or that accepts only some connections, is reported once in this time.
_REPORT_SECONDS = 30

log = structlog.get_logger(__name__)


class Outage:
    """What a process has seen of the database: whether it is away, and since when.

    event: what the log says of it. is_expected: it has not answered yet, and the start, which waits for it, reports that itself.
    failures: how many transactions have failed since the last line in the log.
    """

    def __init__(self, event: str) -> None:
        self.event = event
        self.is_expected = True
        self.started_at: float | None = None
        self.failures = 0
        self._reported_at = -float(_REPORT_SECONDS)
        self._is_reported = False

    def begin(self, reason: str) -> None:
        """Note that a transaction failed, and report the first."""
        meters.DATABASE_FAILURES.inc()
        if self.is_expected:
            return
        now = monotonic()
        self.failures += 1
        if self.started_at is None:
            self.started_at = now
        if not self._is_reported and now - self._reported_at >= _REPORT_SECONDS:
            self._is_reported, self._reported_at = True, now
            log.error(self.event, reason=reason)

    def end(self) -> None:
        """Note that a transaction succeeded, and report it if the failure before was reported."""
        self.is_expected = False
        if self.started_at is None:
            return
        if self._is_reported:
            seconds = round(monotonic() - self.started_at, 1)
            log.warning("the database works again", seconds=seconds, failed_transactions=self.failures)
            self.failures = 0
        self.started_at, self._is_reported = None, False


class Outages:
    """The outages that a process distinguishes: of the whole database, and of writing only, as with a full disk."""

    def __init__(self) -> None:
        self._database = Outage("the database is unavailable")
        self._writes = Outage("the database accepts no writes")

    def begin(self, reason: str, *, is_write_only: bool) -> None:
        (self._writes if is_write_only else self._database).begin(reason)

    def end(self, *, is_write: bool) -> None:
        self._database.end()
        self._writes.is_expected = False
        if is_write:
            self._writes.end()


def failure_text(error: Any) -> str:
    """Return what the database or the driver says about a failure."""
    return str(getattr(error, "orig", error)).strip() or type(error).__name__


def connection_failure(message: str) -> str:
    """Return the reason in a message of libpq or psycopg about a connection that was not made, as one short line.

    >>> connection_failure('connection to server at "db", port 5432 failed: Connection refused\\n\\tIs the server running?')
    'Connection refused'
    """
    message = re.sub(r"\[Errno -?\d+\] ", "", message)
    reasons = re.findall(r" failed: (?:FATAL: +)?((?!.* failed: ).+)", message)
    return "; ".join(dict.fromkeys(reasons)) if reasons else (message.splitlines() or [""])[0]
