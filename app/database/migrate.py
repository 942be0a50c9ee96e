"""Migrations: bring the database to the version of this code, and check whether it is."""

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
    engine = sa.create_engine(driver_url(url))
    config = alembic_config()
    with engine.connect() as connection:
        connection.execute(sa.text("SELECT pg_advisory_lock(:key)"), {"key": _MIGRATION_LOCK})
        connection.commit()
        try:
            config.attributes["connection"] = connection
            command.upgrade(config, revision)
        finally:
            connection.rollback()
            connection.execute(sa.text("SELECT pg_advisory_unlock(:key)"), {"key": _MIGRATION_LOCK})
            connection.commit()
    engine.dispose()


async def is_current(connection: Connection) -> bool:
    """Return whether the database has exactly the migrations of this version."""
    if await connection.scalar(sa.select(sa.func.to_regclass("alembic_version"))) is None:
        return False
    return {row.version_num for row in await connection.execute("SELECT version_num FROM alembic_version")} == _heads()


@cache
def _heads() -> frozenset[str]:
    # Cached because every readiness probe needs them, and they do not change while a process runs.
    return frozenset(ScriptDirectory.from_config(alembic_config()).get_heads())


def alembic_config() -> Config:
    """Return Alembic's configuration, which works from a checkout and from an installed wheel."""
    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS))
    return config
