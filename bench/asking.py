"""Every question put to the service over HTTP and to its peers in SQL, one after the other in the same run, and checked."""

from pathlib import Path
from typing import Any

import duckdb
import psycopg

from bench import questions
from bench.client import Connection, Refused, ask, request
from bench.peers import ask_duckdb, ask_postgres, duck, question_in_sql, timed, usual_account
from bench.processes import Postgres, Running
from bench.questions import QUESTIONS, Question, check, of_service, of_sql

# Raw SQL that takes seconds is run less often.
_SLOW_MS = 1_000
_SLOW_RUNS = 3


def measure(running: Running, postgres: Postgres, raw: str, folder: Path, *, times: int, say: Any) -> dict[str, Any]:
    """For each question the milliseconds of `service`, `postgres` and `duckdb`, and whether the answers agree."""
    with (
        Connection(running.port) as connection,
        postgres.connect(raw) as in_postgres,
        duck(folder) as in_duckdb,
    ):
        key = running.keys["read"]
        listed = {metric["name"] for metric in ask(connection, request("GET", "/v1/metrics", key=key))["metrics"]}
        account = usual_account(in_duckdb)
        _, floor = timed(lambda: ask(connection, request("GET", "/healthz")), times=times * 3, warm_up=10)
        found = []
        for question in QUESTIONS:
            metrics = [name for name in question.metrics if name in listed]
            result: dict[str, Any] = {
                "name": question.name,
                "title": question.title,
                "note": question.note,
                "missing": [name for name in question.metrics if name not in listed],
            }
            result |= _peers(question, in_postgres, in_duckdb, account=account, times=times)
            told = {peer: of_sql(question, result.pop(f"{peer} rows")) for peer in ("postgres", "duckdb")}
            try:
                # A new one, since the service closes a connection that was idle as long as SQL on raw rows takes.
                with Connection(running.port) as alive:
                    result |= _service(question, metrics, alive, key=key, account=account, times=times, told=told)
            except Refused as refused:
                result["refused"] = str(refused)
            say(f"{question.name:>3} {verdict(result)}")
            found.append(result)
    return {"floor": floor, "account": account, "questions": found}


def _peers(
    question: Question,
    in_postgres: psycopg.Connection[Any],
    in_duckdb: duckdb.DuckDBPyConnection,
    *,
    account: int,
    times: int,
) -> dict[str, Any]:
    query = question_in_sql(question.name, account=account)
    _, once = timed(lambda: ask_postgres(in_postgres, query), times=1, warm_up=0)
    runs = _SLOW_RUNS if once["p50"] > _SLOW_MS else times
    rows, postgres = timed(lambda: ask_postgres(in_postgres, query), times=runs, warm_up=0 if runs < times else 2)
    same, duckdb = timed(lambda: ask_duckdb(in_duckdb, query), times=max(3, times // 3), warm_up=3)
    return {"postgres": postgres, "duckdb": duckdb, "postgres rows": rows, "duckdb rows": same}


def _service(
    question: Question,
    metrics: list[str],
    connection: Connection,
    *,
    key: str,
    account: int,
    times: int,
    told: dict[str, dict[questions.Key, Any]],
) -> dict[str, Any]:
    if not metrics:
        return {}
    path = question.path(metrics, account=account)
    message = request("GET", path, key=key)
    answer, _ = timed(lambda: ask(connection, message), times=1, warm_up=2)
    if answer["next"]:
        raise Refused("The answer has more than one page.")
    # Without reading the JSON: the peers hand over numbers, the service bytes.
    (status, body), took = timed(lambda: connection.exchange(message), times=times, warm_up=1)
    if status != 200:
        raise Refused(f"The answer was {status} the last time.")
    answered = of_service(answer["rows"])
    return {
        "path": path,
        "service": took,
        "rows": len(answer["rows"]),
        "bytes": len(body),
        "check": check(answered, told["postgres"], metrics=metrics),
        "peers agree": not check(told["duckdb"], told["postgres"], metrics=question.metrics)["different"],
    }


def verdict(result: dict[str, Any]) -> str:
    """PASS, DIFF with the first number that differs, or why there is neither."""
    if "refused" in result:
        return f"REFUSED {result['refused']}"
    missing = ", ".join(result["missing"])
    if "service" not in result:
        return f"SKIPPED, not in the catalogue: {missing}"
    found = result["check"]
    without = f", without {missing}" if missing else ""
    if not result["peers agree"]:
        return "DIFF between PostgreSQL and DuckDB"
    if found["different"]:
        return f"DIFF {found['different']} of {found['compared']} numbers{without}; {found['first']}"
    return f"PASS {found['compared']} numbers{without}"


def is_wrong(result: dict[str, Any]) -> bool:
    return verdict(result).startswith(("DIFF", "REFUSED"))
