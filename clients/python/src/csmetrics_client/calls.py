"""The requests of both clients, and what they make of the responses."""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from csmetrics_client.batches import Batch, BatchResult
from csmetrics_client.errors import Problem
from csmetrics_client.exchange import Call
from csmetrics_client.questions import Parameter, body_parameters, query_parameters

PARQUET = "parquet"


def post_batch(batch: Batch) -> Call:
    """Return the request that sends a batch."""
    return Call("POST", "/v1/events", content=batch.content, headers=batch.headers)


def add_batch(result: BatchResult, batch: Batch, outcome: Mapping[str, Any] | Problem) -> None:
    """Add what became of a batch to a result. Raises the problem unless it is that all of its events were rejected."""
    if isinstance(outcome, Problem):
        if outcome.code != "all_rejected":
            raise outcome
        outcome = outcome.body
    result.add(outcome, offset=batch.offset)


def query(metrics: str | Sequence[str], parameters: Mapping[str, Parameter]) -> Call:
    """Return the request that asks for metrics."""
    names = [metrics] if isinstance(metrics, str) else list(metrics)
    return Call("POST", "/v1/query", json={"metrics": names, **body_parameters(parameters)})


def has_no_parquet(problem: Problem) -> bool:
    """Return whether a problem is that the service is installed without Parquet."""
    return problem.code == "format_unavailable"


def metric(name: str, parameters: Mapping[str, Parameter]) -> Call:
    """Return the request that asks for one metric."""
    return Call("GET", f"/v1/metrics/{quote(name, safe='')}", params=query_parameters(parameters))


def listing(path: str, parameters: Mapping[str, Parameter]) -> Call:
    """Return the request for a list."""
    return Call("GET", path, params=query_parameters(parameters))


def delete_event(account_id: str | None, event_id: str) -> Call:
    """Return the request that retracts an event."""
    account = "" if account_id is None else f"/accounts/{quote(account_id, safe='')}"
    return Call("DELETE", f"/v1{account}/events/{quote(event_id, safe='')}")
