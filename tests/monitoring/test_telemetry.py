"""OpenTelemetry: a trace from the client to the statement, seen by a collector; and no key in it."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from app.core import traces
from app.monitoring import telemetry
from tests.support.process import ServiceProcess, service_process, wait_until
from tests.support.service import ADMIN_KEY, Service, session

TRACE_ID = "0af7651916cd43dd8448eb211c80319c"
PARENT_ID = "b7ad6b7169203331"
TRACEPARENT = f"00-{TRACE_ID}-{PARENT_ID}-01"


class Collector(ThreadingHTTPServer):
    """A collector of OpenTelemetry that keeps the spans it receives, and the name of the service that sent them."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), CollectorHandler)
        self.spans: list[dict[str, Any]] = []
        self.services: set[str] = set()
        self.payload = b""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def receive(self, body: bytes) -> None:
        self.payload += body
        for resource_spans in ExportTraceServiceRequest.FromString(body).resource_spans:
            self.services.add(attributes_of(resource_spans.resource)["service.name"])
            for scope_spans in resource_spans.scope_spans:
                self.spans += [describe_span(span) for span in scope_spans.spans]


class CollectorHandler(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            import gzip

            body = gzip.decompress(body)
        if self.path == "/v1/traces":
            self.server.receive(body)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        pass


def attributes_of(message: Any) -> dict[str, Any]:
    values = ((item.key, item.value) for item in message.attributes)
    return {key: getattr(value, value.WhichOneof("value")) for key, value in values}


def describe_span(span: Any) -> dict[str, Any]:
    return {
        "name": span.name,
        "trace_id": span.trace_id.hex(),
        "span_id": span.span_id.hex(),
        "parent_id": span.parent_span_id.hex(),
        "seconds": (span.end_time_unix_nano - span.start_time_unix_nano) / 1e9,
        "is_error": span.status.code == span.status.STATUS_CODE_ERROR,
        **attributes_of(span),
    }


@pytest.fixture
def collector() -> Iterator[Collector]:
    server = Collector()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def traced(database: str, tmp_path: Path, collector: Collector) -> Iterator[ServiceProcess]:
    """A service that sends its spans to the collector."""
    variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_BSP_SCHEDULE_DELAY": "50"}
    with service_process(tmp_path, database, **variables) as process:
        yield process


def find_spans(collector: Collector, name: str) -> list[dict[str, Any]]:
    """Return the spans of a name, as soon as there are any."""
    wait_until(lambda: any(span["name"] == name for span in collector.spans))
    return [span for span in collector.spans if span["name"] == name]


@pytest.mark.own_database
def test_a_trace_leads_from_the_client_to_the_statement(traced: ServiceProcess, collector: Collector) -> None:
    headers = {"traceparent": TRACEPARENT}
    assert traced.request("POST", "/v1/events", json=session(), headers=headers).is_success
    assert traced.request("GET", "/v1/metrics/sessions?period=2026-03", headers=headers).is_success
    [post] = find_spans(collector, "POST /v1/events")
    [get] = find_spans(collector, "GET /v1/metrics/{metric}")
    for span in (post, get):
        assert (span["trace_id"], span["parent_id"]) == (TRACE_ID, PARENT_ID)
    parents = {span["span_id"]: span["parent_id"] for span in collector.spans}

    def is_within(span: dict[str, Any], request: dict[str, Any]) -> bool:
        id = span["span_id"]
        while id in parents and id != request["span_id"]:
            id = parents[id]
        return id == request["span_id"]

    statements = [span for span in collector.spans if "db.query.text" in span and span["trace_id"] == TRACE_ID]
    assert all(span["db.system.name"] == "postgresql" and span["seconds"] >= 0 for span in statements)
    of_post, of_get = ([span for span in statements if is_within(span, request)] for request in (post, get))
    assert len(of_post) + len(of_get) == len(statements)
    assert any("INSERT INTO event" in span["db.query.text"] for span in of_post)
    assert any("COMMIT" in span["db.query.text"] for span in of_post)
    assert any("FROM total" in span["db.query.text"] or "FROM grand_total" in span["db.query.text"] for span in of_get)
    assert collector.services == {"customer-success-metrics"}
    # The log of both requests names the trace.
    for line in traced.lines("request"):
        assert (line["trace_id"], line["traceparent"]) == (TRACE_ID, TRACEPARENT)
        assert line["key_id"] == "ADMIN_KEY"


@pytest.mark.own_database
def test_spans_hold_no_keys_and_no_values_and_probes_have_none(traced: ServiceProcess, collector: Collector) -> None:
    key = traced.request("POST", "/v1/keys", json={"name": "sheet", "scopes": ["read"]}).json()["key"]
    secret = key.rpartition("_")[2] if len(key.rpartition("_")[2]) > 8 else key[20:]
    for path in ("/healthz", "/readyz", "/metrics/prometheus"):
        assert traced.request("GET", path).is_success
    traced.request("GET", f"/v1/surveys?api_key={key}", headers={"Authorization": ""})
    traced.request("GET", f"/v1/surveys?token={key}&other={ADMIN_KEY}")
    traced.request("GET", f"/v1/accounts/{key}")
    traced.request("DELETE", "/v1/accounts/acme/users/ada%40acme.example/personal-data")
    find_spans(collector, "DELETE /v1/accounts/{account_id}/users/{user_id}/personal-data")
    [account] = find_spans(collector, "GET /v1/accounts/{account_id}")
    assert account["url.path"] == f"/v1/accounts/{key[: len('csm_0123456789ab_')]}***"
    surveys = find_spans(collector, "GET /v1/surveys")
    assert [span["url.query"] for span in surveys] == ["api_key=***", f"token={key[:17]}***&other=***"]
    for text in (secret, key, ADMIN_KEY, "ada%40acme", "ada@acme"):
        assert text.encode() not in collector.payload, text
    assert not [span for span in collector.spans if span.get("url.path") in telemetry._UNTRACED_PATHS]
    # Nor have the statements of these paths, and those of the start, a trace of their own.
    assert [span["name"] for span in collector.spans if not span["parent_id"] and "db.query.text" in span] == []


@pytest.mark.own_database
def test_a_request_without_a_trace_gets_one_that_its_log_line_names(
    traced: ServiceProcess, collector: Collector
) -> None:
    traced.request("GET", "/v1/surveys")
    [span] = find_spans(collector, "GET /v1/surveys")
    [line] = traced.lines("request")
    assert line["trace_id"] == span["trace_id"]
    assert "traceparent" not in line


@pytest.mark.own_database
def test_a_collector_that_is_away_disturbs_nobody(database: str, tmp_path: Path) -> None:
    with service_process(tmp_path, database, OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9") as process:
        assert process.request("POST", "/v1/events", json=session()).is_success
        assert process.stop() == 0


def test_without_an_endpoint_nothing_is_recorded(shared: Service) -> None:
    shared.get("/v1/surveys")
    assert not traces.is_on()
    assert traces.current_trace_id() is None


def test_an_endpoint_without_the_extra_is_a_warning(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from app.core import logs

    def find_spec(name: str) -> ModuleSpec | None:
        return None

    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector")
    logs.configure("warning")
    try:
        with patch.object(telemetry, "find_spec", find_spec):
            assert telemetry.telemetry_config()["auto_configure"] is False
        assert "The extra `otel` is not installed." in capsys.readouterr().err
    finally:
        logs.configure("error")
