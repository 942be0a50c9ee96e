"""Agents: one that speaks the protocol over the service of a test, and the official client over a socket."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import httpx
from mcp.client.client import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared._httpx_utils import create_mcp_http_client
from mcp_types import CLIENT_CAPABILITIES_META_KEY, PROTOCOL_VERSION_META_KEY

from app.agents.define import MAX_BYTES
from tests.support.service import ADMIN_KEY, PATIENCE, Service

VERSION = "2026-07-28"
OLD_VERSIONS = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25")
JSON_AND_STREAM = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json"}


def message(method: str, params: Mapping[str, Any] | None = None) -> tuple[dict[str, Any], dict[str, str]]:
    """Return a request of the current revision: its body and headers."""
    meta = {PROTOCOL_VERSION_META_KEY: VERSION, CLIENT_CAPABILITIES_META_KEY: {}}
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": {**(params or {}), "_meta": meta}}
    headers = {**JSON_AND_STREAM, "MCP-Protocol-Version": VERSION, "Mcp-Method": method}
    if params and isinstance(params.get("name"), str):
        headers["Mcp-Name"] = params["name"]
    return body, headers


def post(service: Service, method: str, params: Mapping[str, Any] | None = None, **headers: str) -> httpx.Response:
    """Send a request of the current revision."""
    body, own_headers = message(method, params)
    # Escaped, so that a text may also be half a pair.
    return service.request("POST", "/mcp", content=json.dumps(body), headers=own_headers | headers)


def call(service: Service, tool: str, **arguments: Any) -> dict[str, Any]:
    """Return the result of a tool, whatever it is, which is not too long."""
    response = post(service, "tools/call", {"name": tool, "arguments": arguments})
    assert response.status_code == 200, response.text
    result = response.json()["result"]
    # Only people can do what changes something.
    assert "/v1/" not in str(result).replace("PATCH /v1/feedback/{id}", ""), result
    assert size_of(result) <= MAX_BYTES, size_of(result)
    return result


def size_of(result: Mapping[str, Any]) -> int:
    """Return the bytes of a result that a model reads: on the wire, other letters than those of English are escaped."""
    content = json.dumps(result["structuredContent"], ensure_ascii=False, separators=(",", ":"))
    return len(result["content"][0]["text"].encode()) + len(content.encode())


def ask(service: Service, tool: str, **arguments: Any) -> dict[str, Any]:
    """Return the structured content of a tool's answer."""
    result = call(service, tool, **arguments)
    assert not result.get("isError"), result
    return result["structuredContent"]


def fail(service: Service, tool: str, **arguments: Any) -> dict[str, Any]:
    """Return the problem of a call that a tool refuses."""
    result = call(service, tool, **arguments)
    assert result["isError"], result
    problem = result["structuredContent"]
    assert result["content"][0]["text"].startswith(f"Error {problem['code']}: {problem['detail']}")
    return problem


def talk(url: str, work: Callable[[Client], Awaitable[Any]], *, mode: str = "auto", key: str = ADMIN_KEY) -> Any:
    """Return what the work does with the official client. mode: `legacy` for the revisions with a handshake."""

    async def run() -> Any:
        headers = {"Authorization": f"Bearer {key}"}
        async with asyncio.timeout(PATIENCE), create_mcp_http_client(headers=headers) as http:
            transport = streamable_http_client(f"{url}/mcp", http_client=http)
            async with Client(transport, mode=mode) as client:
                return await work(client)

    return asyncio.run(run())
