"""Wait for the database when the service starts, perhaps at the same time as PostgreSQL."""

import asyncio

import sqlalchemy as sa
import structlog

from app.core.errors import ServiceError, Unavailable
from app.database.address import describe_url
from app.database.connection import Connection
from app.database.outage import connection_failure, failure_text
from app.database.pool import Database

log = structlog.get_logger(__name__)

MIN_SERVER_VERSION = 16
_REPORT_SECONDS = 5  # between two lines in the log
# Parts of the messages of a server that answered, and will answer the same next time.
_CONFIGURATION_ERRORS = ("does not exist", "authentication failed", "no pg_hba.conf entry")


async def wait_until_available(database: Database, *, seconds: float) -> None:
    """Return as soon as the database answers. Every few seconds the log says what it is waiting for.

    Raises Unavailable when it does not answer within `seconds`, or says that it never will; ServiceError when it is too old.
    """
    where = describe_url(database.engine.url.render_as_string(hide_password=False))
    loop = asyncio.get_running_loop()
    deadline, next_report = loop.time() + seconds, loop.time() + 1
    while True:
        try:
            return await database.read(_check_server_version)
        except Unavailable as error:
            message = failure_text(error.__cause__)
            reason = connection_failure(message)
            # All other messages may come from a server that is starting or recovering: they are many, and localized.
            is_final = any(part in message for part in _CONFIGURATION_ERRORS)
            now = loop.time()
            if is_final or now >= deadline:
                raise Unavailable(f"Cannot use the database {where}: {reason}") from error
            if now >= next_report:
                log.warning("waiting for the database", database=where, reason=reason)
                next_report += _REPORT_SECONDS
            await asyncio.sleep(0.5)


async def _check_server_version(connection: Connection) -> None:
    """Raise ServiceError for a PostgreSQL that is too old."""
    number = int(await connection.scalar(sa.text("SHOW server_version_num")))
    if number // 10_000 < MIN_SERVER_VERSION:
        raise ServiceError(
            f"The database is PostgreSQL {number // 10_000}.{number % 10_000}. "
            f"This service needs version {MIN_SERVER_VERSION} or later."
        )
