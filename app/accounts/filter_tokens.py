"""The words of the filter language: split a filter into tokens, and write keys and values in canonical form."""

import json
import re
from collections.abc import Iterator
from decimal import Decimal
from typing import NamedTuple, TypeAlias

MAX_KEY_LENGTH, MAX_DIGITS = 128, 20

Value: TypeAlias = str | Decimal | bool

_KEYWORDS = {"and", "or", "not", "in", "is", "null"}
_TRUTH_VALUES = {"true": True, "false": False}
_PLAIN_KEY = "[A-Za-z_][A-Za-z0-9_.-]*"
# `bad_number` is tried after `number`: what looks like the beginning of a number but is none.
_TOKEN = re.compile(
    rf"""(?P<number> -?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]{{1,3}})?(?![\w.+-]))
       | (?P<word> {_PLAIN_KEY})
       | (?P<quoted> (?P<quote>["'`])(?:\\.|(?!(?P=quote))[^\\])*(?P=quote))
       | (?P<sign> [<>!]=|[=<>(),])
       | (?P<space> \s+) | (?P<unclosed> ["'`]) | (?P<bad_number> [0-9+.-]) | (?P<unknown> .)""",
    re.VERBOSE | re.DOTALL,
)
_LIST_ITEM = re.compile(r"\s*(?:(?P<quoted>`(?:\\.|[^`\\])*`)\s*|(?P<plain>[^`,][^,]*|))(?:,|$)", re.DOTALL)
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(.))", re.DOTALL)
_ESCAPED_CHARACTERS = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"} | {mark: mark for mark in "\"'`\\/"}
_ERRORS = {
    "unclosed": ("Quote without an end", r"close it with the same quote; inside, write \" or \'."),
    "bad_number": (
        "Invalid number",
        f"use at most {MAX_DIGITS} digits before and {MAX_DIGITS} after the decimal point. "
        "Strings, also dates, need quotes.",
    ),
    "unknown": ("Unexpected character", "keys with characters other than letters, digits, _ . - need backquotes."),
    "list_item": (
        "Invalid key",
        "a key in backquotes ends with another backquote, before a comma or the end; inside, write \\`.",
    ),
    "escape": ("Unknown escape sequence", r"use \" \' \` \\ \/ \b \f \n \r \t or \u with four hexadecimal digits."),
    "key_length": ("Invalid key", f"a key has 1 to {MAX_KEY_LENGTH} characters."),
    "surrogate": ("Half of a surrogate pair in the quotes", ""),
    "nul": ("NUL character in the quotes", ""),
}


class FilterError(Exception):
    """A filter is invalid. position: the first wrong character, counted from 1; advice: what is valid there."""

    def __init__(self, problem: str, position: int, advice: str = "") -> None:
        super().__init__(f"{problem} at position {position}" + (f": {advice}" if advice else "."))


class Token(NamedTuple):
    """A token at the character `position`, counted from 1. kind: "key", "value", "end", or the keyword or sign itself."""

    kind: str
    position: int
    value: Value = ""


def tokenize(text: str) -> Iterator[Token]:
    """Yield the tokens of a filter, the last of kind "end". Raises FilterError."""
    for match in _TOKEN.finditer(text):
        kind, word, position = str(match.lastgroup), match[0], match.start() + 1
        if kind in _ERRORS:
            raise _error(kind, position)
        if kind == "number":
            yield Token("value", position, _parse_number(word, position))
        elif kind == "quoted" and word[0] != "`":
            yield Token("value", position, _unquote(word, position))
        elif word.lower() in _TRUTH_VALUES:
            yield Token("value", position, _TRUTH_VALUES[word.lower()])
        elif kind == "sign" or word.lower() in _KEYWORDS:
            yield Token(word.lower(), position)
        elif kind != "space":
            key = _unquote(word, position) if kind == "quoted" else word
            if not 1 <= len(key) <= MAX_KEY_LENGTH:
                raise _error("key_length", position)
            yield Token("key", position, key)
    yield Token("end", len(text) + 1)


def split_keys(text: str) -> list[str]:
    """Return the keys of a list with commas between them. A key with a comma, or with blanks at its ends, is in backquotes.

    Raises FilterError.

    >>> split_keys("plan, Zip code, `a, b`")
    ['plan', 'Zip code', 'a, b']
    """
    keys, position = [], 0
    while position < len(text):
        match = _LIST_ITEM.match(text, position)
        if match is None:
            raise _error("list_item", position + 1)
        plain_key, quoted_key = match["plain"], match["quoted"]
        keys.append(plain_key.strip() if quoted_key is None else _unquote(quoted_key, match.start("quoted") + 1))
        position = match.end()
    return [key for key in keys if key]


def _error(kind: str, position: int) -> FilterError:
    problem, advice = _ERRORS[kind]
    return FilterError(problem, position, advice)


def _parse_number(text: str, position: int) -> Decimal:
    # Plain digits without zeros at the ends, so that equal numbers have one canonical form and -0 is 0.
    whole, _, fraction = format(Decimal(text.removeprefix("-")), "f").partition(".")
    whole, fraction = whole.lstrip("0"), fraction.rstrip("0")
    if max(len(whole), len(fraction)) > MAX_DIGITS:
        raise _error("bad_number", position)
    minus = "-" if text.startswith("-") and whole + fraction else ""
    return Decimal(minus + (whole or "0") + (fraction and "." + fraction))


def _unquote(quoted_text: str, position: int) -> str:
    """Return the text between quotes, its escape sequences replaced."""

    def replace(escape: re.Match[str]) -> str:
        code, mark = escape.groups()
        if not code and mark not in _ESCAPED_CHARACTERS:
            raise _error("escape", position + 1 + escape.start())
        return chr(int(code, 16)) if code else _ESCAPED_CHARACTERS[mark]

    text = _ESCAPE.sub(replace, quoted_text[1:-1])
    try:
        # Joins the two halves of a surrogate pair that were two escape sequences.
        text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le")
    except UnicodeDecodeError:
        raise _error("surrogate", position) from None
    if "\0" in text:
        raise _error("nul", position)
    return text


def format_key(key: str) -> str:
    """Write a key in canonical form: in backquotes only where it needs them."""
    if re.fullmatch(_PLAIN_KEY, key) and key.lower() not in _KEYWORDS | _TRUTH_VALUES.keys():
        return key
    return "`" + format_value(key)[1:-1].replace("`", "\\`") + "`"


def format_value(value: Value) -> str:
    """Write a value in canonical form, which is JSON without exponents."""
    return format(value, "f") if isinstance(value, Decimal) else json.dumps(value, ensure_ascii=False)
