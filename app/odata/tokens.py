"""Split a text of `$filter`, `$orderby` or a key into tokens, and read literals."""

import re
from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import NamedTuple, NoReturn

from app.core.errors import Malformed
from app.core.ids import normalize_id
from app.core.names import build_fault
from app.odata.expressions import COMPARISONS, Constant

# Names, values, operators and signs.
MAX_TOKENS = 10_000
_MAX_DIGITS = 60
KEYWORDS = frozenset({*COMPARISONS, "and", "or", "not", "in", "null", "true", "false", "asc", "desc"})
TRUTH_AND_NULL = {
    "true": Constant("boolean", True),
    "false": Constant("boolean", False),
    "null": Constant("null", None),
}
_UNSUPPORTED_OPERATORS = ("add", "sub", "mul", "div", "divby", "mod", "has")

_TOKEN = re.compile(
    r"""(?P<text>'(?:[^']|'')*')
    |(?P<time>[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,12})?)?(?:Z|[+-][0-9]{2}:[0-9]{2})?)
    |(?P<date>[0-9]{4}-[0-9]{2}-[0-9]{2})(?![\w-])
    |(?P<number>-?[0-9]+(?:\.[0-9]+)?(?:e[+-]?[0-9]+)?)(?![\w-])
    |(?P<name>[^\W\d]\w*)
    |(?P<sign>[(),=])""",
    re.VERBOSE | re.IGNORECASE | re.DOTALL,
)
_BLANKS = re.compile(r"[ \t\r\n]*")


class FilterWord(NamedTuple):
    """A token: its kind (a group of _TOKEN), its text, and where it begins."""

    kind: str
    text: str
    position: int


_END = "the end"


class TokenReader:
    """Reads the tokens of one text. option: the query option that it is of."""

    def __init__(self, text: str, *, option: str) -> None:
        self.option, self._text, self._next = option, normalize_id(text), 0
        self._tokens: Sequence[FilterWord] = ()
        self._tokens = self._tokenize(self._text)

    def _tokenize(self, text: str) -> Sequence[FilterWord]:
        tokens: list[FilterWord] = []
        position = _BLANKS.match(text).end()  # type: ignore[union-attr]
        while position < len(text):
            match = _TOKEN.match(text, position)
            if match is None:
                self.fail(
                    "Unexpected character" if text[position] != "'" else "A text without a closing quote begins",
                    position,
                )
            kind = next(name for name in ("text", "time", "date", "number", "name", "sign") if match[name] is not None)
            tokens.append(FilterWord(kind, match[0], position))
            if len(tokens) > MAX_TOKENS:
                self.fail(f"It is too long: {MAX_TOKENS:,} names, values and signs are possible", position)
            position = _BLANKS.match(text, match.end()).end()  # type: ignore[union-attr]
        return tokens

    def fail(self, problem: str, position: int | None = None) -> NoReturn:
        """Raise Malformed. position: by default that of the next token."""
        if position is None:
            position = self.peek().position
        detail = f"{problem}, at character {position + 1}."
        raise Malformed.of([build_fault(f"/query/{self.option}", detail, code="invalid_filter")])

    def peek(self) -> FilterWord:
        if self._next < len(self._tokens):
            return self._tokens[self._next]
        return FilterWord("end", _END, len(self._text))

    def take(self) -> FilterWord:
        token = self.peek()
        self._next += 1
        return token

    def take_sign(self, sign: str) -> bool:
        """Return whether the next token is this sign, and take it then."""
        if self.peek()[:2] == ("sign", sign):
            self.take()
            return True
        return False

    def take_keyword(self, *keywords: str) -> str | None:
        """Return the keyword that comes next, and take it, if it is one of these."""
        token = self.peek()
        if token.kind == "name" and token.text.lower() in keywords:
            self.take()
            return token.text.lower()
        return None

    def expect_end(self) -> None:
        """Raise Malformed if there is more."""
        token = self.peek()
        if token.kind == "end":
            return
        if token.kind == "name" and token.text.lower() in _UNSUPPORTED_OPERATORS:
            self.fail(f"The operator `{token.text.lower()}` is not supported")
        self.fail(f"An operator such as {', '.join(COMPARISONS)}, `and` or `or` is expected")

    def expect_sign(self, sign: str) -> None:
        if not self.take_sign(sign):
            self.fail(f"`{sign}` is expected")

    def constant(self) -> Constant:
        """Return a literal."""
        token = self.take()
        readers = {"text": self._text_constant, "number": self._number, "date": self._day, "time": self._instant}
        if token.kind == "name" and token.text.lower() in TRUTH_AND_NULL:
            return TRUTH_AND_NULL[token.text.lower()]
        if token.kind not in readers:
            self.fail("A value is expected", token.position)
        return readers[token.kind](token)

    def _text_constant(self, token: FilterWord) -> Constant:
        if "\0" in token.text:
            self.fail("A text must not contain U+0000", token.position)
        return Constant("text", token.text[1:-1].replace("''", "'"))

    def _number(self, token: FilterWord) -> Constant:
        value = Decimal(token.text)
        if value.adjusted() > _MAX_DIGITS or value.adjusted() < -_MAX_DIGITS or len(token.text) > 2 * _MAX_DIGITS:
            self.fail("This number has too many digits", token.position)
        return Constant("decimal", value)

    def _day(self, token: FilterWord) -> Constant:
        try:
            return Constant("date", date.fromisoformat(token.text))
        except ValueError:
            self.fail("This day does not exist", token.position)

    def _instant(self, token: FilterWord) -> Constant:
        if token.text[-1].upper() != "Z" and token.text[-6] not in "+-":
            advice = "with its offset from UTC, such as 2026-03-14T00:00:00Z; in a URL, `+` is written %2B"
            self.fail(f"Write a time {advice}", token.position)
        try:
            # Python reads microseconds.
            text = re.sub(r"(\.[0-9]{6})[0-9]+", r"\1", token.text.upper())
            return Constant("time", datetime.fromisoformat(text).astimezone(UTC))
        except (ValueError, OverflowError):
            self.fail("This time does not exist", token.position)


def parse_key(text: str) -> list[tuple[str | None, Constant]]:
    """Return the values of a key in parentheses, such as `'acme'` or `metric='nps',period='2026-03'`, with their names.

    Raises Malformed.
    """
    reader = TokenReader(text, option="key")
    values: list[tuple[str | None, Constant]] = []
    while True:
        name = None
        token = reader.peek()
        if token.kind == "name" and token.text.lower() not in TRUTH_AND_NULL:
            name = reader.take().text
            reader.expect_sign("=")
        values.append((name, reader.constant()))
        if not reader.take_sign(","):
            break
    reader.expect_end()
    return values
