r"""The language of `filter`: a condition over the attributes of an account.

    plan = "pro" and (region in ("emea", "uk") or not seats < 10)

    comparison    key = value   !=   <   <=   >   >=
    choice        key in (value, value, …)     key not in (value, …)
    presence      key is null                  key is not null
    connectives   not, and, or (`not` binds closest, then `and`), and parentheses
    key           letters, digits, _ . - after a letter or _ (billing.country); other texts and keywords in `backquotes`
    text          "emea" or 'emea'; in any quotes \" \' \` \\ \/ \b \f \n \r \t \u00e9 mean what they mean in JSON
    number        -1.5, 10, 1e3: written as in JSON, at most 20 digits before and 20 after the decimal point
    truth         true, false

Keywords (and or not in is null true false) may be in capitals; keys and texts are case-sensitive, letters are A to Z.
A comparison or choice is false with a missing value and between different types, `!=` as well. `not` is the exact
opposite, and `key not in (…)` is `not key in (…)`: a filter and its negation part all accounts. So `plan != "pro"` asks
for another plan, `not plan = "pro"` also for none; only `is null` finds a missing value. Texts are ordered by code
point, numbers by their exact decimal value (0.1 = 0.10); truth values have no order: `<` of them is false.

Limits: 4,000 characters (as sent, and in canonical form), 200 values, 32 levels of `not` and parentheses, keys of
1 to 128 characters; no NUL and no half of a surrogate pair.
"""

import json
import operator
import re
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, NamedTuple, TypeAlias, TypeVar

from sqlalchemy import ColumnElement, Text, and_, cast, collate, false, func, literal, literal_column, not_, or_
from sqlalchemy.dialects.postgresql import JSONB

from app.core.errors import Invalid

MAX_CHARACTERS, MAX_VALUES, MAX_DEPTH, MAX_KEY, MAX_DIGITS = 4000, 200, 32, 128, 20

Value: TypeAlias = str | Decimal | bool
AttributeValue: TypeAlias = str | int | float | Decimal | bool | None
T = TypeVar("T")


@dataclass(frozen=True)
class Term:
    key: str
    sign: str  # = != < <= > >= (with one value), in (one or more), is null (none)
    values: tuple[Value, ...]


@dataclass(frozen=True)
class Join:
    word: str  # and, or (with two items or more), not (one)
    items: tuple["Tree", ...]


Tree: TypeAlias = Term | Join


@dataclass(frozen=True)
class Filter:
    text: str  # in canonical form: parse(filter.text) == filter
    tree: Tree
    keys: tuple[str, ...]  # the attributes it asks about, sorted, each once


class _Token(NamedTuple):
    kind: str  # "key", "value", "end", or the keyword (lower case) or sign itself
    at: int  # the first character is 1, as people count
    value: Value = ""


class _Fault(Exception):
    """What is wrong, and at which character."""


_KEYWORDS = {"and", "or", "not", "in", "is", "null"}
_TRUTH = {"true": True, "false": False}
_ORDER = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
_SIGNS = {"=": operator.eq, "!=": operator.ne} | _ORDER
_BARE_KEY = "[A-Za-z_][A-Za-z0-9_.-]*"
_TOKEN = re.compile(
    rf"""(?P<number> -?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]{{1,3}})?(?![\w.+-]))
       | (?P<word> {_BARE_KEY})
       | (?P<quoted> (?P<quote>["'`])(?:\\.|(?!(?P=quote))[^\\])*(?P=quote))
       | (?P<sign> [<>!]=|[=<>(),])
       | (?P<space> \s+) | (?P<unclosed> ["'`]) | (?P<amiss> [0-9+.-]) | (?P<strange> .)""",
    re.VERBOSE | re.DOTALL,
)
_COMPLAINTS = {
    "unclosed": "Quotes without an end",
    "amiss": f"Not a number of at most {MAX_DIGITS} digits on a side of its point (dates and other texts need quotes)",
    "strange": "Unexpected character (a key other than letters, digits, _ . - needs backquotes)",
}
_A_VALUE = "Expected a text in quotes, a number, true or false (for null: is null)"
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(.))", re.DOTALL)
_ESCAPED = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"} | {mark: mark for mark in "\"'`\\/"}


