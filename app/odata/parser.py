"""Parse `$filter` and `$orderby`.

The libraries that parse OData filters do not say where a fault is, bind no types, and need an older SQLAlchemy (odata-query
0.10), so this is a parser of its own: a recursive descent over tokens. Keywords and functions may be in any case, as OData 4.01
has it. Nothing that a client sends may be deeper or longer than what evaluates it can take.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import NamedTuple, NoReturn

from app.core.errors import Malformed
from app.core.names import name_fault, nearest_names
from app.odata.expressions import (
    COMPARISONS,
    FUNCTIONS,
    CallNode,
    CompareNode,
    Constant,
    Expression,
    Junction,
    Member,
    Membership,
    Negation,
    kind_of,
)
from app.odata.model import Property
from app.odata.tokens import TRUTH_AND_NULL, FilterWord, TokenReader

MAX_DEPTH = 40


class OrderItem(NamedTuple):
    """An item of `$orderby`."""

    expression: Expression
    is_descending: bool


def parse_filter(text: str, properties: Mapping[str, Property]) -> Expression:
    """Return the condition of `$filter`. Raises Malformed, with the position of the first wrong character."""
    parser = _Parser(text, properties, option="$filter")
    expression = parser.condition()
    parser.expect_end()
    if expression.type not in ("boolean", "null"):
        parser.fail("The filter is a value and not a condition. Compare it, for example `… eq 1`", 0)
    return expression


def parse_orders(text: str, properties: Mapping[str, Property]) -> list[OrderItem]:
    """Return the items of `$orderby`. Raises Malformed."""
    parser = _Parser(text, properties, option="$orderby")
    orders = [parser.order()]
    while parser.take_sign(","):
        orders.append(parser.order())
    parser.expect_end()
    return orders


class _Parser(TokenReader):
    """Reads expressions over the properties of an entity set."""

    def __init__(self, text: str, properties: Mapping[str, Property], *, option: str) -> None:
        super().__init__(text, option=option)
        self._properties, self._depth = properties, 0

    def _fail_too_deep(self) -> NoReturn:
        self.fail(f"The expression is too deep: {MAX_DEPTH} levels are possible")

    def order(self) -> OrderItem:
        """Return an item of `$orderby`."""
        expression = self.condition()
        if expression.type == "null":
            self.fail("Null cannot be sorted by")
        return OrderItem(expression, self.take_keyword("asc", "desc") == "desc")

    def condition(self) -> Expression:
        """Return an expression, with everything that may stand in it."""
        self._depth += 1
        if self._depth > MAX_DEPTH:
            self._fail_too_deep()
        expression = self._junction("or", lambda: self._junction("and", self._comparison))
        self._depth -= 1
        return expression

    def _junction(self, operator: str, parse: Callable[[], Expression]) -> Expression:
        start = self.peek().position
        operands = [parse()]
        while self.take_keyword(operator):
            operands.append(parse())
        if len(operands) == 1:
            return operands[0]
        if any(operand.type not in ("boolean", "null") for operand in operands):
            self.fail(f"Both sides of `{operator}` must be conditions", start)
        return Junction(operator, tuple(operands))

    def _comparison(self) -> Expression:
        """Return a value, or a comparison of two. Several comparisons in a row compare truth values, from the left."""
        if self.take_keyword("not"):
            return self._negation()
        return self._compare(self._value())

    def _negation(self) -> Expression:
        """Return `not` of a condition; of a value that is none, of its comparison."""
        self._depth += 1
        if self._depth > MAX_DEPTH:
            self._fail_too_deep()
        position = self.peek().position
        if self.take_keyword("not"):
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
        depth = self._depth
        while True:
            position = self.peek().position
            # Each comparison in a row has those before it on its left.
            if depth > MAX_DEPTH:
                self._fail_too_deep()
            depth += 1
            if operator := self.take_keyword(*COMPARISONS):
                right = self._value()
                self._check_kinds(operator, left, right, position)
                left = CompareNode(operator, left, right)
            elif self.take_keyword("in"):
                left = Membership(left, self._choices(left))
            else:
                return left

    def _check_kinds(self, operator: str, left: Expression, right: Expression, position: int) -> None:
        """Raise Malformed for values that cannot be compared."""
        kinds = {kind_of(left.type), kind_of(right.type)} - {"null"}
        if len(kinds) > 1:
            self.fail(f"A {_name(left)} cannot be compared with a {_name(right)}", position)
        if kinds == {"boolean"} and operator not in ("eq", "ne"):
            self.fail("Compare truth values with `eq` or `ne`", position)

    def _choices(self, item: Expression) -> tuple[Constant, ...]:
        self.expect_sign("(")
        choices: list[Constant] = []
        while True:
            position = self.peek().position
            choices.append(self.constant())
            self._check_kinds("eq", item, choices[-1], position)
            if not self.take_sign(","):
                break
        self.expect_sign(")")
        return tuple(choices)

    def _value(self) -> Expression:
        token = self.peek()
        if token.kind == "sign" and token.text == "(":
            self.take()
            expression = self.condition()
            self.expect_sign(")")
            return expression
        if token.kind == "name" and token.text.lower() not in TRUTH_AND_NULL:
            self.take()
            return self._call(token) if self.take_sign("(") else self._member(token)
        return self.constant()

    def _member(self, token: FilterWord) -> Member:
        found_property = self._properties.get(token.text)
        if found_property is None:
            existing = [own.name for own in self._properties.values() if own.is_filterable]
            fault = name_fault(
                f"/query/{self.option}",
                f"There is no property{{}}, at character {token.position + 1}.",
                token.text,
                nearest_names(token.text, existing),
                code="unknown_property",
            )
            raise Malformed.of([fault])
        if not found_property.is_filterable:
            self.fail(f"The property {token.text} cannot be in {self.option}", token.position)
        return Member(found_property)

    def _call(self, token: FilterWord) -> Expression:
        name = token.text.lower()
        arguments: list[Expression] = []
        while not self.take_sign(")"):
            if arguments:
                self.expect_sign(",")
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
        return CallNode(name, tuple(arguments), type or arguments[0].type)


def _name(expression: Expression) -> str:
    kind = kind_of(expression.type)
    return "truth value" if kind == "boolean" else kind
