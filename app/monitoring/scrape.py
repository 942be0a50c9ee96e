"""Build the page that Prometheus reads: the meters of all workers, and what the database says at this moment."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import anyio.to_thread
import sqlalchemy as sa
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric, SummaryMetricFamily
from prometheus_client.registry import Collector, CollectorRegistry

from app.books.books import Books
from app.core import meters
from app.core.errors import Problem
from app.database.connection import Connection
from app.database.tables import books as books_table
from app.database.work_counts import WORK_METERS, WorkCount, WorkMeter, load_counts
from app.monitoring.webhook_gauges import SELECT_WEBHOOKS, WEBHOOK_GAUGES


class DayGauge(NamedTuple):
    """A gauge of a day in the table `books`: the time at which the day begins. Without the day there is no value."""

    name: str
    description: str
    column: str


# A gauge whose column the table does not have is left out.
DAY_GAUGES = (
    DayGauge(
        "csmetrics_books_first_recorded_day_timestamp_seconds",
        "Beginning of the first day on which anything was recorded.",
        "first_recorded_on",
    ),
    DayGauge(
        "csmetrics_books_last_day_timestamp_seconds",
        "Beginning of the day on which everything is recorded now; nothing is ever recorded on an earlier one.",
        "last_day",
    ),
)


async def render_page(books: Books | None, accept: str, *, version: str) -> tuple[bytes, str]:
    """Return the page and its content type.

    books: None while they wait for a migration. accept: the header; it may ask for the format of OpenMetrics. That the
    database is away is no error, but what the page says.
    """
    gauges = [_gauge("csmetrics_build_info", "Version of the service.", 1, {"version": version})]
    gauges += await _read_books(books)
    return await anyio.to_thread.run_sync(_encode, gauges, accept)


async def _read_books(books: Books | None) -> list[Metric]:
    """Return the gauges whose values are in the database."""
    is_up = "csmetrics_database_up"
    description = "Whether the database answers and is migrated (1), or not (0)."
    day_gauges = [gauge for gauge in DAY_GAUGES if gauge.column in books_table.c]
    query = sa.select(*(books_table.c[gauge.column] for gauge in day_gauges))

    async def read(connection: Connection) -> Any:
        rows = await connection.execute(query)
        if not rows:
            return None
        return rows[0], (await connection.execute(SELECT_WEBHOOKS))[0], await load_counts(connection)

    try:
        rows = await books.database.look_up(read) if books is not None else None
    except Problem:
        rows = None
    if books is None or rows is None:
        return [_gauge(is_up, description, 0)]
    days, webhooks, counts = rows
    pairs = zip(day_gauges, days, strict=True)
    gauges = [_gauge(is_up, description, 1)] + [
        _gauge(gauge.name, gauge.description, books.calendar.midnight(day).timestamp())
        for gauge, day in pairs
        if day is not None
    ]
    values = zip(WEBHOOK_GAUGES, webhooks, strict=True)
    gauges += [_gauge(name, text, float(value)) for (name, text), value in values if value is not None]
    return gauges + [_work_family(meter, [own for own in counts if own.meter == meter]) for meter in WORK_METERS]


def _work_family(meter: WorkMeter, counts: Sequence[WorkCount]) -> Metric:
    """Return what the database has counted of a meter. One without a label begins at 0."""
    labels = [] if meter.label is None else [meter.label]
    counts = counts or ([] if labels else [WorkCount(meter, times=0)])
    if meter.has_seconds:
        summary = SummaryMetricFamily(meter.name, meter.description, labels=labels)
        for own in counts:
            summary.add_metric([own.label][: len(labels)], own.times, own.seconds)
        return summary
    counter = CounterMetricFamily(meter.name, meter.description, labels=labels)
    for own in counts:
        counter.add_metric([own.label][: len(labels)], own.times)
    return counter


def _gauge(name: str, description: str, value: float, labels: dict[str, str] | None = None) -> Metric:
    labels = labels or {}
    family = GaugeMetricFamily(name, description, labels=[*labels])
    family.add_metric([*labels.values()], value)
    return family


def _encode(gauges: Sequence[Metric], accept: str) -> tuple[bytes, str]:
    """Return the gauges and the meters in the format that the header asks for. With several workers this reads files."""
    encode, content_type = choose_encoder(accept)
    registry = CollectorRegistry()
    registry.register(_Gauges(gauges))
    registry.register(meters.collectors())
    return encode(registry), content_type


class _Gauges(Collector):
    """Hands the gauges to the library as it expects them."""

    def __init__(self, gauges: Sequence[Metric]) -> None:
        self._gauges = gauges

    def collect(self) -> Iterator[Metric]:
        return iter(self._gauges)
