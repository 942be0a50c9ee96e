"""The catalogue of attributes: keys, types and most frequent values, as recorded now.

However many accounts there are, a bounded number of rows is read for each attribute. They are those of the accounts with the
lowest numbers, which are hashes of their ids: a random sample.
"""

from datetime import date
from typing import Any

from app.database.connection import Connection
from app.database.tables import MAX_DATE
from app.http.openapi import list_schema, object_schema, response_schema

_MAX_ROWS = 5_000
_MAX_VALUES = 10

VALUE_SCHEMA: dict[str, Any] = {"type": ["string", "number", "boolean", "null"]}
ATTRIBUTES_SCHEMA = response_schema(
    "A page of attributes.",
    object_schema(
        "AttributePage",
        {
            "attributes": list_schema(
                "Attribute",
                {
                    "key": {"type": "string"},
                    "types": {
                        "type": "array",
                        "items": {"type": "string", "enum": ["boolean", "number", "string"]},
                        "description": "The types of its values; none when no account has a value today.",
                    },
                    "accounts": {"type": "integer", "description": "How many accounts have a value today."},
                    "values": list_schema("AttributeValue", {"value": VALUE_SCHEMA, "accounts": {"type": "integer"}})
                    | {"description": f"Up to {_MAX_VALUES} values, the most frequent first, with their accounts."},
                    "sampled": {
                        "type": "boolean",
                        "description": f"Whether types, values and accounts are those of a sample of {_MAX_ROWS:,} accounts or "
                        "fewer, since the attribute has more.",
                    },
                },
            ),
            "next": {"type": ["string", "null"], "description": "The cursor of the next page; null on the last one."},
        },
    ),
)

# The keys are found by one step in the index for each; the rows of a key are read in the order of the same index, one more than
# are counted, which shows whether these are a sample.
_ATTRIBUTES = f"""
    WITH RECURSIVE keys(key) AS (
        (SELECT min(key) FROM attribute WHERE key > %(after)s)
        UNION ALL
        SELECT (SELECT min(attribute.key) FROM attribute WHERE attribute.key > keys.key) FROM keys WHERE keys.key IS NOT NULL)
    SELECT page.key, sample.types, sample.accounts, sample.frequent, sample.is_partial
    FROM (SELECT key FROM keys WHERE key IS NOT NULL LIMIT %(limit)s) AS page
    CROSS JOIN LATERAL (
        WITH rows AS MATERIALIZED (
            SELECT *, row_number() OVER (ORDER BY account_id) AS number FROM attribute WHERE attribute.key = page.key
            ORDER BY account_id LIMIT {_MAX_ROWS} + 1),
        frequencies AS (
            SELECT value, count(*) AS accounts FROM rows
            WHERE number <= {_MAX_ROWS} AND value IS NOT NULL
                AND ceased_on = %(max_date)s AND valid_from <= %(on)s AND valid_to > %(on)s
            GROUP BY value)
        SELECT
            (SELECT coalesce(array_agg(DISTINCT jsonb_typeof(value)), '{{}}') FROM frequencies) AS types,
            (SELECT coalesce(sum(accounts), 0)::bigint FROM frequencies) AS accounts,
            (SELECT coalesce(jsonb_agg(jsonb_build_object('value', value, 'accounts', accounts)), '[]') FROM (
                SELECT * FROM frequencies ORDER BY accounts DESC, value LIMIT {_MAX_VALUES}) AS top) AS frequent,
            (SELECT count(*) > {_MAX_ROWS} FROM rows) AS is_partial) AS sample
    ORDER BY page.key
    """


async def list_attributes(connection: Connection, *, on: date, after: str, limit: int) -> list[dict[str, Any]]:
    """Return attributes as the API shows them, ordered by key, after a key. on: the day at whose start values count."""
    parameters = {"after": after, "limit": limit, "on": on, "max_date": MAX_DATE}
    return [
        {
            "key": row.key,
            "types": sorted(row.types),
            "accounts": row.accounts,
            "values": row.frequent,
            "sampled": row.is_partial,
        }
        for row in await connection.execute(_ATTRIBUTES, parameters)
    ]
