"""Migrations: bring the database to the version of this code, and find out which version it has.

Alembic is imported only to migrate: it takes as long to import as SQLAlchemy, and hardly any process migrates.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa

from app.database.address import driver_url
from app.database.connection import Connection

if TYPE_CHECKING:
    from alembic.config import Config

# Beside the package `app`, in a checkout as in an installed wheel. Not imported: `migrations/env.py` imports this package.
_SCRIPTS = Path(__file__).parents[2] / "migrations"
_REVISION = re.compile(r'^(revision|down_revision) = "(\w+)"$', re.MULTILINE)
# The key of PostgreSQL's advisory lock that a migrating process holds.
_MIGRATION_LOCK = 4_711_235_813


def migrate(url: str, *, revision: str = "head") -> None:
    """Bring the database to `revision`. Processes that start at the same time take turns."""
    from alembic import command

    with _locked_config(url) as config:
        command.upgrade(config, revision)


def remove_tables(url: str) -> None:
    """Remove all tables of the service, with everything in them, by undoing every migration."""
    from alembic import command

    with _locked_config(url) as config:
        command.downgrade(config, "base")


@contextmanager
def _locked_config(url: str) -> Iterator["Config"]:
    """Yield Alembic's configuration with a connection that holds the migration lock."""
    engine = sa.create_engine(driver_url(url))
    config = alembic_config()
    with engine.connect() as connection:
        connection.execute(sa.text("SELECT pg_advisory_lock(:key)"), {"key": _MIGRATION_LOCK})
        connection.commit()
        try:
            config.attributes["connection"] = connection
            yield config
        finally:
            connection.rollback()
            connection.execute(sa.text("SELECT pg_advisory_unlock(:key)"), {"key": _MIGRATION_LOCK})
            connection.commit()
    engine.dispose()


class SchemaVersion(Enum):
    """The version of a database's tables, compared with this code."""

    EMPTY = "empty"
    OLDER = "older"
    CURRENT = "current"
    NEWER = "newer"


async def schema_version(connection: Connection) -> SchemaVersion:
    """Return how the tables of the database compare with the migrations of this code. Works on any database."""
    if await connection.scalar(sa.select(sa.func.to_regclass("alembic_version"))) is None:
        return SchemaVersion.EMPTY
    revisions = {row.version_num for row in await connection.execute("SELECT version_num FROM alembic_version")}
    all_revisions, heads = _revisions()
    if revisions == heads:
        return SchemaVersion.CURRENT
    if not revisions:
        return SchemaVersion.EMPTY
    return SchemaVersion.OLDER if revisions <= all_revisions else SchemaVersion.NEWER


@cache
def _revisions() -> tuple[frozenset[str], frozenset[str]]:
    """Return the ids of all migrations and of the newest ones, as the texts of the migrations state them.

    Cached, because every readiness probe needs them.
    """
    ids: dict[str, set[str]] = {"revision": set(), "down_revision": set()}
    for script in (_SCRIPTS / "versions").glob("*.py"):
        for name, id in _REVISION.findall(script.read_text(encoding="utf-8")):
            ids[name].add(id)
    return frozenset(ids["revision"]), frozenset(ids["revision"] - ids["down_revision"])


def alembic_config() -> "Config":
    """Return Alembic's configuration, which works from a checkout and from an installed wheel."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS))
    return config
