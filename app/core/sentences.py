"""What is wrong with a field, as a sentence: for each type of error that Pydantic has for our models.

Pydantic's own sentences are written for programmers ("Input should be a valid integer"). A test holds that every error that
a model can raise has a sentence here.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, get_args

from pydantic_core.core_schema import ErrorType

from app.core.names import is_repeatable

_PYDANTIC_TYPES = frozenset(get_args(ErrorType))
_FALLBACK = "{field} is not valid here."
_OBJECT = "{field} must be a JSON object."
_WHOLE_NUMBER = "{field} must be a whole number, without decimals."

# By type of error: the sentence, in which `{field}` stands for what is wrong, and the other names for what Pydantic tells
# about the error. A pair is the sentence for one, and for more than one.
_SENTENCES: dict[str, str | tuple[str, str]] = {
    "missing": "{kind} {field} is required.",
    "extra_forbidden": "{kind} {field} does not exist.",
    "model_type": _OBJECT,
    "model_attributes_type": _OBJECT,
    "dict_type": _OBJECT,
    "list_type": "{field} must be a list: a JSON array.",
    "string_type": "{field} must be a text in quotes.",
    "string_unicode": "{field} must be valid Unicode.",
    "string_too_short": ("{field} must not be empty.", "{field} must have at least {min_length:,} characters."),
    "string_too_long": "{field} must have at most {max_length:,} characters.",
    "string_pattern_mismatch": "{field} must be {form}.",
    "int_type": "{field} must be a whole number, without quotes and without decimals.",
    "int_parsing": _WHOLE_NUMBER,
    "int_parsing_size": "{field} is too large.",
    "int_from_float": _WHOLE_NUMBER,
    "float_type": "{field} must be a number, without quotes.",
    "float_parsing": "{field} must be a number.",
    "finite_number": "{field} must be a finite number.",
    "bool_type": "{field} must be true or false, without quotes.",
    "bool_parsing": "{field} must be true or false.",
    "literal_error": "{field} must be one of: {options}.",
    "union_tag_invalid": "{field} must be one of: {options}.",
    "union_tag_not_found": "{field} is required.",
    "greater_than": "{field} must be more than {gt:,}.",
    "greater_than_equal": "{field} must be at least {ge:,}.",
    "less_than": "{field} must be less than {lt:,}.",
    "less_than_equal": "{field} must be at most {le:,}.",
    "too_short": ("{field} must have at least one item.", "{field} must have at least {min_length:,} items."),
    "too_long": "{field} must have at most {max_length:,} items.",
}
# What a text must be that has to match a pattern.
_FORMS = {
    "^[A-Z]{3}$": "three capital letters, such as EUR",
    "^[a-z][a-z0-9_]{0,63}$": "a small letter with up to 63 small letters, digits and underscores after it",
}
# Pydantic's prefix of the text of a ValueError, which is ours.
_OWN_PREFIX = "Value error, "


def explain(error: Mapping[str, Any]) -> str:
    """Return what is wrong with a field, without its value. error: one of `ValidationError.errors()`."""
    kind, context, message = error["type"], error.get("ctx", {}), str(error["msg"])
    if kind == "date" and error["loc"] and is_repeatable(error["loc"][-1]):
        return f"{_name_field(error['loc'])}: {message}"
    if kind == "value_error" or kind not in _PYDANTIC_TYPES:
        return message.removeprefix(_OWN_PREFIX)
    is_text = kind in ("too_short", "too_long") and context.get("field_type") == "Value" and not _is_long_list(error)
    template = _SENTENCES.get(f"string_{kind}" if is_text else kind, _FALLBACK)
    if isinstance(template, tuple):
        template = template[context.get("min_length", 1) > 1] if context else message
    values = {"field": _name_field(error["loc"]), "kind": _kind(error["loc"])} | context
    if "discriminator" in context:  # the field that says which of several kinds of objects it is
        values["field"] = context["discriminator"].replace("'", '"')
    # The limits of a float field are floats: 0.0 is written as 0.
    values |= {name: int(limit) for name, limit in context.items() if isinstance(limit, float) and limit.is_integer()}
    values |= {"form": _FORMS.get(context.get("pattern", ""), "of another form"), "options": ", ".join(options(error))}
    try:
        return template.format_map(values)
    except KeyError:
        # An error of ours that has a type of Pydantic's, but not what Pydantic tells about it.
        return message


def _is_long_list(error: Mapping[str, Any]) -> bool:
    """Return whether what is too long is a list, which may be written as a text with commas: Pydantic has counted its items."""
    raw = error.get("input", "")
    return error["type"] == "too_long" and (
        not isinstance(raw, str) or error["ctx"]["actual_length"] <= raw.count(",") + 1
    )


def options(error: Mapping[str, Any]) -> list[str]:
    """Return the values that are allowed where a value is not one of a list; otherwise none."""
    context = error.get("ctx", {})
    return re.findall(r"'([^']*)'", context.get("expected", context.get("expected_tags", "")))


def _kind(location: Sequence[str | int]) -> str:
    return "Parameter" if len(location) > 1 and location[0] == "query" else "Field"


def _name_field(location: Sequence[str | int]) -> str:
    """Return how a sentence names the field at a location, at its beginning."""
    # The framework and `parse_query` put first where the field is. A body may have a field of that name itself.
    steps = location[1:] if len(location) > 1 and location[0] in ("query", "body", "path") else location
    if not steps or steps == ("body",):
        return "The body"
    step = steps[-1]
    if step == "[key]":
        return "A key"
    if isinstance(step, int):
        owner = next((name for name in reversed(steps) if isinstance(name, str)), None)
        return f'Item {step + 1} of "{owner}"' if is_repeatable(owner) else f"Item {step + 1}"
    return f'"{step}"' if is_repeatable(step) else "The value"
