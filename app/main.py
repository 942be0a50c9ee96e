"""Assemble the application: catalogues, routes, error handling, the OpenAPI document and the server's middleware."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from importlib import import_module

from fastapi import FastAPI, Request
from fastapi.middleware.gzip import GZipMiddleware
from fastapi_offline import FastAPIOffline

from app import __version__
from app.access import routes as access_routes
from app.access.auth import QUERY_SECURITY, SECURITY_SCHEMES, books_of
from app.access.keys import create_first_key
from app.accounts import routes as account_routes
from app.audit import routes as audit_routes
from app.books.books import system_clock
from app.books.margins import record_margin
from app.books.open import open_books
from app.core import logs
from app.core.errors import Unavailable
from app.core.settings import Settings
from app.database.migrate import is_current
from app.database.pool import ping
from app.feedback import routes as feedback_routes
from app.http.document import build_document
from app.http.problems import install_problem_handlers
from app.ingest import routes as ingest_routes
from app.ingest.schemas import event_schemas
from app.metrics import routes as metric_routes
from app.metrics.schema import ANSWER_SCHEMA
from app.reports import routes as report_routes
from app.server.middleware import App, wrap_app

DESCRIPTION = """Turns product, billing, survey and support events into customer-success metrics.

Every number comes with its numerator, denominator, sample size and, where it has one, its confidence interval. `as_of` answers
with what was recorded up to the end of any day."""

_CATALOGUES = ("app.ingest.catalogue", "app.metrics.catalogue", "app.audit.identities")
_ROUTES = (
    ingest_routes,
    metric_routes,
    audit_routes,
    report_routes,
    feedback_routes,
    account_routes,
    access_routes,
)


def load_catalogues() -> None:
    """Fill the catalogues of event types, measures, streams, metrics and identities. Every process calls this once."""
    for package in _CATALOGUES:
        import_module(package)


def create_app(settings: Settings | None = None, *, clock: Callable[[], datetime] = system_clock) -> App:
    """Return the service as an ASGI application that opens the books when it starts and closes them when it stops."""
    settings = settings or Settings()
    logs.configure(settings.log_level)
    return wrap_app(build_app(settings, clock=clock), settings=settings)


def build_app(settings: Settings, *, clock: Callable[[], datetime] = system_clock) -> FastAPI:
    """Return the FastAPI application without the server's middleware."""
    load_catalogues()
    # FastAPIOffline serves the scripts of /docs itself, so the page works without the internet.
    app = FastAPIOffline(
        title="Customer Success Metrics",
        version=__version__,
        description=DESCRIPTION,
        lifespan=lambda app: _open_books_for(app, settings, clock=clock),
        redoc_url=None,
        # A path with a slash too many is not found, with or without a key.
        redirect_slashes=False,
    )
    app.state.settings = settings
    # Compression shrinks long tables to a tenth; for short answers it would only cost time.
    app.add_middleware(GZipMiddleware, minimum_size=16_384, compresslevel=4)
    install_problem_handlers(app)
    for routes in _ROUTES:
        app.include_router(routes.router)
    for path, endpoint in (("/healthz", healthz), ("/readyz", readyz)):
        app.add_api_route(path, endpoint, tags=["operations"])
        # Some monitors send HEAD.
        app.add_api_route(path, endpoint, methods=["HEAD"], include_in_schema=False)
    app.openapi = lambda: build_document(  # type: ignore[method-assign]
        app,
        schemas=event_schemas() | {"Answer": ANSWER_SCHEMA},
        security_schemes=SECURITY_SCHEMES,
        query_security=QUERY_SECURITY,
    )
    return app


@asynccontextmanager
async def _open_books_for(app: FastAPI, settings: Settings, *, clock: Callable[[], datetime]) -> AsyncIterator[None]:
    """Keep the books open while the application runs. The first start creates an admin key unless the settings have one."""
    async with open_books(settings, clock=clock) as books:
        app.state.books = books
        await record_margin(books, settings)
        if settings.admin_key is None and (key := await create_first_key(books)):
            # To standard output, so that no log contains it.
            print(f"Admin key (shown only once): {key}", flush=True)  # noqa: T201
        yield


async def healthz() -> dict[str, str]:
    """Check that the process runs."""
    return {"status": "ok"}


async def readyz(request: Request) -> dict[str, str]:
    """Check that the database is available and migrated. Answers 503 otherwise."""
    books = books_of(request)
    await books.database.read(ping)
    if not await books.database.read(is_current):
        detail = "The database is not migrated to this version. Run `csmetrics migrate`."
        raise Unavailable(detail, code="not_migrated", retry_after=10)
    return {"status": "ok"}
