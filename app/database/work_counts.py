"""Counts of what background work has done, for Prometheus: in the database, since processes do it that nobody asks.

A count is written by the transaction that records what it counts. So it is the same whichever process is asked, and lasts.
"""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from sqlalchemy import BigInteger, Column, Double, Table, Text

from app.database.connection import Connection
from app.database.metadata import metadata
from app.database.statements import BoundStatement, bind_json_rows, json_table

work_count = Table(
    "work_count",
    metadata,
    Column("meter", Text(collation="C"), primary_key=True),
    Column("label", Text(collation="C"), primary_key=True, comment="Empty if the meter has no label."),
    Column("count", BigInteger, nullable=False),
    Column("seconds", Double, nullable=False, comment="That it took; 0 if the meter is not about time."),
)
# In the order of the key, so that two transactions never wait for each other.
_ADD = f"""
    INSERT INTO work_count AS old (meter, label, count, seconds)
    SELECT meter, label, count, seconds
    FROM {json_table("row(meter text, label text, count bigint, seconds double precision)")} ORDER BY meter, label
    ON CONFLICT (meter, label) DO UPDATE SET count = old.count + excluded.count, seconds = old.seconds + excluded.seconds
    """


class WorkMeter(NamedTuple):
    """A meter whose values are in the database. label: the name of its label. has_seconds: whether it is about time."""

    name: str
    description: str
    label: str | None = None
    has_seconds: bool = False


WEBHOOK_ATTEMPTS = WorkMeter(
    "csmetrics_webhook_attempt_duration_seconds",
    "Time of an attempt to deliver a webhook, by how it ended.",
    label="result",
    has_seconds=True,
)
WEBHOOK_DISABLED = WorkMeter(
    "csmetrics_webhook_endpoints_disabled_total",
    "Webhook endpoints that were disabled because nothing arrived, or because they are gone.",
    label="reason",
)
ALERT_EVALUATIONS = WorkMeter(
    "csmetrics_alert_evaluation_duration_seconds",
    "Time to evaluate all alerts that are due, if there are any.",
    has_seconds=True,
)
ALERTS_EVALUATED = WorkMeter("csmetrics_alert_evaluations_total", "Alerts that were evaluated.")
ALERT_TRANSITIONS = WorkMeter(
    "csmetrics_alert_transitions_total",
    "Alerts that have triggered or resolved; of an alert on each account, each account counts.",
    label="kind",
)
WORK_METERS = (WEBHOOK_ATTEMPTS, WEBHOOK_DISABLED, ALERT_EVALUATIONS, ALERTS_EVALUATED, ALERT_TRANSITIONS)


class WorkCount(NamedTuple):
    """How often something was done, and how long that took. label: the value of the label of the meter."""

    meter: WorkMeter
    label: str = ""
    times: int = 1
    seconds: float = 0.0


def add_counts(counts: Iterable[WorkCount]) -> Iterator[BoundStatement]:
    """Yield the statement that adds counts. It comes last in a transaction, since others wait for its rows."""
    sums: dict[tuple[str, str], tuple[int, float]] = {}
    for own in counts:
        count, seconds = sums.get(key := (own.meter.name, own.label), (0, 0.0))
        sums[key] = count + own.times, seconds + own.seconds
    rows = [
        {"meter": meter, "label": label, "count": count, "seconds": seconds}
        for (meter, label), (count, seconds) in sums.items()
    ]
    return bind_json_rows(_ADD, rows)


async def load_counts(connection: Connection) -> list[WorkCount]:
    """Return the counts of all meters."""
    meters = {meter.name: meter for meter in WORK_METERS}
    rows: Iterable[Any] = await connection.execute("SELECT meter, label, count, seconds FROM work_count ORDER BY 1, 2")
    return [WorkCount(meters[name], *values) for name, *values in rows if name in meters]
