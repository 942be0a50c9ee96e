"""JMESPath expressions, with three functions more than the standard has: `time`, `decimal` and `slug`.

- `time(x)`: a time as events have it, from seconds or milliseconds since 1970 or from a text with an offset.
- `decimal(x, digits)`: a decimal text of an integer in the smallest unit of its currency: `decimal(1999, 2)` is `"19.99"`.
- `slug(x)`: a name in small letters with hyphens: `slug('Too Expensive!')` is `"too-expensive"`.
"""

import re
from decimal import Decimal
from functools import lru_cache
from typing import Annotated, Any

import jmespath
from jmespath import functions
from jmespath.exceptions import JMESPathError
from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from app.inbound.payload import Untranslatable, format_moment, parse_moment

_MAX_LENGTH = 2_000
_MAX_DIGITS = 6


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

    @functions.signature({"types": []})
    def _func_to_string(self, raw: Any) -> str:
        return str(raw) if isinstance(raw, Decimal) else super()._func_to_string(raw)  # type: ignore[misc]

    def _convert_to_jmespath_type(self, name: str) -> Any:
        return "number" if name == "Decimal" else super()._convert_to_jmespath_type(name)  # type: ignore[misc]


def _with_decimal(names: Any) -> list[str]:
    return [*names, "Decimal"] if "float" in names else [*names]


_OPTIONS = jmespath.Options(custom_functions=_Functions())


@lru_cache(maxsize=1_000)
def _compile(expression: str) -> Any:
    return jmespath.compile(expression)


def _check(expression: str) -> str:
    try:
        _compile(expression)
    except (JMESPathError, RecursionError) as error:
        # The parser's own words repeat the expression, which answers never do.
        position = getattr(error, "lex_position", None)
        where = "" if position is None else f": it is wrong at character {position + 1}"
        raise PydanticCustomError("expression", "This is not a JMESPath expression{where}.", {"where": where}) from None
    return expression


# A JMESPath expression, as a field of a mapping.
Expression = Annotated[str, Field(min_length=1, max_length=_MAX_LENGTH), AfterValidator(_check)]


def evaluate(expression: str, scope: Any, pointer: str) -> Any:
    """Return the value of an expression. pointer: where it stands, for the error. Raises Untranslatable."""
    try:
        return _compile(expression).search(scope, options=_OPTIONS)
    except (JMESPathError, ArithmeticError, TypeError, ValueError, AttributeError, RecursionError) as error:
        reason = " ".join(str(error).split())[:300]
        raise Untranslatable(f"The expression at {pointer} fails: {reason}") from None
