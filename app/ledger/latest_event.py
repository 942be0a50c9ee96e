"""The time of the latest event: how far the data goes."""

from datetime import datetime

import sqlalchemy as sa

from app.database.connection import Connection
from app.database.tables import event


async def load_latest_event(connection: Connection, *, until: datetime) -> datetime | None:
    """Return when the latest event happened that is not retracted and not ahead of `until`; None without events."""
    is_live = (event.c.occurred_at <= until) & event.c.retracted_on.is_(None)
    latest = sa.select(event.c.occurred_at).where(is_live).order_by(event.c.occurred_at.desc()).limit(1)
    time: datetime | None = await connection.scalar(latest)
    return time
