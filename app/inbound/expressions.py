"""JMESPath expressions, with three functions more than the standard has: `time`, `decimal` and `slug`.

- `time(x)`: a time as events have it, from seconds or milliseconds since 1970 or from a text with an offset.
- `decimal(x, digits)`: a decimal text of an integer in the smallest unit of its currency: `decimal(1999, 2)` is `"19.99"`.
- `slug(x)`: a name in small letters with hyphens: `slug('Too Expensive!')` is `"too-expensive"`.
"""

import math
import re
from collections.abc import Iterator
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from functools import lru_cache
from typing import Annotated, Any

import jmespath
from jmespath import functions
from jmespath.exceptions import JMESPathError
from jmespath.visitor import TreeInterpreter
from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from app.http.encoding import MAX_DEPTH, MAX_VALUES_AT_ONCE
from app.ingest.payload import Untranslatable, format_moment, parse_moment

_MAX_LENGTH = 2_000
# Of all expressions of one delivery: some seconds. 10,000 items of ten fields each take a third of it.
MAX_STEPS = 3_000_000
# Characters of a text that take as long as a step.
_CHARACTERS_PER_STEP = 16
_MAX_DIGITS = 6
_MAX_WHOLE_DIGITS = 20
# What an expression is evaluated over. Any other field at its beginning finds nothing, always.
_ROOTS = frozenset({"payload", "item", "headers"})
# Nodes of which the first child, or each child, is evaluated over the same as the node itself.
_CHAINS = frozenset(
    {"subexpression", "index_expression", "projection", "value_projection", "filter_projection", "flatten", "pipe"}
)
_COMBINATIONS = frozenset({"or_expression", "and_expression", "not_expression", "comparator", "function_expression"})


class _Functions(functions.Functions):
    @functions.signature({"types": ["string", "number", "null"]})
    def _func_time(self, raw: Any) -> str | None:
        time = parse_moment(raw)
        return None if time is None else format_moment(time)

    @functions.signature({"types": ["string", "number", "null"]}, {"types": ["number"]})
    def _func_decimal(self, raw: Any, digits: Any) -> str | None:
        if raw is None or not 0 <= digits <= _MAX_DIGITS:
            return None
        try:
            amount = Decimal(raw).scaleb(-int(digits))
        except ArithmeticError:
            return None
        return f"{amount:f}" if amount.is_finite() and -20 < amount.adjusted() < 20 else None

    @functions.signature({"types": ["string", "null"]})
    def _func_slug(self, raw: Any) -> str | None:
        return re.sub(r"[\W_]+", "-", raw.casefold()).strip("-") or None if raw else None

    # The parser of bodies keeps decimals exact, so they are numbers, too. The library looks at the names of types.
    def _get_allowed_pytypes(self, types: Any) -> tuple[list[str], list[list[str]]]:
        names, parts = super()._get_allowed_pytypes(types)  # type: ignore[misc]
        return _with_decimal(names), [_with_decimal(part) for part in parts]

    # As int does, the library's rounding would write a number such as 1e999999999 out, and fill the memory.
    @functions.signature({"types": ["number"]})
    def _func_ceil(self, raw: Any) -> Any:
        return _to_whole(raw, ROUND_CEILING)

    @functions.signature({"types": ["number"]})
    def _func_floor(self, raw: Any) -> Any:
        return _to_whole(raw, ROUND_FLOOR)

    @functions.signature({"types": []})
    def _func_to_number(self, raw: Any) -> Any:
        return raw if isinstance(raw, Decimal) else super()._func_to_number(raw)  # type: ignore[misc]

    @functions.signature({"types": []})
    def _func_type(self, raw: Any) -> Any:
        return "number" if isinstance(raw, Decimal) else super()._func_type(raw)  # type: ignore[misc]

    @functions.signature({"types": []})
    def _func_to_string(self, raw: Any) -> str:
        return str(raw) if isinstance(raw, Decimal) else super()._func_to_string(raw)  # type: ignore[misc]

    def _convert_to_jmespath_type(self, name: str) -> Any:
        return "number" if name == "Decimal" else super()._convert_to_jmespath_type(name)  # type: ignore[misc]


def _to_whole(number: Any, rounding: str) -> Any:
    """Return a number rounded to a whole one; one of very many digits has no decimals."""
    exact = Decimal(repr(number) if isinstance(number, float) else number)
    return int(exact.to_integral_value(rounding)) if exact.adjusted() < _MAX_WHOLE_DIGITS else number


def _with_decimal(names: Any) -> list[str]:
    return [*names, "Decimal"] if "float" in names else [*names]


_FUNCTIONS = _Functions()
_OPTIONS = jmespath.Options(custom_functions=_FUNCTIONS)


class TooManySteps(Untranslatable):
    """The expressions of a mapping take too long for a payload."""


class Budget:
    """How many steps the expressions may still take for one delivery."""

    def __init__(self, steps: int = MAX_STEPS) -> None:
        self.steps = steps

    def spend(self, steps: int) -> None:
        """Take steps off. Raises TooManySteps."""
        self.steps -= steps
        if self.steps < 0:
            raise TooManySteps("The expressions of the mapping take too long for this payload. Simplify them.")


