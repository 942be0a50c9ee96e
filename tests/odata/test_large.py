"""Many accounts and responses: pages come from indexes, and their memory is that of a page."""

import tracemalloc
from typing import Any
from unittest.mock import patch

import pytest

from app.database.connection import Connection
from app.database.statements import compile_query
from tests.odata.feeds import get, rows
from tests.support.service import Service

COUNT = 12_000
FILL = f"""
    INSERT INTO account SELECT n, 'account ' || lpad(n::text, 9, '0'), '2026-01-01' FROM generate_series(1, {COUNT}) AS n;
    INSERT INTO event (account_id, id, type, occurred_at, recorded_on, data)
        SELECT n, 'u', 'account.updated', '2026-01-01', '2026-01-01', '{{}}' FROM generate_series(1, {COUNT}) AS n;
    INSERT INTO event (account_id, id, type, occurred_at, recorded_on, data)
        SELECT n, 's' || k, 'session.ended', timestamptz '2026-01-01' + n * interval '1 minute', '2026-01-01', '{{}}'
        FROM generate_series(1, {COUNT}) AS n, generate_series(1, 5) AS k;
    INSERT INTO event (account_id, id, type, occurred_at, recorded_on, data)
        SELECT n, 'r', 'survey.responded', timestamptz '2026-01-01' + n * interval '1 minute', '2026-01-01',
            jsonb_build_object('survey', 'nps', 'score', mod(n, 11), 'comment', 'c' || n)
        FROM generate_series(1, {COUNT}, 3) AS n;
    INSERT INTO attribute (key, account_id, valid_from, recorded_on, valid_to, ceased_on, value)
        SELECT key, n, '2026-01-01', '2026-01-01', '9999-12-31', '9999-12-31', value
        FROM generate_series(1, {COUNT}) AS n, (VALUES ('plan', '"pro"'::jsonb), ('seats', '7')) AS own(key, value);
    ANALYZE;
    """


def plan_of(service: Service, path: str, **parameters: Any) -> str:
    """The plan of the statement that reads a page."""
    queries: list[Any] = []
    execute = Connection.execute

    async def note(connection: Connection, query: Any, values: Any = None) -> Any:
        if not isinstance(query, str) and query._limit_clause is not None:
            queries.append(query)
        return await execute(connection, query, values)

    with patch.object(Connection, "execute", note):
        assert get(service, path, **parameters).status_code in (200, 404)
    statement = compile_query(queries[-1])

    async def explain() -> Any:
        text = f"EXPLAIN {statement.text}"
        return await service.books.database.read(lambda connection: connection.execute(text, statement.literals))

    return "\n".join(row[0] for row in service.run(explain()))


@pytest.mark.own_database
def test_pages_of_large_sets_come_from_indexes(service: Service) -> None:
    for statement in FILL.split(";\n")[:-1]:

        async def fill(statement: str = statement) -> None:
            await service.books.database.write(lambda connection: connection.execute(statement))

        service.run(fill())
    page = get(service, "Accounts", headers={"Prefer": "maxpagesize=100"})
    for path in ("Accounts", page.json()["@odata.nextLink"].partition("/odata/v4/")[2]):
        plan = plan_of(service, path, headers={"Prefer": "maxpagesize=100"})
        assert "account_id_idx" in plan and "Sort" not in plan and "Seq Scan on account" not in plan, plan
        # The attributes are read once for each account of the page, for all columns that show them.
        assert plan.count("on attribute") == 1, plan
    responses = get(service, "SurveyResponses", headers={"Prefer": "maxpagesize=100"})
    ranges = "occurred_at ge 2026-01-10T00:00:00Z and occurred_at lt 2026-01-11T00:00:00Z"
    for path in (
        "SurveyResponses",
        responses.json()["@odata.nextLink"].partition("/odata/v4/")[2],
        f"SurveyResponses?$filter={ranges}",
    ):
        plan = plan_of(service, path, headers={"Prefer": "maxpagesize=100"})
        assert "event_responses_idx" in plan and "Seq Scan on event" not in plan, plan
    assert "event_comments_idx" in plan_of(service, "Feedback", headers={"Prefer": "maxpagesize=100"})
    assert "event_pkey" in plan_of(service, f"Feedback('{responses.json()['value'][0]['id']}')")
    assert len(rows(service, "Accounts", filter="seats eq 7 and plan eq 'pro'", select="account_id")) == COUNT

    tracemalloc.start()
    assert (
        get(
            service, "Accounts", filter="seats eq 7", orderby="plan desc", headers={"Prefer": "maxpagesize=500"}
        ).status_code
        == 200
    )
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # Of 500 rows; that of all accounts would be 24 times as much.
    assert peak < 4 * 2**20
