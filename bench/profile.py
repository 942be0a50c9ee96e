"""Where the slowest question spends its time: its statements as PostgreSQL logged them, each explained and run again.

The embedded PostgreSQL has no auto_explain. So statements are logged with their parameters for one request.
"""

import re
from typing import Any

import psycopg
from psycopg import sql

from bench.client import Connection, ask, request
from bench.processes import Postgres, service

_LOGGING = {"log_min_duration_statement": "0", "log_error_verbosity": "default", "log_parameter_max_length": "-1"}
_ENTRY = re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\S* \S+ \[\d+\] (\w+):  ", re.MULTILINE)
_STATEMENT = re.compile(r"duration: ([\d.]+) ms  (?:execute [^:]+|statement): (.*)", re.DOTALL)
_PARAMETER = re.compile(r"\$(\d+) = (NULL|'(?:[^']|'')*')")


def explained(postgres: Postgres, name: str, path: str) -> str:
    """The plans of a request to the service whose database is `name`, with what they read and how long they took."""
    database = sql.Identifier(name)
    with postgres.connect() as connection:
        for setting, value in _LOGGING.items():
            statement = sql.SQL("ALTER DATABASE {} SET {} = {}")
            connection.execute(statement.format(database, sql.Identifier(setting), sql.Literal(value)))
    try:
        with (
            service(postgres.database(name), log=postgres.logs / "service.log") as running,
            Connection(running.port) as line,
        ):
            message = request("GET", path, key=running.keys["read"])
            ask(line, message)
            before = _log(postgres)
            ask(line, message)
            said = _log(postgres)[len(before) :]
    finally:
        with postgres.connect() as connection:
            for setting in _LOGGING:
                connection.execute(sql.SQL("ALTER DATABASE {} RESET {}").format(database, sql.Identifier(setting)))
    with postgres.connect(name) as connection:
        plans = [_plan(connection, *found) for found in _statements(said)]
    return f"{path}\n\n" + "\n\n".join(plans) + "\n"


def _log(postgres: Postgres) -> str:
    files = (postgres.folder / "cluster" / "log").glob("postgresql-*.log")
    return max(files, key=lambda file: file.stat().st_mtime_ns).read_text(errors="replace")


def _statements(said: str) -> list[tuple[float, str, list[str]]]:
    """Duration in ms, text and parameters of the statements in a piece of the log."""
    starts = list(_ENTRY.finditer(said))
    ends = [start.start() for start in starts[1:]] + [len(said)]
    found: list[tuple[float, str, list[str]]] = []
    is_ours = False
    for start, end in zip(starts, ends, strict=True):
        text = said[start.end() : end].strip()
        if start[1] == "LOG":
            # Parsing and binding are logged too, with parameters of their own.
            if statement := _STATEMENT.match(text):
                found.append((float(statement[1]), statement[2], []))
            is_ours = statement is not None
        elif start[1] == "DETAIL" and is_ours:
            found[-1][2].extend(value for _, value in _PARAMETER.findall(text))
    return [row for row in found if re.match(r"\s*(SELECT|WITH)\b", row[1])]


def _plan(connection: psycopg.Connection[Any], duration: float, text: str, parameters: list[str]) -> str:
    asked = f"{text}\n-- with {', '.join(parameters)[:2_000]}\n-- took {duration} ms\n"
    connection.execute("DEALLOCATE ALL")
    connection.execute(f"PREPARE asked AS {text}".encode())
    arguments = f"({', '.join(parameters)})" if parameters else ""
    rows = connection.execute(f"EXPLAIN (ANALYZE, BUFFERS, SETTINGS) EXECUTE asked{arguments}".encode()).fetchall()
    return asked + "\n".join(row[0] for row in rows)
