"""Roles that may read the views, and nothing else of the service.

A role that can also read tables is refused. Readers may do what every role of PostgreSQL may do: see the names of tables, and
take advisory locks.
"""

from typing import Any, NamedTuple
from urllib.parse import quote

import anyio.to_thread
import psycopg
import sqlalchemy as sa
from psycopg import errors, sql

from app.bi.define import SCHEMA
from app.bi.update import READERS, connect_alone, has_views
from app.core.errors import ServiceError
from app.database.pool import Database

_MAX_NAME_BYTES = 63
# Of a role that is created here. It may change them for itself: they protect the service from accidents.
_SETTINGS = {
    "default_transaction_read_only": "on",
    "statement_timeout": "5min",
    "idle_in_transaction_session_timeout": "1min",
}
_MAX_CONNECTIONS = 20
_POWERFUL = ("pg_read_all_data", "pg_write_all_data", "pg_read_server_files", "pg_execute_server_program")

_READABLE = """
    SELECT oid::regclass::text FROM pg_class
    WHERE relkind IN ('r', 'p', 'v', 'm', 'S') AND relnamespace = 'public'::regnamespace
        AND (has_table_privilege(%(role)s, oid, 'SELECT') OR has_table_privilege(%(role)s, oid, 'INSERT')
            OR (relkind <> 'S' AND has_any_column_privilege(%(role)s, oid, 'SELECT')))
    ORDER BY 1 LIMIT 5"""


class Grant(NamedTuple):
    """What a role got. is_new: whether the role was created. line: the address with which it connects, without its password."""

    is_new: bool
    line: str


class RoleRefused(ServiceError):
    """A role cannot be a reader of the views, or cannot be created; the text says why."""


async def grant_views(database: Database, role: str, *, password: str | None) -> Grant:
    """Let a role read the views, and create it if it does not exist. Raises RoleRefused.

    password: its new password; None leaves that of an existing role as it is.
    """
    return await anyio.to_thread.run_sync(_grant, database.engine.url, role, password)


async def revoke_views(database: Database, role: str, *, drop: bool) -> None:
    """Let a role no longer read the views. drop: remove the role as well. Raises RoleRefused."""
    await anyio.to_thread.run_sync(_revoke, database.engine.url, role, drop)


async def role_exists(database: Database, role: str) -> bool:
    """Return whether there is such a role."""
    query = sa.text("SELECT count(*) FROM pg_roles WHERE rolname = :role").bindparams(role=role)
    return bool(await database.read(lambda connection: connection.scalar(query)))


async def list_readers(database: Database) -> list[str]:
    """Return the roles that may read the views."""
    rows = await database.read(lambda connection: connection.execute(READERS))
    return [row[0] for row in rows]


def connection_line(url: sa.URL, role: str) -> str:
    """Return the address with which a role connects, without its password."""
    # libpq needs spaces in a name encoded, too.
    parts = url.set(drivername="postgresql", username="role", password=None)
    return parts.render_as_string().replace("//role@", f"//{quote(role, safe='')}@", 1)


def _grant(url: sa.URL, role: str, password: str | None) -> Grant:
    _check_name(role)
    with connect_alone(url) as connection:
        if not has_views(connection):
            raise RoleRefused(
                "The views do not exist. Run `csmetrics migrate`, which creates them or says why it cannot."
            )
        is_new = not connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [role]).fetchone()
        if is_new:
            _create_role(connection, role, password)
        elif password is not None:
            _set_password(connection, role, password)
        _check_rights(connection, role)
        name = sql.Identifier(role)
        connection.execute(sql.SQL(f"GRANT USAGE ON SCHEMA {SCHEMA} TO {{}}").format(name))
        connection.execute(sql.SQL(f"GRANT SELECT ON ALL TABLES IN SCHEMA {SCHEMA} TO {{}}").format(name))
        _let_connect(connection, role)
    return Grant(is_new, connection_line(url, role))


def _check_name(role: str) -> None:
    if not role or len(role.encode()) > _MAX_NAME_BYTES or role.startswith("pg_") or "\0" in role:
        raise RoleRefused(f"A role has a name of 1–{_MAX_NAME_BYTES} bytes that does not begin with pg_.")


