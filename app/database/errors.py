"""PostgreSQL's errors: which of them to retry, and which problem to answer the client with.

The five-character codes are PostgreSQL's SQLSTATE codes: https://www.postgresql.org/docs/current/errcodes-appendix.html
"""

from typing import Any

import psycopg
from sqlalchemy.exc import DBAPIError

from app.core.errors import Invalid, Problem, Unavailable

DatabaseError = psycopg.Error | DBAPIError

_SERIALIZATION_FAILURE, _DEADLOCK_DETECTED = "40001", "40P01"
_QUERY_CANCELED = "57014"
_NUMERIC_VALUE_OUT_OF_RANGE = "22003"
_PROGRAM_LIMIT_EXCEEDED = "54"  # a class of codes
_READ_ONLY_TRANSACTION = "25006"
_DISK_FULL = "53100"
# Connection exceptions, insufficient resources (such as a full disk), operator intervention (such as a shutdown).
_UNAVAILABLE = ("08", "53", "57P")
# What a server that shuts down says to a connection that is being made; it comes without a code.
_TERMINATED = "terminating connection due to administrator command"


def unavailable() -> Unavailable:
    """Return the problem of a database that cannot be reached or cannot work at the moment."""
    return Unavailable("Database unavailable. Retry after 2 seconds.")


def question_timeout(seconds: float) -> Invalid:
    """Return the problem of a question that took too long."""
    return Invalid(
        f"The question took longer than {seconds:g} seconds and was stopped. Ask for less: fewer metrics, groups or periods, a "
        "shorter range, or some accounts. The setting QUESTION_TIMEOUT of the service is the limit.",
        code="too_complex",
    )


def is_retryable(error: DatabaseError) -> bool:
    """Return whether the same transaction may succeed at once: after a deadlock, or when the server cut a new connection."""
    cause = _driver_error(error)
    return getattr(cause, "sqlstate", None) in (_SERIALIZATION_FAILURE, _DEADLOCK_DETECTED) or _TERMINATED in str(cause)


def to_problem(error: DatabaseError, *, is_write: bool) -> Problem | DatabaseError:
    """Return the problem to answer the client with, or the error itself where only a mistake in this code can cause it.

    is_write: a statement of a write that took too long has waited for the locks of others, and may succeed if sent again. A
    statement of a read that took too long will do so again.
    """
    state = getattr(_driver_error(error), "sqlstate", None)
    if state == _QUERY_CANCELED and is_write:
        return Unavailable("Other requests keep the same rows locked. Retry after 2 seconds.", code="busy")
    if state == _NUMERIC_VALUE_OUT_OF_RANGE:
        return Invalid("A sum would exceed what the ledger can hold (64-bit integers).", code="out_of_range")
    if state is not None and (state.startswith(_PROGRAM_LIMIT_EXCEEDED) or state == _QUERY_CANCELED):
        return Invalid(
            "The request exceeds what one database statement can hold or compute in time. Ask for less: fewer metrics, "
            "groups or periods.",
            code="too_complex",
        )
    if is_retryable(error) or _is_unavailable(_driver_error(error)):
        return unavailable()
    return error


def _is_unavailable(cause: Any) -> bool:
    """Return whether an error of the driver means that the database cannot work at the moment.

    Without a code, the connection was lost or not made. A transaction is read-only on a server that has lost a failover.
    """
    state = getattr(cause, "sqlstate", None)
    if state is None:
        return isinstance(cause, psycopg.OperationalError | psycopg.InterfaceError)
    return bool(state.startswith(_UNAVAILABLE) or state == _READ_ONLY_TRANSACTION)


def concerns_writes_only(error: DatabaseError) -> bool:
    """Return whether the database may still answer questions: its disk is full, or it has lost a failover."""
    return getattr(_driver_error(error), "sqlstate", None) in (_READ_ONLY_TRANSACTION, _DISK_FULL)


def _driver_error(error: DatabaseError) -> Any:
    """Return the driver's error; while it connects, SQLAlchemy wraps it in one of its own."""
    return error.orig if isinstance(error, DBAPIError) else error
