"""Bring the views in the database up to date: they are made of the catalogue, so another version may have others.

A view whose columns stay is replaced, which disturbs nobody who reads it and nothing that depends on it. All is one transaction,
which waits for running queries for a short time only: otherwise every other query would wait behind it. What could not be done
is tried again at the next start, and never stops the service.
"""

import time
from collections.abc import Iterable
from typing import Any

import anyio.to_thread
import psycopg
import sqlalchemy as sa
import structlog
from psycopg import errors, sql

from app.bi.define import SCHEMA, View, quote
from app.bi.views import all_views, fingerprint
from app.books.open import UPDATES
from app.core.errors import ServiceError
from app.database.pool import Database

log = structlog.get_logger(__name__)

# The downgrade of migration 0021 knows the schema by this beginning of its comment.
_MARK = "Views of Customer Success Metrics for BI tools"
_LOCK = 4_711_235_816
_LOCK_SECONDS = 2
_TRIES = 3
_PAUSE_SECONDS = 1.0

_STATE = f"""
    SELECT obj_description(to_regnamespace('{SCHEMA}'), 'pg_namespace'), to_regnamespace('{SCHEMA}') IS NOT NULL,
        ARRAY(SELECT relname::text FROM pg_class WHERE relnamespace = to_regnamespace('{SCHEMA}') AND relkind = 'v')"""
READERS = f"""
    SELECT rolname::text FROM pg_roles WHERE oid IN (
        SELECT own.grantee FROM pg_namespace, aclexplode(nspacl) AS own
        WHERE nspname = '{SCHEMA}' AND own.privilege_type = 'USAGE' AND own.grantee <> nspowner)
    ORDER BY 1"""


class ViewsNotUpdated(ServiceError):
    """The views in the database are not those of this version."""


async def update_views(database: Database) -> bool:
    """Make the views in the database those of this version. Return whether there was anything to do. Raises ViewsNotUpdated."""
    if await database.read(_is_current):
        return False
    return await anyio.to_thread.run_sync(create_views, database.engine.url)


async def try_to_update_views(database: Database) -> None:
    """Make the views those of this version, or write to the log why that is not possible: the service needs none of them."""
    try:
        if await update_views(database):
            log.info("the views for BI tools are up to date", schema=SCHEMA)
    except ViewsNotUpdated as error:
        log.warning("the views for BI tools are not up to date", reason=str(error))


async def _is_current(connection: Any) -> bool:
    [(comment, _, names)] = await connection.execute(_STATE)
    return _is_up_to_date(comment, names)


def _is_up_to_date(comment: str | None, names: Iterable[str]) -> bool:
    return comment == _comment() and {*names} >= {view.name for view in all_views()}


def _comment() -> str:
    return f"{_MARK}, version {fingerprint()}."


def create_views(url: sa.URL) -> bool:
    """Make the views those of this version, in one transaction. Return whether there was anything to do. Raises ViewsNotUpdated.

    Processes that start at the same time take turns.
    """
    for number in range(1, _TRIES + 1):
        try:
            with connect_alone(url) as connection:
                return _replace_views(connection)
        except errors.LockNotAvailable:
            log.info("the views for BI tools are in use", tries=number)
            time.sleep(_PAUSE_SECONDS)
        except errors.InsufficientPrivilege as error:
            raise ViewsNotUpdated(
                f"The role of the service may not create the schema {SCHEMA} and its views: {_first_line(error)}. As the owner "
                f"of the database, run: CREATE SCHEMA {SCHEMA} AUTHORIZATION {_current_role(url)}"
            ) from error
        except errors.DependentObjectsStillExist as error:
            detail = (error.diag.message_detail or "").replace("\n", "; ")
            raise ViewsNotUpdated(
                f"A view has to be dropped and created again, but other objects depend on it: {detail}. Drop them, run "
                "`csmetrics migrate`, and create them again."
            ) from error
        except psycopg.Error as error:
            raise ViewsNotUpdated(_first_line(error)) from error
    raise ViewsNotUpdated(
        "Running queries kept the views locked. The next start tries again, as `csmetrics migrate` does."
    )


def connect_alone(url: sa.URL) -> psycopg.Connection[Any]:
    """Return a connection of its own, for statements that change the schema or roles."""
    address = url.set(drivername="postgresql").render_as_string(hide_password=False)
    return psycopg.connect(address, prepare_threshold=None)


def has_views(connection: psycopg.Connection[Any]) -> bool:
    """Return whether the views of this service are there."""
    comment, _, names = connection.execute(_STATE).fetchone() or (None, False, [])
    return bool(names) and (comment or "").startswith(_MARK)


def _first_line(error: psycopg.Error) -> str:
    return str(error).partition("\n")[0]


def _current_role(url: sa.URL) -> str:
    return url.username or "the service's role"


def _replace_views(connection: psycopg.Connection[Any]) -> bool:
    connection.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
    connection.execute(f"SET LOCAL lock_timeout = '{_LOCK_SECONDS}s'")
    comment, exists, names = connection.execute(_STATE).fetchone() or (None, False, [])
    if _is_up_to_date(comment, names):
        return False
    if exists and not (comment or "").startswith(_MARK):
        _require_empty(connection)
    elif not exists:
        connection.execute(f"CREATE SCHEMA {SCHEMA}")
    views = all_views()
    for name in sorted({*names} - {view.name for view in views}):
        connection.execute(sql.SQL("DROP VIEW {}").format(sql.Identifier(SCHEMA, name)))
    for view in views:
        _replace_view(connection, view)
    connection.execute("; ".join(_comment_statements(views)))
    for (role,) in connection.execute(READERS).fetchall():
        let_select = sql.SQL(f"GRANT SELECT ON ALL TABLES IN SCHEMA {SCHEMA} TO {{}}")
        connection.execute(let_select.format(sql.Identifier(role)))
    return True


def _require_empty(connection: psycopg.Connection[Any]) -> None:
    """Raise ViewsNotUpdated unless nothing is in a schema that somebody else has made."""
    query = f"SELECT count(*) FROM pg_class WHERE relnamespace = to_regnamespace('{SCHEMA}')"
    if (connection.execute(query).fetchone() or [0])[0]:
        raise ViewsNotUpdated(
            f"There is a schema {SCHEMA} already, with something in it that is not from this service. Rename it: ALTER SCHEMA "
            f"{SCHEMA} RENAME TO other_{SCHEMA}"
        )


def _replace_view(connection: psycopg.Connection[Any], view: View) -> None:
    """Create a view or replace it; drop it first if its columns change."""
    create = f"CREATE OR REPLACE VIEW {SCHEMA}.{view.name} WITH (security_barrier) AS {view.query}"
    try:
        with connection.transaction():
            connection.execute(create)
    except (errors.InvalidTableDefinition, errors.FeatureNotSupported):
        connection.execute(f"DROP VIEW {SCHEMA}.{view.name}")
        connection.execute(create)


def _comment_statements(views: Iterable[View]) -> Iterable[str]:
    yield f"COMMENT ON SCHEMA {SCHEMA} IS {quote(_comment())}"
    for view in views:
        yield f"COMMENT ON VIEW {SCHEMA}.{view.name} IS {quote(view.comment)}"
        for name, comment in view.columns.items():
            yield f'COMMENT ON COLUMN {SCHEMA}.{view.name}."{name}" IS {quote(comment)}'


UPDATES.append(try_to_update_views)
