"""How answers of tools write numbers, tables and the names of tools, in few characters."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from app.metrics.define import Metric

_SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z`])")
_MAX_CELL = 160
_SPACES = re.compile(r"\s+")


def first_sentence(text: str) -> str:
    """Return the first sentence of a text.

    >>> first_sentence("First day of the range, as YYYY-MM-DD. Default: the first one.")
    'First day of the range, as YYYY-MM-DD.'
    """
    return _SENTENCE_END.split(text, maxsplit=1)[0]


def unit_of(metric: Metric, currency: str) -> str:
    """Return the unit of a metric's values; of money, the currency."""
    return currency if metric.unit == "money" else metric.unit


def shorten(text: str, length: int = _MAX_CELL) -> str:
    """Return the beginning of a text that is too long."""
    return text if len(text) <= length else f"{text[: length - 1]}…"


def shorten_texts(values: Mapping[str, Any], *, count: int, length: int) -> dict[str, Any]:
    """Return the first members of an object, with long texts cut off."""
    first = list(values.items())[:count]
    return {name: shorten(value, length) if isinstance(value, str) else value for name, value in first}


def without_empty(members: Mapping[str, Any], *, keep: Iterable[str] = ()) -> dict[str, Any]:
    """Return an object without the members that say nothing: null and empty ones. keep: those that stay."""
    kept_names = {*keep}
    return {
        name: value
        for name, value in members.items()
        if name in kept_names or not (value is None or value == [] or value == {} or value == "")
    }


def plain_number(value: Any) -> str:
    """Return a number with as many decimals as a reader needs.

    >>> [plain_number(value) for value in (12, 1234.5678, 0.012345, -3.0)]
    ['12', '1234.57', '0.0123', '-3']
    """
    if isinstance(value, int):
        return str(value)
    decimals = 2 if abs(value) >= 1 else 4
    return f"{value:.{decimals}f}".rstrip("0").rstrip(".") if value else "0"


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return rows as lines, with a header. Columns in which nothing stands are left out."""
    names = [name for name in dict.fromkeys(name for row in rows for name in row) if _has_value(rows, name)]
    lines = [" | ".join(names)]
    lines += [" | ".join(plain_value(row.get(name)) for name in names) for row in rows]
    return "\n".join(lines) if rows else ""


def _has_value(rows: Sequence[Mapping[str, Any]], name: str) -> bool:
    return any(row.get(name) not in (None, "", []) for row in rows)


def plain_value(value: Any) -> str:
    """Return a value as a table shows it, in one line."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return plain_number(value)
    if isinstance(value, list | tuple):
        return ", ".join(map(plain_value, value))
    return shorten(_SPACES.sub(" ", str(value)).replace("|", "/"))


def join_lines(*lines: str | None) -> str:
    """Return the lines that say something as one text."""
    return "\n".join(line for line in lines if line)


def next_line(cursor: str | None) -> str | None:
    """Return the line that says how to go on; None after the last page."""
    return f"There are more rows: repeat the call with cursor={cursor}" if cursor else None