def parse_filter(text: str, *, pointer: str = "/query/filter") -> Filter:
    """The filter that `text` says, or Invalid (`invalid_filter`) at `pointer`, with the character that is wrong."""
    try:
        if len(text) > MAX_CHARACTERS:
            raise _Fault(f"More than {MAX_CHARACTERS} characters", MAX_CHARACTERS + 1)
        tokens = deque(_tokens(text))
        keys = tuple(sorted({str(token.value) for token in tokens if token.kind == "key"}))
        # Every term has a value or the word null, so this bounds the terms, too.
        values = [token for token in tokens if token.kind in ("value", "null")]
        if len(values) > MAX_VALUES:
            raise _Fault(f"More than {MAX_VALUES} values", values[MAX_VALUES].at)
        tree = _chain(tokens, "or", 0)
        _take(tokens, "end", "Expected and, or, or the end of the filter")
        canonical = _written(tree)
        if len(canonical) > MAX_CHARACTERS:
            raise _Fault(f"More than {MAX_CHARACTERS} characters in canonical form", len(text))
    except _Fault as fault:
        raise Invalid.at(pointer, "{} at character {}.".format(*fault.args), code="invalid_filter") from None
    return Filter(text=canonical, tree=tree, keys=keys)


def _tokens(text: str) -> Iterator[_Token]:
    for found in _TOKEN.finditer(text):
        kind, word, at = str(found.lastgroup), found[0], found.start() + 1
        if kind in _COMPLAINTS:
            raise _Fault(_COMPLAINTS[kind], at)
        if kind == "number":
            yield _Token("value", at, _number(word, at))
        elif kind == "quoted" and word[0] != "`":
            yield _Token("value", at, _unquoted(word, at))
        elif word.lower() in _TRUTH:
            yield _Token("value", at, _TRUTH[word.lower()])
        elif kind == "sign" or word.lower() in _KEYWORDS:
            yield _Token(word.lower(), at)
        elif kind != "space":
            key = _unquoted(word, at) if kind == "quoted" else word
            if not 1 <= len(key) <= MAX_KEY:
                raise _Fault(f"A key not of 1 to {MAX_KEY} characters", at)
            yield _Token("key", at, key)
    yield _Token("end", len(text) + 1)


def _number(text: str, at: int) -> Decimal:
    # Plain digits without zeros at the ends, so that equal numbers have one canonical form and -0 is 0.
    whole, _, fraction = format(Decimal(text.removeprefix("-")), "f").partition(".")
    whole, fraction = whole.lstrip("0"), fraction.rstrip("0")
    if max(len(whole), len(fraction)) > MAX_DIGITS:
        raise _Fault(_COMPLAINTS["amiss"], at)
    minus = "-" if text.startswith("-") and whole + fraction else ""
    return Decimal(minus + (whole or "0") + (fraction and "." + fraction))


def _unquoted(quoted: str, at: int) -> str:
    def character(escape: re.Match[str]) -> str:
        code, mark = escape.groups()
        if not code and mark not in _ESCAPED:
            raise _Fault("Unknown escape", at + 1 + escape.start())
        return chr(int(code, 16)) if code else _ESCAPED[mark]

    text = _ESCAPE.sub(character, quoted[1:-1])
    try:
        text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le")  # joins a pair of two escapes
    except UnicodeDecodeError:
        raise _Fault("Half of a surrogate pair in the quotes", at) from None
    if "\0" in text:
        raise _Fault("NUL in the quotes", at)
    return text


def _chain(tokens: deque[_Token], word: str, depth: int) -> Tree:
    """All that `or` (with the chains of `and` between), or `and`, joins: one Join, however it was parenthesised."""
    items: list[Tree] = []
    while not items or _took(tokens, word):
        item = _chain(tokens, "and", depth) if word == "or" else _operand(tokens, depth)
        items.extend(item.items if isinstance(item, Join) and item.word == word else [item])
    return Join(word, tuple(items)) if len(items) > 1 else items[0]


def _operand(tokens: deque[_Token], depth: int) -> Tree:
    if depth > MAX_DEPTH:
        raise _Fault(f"More than {MAX_DEPTH} levels of not and parentheses", tokens[0].at)
    if _took(tokens, "not"):
        return Join("not", (_operand(tokens, depth + 1),))
    if _took(tokens, "("):
        tree = _chain(tokens, "or", depth + 1)
        _take(tokens, ")", "Expected and, or, or a closing parenthesis")
        return tree
    return _term(tokens)


def _term(tokens: deque[_Token]) -> Tree:
    key = str(_take(tokens, "key", "Expected a key (a keyword needs backquotes), not, or a parenthesis").value)
    sign = tokens.popleft()
    if sign.kind in _SIGNS:
        return Term(key, sign.kind, (_take(tokens, "value", _A_VALUE).value,))
    negated = sign.kind == "not" or (sign.kind == "is" and _took(tokens, "not"))
    if sign.kind == "is":
        _take(tokens, "null", "Expected null or not null")
        term = Term(key, "is null", ())
    elif sign.kind == "in" or (negated and _took(tokens, "in")):
        _take(tokens, "(", "Expected an opening parenthesis")
        values: list[Value] = []
        while not values or _took(tokens, ","):
            values.append(_take(tokens, "value", _A_VALUE).value)
        _take(tokens, ")", "Expected a comma or a closing parenthesis")
        term = Term(key, "in", tuple(values))
    else:
        raise _Fault("Expected = != < <= > >= in, not in, is null or is not null", sign.at)
    return Join("not", (term,)) if negated else term


