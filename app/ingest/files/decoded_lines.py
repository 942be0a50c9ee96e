"""Lines of text in encodings and with line ends that cannot be found in the bytes: UTF-16, and the ends of old Mac files."""

import codecs
from collections import deque
from typing import Any, NamedTuple

_CHUNK = 65_536
_SAMPLE = 4096
# The order matters: UTF-32 begins like UTF-16.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
# What takes the place of bytes that are no text.
_BROKEN = "\udcff"
codecs.register_error("csmetrics_broken", lambda error: (_BROKEN, error.end))  # type: ignore[attr-defined]

# A line with its end, empty at the end of the file; and whether it is cut off because it is too long.
DecodedLine = tuple[str, bool]


class TextForm(NamedTuple):
    """How the bytes of a file are text. mark: the byte order mark that it begins with. line_end: `\\n` or `\\r`."""

    encoding: str
    mark: bytes
    line_end: str

    @property
    def has_lines_of_bytes(self) -> bool:
        """Return whether a line of text is a line of bytes."""
        return self.line_end == "\n" and extends_ascii(self.encoding)


def extends_ascii(encoding: str) -> bool:
    """Return whether texts of ASCII are the same bytes in this encoding. Raises LookupError for one that is unknown."""
    return "a\n".encode(encoding) == b"a\n"


def find_text_form(stream: Any, encoding: str, *, may_use_cr: bool) -> TextForm:
    """Return how a file is written.

    stream: at its beginning; nothing is read from it. encoding: what the mapping says; a byte order mark is more certain.
    may_use_cr: whether its lines may end in carriage returns alone, as old Mac files do.
    """
    start: bytes = stream.peek(_SAMPLE)[:_SAMPLE]
    default = b"", "utf-8" if encoding == "utf-8-sig" else encoding
    mark, encoding = next((entry for entry in _MARKS if start.startswith(entry[0])), default)
    if not mark and (name := codecs.lookup(encoding).name) in ("utf-16", "utf-32"):
        encoding = _find_byte_order(start, name)
    text = start[len(mark) :].decode(encoding, "ignore")
    uses_cr = may_use_cr and "\r" in text and "\n" not in text
    return TextForm(encoding, mark, "\r" if uses_cr else "\n")


def _find_byte_order(start: bytes, name: str) -> str:
    """Return the encoding of a file that is declared as UTF-16 or UTF-32, but has no byte order mark; Python refuses such files.

    Line ends and delimiters have NULs in these. A file without NULs has been saved again in UTF-8.
    """
    if 0 not in start:
        return "utf-8"
    return f"{name}-{'le' if start[1::2].count(0) > start[::2].count(0) or start[0] else 'be'}"


def guess_utf16(start: str) -> str | None:
    """Return which UTF-16 a text may be that was read as if it had one byte a character; None where it is not."""
    even, odd = start[::2].count("\0"), start[1::2].count("\0")
    if max(even, odd) * 4 < len(start):
        return None
    return "utf-16-le" if odd > even else "utf-16-be"


class DecodedLines:
    """The lines of a stream, decoded before they are split. Broken characters become half of a surrogate pair."""

    def __init__(self, stream: Any, form: TextForm) -> None:
        self._stream, self._line_end = stream, form.line_end
        self._decoder = codecs.getincrementaldecoder(form.encoding)("csmetrics_broken")
        # Lines with their ends, and the beginning of the next one.
        self._lines, self._rest, self._at_end = deque[str](), "", False

    def readline(self, limit: int) -> DecodedLine:
        """Return the next line, or its first `limit` characters."""
        while not self._lines and not self._at_end and len(self._rest) < limit:
            chunk = self._stream.read(_CHUNK)
            self._at_end = not chunk
            *lines, self._rest = (self._rest + self._decoder.decode(chunk, self._at_end)).split(self._line_end)
            self._lines.extend([line + self._line_end for line in lines])
        if not self._lines:
            line, self._rest = self._rest[:limit], self._rest[limit:]
        elif len(line := self._lines.popleft()) > limit:
            self._lines.appendleft(line[limit:])
            line = line[:limit]
        return line, len(line) == limit and not line.endswith(self._line_end)
