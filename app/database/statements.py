"""SQL statements with their parameters: compile a query once, bind values to it, and hand many rows to one statement.

Many rows go to PostgreSQL as parameters of one statement, in one of two encodings:

- JSON: `bind_json_rows` sends them, `json_table` reads them in SQL. For rows with texts or documents, which are mappings.
- Arrays, one for each column: `bind_array_rows` sends them, `array_table` reads them in SQL. For rows of integers and dates,
  which are tuples.

There are two because each is several times as fast as the other for its rows. Measured with 20,000 rows: PostgreSQL reads
arrays of numbers in a third of the time of JSON, while Python takes five times as long to quote texts for arrays as to write
them as JSON. (psycopg's own conversion of Python lists to arrays takes longer than either.)

PostgreSQL cannot know how many rows a parameter holds, and might read a whole table to look up one of them. Statements
therefore look rows up in a LATERAL subquery with OFFSET 0, which cannot be flattened: each row is looked up by its key.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType
from typing import Any, NamedTuple

import sqlalchemy as sa
from pydantic_core import to_json
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg

_DIALECT = PGDialect_psycopg()  # type: ignore[no-untyped-call]
# Of one statement, since a JSON text has a maximal size and a statement a maximal time.
_MAX_ROWS = 50_000
_MAX_TEXT_BYTES = 2**23
_ROWS_AT_ONCE = 500
_ElementFormat = Callable[[Any], str]
_EMPTY: Mapping[str, Any] = MappingProxyType({})


class Statement(NamedTuple):
    """A compiled query: SQL in psycopg's notation, the values of its literals, and how to write the elements of its arrays.

    array_formats: for each parameter declared as an array of integers or dates, the function that writes one element. Values
    of these parameters are sent as the text of an array; a value that is such a text already, and all others, go to psycopg.
    """

    text: str
    literals: Mapping[str, Any] = _EMPTY
    array_formats: Mapping[str, _ElementFormat] = _EMPTY


class BoundStatement(NamedTuple):
    """A statement with the values of its parameters."""

    statement: Statement
    parameters: Mapping[str, Any]

    def driver_values(self) -> dict[str, Any]:
        """Return all values as psycopg needs them: literals and parameters, integers and dates in arrays as text."""
        (_, literals, array_formats), parameters = self
        values = {**literals, **parameters}
        for name, format_element in array_formats.items():
            if not isinstance(values[name], str):
                values[name] = _format_array(format_element, values[name])
        return values


# A batch contains few different dates.
_format_date = lru_cache(maxsize=10_000)(str)


def _format_array(format_element: _ElementFormat, values: Iterable[Any]) -> str:
    return "{" + ",".join(map(format_element, values)) + "}"


def compile_query(query: sa.Executable) -> Statement:
    """Compile a SQLAlchemy query. Callers keep the result where they can: compiling takes longer than sending."""
    compiled_query: Any = query.compile(dialect=_DIALECT, compile_kwargs={"render_postcompile": True})  # type: ignore[attr-defined]
    literals = dict(compiled_query.params)
    array_formats: dict[str, _ElementFormat] = {}
    for bind, name in compiled_query.bind_names.items():
        if bind.required:
            literals.pop(name, None)
            if isinstance(bind.type, sa.ARRAY) and isinstance(bind.type.item_type, sa.Integer | sa.Date):
                array_formats[name] = _format_date if isinstance(bind.type.item_type, sa.Date) else str
        elif name in literals and (convert := bind.type.dialect_impl(_DIALECT).bind_processor(_DIALECT)):
            literals[name] = convert(literals[name])
    return Statement(str(compiled_query), literals, array_formats)


def bind_json_rows(sql: str, rows: Sequence[Mapping[str, Any]], **parameters: Any) -> Iterator[BoundStatement]:
    """Bind rows to a statement that reads them from `json_table`; parameters: its other parameters.

    Yields one bound statement for each 50,000 rows, more for very long ones, and none without rows.
    """
    for batch in split_rows(rows):
        for text in _json_texts(batch):
            yield BoundStatement(Statement(sql), {"rows": text, **parameters})


def _json_texts(rows: Sequence[Any]) -> Iterator[str]:
    """Yield rows as texts of arrays, several if one would be very long: the driver and the connection copy it.

    They are written a few at a time, since nothing else in this process goes on while some are.
    """
    parts: list[bytes] = []
    size = 0
    for first in range(0, len(rows), _ROWS_AT_ONCE):
        part = to_json(rows[first : first + _ROWS_AT_ONCE])[1:-1]
        if parts and size + len(part) > _MAX_TEXT_BYTES:
            yield f"[{b','.join(parts).decode()}]"
            parts, size = [], 0
        parts.append(part)
        size += len(part)
    yield f"[{b','.join(parts).decode()}]"


def bind_array_rows(
    sql: str,
    columns: Mapping[str, str],
    rows: Sequence[Sequence[Any]],
    *,
    sort_key: Callable[[Any], Any] | None = None,
) -> Iterator[BoundStatement]:
    """Bind rows of integers and dates to a statement that reads them from `array_table` of the same columns.

    Yields one bound statement for each 50,000 rows, and none without rows. sort_key: sorts the rows when there is more than
    one statement, so that no statement returns to what an earlier one has locked.
    """
    if sort_key is not None and len(rows) > _MAX_ROWS:
        rows = sorted(rows, key=sort_key)
    formats = {name: _format_date if type == "date" else str for name, type in columns.items()}
    statement = Statement(sql, array_formats=formats)
    for batch in split_rows(rows):
        yield BoundStatement(statement, dict(zip(columns, zip(*batch, strict=True), strict=True)))


def split_rows(rows: Sequence[Any]) -> Iterable[Sequence[Any]]:
    """Split rows into batches of at most 50,000."""
    return (rows[first : first + _MAX_ROWS] for first in range(0, len(rows), _MAX_ROWS))


def json_table(shape: str) -> str:
    """Return the SQL that reads the rows of `bind_json_rows` as a table; shape: its name and columns, as `key(id text)`."""
    return f"json_to_recordset(CAST(%(rows)s AS json)) AS {shape}"


def array_table(columns: Mapping[str, str]) -> str:
    """Return the SQL that reads the rows of `bind_array_rows` as a table named `row`; columns: their SQL types by name."""
    arrays = ", ".join(f"CAST(%({name})s AS {type}[])" for name, type in columns.items())
    return f"unnest({arrays}) AS row({', '.join(columns)})"
