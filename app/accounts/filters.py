r"""The filter language: conditions over the attributes of an account.

A filter selects accounts: in a question, in a list of accounts, as the definition of a segment. Mappings of imported files use
the same language for conditions over the columns of a row.

    plan = "pro" and (region in ("emea", "uk") or not seats < 10)

## Conditions

| condition | selects accounts whose attribute `key` |
|---|---|
| `key = value` | has this value |
| `key != value` | has another value of the same type |
| `key < value`, `key <= value` | has a value of the same type that is less, or less or equal |
| `key > value`, `key >= value` | has a value of the same type that is greater, or greater or equal |
| `key in (value, value, …)` | has one of these values |
| `key not in (value, value, …)` | has none of these values, or no value at all |
| `key is null` | has no value |
| `key is not null` | has a value |

## Combinations

Conditions are combined by `and`, `or`, `not` and parentheses. `not` binds most closely, then `and`, then `or`, so these two are
the same:

    not vip = true and seats > 5 or plan = "pro"
    ((not vip = true) and seats > 5) or plan = "pro"

`not` is the exact opposite: every account is selected either by a filter or by its negation. `key not in (…)` means the same as
`not key in (…)`, and `key is not null` the same as `not key is null`.

## Keys

A key is written as it is if it begins with a letter or `_` and goes on with letters, digits, `_`, `.` or `-`. Letters are A to
Z and a to z. Every other key, and a key that is a keyword, is written in backquotes:

    billing.country = "DE" and `Zip code` = "10115" and `in` > 0

Keys are case-sensitive and have 1 to 128 characters.

The keywords are `and`, `or`, `not`, `in`, `is`, `null`, `true` and `false`. They may be written in capitals. Spaces and line
breaks between words and signs make no difference.

## Values

| type | examples | rules |
|---|---|---|
| string | `"emea"`, `'emea'` | In double or single quotes. Case-sensitive. Dates are strings, too: `"2026-01-31"`. |
| number | `10`, `-1.5`, `1e3` | As in JSON, with at most 20 digits before and 20 after the decimal point. |
| truth value | `true`, `false` | Without quotes. |

Between quotes of any kind, backquotes included, a backslash begins an escape sequence: `\"`, `\'`, `` \` ``, `\\`, `\/`, `\b`,
`\f`, `\n`, `\r`, `\t` and `\u00e9` mean what they mean in JSON, and `\'` and `` \` `` are the quotes themselves. NUL characters
and halves of surrogate pairs are not allowed. `null` is not a value; use `is null`.

## Comparisons

- A comparison with a value of another type is false, and so is one with a missing value; `!=` is no exception. `plan != "pro"`
  therefore selects accounts with another plan, while `not plan = "pro"` also selects those without a plan. Only `is null` and
  negations select a missing value.
- Strings are ordered by the code points of their characters, whatever the collation of the database: `"Z"` is less than `"a"`.
- Numbers are compared by their exact decimal values, so 0.1 equals 0.10.
- Truth values are equal or not, but not ordered: `<`, `<=`, `>` and `>=` are false for them.

## Limits

A filter has at most 4,000 characters, both as it is sent and in canonical form, at most 200 values (`null` counts as one) and
at most 32 levels of `not` and parentheses.

## Canonical form

Segments and answers show filters in canonical form: keywords in lower case, strings in double quotes, numbers without
exponents, keys in backquotes only where necessary, and no redundant parentheses. Filters with the same canonical form are the
same filter.

## Errors

An invalid filter is answered with status 422 and code `invalid_filter`. The detail names the position of the first wrong
character, counted from 1, and what is expected there.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

from app.accounts.filter_tokens import FilterError, Token, Value, format_key, format_value, tokenize
from app.core.errors import Invalid

MAX_CHARACTERS, MAX_VALUES, MAX_DEPTH = 4000, 200, 32

_COMPARISONS = {"=", "!=", "<", "<=", ">", ">="}


@dataclass(frozen=True)
class Condition:
    """A condition over one attribute. operator: = != < <= > >= (with one value), in (one or more), is null (none)."""

    key: str
    operator: str
    values: tuple[Value, ...]


@dataclass(frozen=True)
class Combination:
    """Conditions combined by a word: and, or (with two items or more), not (with one)."""

    word: str
    items: tuple["Tree", ...]


Tree: TypeAlias = Condition | Combination


@dataclass(frozen=True)
class Filter:
    """A parsed filter. text: its canonical form, `parse_filter(text)` is this filter; keys: its attributes, sorted, each once."""

    text: str
    tree: Tree
    keys: tuple[str, ...]

    def conditions(self) -> Iterator[Condition]:
        """Yield the conditions that the filter combines, in their order."""
        trees = [self.tree]
        while trees:
            tree = trees.pop()
            if isinstance(tree, Condition):
                yield tree
            else:
                trees += reversed(tree.items)


def parse_filter(text: str, *, pointer: str = "/query/filter") -> Filter:
    """Parse a filter. Raises Invalid (`invalid_filter`) at `pointer`, with the position of the first wrong character."""
    try:
        if len(text) > MAX_CHARACTERS:
            raise _limit_error(f"{MAX_CHARACTERS} characters", MAX_CHARACTERS + 1)
        tokens = deque(tokenize(text))
        keys = tuple(sorted({str(token.value) for token in tokens if token.kind == "key"}))
        # Every condition has a value or the word null, so this limits the number of conditions, too.
        values = [token for token in tokens if token.kind in ("value", "null")]
        if len(values) > MAX_VALUES:
            raise _limit_error(f"{MAX_VALUES} values", values[MAX_VALUES].position)
        tree = _parse_combination(tokens, "or", depth=0)
        _expect(tokens, "end", '"and", "or" or the end of the filter')
        canonical = _format_tree(tree)
        if len(canonical) > MAX_CHARACTERS:
            raise _limit_error(f"{MAX_CHARACTERS} characters in canonical form", len(text))
    except FilterError as error:
        raise Invalid.at(pointer, str(error), code="invalid_filter") from None
    return Filter(text=canonical, tree=tree, keys=keys)


# The grammar; each function below parses one of its rules from the front of the tokens.
#
#     combination = conjunction { "or" conjunction }
#     conjunction = term { "and" term }
#     term        = "not" term | "(" combination ")" | condition
#     condition   = key comparison value | key ["not"] "in" "(" value { "," value } ")" | key "is" ["not"] "null"


def _parse_combination(tokens: deque[Token], word: str, *, depth: int) -> Tree:
    """Parse all that `word` joins: "or" joins conjunctions, "and" joins terms.

    Items that stand in redundant parentheses are merged, so that the tree does not depend on these.
    """
    items: list[Tree] = []
    while not items or _skip(tokens, word):
        item = _parse_combination(tokens, "and", depth=depth) if word == "or" else _parse_term(tokens, depth=depth)
        items.extend(item.items if isinstance(item, Combination) and item.word == word else [item])
    return Combination(word, tuple(items)) if len(items) > 1 else items[0]


def _parse_term(tokens: deque[Token], *, depth: int) -> Tree:
    if depth > MAX_DEPTH:
        raise _limit_error(f"{MAX_DEPTH} levels of not and parentheses", tokens[0].position)
    if _skip(tokens, "not"):
        return Combination("not", (_parse_term(tokens, depth=depth + 1),))
    if _skip(tokens, "("):
        tree = _parse_combination(tokens, "or", depth=depth + 1)
        _expect(tokens, ")", '"and", "or" or a closing parenthesis')
        return tree
    return _parse_condition(tokens)


def _parse_condition(tokens: deque[Token]) -> Tree:
    key = str(
        _expect(tokens, "key", 'a key, "not" or an opening parenthesis', "Keywords as keys need backquotes.").value
    )
    operator = tokens.popleft()
    if operator.kind in _COMPARISONS:
        return Condition(key, operator.kind, (_parse_value(tokens),))
    is_negated = operator.kind == "not" or (operator.kind == "is" and _skip(tokens, "not"))
    if operator.kind == "is":
        _expect(tokens, "null", '"null" or "not null"')
        condition = Condition(key, "is null", ())
    elif operator.kind == "in" or (is_negated and _skip(tokens, "in")):
        condition = Condition(key, "in", tuple(_parse_values(tokens)))
    else:
        raise FilterError(
            "Expected an operator", operator.position, "= != < <= > >= in, not in, is null or is not null."
        )
    return Combination("not", (condition,)) if is_negated else condition


def _parse_values(tokens: deque[Token]) -> list[Value]:
    _expect(tokens, "(", "an opening parenthesis")
    values: list[Value] = []
    while not values or _skip(tokens, ","):
        values.append(_parse_value(tokens))
    _expect(tokens, ")", "a comma or a closing parenthesis")
    return values


def _parse_value(tokens: deque[Token]) -> Value:
    advice = 'a quoted string, a number, true or false. Use "is null" to test for null.'
    return _expect(tokens, "value", "a value", advice).value


def _skip(tokens: deque[Token], kind: str) -> bool:
    """Remove the next token if it is of this kind; return whether it was."""
    return tokens[0].kind == kind and bool(tokens.popleft())


def _expect(tokens: deque[Token], kind: str, name: str, advice: str = "") -> Token:
    """Remove and return the next token, which must be of this kind. name, advice: for the error."""
    if tokens[0].kind != kind:
        raise FilterError(f"Expected {name}", tokens[0].position, advice)
    return tokens.popleft()


def _limit_error(limit: str, position: int) -> FilterError:
    return FilterError(f"More than {limit}", position)


def _format_tree(tree: Tree, negation: str = "") -> str:
    """Write a tree in canonical form. negation: empty, or "not " to write the opposite."""
    if isinstance(tree, Combination) and tree.word == "not":
        return negation + _format_tree(tree.items[0], "not ")
    if isinstance(tree, Combination):
        # The parser leaves no `and` within an `and`, so only an `or` within it needs parentheses.
        parts = [(isinstance(item, Combination) and item.word == "or", _format_tree(item)) for item in tree.items]
        text = f" {tree.word} ".join(f"({part})" if is_or else part for is_or, part in parts)
        return f"not ({text})" if negation else text
    key = format_key(tree.key)
    if tree.operator == "is null":
        return f"{key} is {negation}null"
    values = ", ".join(map(format_value, tree.values))
    if tree.operator == "in":
        return f"{key} {negation}in ({values})"
    return f"{negation}{key} {tree.operator} {values}"
