"""Rows as tables of pandas and polars, with the same columns in both formats that the service may have."""

from collections.abc import Iterable, Mapping
from datetime import date
from decimal import Decimal
from io import BytesIO
from json import loads
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas
    import polars

_DAYS = ("start", "end")
_BEFORE_GROUPS = ("metric", "period", "start", "end", "complete")
_NESTED = ("group", "interval")


def pandas_frame(content: bytes, *, is_parquet: bool) -> "pandas.DataFrame":
    """Return the rows of a response as a frame of pandas. Raises ImportError without pandas."""
    import pandas

    if is_parquet:
        return pandas.read_parquet(BytesIO(content))
    return pandas.DataFrame(flat_rows(content))


def polars_frame(content: bytes, *, is_parquet: bool) -> "polars.DataFrame":
    """Return the rows of a response as a frame of polars. Raises ImportError without polars."""
    import polars

    if is_parquet:
        return polars.read_parquet(BytesIO(content))
    return polars.DataFrame(flat_rows(content), infer_schema_length=None)


def flat_rows(content: bytes) -> list[dict[str, Any]]:
    """Return the rows of an NDJSON response with a member for each grouping and for both ends of the interval."""
    rows = [_flatten(loads(line)) for line in content.splitlines() if line]
    names = list(dict.fromkeys(name for row in rows for name in row))
    return [{name: row.get(name) for name in names} for row in rows]


def _flatten(row: Mapping[str, Any]) -> dict[str, Any]:
    flat = {name: _value(name, row[name]) for name in _BEFORE_GROUPS if name in row}
    rest = [name for name in row if name not in flat and name not in _NESTED]
    for key, value in row.get("group", {}).items():
        flat[_free_name(key, [*flat, *rest])] = value
    low, high = row.get("interval") or (None, None)
    interval = {"low": low, "high": high} if "interval" in row else {}
    return flat | {name: _value(name, row[name]) for name in rest} | interval


def _free_name(key: str, names: Iterable[str]) -> str:
    """Return the name of a grouping's column, which no other column has: as in the tables of the service."""
    taken = set(names)
    while key in taken:
        key = f"group.{key}"
    return key


def _value(name: str, value: Any) -> Any:
    if name in _DAYS and value is not None:
        return date.fromisoformat(value)
    return Decimal(value) if name == "amount" and value is not None else value
