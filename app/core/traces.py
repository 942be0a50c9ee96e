"""Spans of OpenTelemetry, as far as this service records them itself. FastAPI records those of requests.

Without the SDK, or without a place to send spans to, nothing is recorded, and all that a statement costs is one comparison.
"""

from collections.abc import Mapping
from time import time_ns

from opentelemetry import trace
from opentelemetry.trace import NoOpTracerProvider, ProxyTracerProvider, SpanKind, StatusCode, Tracer
from opentelemetry.util.types import AttributeValue

_tracer: Tracer | None = None


def start() -> None:
    """Record spans from now on, if this process has a provider that can. Call this when the provider is set."""
    global _tracer
    provider = trace.get_tracer_provider()
    is_real = not isinstance(provider, ProxyTracerProvider | NoOpTracerProvider)
    _tracer = provider.get_tracer("csmetrics") if is_real else None


def is_on() -> bool:
    """Return whether spans are recorded."""
    return _tracer is not None


def record(
    name: str, *, seconds: float, attributes: Mapping[str, AttributeValue], error: BaseException | None = None
) -> None:
    """Record a span that has lasted some seconds and ends now, within the current one. Its error is named by type only.

    Where there is no current one, nothing is recorded: what probes, the page of Prometheus and the start ask the database would
    be traces of one statement each.
    """
    if _tracer is None or not trace.get_current_span().get_span_context().is_valid:
        return
    end = time_ns()
    start_time = end - int(seconds * 1e9)
    span = _tracer.start_span(name, kind=SpanKind.CLIENT, attributes=dict(attributes), start_time=start_time)
    if error is not None:
        span.set_attribute("error.type", type(error).__qualname__)
        span.set_status(StatusCode.ERROR)
    span.end(end)


def current_trace_id() -> str | None:
    """Return the id of the trace that is being recorded, as 32 hexadecimal digits."""
    if _tracer is None:
        return None
    context = trace.get_current_span().get_span_context()
    return f"{context.trace_id:032x}" if context.is_valid else None
