"""Migrations: bring the database to the version of this code, and find out which version it has."""

from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from functools import cache
from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory

from app.database.connection import Connection
from app.database.pool import driver_url

# Beside the package `app`, in a checkout as in an installed wheel. Not imported: `migrations/env.py` imports this package.
_SCRIPTS = Path(__file__).parents[2] / "migrations"
# The key of PostgreSQL's advisory lock that a migrating process holds.
_MIGRATION_LOCK = 4_711_235_813


def migrate(url: str, *, revision: str = "head") -> None:
    """Bring the database to `revision`. Processes that start at the same time take turns."""
    with _locked_config(url) as config:
        command.upgrade(config, revision)


def remove_tables(url: str) -> None:
    """Remove all tables of the service, with everything in them, by undoing every migration."""
    with _locked_config(url) as config:
        command.downgrade(config, "base")


@contextmanager
def _locked_config(url: str) -> Iterator[Config]:
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
    """Return the ids of all migrations and of the newest ones. Cached, because every readiness probe needs them."""
    scripts = ScriptDirectory.from_config(alembic_config())
    return frozenset(script.revision for script in scripts.walk_revisions()), frozenset(scripts.get_heads())


def alembic_config() -> Config:
    """Return Alembic's configuration, which works from a checkout and from an installed wheel."""
    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS))
    return config
