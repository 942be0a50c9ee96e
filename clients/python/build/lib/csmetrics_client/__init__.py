"""A client of Customer Success Metrics: `Client`, or `AsyncClient` with the same methods to await."""

from csmetrics_client.batches import BatchResult, Event
from csmetrics_client.client import AsyncClient, Client
from csmetrics_client.errors import ClientError, ConnectionFailed, Problem
from csmetrics_client.questions import Answer, Row
from csmetrics_client.retries import RetryPolicy

__version__ = "0.1.0"
__all__ = [
    "Answer",
    "AsyncClient",
    "BatchResult",
    "Client",
    "ClientError",
    "ConnectionFailed",
    "Event",
    "Problem",
    "RetryPolicy",
    "Row",
]
