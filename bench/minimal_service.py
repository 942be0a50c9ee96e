"""What the minimal services for comparison share: a pool of connections, and the endpoint that says that they are ready.

The environment variable DATABASE names the database, POOL_SIZE the number of connections of a worker.
"""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psycopg
from fastapi import FastAPI


def build_app() -> FastAPI:
    """Return an application whose `state.pool` is a queue of connections."""
    app = FastAPI(lifespan=_keep_pool)

    @app.get("/readyz")
    async def readyz() -> dict[str, str]:
        return {"status": "ok"}

    return app


@asynccontextmanager
async def _keep_pool(app: FastAPI) -> AsyncIterator[None]:
    pool: asyncio.Queue[psycopg.AsyncConnection] = asyncio.Queue()
    for _ in range(int(os.environ["POOL_SIZE"])):
        # With autocommit, each statement is a transaction of its own.
        pool.put_nowait(await psycopg.AsyncConnection.connect(os.environ["DATABASE"], autocommit=True))
    app.state.pool = pool
    yield
    while not pool.empty():
        await pool.get_nowait().close()
