"""The MCP server: the official SDK around the catalogue of tools.

Only this module imports the SDK, which is an extra; it is imported where it is installed. The server keeps nothing between two
requests, so that any of several processes answers any of them.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import mcp_types as types
from mcp.server.caching import CacheHint
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.shared.exceptions import MCPError
from sse_starlette.sse import AppStatus
from uvicorn import Server as UvicornServer

from app.agents.call import call_tool, not_ready
from app.agents.define import TOOLS, Tool
from app.agents.instructions import INSTRUCTIONS
from app.agents.schemas import adapt, input_schema, output_schema
from app.books.books import Books
from app.core.names import is_repeatable, nearest_names, suggest

# To end streams, a library of the SDK replaces this method of uvicorn's server when it is imported. There are none here.
if AppStatus.original_handler is not None:
    UvicornServer.handle_exit = AppStatus.original_handler  # type: ignore[method-assign]
# Of a request: a question is short.
MAX_REQUEST_BYTES = 2**18
# What a client may keep: the tools change only with the version of the service.
_CACHE = CacheHint(ttl_ms=300_000, scope="private")


def build_session_manager(find_books: Callable[[], Books | None], *, version: str) -> StreamableHTTPSessionManager:
    """Return what answers requests of all revisions of the protocol. find_books: returns None before a migration."""
    return StreamableHTTPSessionManager(
        app=build_server(find_books, version=version),
        json_response=True,
        stateless=True,
        max_request_body_size=MAX_REQUEST_BYTES,
    )


def build_server(find_books: Callable[[], Books | None], *, version: str) -> Server[Any]:
    """Return the server with the tools of the catalogue."""
    tools = _describe_tools()

    async def list_tools(
        _context: ServerRequestContext[Any], _params: types.PaginatedRequestParams | None
    ) -> types.ListToolsResult:
        return tools

    async def call(_context: ServerRequestContext[Any], params: types.CallToolRequestParams) -> types.CallToolResult:
        if (entry := TOOLS.get(params.name)) is None:
            raise MCPError(types.INVALID_PARAMS, _unknown_tool(params.name))
        books = find_books()
        result = not_ready() if books is None else await call_tool(books, entry, params.arguments or {})
        return types.CallToolResult(
            content=[types.TextContent(type="text", text=result.text)],
            structured_content=result.content,
            is_error=result.is_error,
        )

    return Server(
        "customer-success-metrics",
        title="Customer Success Metrics",
        version=version,
        instructions=INSTRUCTIONS,
        cache_hints={"tools/list": _CACHE, "server/discover": _CACHE},
        get_tool_input_schema=lambda _name: None,
        on_list_tools=list_tools,
        on_call_tool=call,
    )


@cache
def _describe_tools() -> types.ListToolsResult:
    """Return what the tools are, which all servers of a process share."""
    return types.ListToolsResult(tools=[_describe_tool(TOOLS[name]) for name in sorted(TOOLS)])


def _describe_tool(entry: Tool) -> types.Tool:
    hints = types.ToolAnnotations(
        title=entry.title, read_only_hint=True, destructive_hint=False, idempotent_hint=True, open_world_hint=False
    )
    return types.Tool(
        name=entry.name,
        title=entry.title,
        description=adapt(entry.description),
        input_schema=input_schema(entry),
        output_schema=output_schema(entry),
        annotations=hints,
    )


def _unknown_tool(name: str) -> str:
    quoted_name = f' "{name}"' if is_repeatable(name) else ""
    advice = suggest(nearest_names(name, TOOLS)) or f"There are: {', '.join(sorted(TOOLS))}."
    return f"Unknown tool{quoted_name}. {advice}"
