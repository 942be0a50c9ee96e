"""A minimal service for comparison: one endpoint that reads `SELECT 1` and answers it as JSON.

The environment variable DATABASE names the database, POOL_SIZE the number of connections of a worker.
"""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psycopg
from fastapi import FastAPI


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


@app.get("/v1/one")
async def read_one() -> dict[str, int]:
    connection = await app.state.pool.get()
    try:
        cursor = await connection.execute("SELECT 1", prepare=True)
        row = await cursor.fetchone()
    finally:
        app.state.pool.put_nowait(connection)
    return {"one": row[0]}


@app.get("/readyz")
async def readyz() -> dict[str, str]:
    return {"status": "ok"}
