"""Statements: rows arrive in PostgreSQL as they were bound, in both encodings, and lists as their parameters declare."""

import asyncio
import json
from datetime import date
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from app.database import statements
from app.database.pool import connect
from app.database.statements import (
    BoundStatement,
    array_table,
    bind_array_rows,
    bind_json_rows,
    compile_query,
    json_table,
)

COLUMNS = {"number": "bigint", "day": "date"}
ROWS = [(2**63 - 1, date(1, 1, 1)), (-(2**63), date(9999, 12, 31)), (0, date(2026, 3, 14)), (1, date(2026, 3, 14))]


def fetch(database: str, *bound: BoundStatement) -> list[list[tuple[Any, ...]]]:
    async def fetch_from_pool() -> list[list[tuple[Any, ...]]]:
        pool = connect(database, pool_size=1)
        try:
            return await pool.read(lambda connection: connection.fetch_batch(*bound))
        finally:
            await pool.engine.dispose()

    return asyncio.run(fetch_from_pool())


def test_both_encodings_give_the_rows_that_were_bound(database: str) -> None:
    arrays = bind_array_rows(f"SELECT * FROM {array_table(COLUMNS)}", COLUMNS, ROWS)
    objects = [dict(zip(COLUMNS, row, strict=True)) for row in ROWS]
    texts = bind_json_rows(f"SELECT * FROM {json_table('row(number bigint, day date)')}", objects)
    assert fetch(database, *arrays, *texts) == [ROWS, ROWS]


def test_many_rows_are_several_statements_and_no_rows_are_no_statement(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statements, "_MAX_ROWS", 3)
    parts = [part.parameters["number"] for part in bind_array_rows("", COLUMNS, ROWS, sort_key=lambda row: row[0])]
    assert parts == [(-(2**63), 0, 1), (2**63 - 1,)]
    assert len(list(bind_json_rows("", [{}] * 7))) == 3
    assert [*bind_array_rows("", COLUMNS, []), *bind_json_rows("", [])] == []


@pytest.mark.parametrize(
    ("item_type", "values"),
    [
        (sa.BigInteger, [1, -(2**63)]),
        (sa.Date, [date(2026, 3, 14), date(1, 1, 1)]),
        (sa.Text, ["", 'a "quoted" \\ text', "{1,2}", "NULL"]),
        (sa.Integer, []),
        (sa.Date, []),
        (sa.Text, []),
    ],
)
def test_a_list_is_sent_as_its_parameter_declares(database: str, item_type: Any, values: list[Any]) -> None:
    query = compile_query(sa.select(sa.bindparam("values", type_=sa.ARRAY(item_type))))
    [[(result,)]] = fetch(database, BoundStatement(query, {"values": values}))
    assert result == values


@given(st.lists(st.text(max_size=30), min_size=1, max_size=30), st.integers(1, 9), st.integers(1, 200))
def test_rows_in_several_texts_are_the_rows_that_were_bound(
    texts: list[str], rows_at_once: int, max_bytes: int
) -> None:
    rows = [{"number": number, "text": text} for number, text in enumerate(texts)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(statements, "_ROWS_AT_ONCE", rows_at_once)
        patch.setattr(statements, "_MAX_TEXT_BYTES", max_bytes)
        bound = [json.loads(statement.parameters["rows"]) for statement in bind_json_rows("", rows)]
    assert [row for part in bound for row in part] == rows
    assert all(bound)
