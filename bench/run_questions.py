"""Ask every question of the service over HTTP and of PostgreSQL and DuckDB in SQL, in the same run, and compare the answers."""

from pathlib import Path
from typing import Any

import duckdb
import psycopg

from bench import questions
from bench.client import Connection, UnexpectedResponse, build_request, fetch_json
from bench.processes import Postgres, Server
from bench.questions import QUESTIONS, Question, compare_numbers, numbers_of_service, numbers_of_sql
from bench.sql_engines import choose_account, open_duckdb, query_duckdb, query_postgres, read_query
from bench.timing import measure_time

# SQL that takes seconds is run less often.
_SLOW_MS = 1_000
_SLOW_RUNS = 3


def measure(
    server: Server, postgres: Postgres, raw_database: str, folder: Path, *, times: int, log: Any
) -> dict[str, Any]:
    """Return, for each question, the milliseconds of `service`, `postgres` and `duckdb`, and whether the answers agree."""
    with (
        Connection(server.port) as connection,
        postgres.connect(raw_database) as in_postgres,
        open_duckdb(folder) as in_duckdb,
    ):
        key = server.keys["read"]
        catalogue = fetch_json(connection, build_request("GET", "/v1/metrics", key=key))["metrics"]
        available = {metric["name"] for metric in catalogue}
        account = choose_account(in_duckdb)
        health_check = build_request("GET", "/healthz")
        _, floor = measure_time(lambda: fetch_json(connection, health_check), times=times * 3, warm_up=10)
        results = []
        for question in QUESTIONS:
            metrics = [name for name in question.metrics if name in available]
            result: dict[str, Any] = {
                "name": question.name,
                "title": question.title,
                "note": question.note,
                "missing": [name for name in question.metrics if name not in available],
            }
            result |= _measure_sql(question, in_postgres, in_duckdb, account=account, times=times)
            expected = {
                engine: numbers_of_sql(question, result.pop(f"{engine} rows")) for engine in ("postgres", "duckdb")
            }
            try:
                # A new connection, because the service closes one that is idle while slow SQL runs.
                with Connection(server.port) as client:
                    result |= _measure_service(
                        question, metrics, client, key=key, account=account, times=times, expected=expected
                    )
            except UnexpectedResponse as error:
                result["error"] = str(error)
            log(f"{question.name:>3} {verdict(result)}")
            results.append(result)
    return {"floor": floor, "account": account, "questions": results}


def _measure_sql(
    question: Question,
    in_postgres: psycopg.Connection[Any],
    in_duckdb: duckdb.DuckDBPyConnection,
    *,
    account: int,
    times: int,
) -> dict[str, Any]:
    query = read_query(question.name, account=account)
    _, once = measure_time(lambda: query_postgres(in_postgres, query), times=1, warm_up=0)
    runs = _SLOW_RUNS if once["p50"] > _SLOW_MS else times
    warm_up = 0 if runs < times else 2
    rows, postgres = measure_time(lambda: query_postgres(in_postgres, query), times=runs, warm_up=warm_up)
    same, duckdb = measure_time(lambda: query_duckdb(in_duckdb, query), times=max(3, times // 3), warm_up=3)
    return {"postgres": postgres, "duckdb": duckdb, "postgres rows": rows, "duckdb rows": same}


def _measure_service(
    question: Question,
    metrics: list[str],
    connection: Connection,
    *,
    key: str,
    account: int,
    times: int,
    expected: dict[str, dict[questions.Key, Any]],
) -> dict[str, Any]:
    if not metrics:
        return {}
    path = question.path(metrics, account=account)
    request = build_request("GET", path, key=key)
    answer, _ = measure_time(lambda: fetch_json(connection, request), times=1, warm_up=2)
    if answer["next"]:
        raise UnexpectedResponse("The answer has more than one page.")
    # Without parsing the JSON: the engines return numbers, the service bytes.
    (status, body), milliseconds = measure_time(lambda: connection.exchange(request), times=times, warm_up=1)
    if status != 200:
        raise UnexpectedResponse(f"The last response was {status}.")
    numbers = numbers_of_service(answer["rows"])
    engines = compare_numbers(expected["duckdb"], expected["postgres"], metrics=question.metrics)
    return {
        "path": path,
        "service": milliseconds,
        "rows": len(answer["rows"]),
        "bytes": len(body),
        "check": compare_numbers(numbers, expected["postgres"], metrics=metrics),
        "engines agree": not engines["different"],
    }


def verdict(result: dict[str, Any]) -> str:
    """Return PASS, DIFF with the first number that differs, or why there is neither."""
    if "error" in result:
        return f"ERROR {result['error']}"
    missing = ", ".join(result["missing"])
    if "service" not in result:
        return f"SKIPPED, not in the catalogue: {missing}"
    check = result["check"]
    without = f", without {missing}" if missing else ""
    if not result["engines agree"]:
        return "DIFF between PostgreSQL and DuckDB"
    if check["different"]:
        return f"DIFF {check['different']} of {check['compared']} numbers{without}; {check['first']}"
    return f"PASS {check['compared']} numbers{without}"


def is_wrong(result: dict[str, Any]) -> bool:
    """Return whether a question has a wrong answer, or none."""
    return verdict(result).startswith(("DIFF", "ERROR"))
