"""The tables' versions: migrations, and whether all of them have been run."""

from functools import cache
from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory

import migrations as chain
from app.database.connection import Connection
from app.database.pool import driver_url

_MIGRATION_LOCK = 4_711_235_813


async def is_current(connection: Connection) -> bool:
    """Whether every migration of this version has been run."""

    if await connection.scalar(sa.select(sa.func.to_regclass("alembic_version"))) is None:
        return False
    return {row.version_num for row in await connection.execute("SELECT version_num FROM alembic_version")} == _heads()


@cache
def _heads() -> frozenset[str]:
    # They do not change while a process lives, and every probe of readiness asks.
    return frozenset(ScriptDirectory.from_config(alembic_config()).get_heads())


def alembic_config() -> Config:
    """Alembic's configuration, wherever the package is installed."""
    config = Config()
    config.set_main_option("script_location", str(Path(chain.__path__[0])))
    return config


def migrate(url: str, *, revision: str = "head") -> None:
    """Bring the database to `revision`; processes that start together do it one after the other."""
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
