"""A minimal service for comparison: one endpoint that inserts one row in its own transaction and counts nothing."""

from datetime import datetime
from typing import Any

from psycopg.types.json import Jsonb
from pydantic import BaseModel

from app.accounts.accounts import account_key
from bench.minimal_service import build_app

TABLE = "bench.minimal_insert"
_INSERT = f"""
    INSERT INTO {TABLE} (account_id, id, type, user_id, occurred_at, recorded_on, fingerprint, data)
    VALUES (%s, %s, %s, %s, %s, current_date, 0, %s)
"""


class Event(BaseModel):
    id: str
    type: str
    account_id: str
    user_id: str
    occurred_at: datetime
    data: dict[str, Any]


app = build_app()


@app.post("/v1/events")
async def post_event(event: Event) -> dict[str, int]:
    row = (account_key(event.account_id), event.id, event.type, event.user_id, event.occurred_at, Jsonb(event.data))
    pool = app.state.pool
    connection = await pool.get()
    try:
        await connection.execute(_INSERT, row)
    finally:
        pool.put_nowait(connection)
    return {"accepted": 1}
