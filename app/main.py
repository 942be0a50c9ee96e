"""Assemble the application: routes, error handling, the OpenAPI document and the server's middleware."""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime, timedelta

import structlog
from fastapi import FastAPI, Request
from fastapi.middleware.gzip import GZipMiddleware
from fastapi_offline import FastAPIOffline

from app import __version__
from app.access import routes as access_routes
from app.access.auth import QUERY_SECURITY, SECURITY_SCHEMES, books_of
from app.access.keys import create_first_key
from app.access.rate_limits import RateLimits
from app.access.sessions import end_sessions_of_other_keys
from app.accounts import routes as account_routes
from app.agents import routes as agent_routes
from app.alerts import routes as alert_routes
from app.alerts.watch import watch_aside
from app.audit import routes as audit_routes
from app.books.books import create_or_load_books, system_clock
from app.books.margins import record_margin
from app.books.open import (
    NotMigrated,
    migration_advice,
    open_database,
    prepare_tables,
    wait_until_migrated,
)
from app.catalogues import load_catalogues
from app.changes import routes as change_routes
from app.charts import routes as chart_routes
from app.charts.draw import open_charts
from app.core import logs
from app.core.errors import ServiceError
from app.core.settings import Settings
from app.database.data_state import change_state
from app.database.migrate import SchemaVersion, schema_version
from app.database.pool import Database
from app.feedback import routes as feedback_routes
from app.health import routes as health_routes
from app.health.backtest import routes as backtest_routes
from app.http.answer_memory import AnswerMemory
from app.http.compression import GZIP_LEVEL, MIN_COMPRESSED_BYTES, UNCOMPRESSED_TYPES
from app.http.document import build_document, name_operation
from app.http.openapi import object_schema, response_schema
from app.http.problems import install_problem_handlers
from app.http.routing import name_routes
from app.http.streams import StreamSlots
from app.inbound import routes as inbound_routes
from app.inbound.prune import prune_aside
from app.ingest import routes as ingest_routes
from app.ingest.large_batches import open_large_batches
from app.ingest.schemas import event_schemas
from app.ingest.segment import routes as segment_routes
from app.insights import routes as insight_routes
from app.metrics import routes as metric_routes
from app.monitoring import routes as monitoring_routes
from app.monitoring.telemetry import start_traces, telemetry_config
from app.odata import routes as odata_routes
from app.odata.attribute_types import AttributeTypes
from app.polling.middleware import PollingMiddleware
from app.reports import routes as report_routes
from app.scorecard import routes as scorecard_routes
from app.server.middleware import App, wrap_app
from app.ui import routes as ui_routes
from app.webhooks import routes as webhook_routes
from app.webhooks.worker import run_worker_aside

log = structlog.get_logger(__name__)

DESCRIPTION = """Turns product, billing, survey and support events into customer-success metrics.

Every number comes with its numerator, denominator, sample size and, where it has one, its confidence interval. `as_of` answers
with what was recorded up to the end of any day.

BI tools read OData v4 at `/odata/v4/`, which describes itself in `/odata/v4/$metadata`."""

_STATE = response_schema(
    "It is.", object_schema("State", {"status": {"type": "string", "description": "Always `ok`."}})
)
_ROUTES = (
    ingest_routes,
    segment_routes,
    metric_routes,
    change_routes,
    chart_routes,
    audit_routes,
    report_routes,
    feedback_routes,
    scorecard_routes,
    backtest_routes,
    insight_routes,
    health_routes,
    inbound_routes,
    account_routes,
    alert_routes,
    webhook_routes,
    access_routes,
    odata_routes,
    monitoring_routes,
    agent_routes,
    ui_routes,
)


def create_app(settings: Settings | None = None, *, clock: Callable[[], datetime] = system_clock) -> App:
    """Return the service as an ASGI application that opens the books when it starts and closes them when it stops."""
    settings = settings or Settings()
    logs.configure(settings.log_level)
    return wrap_app(build_app(settings, clock=clock), settings=settings)


def build_app(settings: Settings, *, clock: Callable[[], datetime] = system_clock) -> FastAPI:
    """Return the FastAPI application without the server's middleware."""
    load_catalogues()
    for secret in (settings.admin_key, settings.prometheus_key):
        if secret is not None:
            logs.hide(secret.get_secret_value())
    # FastAPIOffline serves the scripts of /docs itself, so the page works without the internet.
    app = FastAPIOffline(
        title="Customer Success Metrics",
        version=__version__,
        description=DESCRIPTION,
        lifespan=lambda app: _serve(app, settings, clock=clock),
        redoc_url=None,
        # A path with a slash too many is not found, with or without a key.
        redirect_slashes=False,
        telemetry=telemetry_config(),
        generate_unique_id_function=name_operation,
    )
    app.state.settings, app.state.books = settings, None
    app.state.attribute_types = AttributeTypes()
    app.state.rate_limits = RateLimits(settings.questions_per_minute)
    app.state.streams = StreamSlots(
        settings.questions_at_once, settings.questions_per_key, settings.download_seconds, settings.question_wait
    )
    install_problem_handlers(app)
    for routes in _ROUTES:
        app.include_router(routes.router)
    app.state.answers = AnswerMemory(settings.answer_memory_bytes)
    _add_middleware(app)
    for path, endpoint, name in (("/healthz", healthz, "check_process"), ("/readyz", readyz, "check_readiness")):
        app.add_api_route(path, endpoint, tags=["operations"], name=name, responses=_STATE, response_model=None)
    name_routes(app)
    app.openapi = lambda: build_document(  # type: ignore[method-assign]
        app,
        example_day=app.state.books.today() - timedelta(days=1) if app.state.books else None,
        schemas=event_schemas(),
        security_schemes=SECURITY_SCHEMES,
        query_security=QUERY_SECURITY,
        server=settings.path_prefix or "/",
    )
    return app


