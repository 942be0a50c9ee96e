"""What a view is, and how its SQL is written.

A view is run with the rights of its owner, so its readers need none on the tables. It is a security barrier: a function of a
reader sees no row before the view has left out what is not to be seen.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg

SCHEMA = "bi"
# Money per month is kept as money per year, so it has fractions. A sum of a million of them is still right to six decimals.
DECIMALS = 12

_DIALECT = PGDialect_psycopg(paramstyle="named")  # type: ignore[no-untyped-call]

# The last day of the books, or the day of the database's clock if that is later.
TODAY = "(SELECT greatest(last_day, (now() AT TIME ZONE reporting_timezone)::date) FROM public.books)"
ZONE = "(SELECT reporting_timezone FROM public.books)"

ACCOUNT_ID = "Your id of the account."
MONTH = "First day of the month, in the reporting time zone."
COMPLETE = "Whether the month has ended; false: it counts up to today, which is no drop."


@dataclass(frozen=True, slots=True)
class View:
    """A view of the schema `bi`. columns: their comments by their names, in the order of the query."""

    name: str
    comment: str
    columns: Mapping[str, str]
    query: str


def quote(text: str | None) -> str:
    """Return a text as SQL."""
    return "NULL::text" if text is None else "'" + text.replace("'", "''") + "'"


def quote_list(texts: Any) -> str:
    """Return texts as SQL, separated by commas."""
    return ", ".join(map(quote, texts))


def render(expression: sa.ColumnElement[Any]) -> str:
    """Return an expression of the engine as SQL, with its values in it."""
    return str(expression.compile(dialect=_DIALECT, compile_kwargs={"literal_binds": True}))


def render_number(number: Fraction) -> str:
    """Return a fraction as SQL: a whole number or a quotient of numerics."""
    return str(number.numerator) if number.denominator == 1 else f"{number.numerator}::numeric / {number.denominator}"


def day_of(instant: str) -> str:
    """Return the SQL of the day of an instant, in the reporting time zone."""
    return f"({instant} AT TIME ZONE {ZONE})::date"
