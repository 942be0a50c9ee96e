"""Parse `$filter` and `$orderby`.

The libraries that parse OData filters do not say where a fault is, bind no types, and need an older SQLAlchemy (odata-query
0.10), so this is a parser of its own: a recursive descent over tokens. Keywords and functions may be in any case, as OData 4.01
has it. Nothing that a client sends may be deeper or longer than what evaluates it can take.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import NamedTuple, NoReturn

from app.core.errors import Malformed
from app.core.ids import normalize_id
from app.core.names import build_fault, name_fault, nearest_names
from app.odata.expressions import (
    COMPARISONS,
    FUNCTIONS,
    Call,
    Comparison,
    Constant,
    Expression,
    Junction,
    Member,
    Membership,
    Negation,
    kind_of,
)
from app.odata.model import Property

MAX_DEPTH = 40
# Names, values, operators and signs.
MAX_TOKENS = 10_000
_MAX_DIGITS = 60
KEYWORDS = frozenset({*COMPARISONS, "and", "or", "not", "in", "null", "true", "false", "asc", "desc"})
_WORDS = {"true": Constant("boolean", True), "false": Constant("boolean", False), "null": Constant("null", None)}
_UNSUPPORTED_OPERATORS = ("add", "sub", "mul", "div", "divby", "mod", "has")

_TOKEN = re.compile(
    r"""(?P<text>'(?:[^']|'')*')
    |(?P<time>\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d{1,12})?)?(?P<zone>Z|[+-]\d\d:\d\d)?)
    |(?P<date>\d{4}-\d\d-\d\d)(?![\w-])
    |(?P<number>-?\d+(?:\.\d+)?(?:e[+-]?\d+)?)(?![\w-])
    |(?P<name>[^\W\d]\w*)
    |(?P<sign>[(),])""",
    re.VERBOSE | re.IGNORECASE | re.DOTALL,
)
_BLANKS = re.compile(r"[ \t\r\n]*")


class _Token(NamedTuple):
    """A token: its kind (a group of _TOKEN), its text, and where it begins."""

    kind: str
    text: str
    position: int


class Order(NamedTuple):
    """An item of `$orderby`."""

    expression: Expression
    is_descending: bool


_END = "the end"


def parse_filter(text: str, properties: Mapping[str, Property]) -> Expression:
    """Return the condition of `$filter`. Raises Malformed, with the position of the first wrong character."""
    parser = _Parser(normalize_id(text), properties, option="$filter")
    expression = parser.condition()
    parser.expect_end()
    if expression.type not in ("boolean", "null"):
        parser.fail("The filter is no condition but a value. Compare it, for example `… eq 1`", 0)
    return expression


def parse_orders(text: str, properties: Mapping[str, Property]) -> list[Order]:
    """Return the items of `$orderby`. Raises Malformed."""
    parser = _Parser(normalize_id(text), properties, option="$orderby")
    orders = [parser.order()]
    while parser.take_sign(","):
        orders.append(parser.order())
    parser.expect_end()
    return orders


def parse_constants(text: str, *, option: str) -> list[tuple[str | None, Constant]]:
    """Return the values of a key in parentheses, such as `'acme'` or `metric='nps',period='2026-03'`, with their names."""
    values: list[tuple[str | None, Constant]] = []
    for part in _KEY_VALUE.finditer(text):
        parser = _Parser(part["value"], {}, option=option)
        values.append((part["name"], parser.constant()))
        parser.expect_end()
    if not values or sum(len(part[0]) for part in _KEY_VALUE.finditer(text)) != len(text):
        _fail(option, "This is no key. Write it as `('acme')` or `(name='acme',other='x')`")
    return values


_KEY_VALUE = re.compile(r"\s*(?:(?P<name>\w+)\s*=)?\s*(?P<value>'(?:[^']|'')*'|[^',()\s]+)\s*(?:,(?=.)|$)", re.DOTALL)


def _fail(option: str, problem: str) -> NoReturn:
    raise Malformed.of([build_fault(f"/query/{option}", f"{problem}.", code="invalid_filter")])


class _Parser:
    """Reads one text. option: the query option that it is of."""

    def __init__(self, text: str, properties: Mapping[str, Property], *, option: str) -> None:
        self._properties, self._option = properties, option
        self._depth = self._next = 0
        self._text = text
        self._tokens: Sequence[_Token] = ()
        self._tokens = self._tokenize(text)

    def _tokenize(self, text: str) -> Sequence[_Token]:
        tokens: list[_Token] = []
        position = _BLANKS.match(text).end()  # type: ignore[union-attr]
        while position < len(text):
            match = _TOKEN.match(text, position)
            if match is None:
                self.fail(
                    "This character cannot stand here" if text[position] != "'" else "A text has no end", position
                )
            kind = next(name for name in ("text", "time", "date", "number", "name", "sign") if match[name] is not None)
            tokens.append(_Token(kind, match[0], position))
            if len(tokens) > MAX_TOKENS:
                self.fail(f"It is too long: {MAX_TOKENS:,} names, values and signs are possible", position)
            position = _BLANKS.match(text, match.end()).end()  # type: ignore[union-attr]
        return tokens

    def fail(self, problem: str, position: int | None = None) -> NoReturn:
        """Raise Malformed. position: by default that of the next token."""
        if position is None:
            position = self._peek().position
        _fail(self._option, f"{problem}, at character {position + 1}")

    def _peek(self) -> _Token:
        if self._next < len(self._tokens):
            return self._tokens[self._next]
        return _Token("end", _END, len(self._text))

    def _take(self) -> _Token:
        token = self._peek()
        self._next += 1
        return token

    def take_sign(self, sign: str) -> bool:
        """Return whether the next token is this sign, and take it then."""
        if self._peek()[:2] == ("sign", sign):
            self._take()
            return True
        return False

    def _take_keyword(self, *keywords: str) -> str | None:
        """Return the keyword that comes next, and take it, if it is one of these."""
        token = self._peek()
        if token.kind == "name" and token.text.lower() in keywords:
            self._take()
            return token.text.lower()
        return None

    def expect_end(self) -> None:
        """Raise Malformed if there is more."""
        token = self._peek()
        if token.kind == "end":
            return
        if token.kind == "name" and token.text.lower() in _UNSUPPORTED_OPERATORS:
            self.fail(f"The operator `{token.text.lower()}` is not supported")
        self.fail(f"An operator such as {', '.join(COMPARISONS)}, `and` or `or` is expected")

    def _expect_sign(self, sign: str) -> None:
        if not self.take_sign(sign):
            self.fail(f"`{sign}` is expected")

    def order(self) -> Order:
        """Return an item of `$orderby`."""
        expression = self.condition()
        if expression.type == "null":
            self.fail("Null has no order")
        return Order(expression, self._take_keyword("asc", "desc") == "desc")

    def condition(self) -> Expression:
        """Return an expression, with everything that may stand in it."""
        self._depth += 1
        if self._depth > MAX_DEPTH:
            self.fail(f"The expression is too deep: {MAX_DEPTH} levels are possible")
        expression = self._junction("or", lambda: self._junction("and", self._comparison))
        self._depth -= 1
        return expression

    def _junction(self, operator: str, parse: Callable[[], Expression]) -> Expression:
        start = self._peek().position
        operands = [parse()]
        while self._take_keyword(operator):
            operands.append(parse())
        if len(operands) == 1:
            return operands[0]
        if any(operand.type not in ("boolean", "null") for operand in operands):
            self.fail(f"Both sides of `{operator}` must be conditions", start)
        return Junction(operator, tuple(operands))

    def _comparison(self) -> Expression:
        """Return a value, or a comparison of two. Several comparisons in a row compare truth values, from the left."""
        if self._take_keyword("not"):
            return self._negation()
        return self._compare(self._value())

    def _negation(self) -> Expression:
        """Return `not` of a condition; of a value that is none, of its comparison."""
        self._depth += 1
        if self._depth > MAX_DEPTH:
            self.fail(f"The expression is too deep: {MAX_DEPTH} levels are possible")
        position = self._peek().position
        if self._take_keyword("not"):
            operand = self._negation()
        else:
            operand = self._value()
            if operand.type not in ("boolean", "null"):
                operand = self._compare(operand)
        self._depth -= 1
        if operand.type not in ("boolean", "null"):
            self.fail("`not` needs a condition", position)
        # `not null` is null.
        return self._compare(operand if operand.type == "null" else Negation(operand))

    def _compare(self, left: Expression) -> Expression:
        while True:
            position = self._peek().position
            if operator := self._take_keyword(*COMPARISONS):
                right = self._value()
                self._check_kinds(operator, left, right, position)
                left = Comparison(operator, left, right)
            elif self._take_keyword("in"):
                left = Membership(left, self._choices(left))
            else:
                return left

    def _check_kinds(self, operator: str, left: Expression, right: Expression, position: int) -> None:
        """Raise Malformed for values that cannot be compared."""
        kinds = {kind_of(left.type), kind_of(right.type)} - {"null"}
        if len(kinds) > 1:
            self.fail(f"A {_name(left)} cannot be compared with a {_name(right)}", position)
        if kinds == {"boolean"} and operator not in ("eq", "ne"):
            self.fail("Truth values have no order", position)

    def _choices(self, item: Expression) -> tuple[Constant, ...]:
        self._expect_sign("(")
        choices: list[Constant] = []
        while True:
            position = self._peek().position
            choices.append(self.constant())
            self._check_kinds("eq", item, choices[-1], position)
            if not self.take_sign(","):
                break
        self._expect_sign(")")
        return tuple(choices)

    def _value(self) -> Expression:
        token = self._peek()
        if token.kind == "sign" and token.text == "(":
            self._take()
            expression = self.condition()
            self._expect_sign(")")
            return expression
        if token.kind == "name" and token.text.lower() not in _WORDS:
            self._take()
            return self._call(token) if self.take_sign("(") else self._member(token)
        return self.constant()

    def _member(self, token: _Token) -> Member:
        found_property = self._properties.get(token.text)
        if found_property is None:
            existing = [own.name for own in self._properties.values() if own.is_filterable]
            fault = name_fault(
                f"/query/{self._option}",
                f"There is no property{{}}, at character {token.position + 1}.",
                token.text,
                nearest_names(token.text, existing),
                code="unknown_property",
            )
            raise Malformed.of([fault])
        if not found_property.is_filterable:
            self.fail(f"The property {token.text} cannot be in {self._option}", token.position)
        return Member(found_property)

    def _call(self, token: _Token) -> Expression:
        name = token.text.lower()
        arguments: list[Expression] = []
        while not self.take_sign(")"):
            if arguments:
                self._expect_sign(",")
            arguments.append(self.condition())
        if name == "now" and not arguments:
            return Constant("time", datetime.now(UTC))
        if name not in FUNCTIONS:
            supported_names = ", ".join(FUNCTIONS)
            self.fail(f"This function is not supported. There are: {supported_names}", token.position)
        kinds, optional_count, type = FUNCTIONS[name]
        if not len(kinds) - optional_count <= len(arguments) <= len(kinds) or any(
            kind_of(argument.type) not in (kind, "null") for argument, kind in zip(arguments, kinds, strict=False)
        ):
            self.fail(f"`{name}` needs these arguments: {', '.join(kinds)}", token.position)
        if any(argument.type == "null" for argument in arguments):
            return Constant("null", None)
        return Call(name, tuple(arguments), type or arguments[0].type)

    def constant(self) -> Constant:
        """Return a literal."""
        token = self._take()
        readers = {"text": self._text_constant, "number": self._number, "date": self._day, "time": self._instant}
        if token.kind == "name" and token.text.lower() in _WORDS:
            return _WORDS[token.text.lower()]
        if token.kind not in readers:
            self.fail("A value is expected", token.position)
        return readers[token.kind](token)

    def _text_constant(self, token: _Token) -> Constant:
        if "\0" in token.text:
            self.fail("A text must not contain U+0000", token.position)
        return Constant("text", token.text[1:-1].replace("''", "'"))

    def _number(self, token: _Token) -> Constant:
        value = Decimal(token.text)
        if value.adjusted() > _MAX_DIGITS or value.adjusted() < -_MAX_DIGITS or len(token.text) > 2 * _MAX_DIGITS:
            self.fail("This number has too many digits", token.position)
        return Constant("decimal", value)

    def _day(self, token: _Token) -> Constant:
        try:
            return Constant("date", date.fromisoformat(token.text))
        except ValueError:
            self.fail("This day does not exist", token.position)

    def _instant(self, token: _Token) -> Constant:
        if token.text[-1].upper() != "Z" and token.text[-6] not in "+-":
            advice = "with its offset from UTC, such as 2026-03-14T00:00:00Z; in a URL, `+` is written %2B"
            self.fail(f"Write a time {advice}", token.position)
        try:
            # Python reads microseconds.
            text = re.sub(r"(\.\d{6})\d+", r"\1", token.text.upper())
            return Constant("time", datetime.fromisoformat(text).astimezone(UTC))
        except (ValueError, OverflowError):
            self.fail("This time does not exist", token.position)


def _name(expression: Expression) -> str:
    return {"boolean": "truth value", "time": "time"}.get(kind_of(expression.type), kind_of(expression.type))
