"""Texts of a mapping that contain columns in braces, such as `ticket-{id}`."""

import re
from typing import Any, NamedTuple

_PART = re.compile(r"(?P<brace>\{\{|\}\})|\{(?P<column>[^{}]+)\}|(?P<text>[^{}]+)|(?P<stray>[{}])")


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
