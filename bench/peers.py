"""The peers: the raw tables in the same PostgreSQL and in DuckDB, and the ten questions in plain SQL."""

import io
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any, TypeVar

import duckdb
import psycopg
import pyarrow.csv as csv
from psycopg.rows import dict_row

from bench.data import Size, Tables
from bench.processes import Postgres

T = TypeVar("T")
Rows = list[dict[str, Any]]

SQL = Path(__file__).with_name("sql")
_ROWS_AT_A_TIME = 100_000


def raw_tables(postgres: Postgres, size: Size, tables: Tables, folder: Path, *, say: Any) -> str:
    """The name of the database with the raw tables, loaded when it is missing or the data has changed."""
    name, version = f"raw-{size.name}", {"data": folder.name}
    if postgres.facts(name) == version:
        return name
    say(f"Loading {name} …")
    postgres.make(name)
    with postgres.connect(name) as connection:
        connection.execute((SQL / "schema.sql").read_text())
        for table, content in tables.items():
            with connection.cursor().copy(f"COPY {table} FROM STDIN (FORMAT csv)") as target:
                for part in content.to_batches(max_chunksize=_ROWS_AT_A_TIME):
                    text = io.BytesIO()
                    csv.write_csv(part, text, csv.WriteOptions(include_header=False))
                    target.write(text.getvalue())
        connection.execute("VACUUM (ANALYZE)")
    postgres.label(name, version)
    return name


def duck(folder: Path) -> duckdb.DuckDBPyConnection:
    """DuckDB in this process, the raw tables as its own in memory."""
    connection = duckdb.connect()
    for path in sorted(folder.glob("*.parquet")):
        connection.execute(f"CREATE TABLE {path.stem} AS SELECT * FROM read_parquet('{path}')")
    return connection


def usual_account(connection: duckdb.DuckDBPyConnection) -> int:
    """The number of an account of which everything can be asked, with the median amount of usage among those."""
    query = """
        SELECT account_id FROM usage_events
        WHERE account_id IN (
            SELECT account_id FROM survey_responses WHERE responded_at >= '2025-12-01'
            GROUP BY 1 HAVING count(DISTINCT kind) = 3
        ) GROUP BY 1 ORDER BY count(*), 1
    """
    accounts = connection.execute(query).fetchall()
    return int(accounts[len(accounts) // 2][0])


def question_in_sql(name: str, *, account: int) -> str:
    return (SQL / f"{name}.sql").read_text().replace("{account}", str(account))


def ask_postgres(connection: psycopg.Connection[Any], query: str) -> Rows:
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(query).fetchall()  # type: ignore[arg-type]


def ask_duckdb(connection: duckdb.DuckDBPyConnection, query: str) -> Rows:
    found = connection.execute(query)
    names = [column[0] for column in found.description or ()]
    return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


def timed(work: Callable[[], T], *, times: int, warm_up: int) -> tuple[T, dict[str, float]]:
    """What `work` returns, and how long it took: milliseconds p50, p95, least, and the number of runs."""
    for _ in range(warm_up):
        work()
    took = []
    for _ in range(max(1, times)):
        began = perf_counter()
        result = work()
        took.append((perf_counter() - began) * 1000)
    return result, spread(took)


def spread(took: list[float]) -> dict[str, float]:
    ordered = sorted(took)
    p95 = ordered[min(len(ordered) - 1, int(len(ordered) * 0.95))]
    return {"p50": round(median(ordered), 3), "p95": round(p95, 3), "least": round(ordered[0], 3), "runs": len(took)}
