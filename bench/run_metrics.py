"""Measure every metric of the catalogue by month and plan over two years, and forty of them in one request."""

from collections.abc import Sequence
from statistics import fmean
from typing import Any

from bench.client import Connection, build_request, fetch_json
from bench.processes import Server
from bench.timing import measure_time

_METRICS_AT_ONCE = 40
_PARAMETERS = "start=2024-01-01&end=2026-01-01&group_by=plan"


def measure(server: Server, *, times: int, log: Any) -> dict[str, Any]:
    """Return the milliseconds of each metric alone (`alone`), and of the first forty in one request (`together`)."""
    with Connection(server.port) as connection:
        key = server.keys["read"]
        catalogue = fetch_json(connection, build_request("GET", "/v1/metrics", key=key))
        names = [metric["name"] for metric in catalogue["metrics"]]

        def measure_query(metrics: Sequence[str]) -> dict[str, float]:
            message = build_request("GET", f"/v1/query?metrics={','.join(metrics)}&{_PARAMETERS}", key=key)
            fetch_json(connection, message)
            return measure_time(lambda: connection.exchange(message), times=times, warm_up=2)[1]

        alone = {name: measure_query([name]) for name in names}
        first = names[:_METRICS_AT_ONCE]
        together = measure_query(first)
    slowest = max(alone, key=lambda name: alone[name]["p50"])
    mean = fmean(alone[name]["p50"] for name in first)
    log(f"{len(names)} metrics by month and plan: {slowest} {alone[slowest]['p50']:.1f} ms")
    log(f"{len(first)} at once: {together['p50']:.1f} ms, {together['p50'] / mean:.1f} times the mean of one")
    return {"alone": alone, "together": {"metrics": len(first), "one": mean} | together}
