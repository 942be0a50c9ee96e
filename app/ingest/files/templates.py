"""Texts of a mapping that contain columns in braces, such as `ticket-{id}`."""

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from app.ingest.files.times import UNITS, TimeShift

_PART = re.compile(r"(?P<brace>\{\{|\}\})|\{(?P<column>[^{}]+)\}|(?P<text>[^{}]+)|(?P<stray>[{}])")

_TERM = re.compile(rf"\s*([+-])\s*(?:(\d{{1,6}})|\{{([^{{}}]+)\}})\s*({'|'.join(UNITS)})s?\s*")
_SHIFTED = re.compile(rf"\{{([^{{}}]+)\}}((?:{_TERM.pattern})+)")


# A time to which something is added, whatever the unit.
_ADDED = re.compile(r"\{[^{}]+\}\s*[+-]\s*(?:\d+|\{[^{}]+\})\s*[A-Za-z].*")


class TemplatePart(NamedTuple):
    """A part of a template: the name of a column, or plain text."""

    is_column: bool
    text: str


def split_template(template: str) -> list[TemplatePart]:
    """Return the parts of a template. Raises ValueError for a brace that stands alone.

    >>> split_template("ticket-{id}")
    [TemplatePart(is_column=False, text='ticket-'), TemplatePart(is_column=True, text='id')]
    """
    parts: list[TemplatePart] = []
    for match in _PART.finditer(template):
        if match["stray"]:
            position, literal = match.start() + 1, match[0] * 2
            raise ValueError(f"the {match[0]} at position {position} belongs to no column; write {literal} for a brace")
        if match["column"]:
            parts.append(TemplatePart(True, match["column"]))
        else:
            parts.append(TemplatePart(False, match["text"] or match[0][0]))
    return parts


def split_shifts(template: str) -> tuple[str, Sequence[TimeShift]] | None:
    """Return the column of a template that adds to a time, and what it adds; None for any other template.

    >>> split_shifts("{end} + 1 day")
    ('end', [TimeShift(sign=1, number=1, unit='day')])
    >>> split_shifts("{start} + {term} months - 1 day")
    ('start', [TimeShift(sign=1, number='term', unit='month'), TimeShift(sign=-1, number=1, unit='day')])
    >>> split_shifts("{end} and 1 day")
    """
    match = _SHIFTED.fullmatch(template)
    if match is None:
        return None
    terms = _TERM.findall(match[2])
    shifts = [TimeShift(1 if sign == "+" else -1, column or int(count), unit) for sign, count, column, unit in terms]
    return match[1], shifts


def check_added_time(template: str) -> str | None:
    """Return what is wrong with the text of a time that seems to add something, but cannot be read so; None for other texts.

    >>> check_added_time("{end} + 1 dya")
    'the added time must be a number of minutes, hours, days, weeks, months or years, such as {end} + 1 day.'
    >>> check_added_time("{day} {time}")
    """
    if not _ADDED.fullmatch(template) or split_shifts(template):
        return None
    *units, last_unit = (f"{unit}s" for unit in UNITS)
    example = f"{template.partition('}')[0]}}} + 1 day"
    return f"the added time must be a number of {', '.join(units)} or {last_unit}, such as {example}."


def columns_in(value: Any) -> set[str]:
    """Return the names of all columns in the texts within a value of the mapping, which may be nested."""
    match value:
        case str():
            return {part.text for part in split_template(value) if part.is_column}
        case list():
            return {name for item in value for name in columns_in(item)}
        case dict():
            return {name for item in value.values() for name in columns_in(item)}
    return set()


def check_templates(value: Any) -> Any:
    """Check every text within `value`, which may be nested, and return `value`. Raises ValueError, naming the key."""
    match value:
        case str():
            split_template(value)
        case list():
            for item in value:
                check_templates(item)
        case dict():
            for key, item in value.items():
                try:
                    check_templates(item)
                except ValueError as error:
                    raise ValueError(f"{key}: {error}") from None
    return value