def _took(tokens: deque[_Token], kind: str) -> bool:
    return tokens[0].kind == kind and bool(tokens.popleft())


def _take(tokens: deque[_Token], kind: str, expectation: str) -> _Token:
    if tokens[0].kind != kind:
        raise _Fault(expectation, tokens[0].at)
    return tokens.popleft()


def _written(tree: Tree, negation: str = "") -> str:
    """The canonical form. negation: empty, or "not " to write the opposite."""
    if isinstance(tree, Join) and tree.word == "not":
        return negation + _written(tree.items[0], "not ")
    if isinstance(tree, Join):
        # `_chain` leaves no `and` within an `and`, so only an `or` within it needs parentheses.
        parts = [(isinstance(item, Join) and item.word == "or", _written(item)) for item in tree.items]
        text = f" {tree.word} ".join(f"({part})" if enclosed else part for enclosed, part in parts)
        return f"not ({text})" if negation else text
    plain = re.fullmatch(_BARE_KEY, tree.key) and tree.key.lower() not in _KEYWORDS | _TRUTH.keys()
    key = tree.key if plain else "`" + _json(tree.key)[1:-1].replace("`", "\\`") + "`"
    if tree.sign == "is null":
        return f"{key} is {negation}null"
    values = ", ".join(map(_json, tree.values))
    return f"{key} {negation}in ({values})" if tree.sign == "in" else f"{negation}{key} {tree.sign} {values}"


def _json(value: Value) -> str:
    return format(value, "f") if isinstance(value, Decimal) else json.dumps(value, ensure_ascii=False)


def filter_matches(filter: Filter, attributes: Mapping[str, AttributeValue]) -> bool:
    """Whether an account with these attributes passes; a missing key and None are the same."""
    logic = {"and": lambda *items: all(items), "or": lambda *items: any(items), "not": operator.not_}
    return _folded(filter.tree, lambda term: _holds(term, attributes.get(term.key)), logic)


def filter_condition(filter: Filter, column_of: Callable[[str], ColumnElement[Any]]) -> ColumnElement[bool]:
    """The same in SQL: true or false, never NULL.

    column_of: the JSONB column with an account's attribute of that key, SQL NULL (or JSON null) where it is missing.
    """
    logic: dict[str, Callable[..., ColumnElement[bool]]] = {"and": and_, "or": or_, "not": not_}
    return _folded(filter.tree, lambda term: _sql(term, column_of(term.key)), logic)


def _folded(tree: Tree, term: Callable[[Term], T], logic: Mapping[str, Callable[..., T]]) -> T:
    if isinstance(tree, Term):
        return term(tree)
    return logic[tree.word](*(_folded(item, term, logic) for item in tree.items))


def _holds(term: Term, attribute: AttributeValue) -> bool:
    if term.sign == "is null":
        return attribute is None
    found, *wanted = map(_typed, (attribute, *term.values))
    if term.sign in ("=", "in"):
        return found in wanted
    compared = found[0] == wanted[0][0] and not (found[0] == "boolean" and term.sign in _ORDER)
    return compared and bool(_SIGNS[term.sign](found[1], wanted[0][1]))


def _typed(value: AttributeValue) -> tuple[str, Any]:
    """The type of a value as jsonb_typeof names it, and what to compare; a float is the decimal that JSON writes."""
    if isinstance(value, bool):
        return "boolean", value
    if isinstance(value, int | float | Decimal):
        number = Decimal(str(value) if isinstance(value, float) else value)
        return ("number", number) if number.is_finite() else ("not JSON", None)
    return ("string", value) if isinstance(value, str) else ("null", None)


def _sql(term: Term, column: ColumnElement[Any]) -> ColumnElement[bool]:
    values: list[ColumnElement[Any]] = [cast(literal(_json(value), Text), JSONB) for value in term.values]
    if term.sign == "is null":
        return func.coalesce(func.jsonb_typeof(column), "null") == "null"
    if term.sign in ("=", "in"):
        return column.in_(values).is_(True)
    kind, value = _typed(term.values[0])
    if kind == "boolean" and term.sign in _ORDER:
        return false()
    # No cast of what an account says: PostgreSQL might do it before the test of type that should guard it, and fail.
    # JSONB compares numbers as numeric, and `#>>` reads any JSONB as text.
    left, right = column, values[0]
    if kind == "string":
        left = collate(column.op("#>>", return_type=Text())(literal_column("'{}'")), "C")
        right = literal(value, Text)
    return and_(func.jsonb_typeof(column) == kind, _SIGNS[term.sign](left, right)).is_(True)
