"""Say in the terms of the file why an event was rejected: which columns of the row the field came from."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from app.ingest.files.cell_readers import shorten
from app.ingest.files.hints import NOTHING
from app.ingest.files.mapping import EventTemplate
from app.ingest.files.templates import columns_in

_ABSENT: Any = object()
# By the code of a rejection: the option of the column that helps.
_ADVICE = {
    "int_type": 'Give the column type = "integer" under [source.columns].',
    "bool_type": 'Give the column type = "boolean" under [source.columns].',
    "string_type": 'Give the column type = "text" under [source.columns].',
    "list_type": "Give the column a separator under [source.columns].",
    "time": 'Give the column type = "datetime" under [source.columns].',
    "date": 'Give the column type = "date" under [source.columns].',
    "conflict": "If several rows make one event, set group_by; if each makes one, put what tells them apart into the id.",
    "literal_error": "Translate the spellings of the file with values under [source.columns].",
}


def explain_rejection(
    rejection: Mapping[str, Any], *, event: Mapping[str, Any], template: EventTemplate
) -> Iterator[tuple[str, str]]:
    """Yield the code and the detail of each fault of an event.

    rejection: an item of `rejected` in the API's answer. template: the part of the mapping that made the event.
    """
    for fault in rejection.get("errors") or [rejection]:
        code, pointer = str(fault["code"]), str(fault.get("pointer") or "")
        steps = [step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")[1:]]
        origin = _name_origin(steps, event, template)
        detail = f"{fault['detail'].rstrip('.')}."
        advice = _advise(code, _value_at(event, steps)) if origin.startswith("column") else ""
        yield code, " ".join(filter(None, [f"{origin}:" if origin else "", detail, advice]))


def _advise(code: str, value: Any) -> str:
    """Return which option of the mapping may help."""
    if code in ("time", "date") and str(value).startswith("9999-12-31"):
        return 'If it stands for no end, set empty = ["9999-12-31"] under [source.columns], as the file writes it.'
    if code == "missing" and value is _ABSENT:
        return "Fill the cell, or set default or when in the mapping: when makes the event only for some rows."
    if code != "money":
        return _ADVICE.get(code, "")
    if isinstance(value, str) and value.casefold() in NOTHING:
        return f'If it stands for an empty cell, set empty = ["{value}"] under [source.columns].'
    if str(value).startswith("-"):
        return "Leave such rows out with skip or when, or make refunds of them, with a column with times = -1."
    if isinstance(value, str) and re.fullmatch(r"\d+\.\d{5,}", value, re.ASCII):
        return "Round the column with decimals = 2 under [source.columns]."
    return 'Give the column type = "money" under [source.columns].'


def _name_origin(steps: list[str], event: Mapping[str, Any], template: EventTemplate) -> str:
    """Return where a field comes from, and its value: `column score (11)`; empty for an event as a whole."""
    rules = _value_at(template.model_dump(), steps) if steps else _ABSENT
    if not steps or rules is None or isinstance(rules, dict):
        return ""
    field = ".".join(steps)
    if rules is _ABSENT:
        return f"{field}, which the mapping does not set" if _value_at(event, steps) is _ABSENT else field
    columns = sorted(columns_in(rules))
    name = f"{'columns' if len(columns) > 1 else 'column'} {', '.join(columns)}" if columns else field
    value = _value_at(event, steps)
    return f"{name} (empty)" if value is _ABSENT else f"{name} ({shorten(value)})"


def _value_at(value: Any, steps: list[str]) -> Any:
    """Return the value that a pointer leads to, or _ABSENT."""
    for step in steps:
        if isinstance(value, Mapping) and step in value:
            value = value[step]
        elif isinstance(value, list) and step.isdecimal() and int(step) < len(value):
            value = value[int(step)]
        else:
            return _ABSENT
    return value