class _Interpreter(TreeInterpreter):
    """Evaluates an expression within a budget: an expression of a few characters may double a value again and again."""

    def __init__(self, budget: Budget) -> None:
        super().__init__(_OPTIONS)
        self._budget = budget

    def visit(self, node: Any, *arguments: Any, **named_arguments: Any) -> Any:
        self._budget.spend(1)
        return super().visit(node, *arguments, **named_arguments)

    def visit_flatten(self, node: Any, value: Any) -> Any:
        return self._spend_length(super().visit_flatten(node, value))

    def visit_slice(self, node: Any, value: Any) -> Any:
        return self._spend_length(super().visit_slice(node, value))

    def visit_multi_select_list(self, node: Any, value: Any) -> Any:
        return self._spend_size(super().visit_multi_select_list(node, value))

    def visit_multi_select_dict(self, node: Any, value: Any) -> Any:
        return self._spend_size(super().visit_multi_select_dict(node, value))

    def visit_function_expression(self, node: Any, value: Any) -> Any:
        arguments = [self.visit(child, value) for child in node["children"]]
        for argument in arguments:
            # Of these functions, what they look at is within lists, too.
            (self._spend_size if node["value"] in ("to_string", "contains") else self._spend_length)(argument)
        return self._spend_length(_FUNCTIONS.call_function(node["value"], arguments))

    def _spend_length(self, value: Any) -> Any:
        self._budget.spend(_length_of(value))
        return value

    def _spend_size(self, value: Any) -> Any:
        self._budget.spend(count_values(value, limit=self._budget.steps))
        return value


def _length_of(value: Any) -> int:
    if isinstance(value, str):
        return len(value) // _CHARACTERS_PER_STEP
    return len(value) if isinstance(value, list | dict) else 0


def count_values(value: Any, *, limit: int) -> int:
    """Return how many values there are within a value, counting one that is there several times as often.

    It stops beyond `limit`.
    """
    count, values = 0, [value]
    while values and count <= limit:
        own = values.pop()
        count += 1
        if isinstance(own, str):
            count += _length_of(own)
        elif isinstance(own, dict):
            values.extend(own.values())
        elif isinstance(own, list):
            values.extend(own)
    return count + len(values)


@lru_cache(maxsize=1_000)
def _compile(expression: str) -> Any:
    return jmespath.compile(expression)


def _find_roots(node: dict[str, Any]) -> Iterator[str]:
    """Yield the fields that an expression looks for in what it is evaluated over."""
    kind, children = node["type"], node["children"]
    if kind == "field":
        yield node["value"]
    for child in children[:1] if kind in _CHAINS else children if kind in _COMBINATIONS else ():
        yield from _find_roots(child)


def _check(expression: str) -> str:
    try:
        has_other_root = not _ROOTS.issuperset(_find_roots(_compile(expression).parsed))
    except (JMESPathError, RecursionError) as error:
        # The parser's own words repeat the expression, which answers never do.
        position = getattr(error, "lex_position", None)
        where = "" if position is None else f": it is wrong at character {position + 1}"
        raise PydanticCustomError("expression", "This is not a JMESPath expression{where}.", {"where": where}) from None
    if has_other_root:
        # `nps` for `'nps'`, or `email` for `item.email`: valid, and null of every payload.
        detail = "An expression begins with payload, item or headers. A text stands in single quotes: 'nps'."
        raise PydanticCustomError("expression", detail)
    return expression


# A JMESPath expression, as a field of a mapping.
Expression = Annotated[str, Field(min_length=1, max_length=_MAX_LENGTH), AfterValidator(_check)]


def evaluate(expression: str, scope: Any, pointer: str, budget: Budget) -> Any:
    """Return the value of an expression. pointer: where it stands, for the error. Raises Untranslatable."""
    try:
        value = _Interpreter(budget).visit(_compile(expression).parsed, scope)
    except (JMESPathError, ArithmeticError, TypeError, ValueError, AttributeError, RecursionError) as error:
        reason = " ".join(str(error).split())[:300]
        raise Untranslatable(f"The expression at {pointer} fails: {reason}") from None
    if (fault := _find_fault(value)) is not None:
        raise Untranslatable(f"The value of the expression at {pointer} {fault}.")
    return value


def _has_surrogate(text: str) -> bool:
    return not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text)


def _find_fault(value: Any) -> str | None:
    """Return why a value cannot be one of an event, as the end of a sentence: an expression makes more than JSON has."""
    if isinstance(value, list | dict) and count_values(value, limit=MAX_VALUES_AT_ONCE) > MAX_VALUES_AT_ONCE:
        return f"has more than {MAX_VALUES_AT_ONCE:,} values in it"
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        for own in level:
            if isinstance(own, float | Decimal) and not math.isfinite(own):
                return "is no finite number"
            if own is not None and not isinstance(own, bool | int | float | Decimal | str | list | dict):
                return "is no JSON value"
            texts = [own] if isinstance(own, str) else own if isinstance(own, dict) else ()
            if any(_has_surrogate(text) for text in texts):
                return "has half of a surrogate pair"
        containers = [own for own in level if isinstance(own, list | dict)]
        level = [part for own in containers for part in (own.values() if isinstance(own, dict) else own)]
        if not level:
            return None
    return f"is nested more than {MAX_DEPTH} levels deep"
