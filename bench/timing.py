"""Measure how long a function takes."""

from collections.abc import Callable
from statistics import median
from time import perf_counter
from typing import TypeVar

T = TypeVar("T")


def measure_time(work: Callable[[], T], *, times: int, warm_up: int) -> tuple[T, dict[str, float]]:
    """Run a function several times. Return its last result and the statistics of its times, see `summarize`."""
    for _ in range(warm_up):
        work()
    milliseconds = []
    for _ in range(max(1, times)):
        start = perf_counter()
        result = work()
        milliseconds.append((perf_counter() - start) * 1000)
    return result, summarize(milliseconds)


def summarize(milliseconds: list[float]) -> dict[str, float]:
    """Return the median (`p50`), the 95th percentile (`p95`), the smallest (`least`) and the number of times (`runs`)."""
    ordered = sorted(milliseconds)
    p95 = ordered[min(len(ordered) - 1, int(len(ordered) * 0.95))]
    return {"p50": round(median(ordered), 3), "p95": round(p95, 3), "least": round(ordered[0], 3), "runs": len(ordered)}
