"""The endpoint of the Model Context Protocol. It is not in the OpenAPI document: its clients ask it which tools it has."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.util import find_spec
from typing import Any

from fastapi import APIRouter, Depends, FastAPI, Request, Response
from starlette.types import Receive, Scope, Send

from app.access.auth import requires
from app.core.errors import Forbidden, NotFound, Unauthenticated
from app.core.settings import Settings

PATH = "/mcp"
_NOT_INSTALLED = (
    "This service is installed without its MCP server. Its operator can install the extra `mcp`: pip install "
    "'customer-success-metrics[mcp]'."
)
_CHALLENGE = 'Bearer realm="Customer Success Metrics"'

_authorize_read = requires("read")
router = APIRouter()


class _Exchange(Response):
    """The response that the SDK sends."""

    def __init__(self, manager: Any) -> None:
        super().__init__()
        self._manager = manager

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._manager.handle_request(scope, receive, send)


async def authorize_agent(request: Request) -> None:
    """Check the origin, then the key. Raises Forbidden and Unauthenticated, which names the scheme that MCP clients know."""
    _check_origin(request)
    try:
        await _authorize_read(request)
    except Unauthenticated as error:
        error.headers["WWW-Authenticate"] = _CHALLENGE
        raise


def _check_origin(request: Request) -> None:
    """Raise Forbidden for a request of a web page that is not of this service, nor named by the settings.

    A page whose name is made to lead to this machine (DNS rebinding) is of its own origin, and not of ours.
    """
    origin = request.headers.get("origin")
    settings: Settings = request.app.state.settings
    if origin is not None and origin.casefold() not in settings.agent_origins:
        detail = (
            "Web pages of this origin may not use the MCP server. Whoever runs the service allows them by the setting "
            "MCP_ALLOWED_ORIGINS."
        )
        raise Forbidden(detail, code="origin_forbidden")


@router.post(PATH, include_in_schema=False, response_class=Response, dependencies=[Depends(authorize_agent)])
async def post_mcp(request: Request) -> Response:
    """Answer one message of the Model Context Protocol."""
    manager = request.app.state.agents
    if manager is None:
        raise NotFound(_NOT_INSTALLED, code="mcp_unavailable")
    return _Exchange(manager)


@asynccontextmanager
async def serve_agents(app: FastAPI) -> AsyncIterator[None]:
    """Keep the MCP server running while the application does, if it is installed."""
    app.state.agents = None
    if find_spec("mcp") is None:
        yield
        return
    from app.agents.server import build_session_manager

    manager = build_session_manager(lambda: app.state.books, version=app.version)
    is_stopping = asyncio.Event()

    async def run(is_running: asyncio.Future[None]) -> None:
        async with manager.run():
            is_running.set_result(None)
            await is_stopping.wait()

    # In a task of its own: the one that starts the application need not be the one that stops it.
    is_running = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(run(is_running))
    await asyncio.wait([task, is_running], return_when=asyncio.FIRST_COMPLETED)
    app.state.agents = manager
    try:
        yield
    finally:
        app.state.agents = None
        is_stopping.set()
        await task
