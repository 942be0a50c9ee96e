"""A minimal service for comparison: one endpoint that reads `SELECT 1` and answers it as JSON."""

from bench.minimal_service import build_app

app = build_app()


@app.get("/v1/one")
async def read_one() -> dict[str, int]:
    pool = app.state.pool
    connection = await pool.get()
    try:
        cursor = await connection.execute("SELECT 1", prepare=True)
        row = await cursor.fetchone()
    finally:
        pool.put_nowait(connection)
    return {"one": row[0]}
