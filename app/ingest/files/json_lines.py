"""Read a line of an NDJSON file, more strictly than the standard library does."""

import json
import re
from typing import Any

MAX_LEVELS = 64
SURROGATE = re.compile("[\ud800-\udfff]")


def parse_json_line(line: str) -> dict[str, Any] | None:
    """Return the object of a line, None for a blank one. Raises ValueError or RecursionError."""
    if not line.strip(" \t\r\n"):
        return None
    value = json.loads(line, object_pairs_hook=_object_of_pairs, parse_constant=_refuse_constant)
    if not isinstance(value, dict):
        raise ValueError("not a JSON object")
    if line.count("[") + line.count("{") > MAX_LEVELS and _depth(value) > MAX_LEVELS:
        raise ValueError(f"nested more than {MAX_LEVELS} levels deep")
    if "\\u" in line and SURROGATE.search(json.dumps(value, ensure_ascii=False)):
        raise ValueError("half of a surrogate pair")
    return value


def find_json_problem(error: Exception) -> str:
    """Return what is wrong with a line, by the error that it raised."""
    if isinstance(error, json.JSONDecodeError):
        return f"not JSON: {error.msg} at character {error.colno}"
    return "nested too deeply" if isinstance(error, RecursionError) else str(error)


def _depth(value: Any) -> int:
    depth, values = 0, [value]
    while values := [value for value in values if isinstance(value, list | dict)]:
        depth += 1
        values = [item for value in values for item in (value.values() if isinstance(value, dict) else value)]
    return depth


def _object_of_pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("an object has the same key twice")
    return members


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")
