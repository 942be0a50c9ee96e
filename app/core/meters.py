"""Meters: counters, gauges and histograms about the service itself, for Prometheus. What they are about is not the customers.

Meters count in this process. When several workers serve, each counts in files of its own in a folder that all of them share, so
that any worker can answer with the sums of all: `share` is for their parent, which also numbers them. A worker that replaces one
that has died gets its number and goes on with its counts.

The values of every label come from this code (a route, an event code, a metric), never from what a client sends, so that there
is a limit to the number of time series.
"""

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, values
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from app.core.settings import export_variable, read_variable

_FOLDER_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"  # of prometheus_client
_WORKER_VARIABLE = "CSMETRICS_WORKER"
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)
_ROWS = (1, 10, 100, 1_000, 10_000, 100_000, 1_000_000)

# The library decides by the variable of the folder, which may be set for other programs; here the parent decides.
_worker = read_variable(_WORKER_VARIABLE)
values.ValueClass = values.MultiProcessValue(lambda: _worker) if _worker else values.MutexValue  # type: ignore[no-untyped-call]
disable_created_metrics()  # type: ignore[no-untyped-call]

REGISTRY = CollectorRegistry()

REQUESTS = Histogram(
    "csmetrics_http_request_duration_seconds",
    "Time from the headers of a request to the end of its response.",
    ["method", "route", "status"],
    buckets=_SECONDS,
    registry=REGISTRY,
)
INVALID_REQUESTS = Counter(
    "csmetrics_http_invalid_requests_total",
    "Data on HTTP connections that is not a well-formed request.",
    ["status"],
    registry=REGISTRY,
)
EVENTS_ACCEPTED = Counter(
    "csmetrics_ingest_events_accepted_total", "Events that were stored and counted.", registry=REGISTRY
)
EVENTS_DUPLICATE = Counter(
    "csmetrics_ingest_events_duplicate_total",
    "Events that were stored already with the same content.",
    registry=REGISTRY,
)
EVENTS_REJECTED = Counter(
    "csmetrics_ingest_events_rejected_total",
    "Events that were rejected, by the code of the first fault.",
    ["code"],
    registry=REGISTRY,
)
INBOUND_DELIVERIES = Counter(
    "csmetrics_inbound_deliveries_total",
    "Deliveries from other systems, also replayed ones, by vendor and by what became of them.",
    ["vendor", "status"],
    registry=REGISTRY,
)
QUESTIONS = Histogram(
    "csmetrics_question_duration_seconds",
    "Time to compute the numbers of a question.",
    ["granularity"],
    buckets=_SECONDS,
    registry=REGISTRY,
)
QUESTION_METRICS = Counter(
    "csmetrics_question_metrics_total", "Metrics that questions were about.", ["metric"], registry=REGISTRY
)
QUESTION_ROWS = Histogram(
    "csmetrics_question_rows",
    "Rows of the complete answer to a question, of which a response may have a page.",
    buckets=_ROWS,
    registry=REGISTRY,
)
POLLS = Counter(
    "csmetrics_polls_total",
    "GET requests for numbers and lists, by how they were answered: with 304 (not_modified), from memory, or computed.",
    ["answer"],
    registry=REGISTRY,
)
KEPT_ANSWERS = Gauge(
    "csmetrics_kept_answers", "Answers that are kept in memory.", multiprocess_mode="livesum", registry=REGISTRY
)
KEPT_BYTES = Gauge(
    "csmetrics_kept_answer_bytes",
    "Memory that the kept answers take.",
    multiprocess_mode="livesum",
    registry=REGISTRY,
)
STATEMENTS = Histogram(
    "csmetrics_database_statement_duration_seconds",
    "Time of a round trip to the database: of one statement, or of several that are sent together.",
    ["operation"],
    buckets=_SECONDS,
    registry=REGISTRY,
)
POOL_CONNECTIONS = Gauge(
    "csmetrics_database_pool_connections",
    "Open connections to the database.",
    ["pool", "state"],
    multiprocess_mode="livesum",
    registry=REGISTRY,
)
POOL_LIMIT = Gauge(
    "csmetrics_database_pool_max_connections",
    "Most connections to the database that may be open.",
    ["pool"],
    multiprocess_mode="livesum",
    registry=REGISTRY,
)
POOL_WAIT = Histogram(
    "csmetrics_database_pool_wait_seconds",
    "Time that a transaction waited for a connection.",
    ["pool"],
    buckets=_SECONDS,
    registry=REGISTRY,
)
POOL_TIMEOUTS = Counter(
    "csmetrics_database_pool_timeouts_total",
    "Transactions that got no connection in time.",
    ["pool"],
    registry=REGISTRY,
)
DATABASE_FAILURES = Counter(
    "csmetrics_database_unavailable_total",
    "Transactions that failed because the database was unavailable.",
    registry=REGISTRY,
)


def count_request(method: str, route: str, status: int, seconds: float) -> None:
    """Count a request. route: the path template of its endpoint; empty without one."""
    _request_meter(method if method in _METHODS else "other", route, status).observe(seconds)


@lru_cache(maxsize=10_000)
def _request_meter(method: str, route: str, status: int) -> Histogram:
    return REQUESTS.labels(method, route, str(status))


def collectors() -> Collector:
    """Return what collects the meters of this process or, with several workers, of all of them."""
    if not _worker:
        return REGISTRY
    return MultiProcessCollector(None, read_variable(_FOLDER_VARIABLE))  # type: ignore[no-untyped-call]


@contextlib.contextmanager
def share() -> Iterator[None]:
    """Let the workers that this process starts count in a new folder, which is deleted at the end."""
    folder = tempfile.mkdtemp(prefix="csmetrics-")
    export_variable(_FOLDER_VARIABLE, folder)
    try:
        yield
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def number_next_worker(number: int) -> None:
    """Set the number of the worker that is started next, and remove the gauges of the one that had it before."""
    export_variable(_WORKER_VARIABLE, str(number))
    if folder := read_variable(_FOLDER_VARIABLE):
        for file in Path(folder).glob(f"gauge_live*_{number}.db"):
            file.unlink(missing_ok=True)
