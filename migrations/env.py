"""How Alembic reaches the database: the service hands a connection over; `alembic` on the command line uses the settings."""

import sqlalchemy as sa
from alembic import context

from app.database.tables import metadata


def run(connection: sa.Connection) -> None:
    context.configure(connection=connection, target_metadata=metadata, transaction_per_migration=True)
    # A migration that cannot have its lock soon gives up, instead of queueing every request behind it.
    connection.execute(sa.text("SET lock_timeout = '5s'"))
    connection.commit()
    with context.begin_transaction():
        context.run_migrations()


def url_of_settings() -> sa.URL:
    from app.core.settings import Settings

    url = Settings().database_url
    if url is None:
        raise SystemExit("Set DATABASE_URL, or use `csmetrics migrate`, which also knows the embedded server.")
    return sa.make_url(url.get_secret_value()).set(drivername="postgresql+psycopg")


given = context.config.attributes.get("connection")
if given is not None:
    run(given)
else:
    with sa.create_engine(url_of_settings()).connect() as connection:
        run(connection)
