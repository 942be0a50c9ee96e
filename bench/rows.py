"""Events as rows of the service's table `event`, for COPY: what its own INSERT would write, without what it posts."""

from collections.abc import Iterable
from datetime import date, datetime

from pydantic_core import to_json

from app.ingest import catalogue
from app.ingest.read import read_event
from bench.events import Event

assert catalogue  # importing it fills the catalogue of events

COLUMNS = ("account_id", "id", "type", "user_id", "occurred_at", "recorded_on", "fingerprint", "data")


def copy(table: str) -> str:
    return f"COPY {table} ({', '.join(COLUMNS)}) FROM STDIN"


def text_of(events: Iterable[Event], *, now: datetime, recorded_on: date) -> bytes:
    """The rows in COPY's text format. The ids of the data set have nothing that would have to be escaped."""
    lines = []
    for event in (read_event(raw, position=0, now=now) for raw in events):
        user, data = event.user_id or r"\N", to_json(event.data).decode()
        lines.append(
            f"{event.account_id}\t{event.id}\t{event.type}\t{user}\t{event.occurred_at}\t{recorded_on}\t"
            f"{event.fingerprint}\t{data}\n"
        )
    return "".join(lines).encode()
