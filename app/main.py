"""The house, put together: rooms, doors and what surrounds every request."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

from fastapi import FastAPI, Request
from fastapi.middleware.gzip import GZipMiddleware
from fastapi.openapi.utils import get_openapi
from fastapi_offline import FastAPIOffline

from app import __version__, access, errors, logs, wire
from app.accounts import routes as accounts
from app.feedback import routes as feedback
from app.ingest import routes as ingest
from app.ingest import vocabulary
from app.ingest.schemas import event_schemas
from app.metrics import routes as metrics
from app.proof import routes as proof
from app.reports import routes as reports
from app.settings import Settings
from app.shell import App, wrap
from app.start import opened
from app.store.books import note_margin, system_clock
from app.store.database import ping
from app.store.schema import is_current

assert vocabulary  # importing it fills the catalogues of events and measures

DESCRIPTION = """The books of customer success: events and survey answers in, proven numbers out.

Every number comes with its numerator, denominator, sample size and, where it has one, its interval, and can be asked for as
it was known on any day (`as_of`)."""


def create_app(settings: Settings | None = None, *, clock: Callable[[], datetime] = system_clock) -> App:
    """The service as an ASGI application. It opens the books when it starts and closes them when it stops."""
    settings = settings or Settings()
    logs.configure(settings.log_level)
    return wrap(build(settings, clock=clock), settings=settings)


def build(settings: Settings, *, clock: Callable[[], datetime] = system_clock) -> FastAPI:
    """The application without what surrounds every request."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with opened(settings, clock=clock) as books:
            app.state.books = books
            await note_margin(books, settings)
            if settings.admin_key is None and (key := await access.make_first_key(books)):
                # The one moment at which it can be seen; standard output, so that it is in no log.
                print(f"Admin key, shown this once: {key}", flush=True)  # noqa: T201
            yield

    # The page at /docs brings its scripts along: it works without the internet.
    app = FastAPIOffline(
        title="Customer Success Metrics",
        version=__version__,
        description=DESCRIPTION,
        lifespan=lifespan,
        redoc_url=None,
        # A path that is nearly right is not found, with and without a key.
        redirect_slashes=False,
    )
    app.state.settings = settings
    # Long tables shrink to a tenth; for short answers it would only cost time.
    app.add_middleware(GZipMiddleware, minimum_size=16_384, compresslevel=4)
    errors.install(app)
    for room in (ingest, metrics, proof, reports, feedback, accounts, access):
        app.include_router(room.router)
    for path, check in (("/healthz", healthz), ("/readyz", readyz)):
        app.add_api_route(path, check, tags=["operations"])
        # Some monitors ask for the head only.
        app.add_api_route(path, check, methods=["HEAD"], include_in_schema=False)
    app.openapi = lambda: _openapi(app)  # type: ignore[method-assign]
    return app


async def healthz() -> dict[str, str]:
    """Whether the process runs."""
    return {"status": "ok"}


async def readyz(request: Request) -> dict[str, str]:
    """Whether the database answers and is up to date; 503 otherwise."""
    books = access.books_of(request)
    await books.database.read(ping)
    if not await books.database.read(is_current):
        raise errors.Unavailable("The database is not migrated to this version.", code="not_migrated", retry_after=10)
    return {"status": "ok"}


def _openapi(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document: the framework's, with the events of the vocabulary and the problems every door has."""
    if app.openapi_schema:
        return app.openapi_schema
    document = get_openapi(
        title=app.title, version=app.version, description=app.description, routes=app.routes, servers=[{"url": "/"}]
    )
    components = document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    schemas |= wire.SCHEMAS | event_schemas() | {"Problem": errors.SCHEMA, "Answer": metrics.ANSWER_SCHEMA}
    # In the order of their names, whichever room was imported first.
    components["schemas"] = dict(sorted(schemas.items()))
    components["securitySchemes"] = access.SECURITY_SCHEMES
    problem = {
        "description": "A refusal.",
        "content": {errors.MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
    for path, doors in document["paths"].items():
        for method, operation in doors.items():
            # A door's docstring says what it does in its first line.
            operation["summary"], _, operation["description"] = operation["description"].partition("\n")
            operation["responses"].pop("422", None)
            operation["responses"]["default"] = problem
            if path.startswith("/v1"):
                operation["security"] = [{n: []} for n in access.SECURITY_SCHEMES if n != "url" or method == "get"]
    app.openapi_schema = document
    return document
