"""Alembic's entry point. The service hands over a connection; the command `alembic` connects by the service's settings."""

import sqlalchemy as sa
from alembic import context

from app.database.all_tables import metadata
from app.database.data_state import change_state_of


def run_migrations(connection: sa.Connection) -> None:
    context.configure(connection=connection, target_metadata=metadata, transaction_per_migration=True)
    # A migration that does not get its lock soon fails, instead of making every request wait behind it.
    connection.execute(sa.text("SET lock_timeout = '5s'"))
    connection.commit()
    with context.begin_transaction():
        context.run_migrations()
    change_state_of(connection)
    connection.commit()


def settings_url() -> sa.URL:
    from app.core.settings import Settings

    url = Settings().database_url
    if url is None:
        raise SystemExit("Set DATABASE_URL, or run `csmetrics migrate`, which also finds the embedded server.")
    return sa.make_url(url.get_secret_value()).set(drivername="postgresql+psycopg")


service_connection = context.config.attributes.get("connection")
if service_connection is not None:
    run_migrations(service_connection)
else:
    with sa.create_engine(settings_url()).connect() as connection:
        run_migrations(connection)
