"""OpenTelemetry: what FastAPI records of requests, and that no key is in it.

The SDK and its exporter come with the extra `otel`. The standard variables hold the address of the collector: nothing is recorded
without OTEL_EXPORTER_OTLP_ENDPOINT, unless a provider has been set before, as `opentelemetry-instrument` does.
"""

from collections.abc import Mapping, MutableMapping
from importlib.util import find_spec
from typing import Any

import structlog
from opentelemetry import trace
from opentelemetry.context import Context

from app.core import logs, traces
from app.core.settings import export_variable, read_variable

SERVICE_NAME = "customer-success-metrics"
_ENDPOINTS = tuple(f"OTEL_EXPORTER_OTLP_{part}ENDPOINT" for part in ("", "TRACES_", "METRICS_"))
# Asked for every few seconds; their traces would be most of all.
_UNTRACED_PATHS = frozenset({"/healthz", "/readyz", "/metrics/prometheus"})
_MASKED_ATTRIBUTES = ("url.path", "url.query")

log = structlog.get_logger(__name__)


def telemetry_config() -> dict[str, Any]:
    """Return FastAPI's configuration of telemetry. Its logs stay off: those of this service have the ids of traces."""
    has_endpoint = any(map(read_variable, _ENDPOINTS))
    is_installed = find_spec("opentelemetry.sdk") is not None and find_spec("opentelemetry.exporter") is not None
    if has_endpoint and not is_installed:
        log.warning("nothing is sent to OpenTelemetry", reason="The extra `otel` is not installed.")
    if has_endpoint and is_installed:
        _set_defaults()
    return {"auto_configure": has_endpoint and is_installed, "logs": False, "exclude": _is_untraced}


def _set_defaults() -> None:
    """Set the standard variables whose own defaults do not fit, unless they are set."""
    if not read_variable("OTEL_SERVICE_NAME") and "service.name=" not in (
        read_variable("OTEL_RESOURCE_ATTRIBUTES") or ""
    ):
        export_variable("OTEL_SERVICE_NAME", SERVICE_NAME)
    # A stop sends what is left, several times; it must not take longer than SHUTDOWN_SECONDS when nobody receives it.
    if not read_variable("OTEL_EXPORTER_OTLP_TIMEOUT"):
        export_variable("OTEL_EXPORTER_OTLP_TIMEOUT", "1")


def _is_untraced(scope: MutableMapping[str, Any]) -> bool:
    return str(scope["path"]).removeprefix(scope.get("root_path", "")) in _UNTRACED_PATHS


def start_traces() -> None:
    """Record spans of statements, and mask keys in those of requests. Call this when FastAPI has set the provider."""
    provider: Any = trace.get_tracer_provider()
    if hasattr(provider, "add_span_processor") and not getattr(provider, "masks_secrets", False):
        provider.add_span_processor(SecretMask())
        provider.masks_secrets = True
    traces.start()


class SecretMask:
    """A span processor that masks secrets in the URL of a span when it starts, before any exporter sees it."""

    def on_start(self, span: Any, parent_context: Context | None = None) -> None:
        attributes: Mapping[str, Any] = span.attributes or {}
        for name in _MASKED_ATTRIBUTES:
            if name in attributes:
                span.set_attribute(name, logs.mask(str(attributes[name])))

    def _on_ending(self, span: Any) -> None:
        """Do nothing; the SDK calls this."""

    def on_end(self, span: Any) -> None:
        """Do nothing."""

    def shutdown(self) -> None:
        """Do nothing."""

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return True