def _create_role(connection: psycopg.Connection[Any], role: str, password: str | None) -> None:
    name = sql.Identifier(role)
    options = sql.SQL(f"LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION CONNECTION LIMIT {_MAX_CONNECTIONS}")
    try:
        connection.execute(sql.SQL("CREATE ROLE {} {}").format(name, options))
    except errors.InsufficientPrivilege as error:
        raise RoleRefused(
            f"The role of the service may not create roles. Create it as an administrator, and run the command again: "
            f"CREATE ROLE {name.as_string(connection)} LOGIN PASSWORD '…'"
        ) from error
    if password is not None:
        _set_password(connection, role, password)
    for setting, value in _SETTINGS.items():
        connection.execute(sql.SQL(f"ALTER ROLE {{}} SET {setting} = {{}}").format(name, sql.Literal(value)))


def _set_password(connection: psycopg.Connection[Any], role: str, password: str) -> None:
    """Set a password. The server gets a hash only, so that no log of statements has the password."""
    verifier = connection.pgconn.encrypt_password(password.encode(), role.encode(), b"scram-sha-256").decode()
    statement = sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(role), sql.Literal(verifier))
    try:
        connection.execute(statement)
    except errors.InsufficientPrivilege as error:
        raise RoleRefused("The role of the service may not set the password of this role. Leave it out.") from error


def _check_rights(connection: psycopg.Connection[Any], role: str) -> None:
    """Raise RoleRefused for a role that may do more than to read the views."""
    [is_powerful] = connection.execute("SELECT rolsuper FROM pg_roles WHERE rolname = %s", [role]).fetchone() or [False]
    query = "SELECT rolname FROM pg_roles WHERE rolname = ANY(%s) AND pg_has_role(%s, oid, 'MEMBER')"
    if is_powerful or connection.execute(query, [list(_POWERFUL), role]).fetchone():
        raise RoleRefused("This role can read everything. Choose another one, or a name that does not exist yet.")
    if tables := [row[0] for row in connection.execute(_READABLE, {"role": role})]:
        raise RoleRefused(
            f"This role can use tables of the service, such as {', '.join(tables)}. Revoke that first, also from PUBLIC, or "
            "choose a name that does not exist yet."
        )


def _let_connect(connection: psycopg.Connection[Any], role: str) -> None:
    """Let the role connect to this database, which by default every role may."""
    [database, may_connect] = connection.execute(
        "SELECT current_database(), has_database_privilege(%s, current_database(), 'CONNECT')", [role]
    ).fetchone() or ["", True]
    if not may_connect:
        statement = sql.SQL("GRANT CONNECT ON DATABASE {} TO {}")
        connection.execute(statement.format(sql.Identifier(database), sql.Identifier(role)))


def _revoke(url: sa.URL, role: str, drop: bool) -> None:
    with connect_alone(url) as connection:
        if not connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [role]).fetchone():
            raise RoleRefused("There is no such role.")
        name = sql.Identifier(role)
        connection.execute(sql.SQL(f"REVOKE ALL ON ALL TABLES IN SCHEMA {SCHEMA} FROM {{}}").format(name))
        connection.execute(sql.SQL(f"REVOKE ALL ON SCHEMA {SCHEMA} FROM {{}}").format(name))
        if drop:
            _drop(connection, role)


def _drop(connection: psycopg.Connection[Any], role: str) -> None:
    """Remove a role, with its right to connect to this database."""
    [database] = connection.execute("SELECT current_database()").fetchone() or [""]
    name = sql.Identifier(role)
    try:
        connection.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM {}").format(sql.Identifier(database), name))
        connection.execute(sql.SQL("DROP ROLE {}").format(name))
    except errors.DependentObjectsStillExist as error:
        detail = (error.diag.message_detail or "").replace("\n", "; ")
        raise RoleRefused(f"Other objects depend on the role, so it stays: {detail}. Nothing was changed.") from error
    except errors.InsufficientPrivilege as error:
        raise RoleRefused("The role of the service may not remove this role. Nothing was changed.") from error
