"""Numbers, periods and names as charts write them. Names are data of clients: they are written, never interpreted."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from textwrap import wrap
from typing import Any

from app.charts.theme import TEXT_CHARACTER, TITLE_CHARACTER
from app.metrics.phrases import UNIT_SUFFIXES

_MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
_MONTH_NAME = re.compile(r"(\d{4})-(\d\d)")
_MAX_NAME = 120
# What is beside a title: the labels of an axis, and the edges.
_BESIDE_PIXELS = 90
# What a mixed text of several names is put between, so that one of them that is written from right to left turns no other around.
_ISOLATE, _POP_ISOLATE = "\u2068", "\u2069"
# They belong to the letters between which they are.
_JOINERS = "\u200c\u200d"
# What every object of JavaScript has. Vega looks names up in objects, and finds these instead of nothing.
_OBJECT_MEMBERS = {
    *(
        "constructor",
        "hasOwnProperty",
        "isPrototypeOf",
        "propertyIsEnumerable",
        "toLocaleString",
        "toString",
        "valueOf",
    ),
    *("__proto__", "__defineGetter__", "__defineSetter__", "__lookupGetter__", "__lookupSetter__"),
}
_DECIMALS = {"percent": 1, "points": 1, "ratio": 2, "score": 2, "count": 2, "money": 2}
_STEPS = ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k"))
# Units as a chart says what its axis counts.
_UNIT_NAMES = {"percent": "percent", "points": "points", "ratio": "ratio", "score": "score", "count": ""}
_SUFFIXES = UNIT_SUFFIXES | {"points": " points"}


def clean_name(value: Any) -> str:
    """Return a value of a client as a name in a chart: on one line, without what would change the text around it."""
    if isinstance(value, bool):
        return str(value).lower()
    if value is None:
        return "none"
    text = "".join(own if _is_plain(own) else " " for own in str(value))
    text = " ".join(text.split())
    if text in _OBJECT_MEMBERS:
        # It looks the same, and is another name.
        return f"{_ISOLATE}{text}{_POP_ISOLATE}"
    return text if len(text) <= _MAX_NAME else text[: _MAX_NAME - 1] + "…"


def _is_plain(character: str) -> bool:
    """Return whether a character may be in a name: no line end, no mark that turns the text around, nothing XML forbids."""
    if character in _JOINERS:
        return True
    return unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Cn", "Zl", "Zp")


def join_names(names: Iterable[Any]) -> str:
    """Return several names as one."""
    parts = [clean_name(name) for name in names]
    return parts[0] if len(parts) == 1 else " · ".join(f"{_ISOLATE}{part}{_POP_ISOLATE}" for part in parts)


def format_value(value: float | int, unit: str, currency: str, amount: str | None = None) -> str:
    """Return a number with its unit. amount: of money, the exact amount."""
    if unit == "money":
        return f"{group_digits(amount) if amount is not None else _decimal(value, 2)} {currency}"
    return f"{_decimal(value, _DECIMALS.get(unit, 1))}{_SUFFIXES.get(unit, '')}"


def format_short(value: float | int, unit: str) -> str:
    """Return a number in few characters, for labels: 1250000 as 1.25M. Percentages have their sign, other units none."""
    size = abs(value)
    for step, letter in _STEPS:
        if size >= step and size >= 10_000:
            return f"{_decimal(value / step, 1 if size / step >= 10 else 2)}{letter}"
    text = _decimal(value, 0 if unit == "money" and size >= 100 else _DECIMALS.get(unit, 1))
    return f"{text}%" if unit == "percent" else text


def group_digits(amount: str) -> str:
    """Return an amount as answers have it with its thousands apart."""
    return f"{Decimal(amount):,}".replace("-", "−")


def _decimal(value: float | int, digits: int) -> str:
    """Return a number with up to so many decimals."""
    text = f"{value:,.{digits}f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text == "-0" else text.replace("-", "−")


def unit_name(unit: str, currency: str) -> str:
    """Return the name of a unit; empty for what is counted."""
    return currency if unit == "money" else _UNIT_NAMES.get(unit, unit)


def period_label(name: str, start: date | str, end: date | str) -> str:
    """Return the name of a period as charts write it: a month in letters, a range as its days."""
    if match := _MONTH_NAME.fullmatch(name):
        return f"{_MONTHS[int(match[2]) - 1]} {match[1]}"
    if name == "total":
        last = date.fromisoformat(str(end)).toordinal() - 1
        return f"{start} to {date.fromordinal(last)}"
    return name


def row_label(row: Mapping[str, Any]) -> str:
    """Return the name of the period of a row."""
    return period_label(row["period"], row["start"], row["end"])


def wrap_title(text: str, width: int) -> list[str]:
    """Return a title as lines, for a picture of this width."""
    return wrap(text, max(16, int((width - _BESIDE_PIXELS) / TITLE_CHARACTER))) or [""]


def wrap_notes(notes: Iterable[str], width: int) -> list[str]:
    """Return sentences as lines."""
    return [line for note in notes for line in wrap(note, max(20, int((width - _BESIDE_PIXELS) / TEXT_CHARACTER)))]


def format_reason(reason: str | None) -> str:
    """Return a reason for people: `no_responses` as no responses."""
    return (reason or "no value").replace("_", " ")


def missing_note(rows: Sequence[Mapping[str, Any]]) -> str | None:
    """Return the sentence about the rows without a value; None where every row has one."""
    reasons = Counter(format_reason(row.get("reason")) for row in rows if row["value"] is None)
    if not reasons:
        return None
    parts = [f"{reason} ({count})" for reason, count in sorted(reasons.items())]
    return f"× No value: {', '.join(parts)}."


def left_out_note(count: int, noun: str, rule: str) -> str | None:
    """Return the sentence about what a chart leaves out; None for nothing. rule: which these are."""
    return f"{plural(count, noun)} not shown: {rule}." if count else None


def plural(count: int, noun: str) -> str:
    """Return a count with its noun: 1 account, 3 accounts."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
