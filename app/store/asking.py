"""Queries that are asked often: SQLAlchemy puts them into words once, and from then on the driver is given these.

To find its words again takes SQLAlchemy longer than all else between a question and PostgreSQL.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.ext.asyncio import AsyncConnection

from app.store.database import array_of, execute

_DIALECT = PGDialect_psycopg()  # type: ignore[no-untyped-call]


class Statement(NamedTuple):
    """A query as the driver is given it, with the values of its literals."""

    text: str
    literals: Mapping[str, Any]


def written(query: sa.Select[Any]) -> Statement:
    """The words of a query, to be kept."""
    said = query.compile(dialect=_DIALECT)
    literals = {name: bind.value for bind, name in said.bind_names.items() if not bind.required}
    return Statement(str(said), literals)


async def ask(connection: AsyncConnection, statement: Statement, parameters: Mapping[str, Any]) -> Sequence[Any]:
    """The rows of a statement. Parameters that are lists are of numbers or dates."""
    arrays = {name: array_of(value) for name, value in parameters.items() if isinstance(value, list)}
    return await execute(connection, statement.text, {**statement.literals, **parameters, **arrays})
