"""Events as rows for COPY into the service's table `event`: what its own INSERT would write, without postings."""

from collections.abc import Iterable
from datetime import date, datetime

from pydantic_core import to_json

from app.catalogues import load_catalogues
from app.ingest.read import read_event
from bench.event_stream import Event

load_catalogues()

COLUMNS = ("account_id", "id", "type", "user_id", "occurred_at", "recorded_on", "fingerprint", "data")


def build_copy_statement(table: str) -> str:
    """Return the COPY statement for a table."""
    return f"COPY {table} ({', '.join(COLUMNS)}) FROM STDIN"


def format_copy_rows(events: Iterable[Event], *, now: datetime, recorded_on: date) -> bytes:
    """Return events as rows in COPY's text format. The ids of the data set have nothing that has to be escaped."""
    lines = []
    for event in (read_event(raw, position=0, now=now) for raw in events):
        user, data = event.user_id or r"\N", to_json(event.data).decode()
        lines.append(
            f"{event.account_id}\t{event.id}\t{event.type}\t{user}\t{event.occurred_at}\t{recorded_on}\t"
            f"{event.fingerprint}\t{data}\n"
        )
    return "".join(lines).encode()
