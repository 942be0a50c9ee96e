"""Explain where a question spends its time: its statements, as PostgreSQL logged them, each explained and run again.

The embedded PostgreSQL has no auto_explain, so statements are logged with their parameters for one request.
"""

import re
from typing import Any

import psycopg
from psycopg import sql

from bench.client import Connection, build_request, fetch_json
from bench.processes import Postgres, run_service

_LOGGING = {"log_min_duration_statement": "0", "log_error_verbosity": "default", "log_parameter_max_length": "-1"}
_ENTRY = re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\S* \S+ \[\d+\] (\w+):  ", re.MULTILINE)
_STATEMENT = re.compile(r"duration: ([\d.]+) ms  (?:execute [^:]+|statement): (.*)", re.DOTALL)
_PARAMETER = re.compile(r"\$(\d+) = (NULL|'(?:[^']|'')*')")


def explain_request(postgres: Postgres, name: str, path: str) -> str:
    """Return the query plans of a request to the service on the database `name`, with buffers and times."""
    database = sql.Identifier(name)
    with postgres.connect() as connection:
        for setting, value in _LOGGING.items():
            statement = sql.SQL("ALTER DATABASE {} SET {} = {}")
            connection.execute(statement.format(database, sql.Identifier(setting), sql.Literal(value)))
    try:
        with (
            run_service(postgres.database(name), log=postgres.logs / "service.log") as server,
            Connection(server.port) as client,
        ):
            request = build_request("GET", path, key=server.keys["read"])
            fetch_json(client, request)
            before = _read_log(postgres)
            fetch_json(client, request)
            logged = _read_log(postgres)[len(before) :]
    finally:
        with postgres.connect() as connection:
            for setting in _LOGGING:
                connection.execute(sql.SQL("ALTER DATABASE {} RESET {}").format(database, sql.Identifier(setting)))
    with postgres.connect(name) as connection:
        plans = [_explain(connection, *statement) for statement in _find_statements(logged)]
    return f"{path}\n\n" + "\n\n".join(plans) + "\n"


def _read_log(postgres: Postgres) -> str:
    files = (postgres.folder / "cluster" / "log").glob("postgresql-*.log")
    return max(files, key=lambda file: file.stat().st_mtime_ns).read_text(errors="replace")


def _find_statements(logged: str) -> list[tuple[float, str, list[str]]]:
    """Return duration in ms, text and parameters of the queries in a piece of the log."""
    starts = list(_ENTRY.finditer(logged))
    ends = [start.start() for start in starts[1:]] + [len(logged)]
    statements: list[tuple[float, str, list[str]]] = []
    is_after_statement = False
    for start, end in zip(starts, ends, strict=True):
        text = logged[start.end() : end].strip()
        if start[1] == "LOG":
            # Parsing and binding are logged too, with parameters of their own.
            if statement := _STATEMENT.match(text):
                statements.append((float(statement[1]), statement[2], []))
            is_after_statement = statement is not None
        elif start[1] == "DETAIL" and is_after_statement:
            statements[-1][2].extend(value for _, value in _PARAMETER.findall(text))
    return [statement for statement in statements if re.match(r"\s*(SELECT|WITH)\b", statement[1])]


def _explain(connection: psycopg.Connection[Any], duration: float, text: str, parameters: list[str]) -> str:
    head = f"{text}\n-- with {', '.join(parameters)[:2_000]}\n-- took {duration} ms\n"
    connection.execute("DEALLOCATE ALL")
    connection.execute(f"PREPARE question AS {text}".encode())
    arguments = f"({', '.join(parameters)})" if parameters else ""
    rows = connection.execute(f"EXPLAIN (ANALYZE, BUFFERS, SETTINGS) EXECUTE question{arguments}".encode()).fetchall()
    return head + "\n".join(row[0] for row in rows)
