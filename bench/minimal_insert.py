"""A minimal service for comparison: one endpoint that inserts one row in its own transaction and counts nothing.

The environment variable DATABASE names the database, POOL_SIZE the number of connections of a worker.
"""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

import psycopg
from fastapi import FastAPI
from psycopg.types.json import Jsonb
from pydantic import BaseModel

from app.accounts.accounts import account_key

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


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    pool: asyncio.Queue[psycopg.AsyncConnection] = asyncio.Queue()
    for _ in range(int(os.environ["POOL_SIZE"])):
        # With autocommit, each statement is a transaction of its own.
        pool.put_nowait(await psycopg.AsyncConnection.connect(os.environ["DATABASE"], autocommit=True))
    app.state.pool = pool
    yield
    while not pool.empty():
        await pool.get_nowait().close()


app = FastAPI(lifespan=lifespan)


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


@app.get("/readyz")
async def readyz() -> dict[str, str]:
    return {"status": "ok"}
