"""All tables together, as the migrations create them (a test compares the two)."""

from app.database import alert_tables, bi_tables, data_state, inbound_tables, tables, webhook_tables, work_counts
from app.database.metadata import metadata

__all__ = [
    "alert_tables",
    "bi_tables",
    "data_state",
    "inbound_tables",
    "metadata",
    "tables",
    "webhook_tables",
    "work_counts",
]
