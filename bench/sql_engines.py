"""The engines for comparison: the raw tables in the same PostgreSQL and in DuckDB, and the ten questions in plain SQL."""

import io
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pyarrow.csv as csv
from psycopg.rows import dict_row

from bench.dataset import Size, Tables
from bench.processes import Postgres

Rows = list[dict[str, Any]]

SQL = Path(__file__).with_name("sql")
_ROWS_PER_PART = 100_000


def load_raw_tables(postgres: Postgres, size: Size, tables: Tables, folder: Path, *, log: Any) -> str:
    """Load the raw tables into PostgreSQL unless they are there already. Return the name of their database."""
    name, version = f"raw-{size.name}", {"data": folder.name}
    if postgres.read_comment(name) == version:
        return name
    log(f"Loading {name} …")
    postgres.create(name)
    with postgres.connect(name) as connection:
        connection.execute((SQL / "schema.sql").read_text())
        for table, content in tables.items():
            with connection.cursor().copy(f"COPY {table} FROM STDIN (FORMAT csv)") as target:
                for part in content.to_batches(max_chunksize=_ROWS_PER_PART):
                    text = io.BytesIO()
                    csv.write_csv(part, text, csv.WriteOptions(include_header=False))
                    target.write(text.getvalue())
        connection.execute("VACUUM (ANALYZE)")
    postgres.write_comment(name, version)
    return name


def open_duckdb(folder: Path) -> duckdb.DuckDBPyConnection:
    """Return a DuckDB in this process that has the raw tables in memory."""
    connection = duckdb.connect()
    for path in sorted(folder.glob("*.parquet")):
        connection.execute(f"CREATE TABLE {path.stem} AS SELECT * FROM read_parquet('{path}')")
    return connection


def choose_account(connection: duckdb.DuckDBPyConnection) -> int:
    """Return the number of an account that has an answer to everything, with the median amount of usage among those."""
    query = """
        SELECT account_id FROM usage_events
        WHERE account_id IN (
            SELECT account_id FROM survey_responses WHERE responded_at >= '2025-12-01'
            GROUP BY 1 HAVING count(DISTINCT kind) = 3
        ) GROUP BY 1 ORDER BY count(*), 1
    """
    accounts = connection.execute(query).fetchall()
    return int(accounts[len(accounts) // 2][0])


def read_query(name: str, *, account: int) -> str:
    """Return the SQL of a question."""
    return (SQL / f"{name}.sql").read_text().replace("{account}", str(account))


def query_postgres(connection: psycopg.Connection[Any], query: str) -> Rows:
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(query).fetchall()  # type: ignore[arg-type]


def query_duckdb(connection: duckdb.DuckDBPyConnection, query: str) -> Rows:
    result = connection.execute(query)
    names = [column[0] for column in result.description or ()]
    return [dict(zip(names, row, strict=True)) for row in result.fetchall()]
