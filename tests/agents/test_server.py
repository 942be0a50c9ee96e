"""The MCP server from outside: the official client over a socket, keys, origins, revisions of the protocol."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import jsonschema
import pytest
from mcp.client.client import Client
from mcp.shared.exceptions import MCPError

from app.agents import routes
from app.agents.define import TOOLS
from tests.agents.agent import JSON_AND_STREAM, OLD_VERSIONS, VERSION, message, post, talk
from tests.agents.story import tell_story
from tests.support.process import ServiceProcess, service_process, wait_until
from tests.support.service import Service

# A call of each tool that answers.
CALLS: dict[str, dict[str, Any]] = {
    "compare_numbers": {"metrics": ["mrr"], "first": {"period": "2026-02"}, "second": {"period": "2026-03"}},
    "explain_health": {"account": "acme"},
    "explain_number": {"metric": "customer_churn_rate", "period": "2026-02"},
    "find_accounts": {"filter": 'plan = "pro"'},
    "find_metrics": {"search": "churn"},
    "get_account": {"account": "acme"},
    "get_cohorts": {"measure": "mrr"},
    "get_context": {},
    "get_funnel": {},
    "get_scorecard": {},
    "list_attributes": {},
    "list_contributors": {"metric": "mrr", "period": "2026-03"},
    "list_health": {},
    "list_insight_accounts": {"insight": "nps_drop"},
    "list_insights": {},
    "query_metrics": {"metrics": ["mrr", "nps"], "period": "2026-Q1", "group_by": ["plan"]},
}


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory, copy_database: Callable[..., Any]) -> Iterator[ServiceProcess]:
    """The service in two processes, with a story."""
    with copy_database() as url:
        with Service(url).open() as service:
            tell_story(service)
        with service_process(tmp_path_factory.mktemp("agents"), url, WORKERS=2, WEBHOOK_WORKER="false") as process:
            yield process


def test_there_is_a_call_of_each_tool() -> None:
    assert CALLS.keys() == TOOLS.keys()


@pytest.mark.parametrize("mode", ["auto", VERSION, "legacy"])
def test_the_official_client_lists_and_calls_all_tools_of_two_processes(process: ServiceProcess, mode: str) -> None:
    async def call_all(client: Client) -> tuple[Any, dict[str, Any]]:
        tools = await client.list_tools()
        return tools, {name: await client.call_tool(name, arguments) for name, arguments in CALLS.items()}

    tools, results = talk(process.url, call_all, mode=mode)
    assert [tool.name for tool in tools.tools] == sorted(TOOLS)
    for tool in tools.tools:
        jsonschema.Draft202012Validator.check_schema(tool.input_schema)
        jsonschema.Draft202012Validator.check_schema(tool.output_schema)
        assert tool.annotations.read_only_hint and not tool.annotations.open_world_hint
        jsonschema.validate(CALLS[tool.name], tool.input_schema)
    # The client has validated the structured content by the output schema.
    for name, result in results.items():
        assert not result.is_error, (name, result)
        assert result.content[0].text and result.structured_content, name
    if mode != "legacy":
        assert (tools.cache_scope, tools.ttl_ms) == ("private", 300_000)


@pytest.mark.parametrize("version", OLD_VERSIONS)
def test_older_revisions_of_the_protocol_begin_with_a_handshake(process: ServiceProcess, version: str) -> None:
    client_info = {"name": "old", "version": "1"}
    params = {"protocolVersion": version, "capabilities": {}, "clientInfo": client_info}
    first = {"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params}
    begun = process.request("POST", "/mcp", json=first, headers=JSON_AND_STREAM).json()["result"]
    assert begun["protocolVersion"] == version and begun["serverInfo"]["name"] == "customer-success-metrics"
    assert "get_context" in begun["instructions"]
    headers = JSON_AND_STREAM | {"MCP-Protocol-Version": version}
    ready = {"jsonrpc": "2.0", "method": "notifications/initialized"}
    assert process.request("POST", "/mcp", json=ready, headers=headers).status_code == 202
    params = {"name": "query_metrics", "arguments": {"metrics": ["mrr"], "period": "2026-03"}}
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    result = process.request("POST", "/mcp", json=body, headers=headers).json()["result"]
    assert result["structuredContent"]["rows"][0]["value"] == 750


def test_nothing_is_kept_between_requests(process: ServiceProcess) -> None:
    """A request goes to any process, without a session."""
    body, headers = message("tools/call", {"name": "get_context", "arguments": {}})
    responses = [process.request("POST", "/mcp", json=body, headers=headers) for _ in range(6)]
    assert {response.status_code for response in responses} == {200}
    assert len({response.text for response in responses}) == 1
    assert "mcp-session-id" not in responses[0].headers


def test_a_request_is_logged_with_its_id_and_tool(process: ServiceProcess) -> None:
    for version, id in ((VERSION, "modern-1"), ("2025-11-25", "older-1")):
        body, headers = message("tools/call", {"name": "query_metrics", "arguments": {"metrics": ["npss"]}})
        headers = {**headers, "MCP-Protocol-Version": version, "X-Request-Id": id}
        response = process.request("POST", "/mcp", json=body, headers=headers)
        assert response.headers["x-request-id"] == id and response.headers["ratelimit"]
        [tool_line] = [line for line in process.lines("tool") if line["request_id"] == id]
        assert (tool_line["tool"], tool_line["code"]) == ("query_metrics", "unknown_metric")
        # It is written after the response.
        wait_until(lambda id=id: any(line["request_id"] == id for line in process.lines("request")))
        [line] = [line for line in process.lines("request") if line["request_id"] == id]
        assert (line["path"], line["status"], line["key_id"]) == ("/mcp", 200, "ADMIN_KEY")


# --- keys and origins ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("header", ["", "Bearer wrong", "Bearer csm_unknown"])
def test_a_wrong_key_is_refused_with_the_scheme(shared: Service, header: str) -> None:
    response = post(shared, "tools/list", Authorization=header)
    assert response.status_code == 401 and response.json()["code"] == "unauthenticated"
    assert response.headers["www-authenticate"] == 'Bearer realm="Customer Success Metrics"'


def test_the_key_may_be_in_the_headers_that_clients_can_set(shared: Service) -> None:
    key = shared.request("POST", "/v1/keys", json={"name": "agent", "scopes": ["read"]}).json()["key"]
    assert post(shared, "tools/list", Authorization=f"Bearer {key}").status_code == 200
    assert post(shared, "tools/list", Authorization=f"bearer {key}").status_code == 200
    assert post(shared, "tools/list", **{"Authorization": "", "X-API-Key": key}).status_code == 200
    body, headers = message("tools/list")
    assert (
        shared.request("POST", f"/mcp?api_key={key}", json=body, headers=headers | {"Authorization": ""}).status_code
        == 401
    )


def test_a_key_needs_the_scope_read(shared: Service) -> None:
    key = shared.request("POST", "/v1/keys", json={"name": "sender", "scopes": ["ingest"]}).json()["key"]
    response = post(shared, "tools/list", Authorization=f"Bearer {key}")
    assert response.status_code == 403 and "scope read" in response.json()["detail"]


def test_a_page_of_another_origin_is_refused(start_service: Callable[..., Service]) -> None:
    """Also with the right key, and even if its name leads to this machine."""
    service = start_service(
        public_url="https://metrics.example.com/csm", mcp_allowed_origins="app://desktop, https://b.example"
    )
    for origin in ("https://metrics.example.com", "app://desktop", "https://B.example"):
        assert post(service, "tools/list", Origin=origin).status_code == 200, origin
    for origin in (
        "https://evil.example",
        "http://metrics.example.com",
        "http://localhost:8000",
        "http://service",
        "null",
        "",
    ):
        response = post(service, "tools/list", Origin=origin)
        assert (response.status_code, response.json()["code"]) == (403, "origin_forbidden"), origin
    # Not even whether the key is right.
    assert post(service, "tools/list", Origin="https://evil.example", Authorization="").status_code == 403


def test_without_a_public_url_no_origin_is_allowed(shared: Service) -> None:
    assert post(shared, "tools/list", Origin="http://service").status_code == 403
    assert post(shared, "tools/list").status_code == 200


def test_limits_of_a_key_count_for_agents_too(start_service: Callable[..., Service]) -> None:
    service = start_service(questions_per_minute=2)
    assert [post(service, "tools/list").status_code for _ in range(3)] == [200, 200, 429]


# --- the endpoint -------------------------------------------------------------------------------------------------------


def test_without_the_sdk_the_endpoint_says_what_to_install(
    start_service: Callable[..., Service], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(routes, "find_spec", lambda name: None)
    response = post(start_service(), "tools/list")
    assert (response.status_code, response.json()["code"]) == (404, "mcp_unavailable")
    assert "customer-success-metrics[mcp]" in response.json()["detail"]


def test_only_post_is_answered(shared: Service) -> None:
    """A stream of its own (GET) and the end of a session (DELETE) do not exist: there are no sessions."""
    for method in ("GET", "DELETE", "PUT"):
        response = shared.request(method, "/mcp", headers=JSON_AND_STREAM)
        assert (response.status_code, response.headers["allow"]) == (405, "POST"), method


def test_the_endpoint_is_not_in_the_openapi_document(shared: Service) -> None:
    assert "/mcp" not in shared.get("/openapi.json")["paths"]


BODIES: dict[str, Any] = {
    "nothing": b"",
    "no JSON": b"{",
    "a list": b"[]",
    "a batch": json.dumps([message("tools/list")[0]] * 3).encode(),
    "a number": b"1",
    "null": b"null",
    "deep": b"[" * 100_000,
    "a large number": b'{"jsonrpc": "2.0", "id": ' + b"9" * 5_000 + b"}",
    "no method": b'{"jsonrpc": "2.0", "id": 1}',
    "an unknown method": json.dumps(message("tools/lists")[0]).encode(),
    "no meta": b'{"jsonrpc": "2.0", "id": 1, "method": "tools/list"}',
    "params that are a list": b'{"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": [1]}',
    "a name that is a number": json.dumps(message("tools/call", {"name": 1, "arguments": {}})[0]).encode(),
    "arguments that are a text": json.dumps(
        message("tools/call", {"name": "get_context", "arguments": "x"})[0]
    ).encode(),
    "not UTF-8": b'{"jsonrpc": "2.0", "id": 1, "method": "\xff"}',
    "too large": b" " * 300_000,
}


@pytest.mark.parametrize("version", [VERSION, "2025-06-18", "1999-01-01", "x", ""])
@pytest.mark.parametrize("name", BODIES)
def test_a_hostile_message_is_an_error_of_the_client(shared: Service, name: str, version: str) -> None:
    headers = {**JSON_AND_STREAM, "MCP-Protocol-Version": version}
    response = shared.request("POST", "/mcp", content=BODIES[name], headers=headers)
    assert 200 <= response.status_code < 500, response.text
    if response.status_code == 200:
        assert "error" in response.json() or response.json()["result"].get("isError") or name in ("no meta",), (
            response.text
        )


def test_an_unknown_tool_names_the_nearest(shared: Service) -> None:
    error = post(shared, "tools/call", {"name": "query_metric", "arguments": {}}).json()["error"]
    assert error["code"] == -32602 and error["message"] == 'Unknown tool "query_metric". Did you mean "query_metrics"?'


def test_before_the_migration_a_call_says_so(shared: Service) -> None:
    books, shared.app.state.books = shared.app.state.books, None
    try:
        result = post(shared, "tools/call", {"name": "get_context", "arguments": {}}).json()["result"]
    finally:
        shared.app.state.books = books
    assert result["isError"] and result["structuredContent"]["code"] == "not_migrated"


def test_a_tool_that_fails_answers_with_the_id_of_the_request(shared: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    async def break_down(*_: Any) -> Any:
        raise RuntimeError("a secret detail")

    monkeypatch.setitem(TOOLS, "get_context", replace(TOOLS["get_context"], run=break_down))
    response = post(shared, "tools/call", {"name": "get_context", "arguments": {}}, **{"X-Request-Id": "broken-1"})
    assert response.status_code == 200 and "secret" not in response.text
    problem = response.json()["result"]["structuredContent"]
    assert (problem["code"], problem["request_id"]) == ("internal_error", "broken-1")


def test_the_client_reports_the_error_of_a_tool(process: ServiceProcess) -> None:
    async def call_wrong(client: Client) -> Any:
        with pytest.raises(MCPError, match="Did you mean"):
            await client.call_tool("get_contexts", {})
        return await client.call_tool("query_metrics", {"metrics": ["npss"]})

    result = talk(process.url, call_wrong)
    assert result.is_error and result.structured_content["errors"][0]["did_you_mean"] == ["nps"]


def test_a_wrong_key_ends_the_official_client(process: ServiceProcess) -> None:
    with pytest.raises(BaseException) as error:
        talk(process.url, lambda client: client.list_tools(), key="csm_wrong")
    assert error.value is not None