def _add_middleware(app: FastAPI) -> None:
    app.add_middleware(
        GZipMiddleware,
        minimum_size=MIN_COMPRESSED_BYTES,
        compresslevel=GZIP_LEVEL,
        exclude_content_types=UNCOMPRESSED_TYPES,
    )
    # It is around the compression, since kept answers are compressed already.
    app.add_middleware(PollingMiddleware, service=app, memory=app.state.answers)


@asynccontextmanager
async def _serve(app: FastAPI, settings: Settings, *, clock: Callable[[], datetime]) -> AsyncIterator[None]:
    """Keep everything open that requests need while the application runs."""
    async with agent_routes.serve_agents(app), _open_books_for(app, settings, clock=clock):
        yield


@asynccontextmanager
async def _open_books_for(app: FastAPI, settings: Settings, *, clock: Callable[[], datetime]) -> AsyncIterator[None]:
    """Keep the books open while the application runs. The first start creates an admin key unless the settings have one.

    Without MIGRATE_ON_START, the application answers 503 until `csmetrics migrate` has run.
    """

    async def open_when_migrated(database: Database) -> None:
        await wait_until_migrated(database)
        try:
            await _open_for_requests(app, settings, database, stack, clock=clock)
        except ServiceError as error:
            log.critical("cannot open the database after its migration", reason=str(error))
            signal.raise_signal(signal.SIGTERM)

    start_traces()
    app.state.books = None
    async with (
        open_database(settings) as database,
        open_large_batches(database) as large_batches,
        open_charts() as charts,
        AsyncExitStack() as stack,
    ):
        app.state.database, app.state.large_batches, app.state.charts = database, large_batches, charts
        waiting: asyncio.Task[None] | None = None
        try:
            await prepare_tables(settings, database, create=True)
        except NotMigrated as error:
            if settings.migrate_on_start:
                raise
            log.warning("waiting for the migration", reason=str(error))
            waiting = asyncio.create_task(open_when_migrated(database))
        else:
            await _open_for_requests(app, settings, database, stack, clock=clock)
        yield
        if waiting is not None:
            waiting.cancel()
            await asyncio.wait([waiting])


async def _open_for_requests(
    app: FastAPI, settings: Settings, database: Database, stack: AsyncExitStack, *, clock: Callable[[], datetime]
) -> None:
    """Open the books, and start what runs beside requests. stack: what is left when the application stops."""
    books = await create_or_load_books(settings, database, clock=clock)
    # This version may answer differently from another one, and the database may have been restored.
    await database.write(lambda connection: connection.fetch_batch(change_state()))
    books.report_clock()
    await record_margin(books, settings)
    if settings.admin_key is None and (key := await create_first_key(books)):
        _print_first_key(key, settings)
    await end_sessions_of_other_keys(books, settings)
    await stack.enter_async_context(prune_aside(books, days=settings.inbound_retention_days))
    if settings.webhook_worker:
        await stack.enter_async_context(run_worker_aside(books, settings))
        await stack.enter_async_context(watch_aside(books, settings))
    app.state.books = books


def _print_first_key(key: str, settings: Settings) -> None:
    """Print the first key in a frame, to standard output, so that no log contains it."""
    url = settings.public_url or f"http://{settings.host}:{settings.port}"
    line = "─" * 100
    print(  # noqa: T201
        f"\n{line}\n\n  Admin key (shown only once): {key}\n\n"
        f"  Try it:  curl -H 'Authorization: Bearer {key}' {url}/v1/metrics\n\n{line}\n",
        flush=True,
    )


async def healthz() -> dict[str, str]:
    """Check that the process runs."""
    return {"status": "ok"}


async def readyz(request: Request) -> dict[str, str]:
    """Check that the database is available and migrated. Answers 503 otherwise."""
    database: Database = request.app.state.database
    version = await database.look_up(schema_version)
    if version is not SchemaVersion.CURRENT:
        raise NotMigrated(migration_advice(version))
    books_of(request)
    return {"status": "ok"}
