"""The address of the database: the setting DATABASE_URL as SQLAlchemy needs it, and as people may see it."""

import sqlalchemy as sa

from app.core.errors import ServiceError


def driver_url(url: str) -> sa.URL:
    """Return a database URL as SQLAlchemy needs it, with the name of the driver. Raises ServiceError."""
    try:
        return sa.make_url(url).set(drivername="postgresql+psycopg")
    except (sa.exc.ArgumentError, ValueError):
        # The message does not repeat the URL, which may contain a password.
        raise ServiceError(
            "DATABASE_URL is not a URL. It has the form postgresql://USER:PASSWORD@HOST:PORT/DATABASE; special characters "
            "in the password must be percent-encoded."
        ) from None


def describe_url(url: str) -> str:
    """Return the database that a URL names, without user and password, such as `metrics on db.example:5432`."""
    parts = driver_url(url)
    host = parts.host or parts.query.get("host") or "the local socket"
    return f"{parts.database or parts.username or 'postgres'} on {host}:{parts.port or 5432}"
