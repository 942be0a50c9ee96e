"""Every metric of the catalogue by month and plan over two years, and forty of them at once."""

from collections.abc import Sequence
from statistics import fmean
from typing import Any

from bench.client import Connection, ask, request
from bench.peers import timed
from bench.processes import Running

_TOGETHER = 40
_ASKED = "start=2024-01-01&end=2026-01-01&group_by=plan"


def measure(running: Running, *, times: int, say: Any) -> dict[str, Any]:
    """The milliseconds of each metric alone, by its name, and of the first forty in one answer beside the mean of these."""
    with Connection(running.port) as connection:
        key = running.keys["read"]
        names = [metric["name"] for metric in ask(connection, request("GET", "/v1/metrics", key=key))["metrics"]]

        def took(metrics: Sequence[str]) -> dict[str, float]:
            message = request("GET", f"/v1/query?metrics={','.join(metrics)}&{_ASKED}", key=key)
            ask(connection, message)
            return timed(lambda: connection.exchange(message), times=times, warm_up=2)[1]

        alone = {name: took([name]) for name in names}
        many = names[:_TOGETHER]
        together = took(many)
    slowest = max(alone, key=lambda name: alone[name]["p50"])
    one = fmean(alone[name]["p50"] for name in many)
    say(f"{len(names)} metrics by month and plan: {slowest} {alone[slowest]['p50']:.1f} ms")
    say(f"{len(many)} at once: {together['p50']:.1f} ms, {together['p50'] / one:.1f} times one")
    return {"alone": alone, "together": {"metrics": len(many), "one": one} | together}
