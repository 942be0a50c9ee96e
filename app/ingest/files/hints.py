"""What an option of the mapping could make of a text that cannot be understood. Every hint begins with a separator."""

import csv
import re
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta

from app.core.names import nearest_names

EXCEL_EPOCH = datetime(1899, 12, 30)
# Days between 1970 and 2100 in Excel's numbers.
_EXCEL_DAYS = range(25_569, 73_051)
_UNIX_SECONDS, _UNIX_MS = range(10**8, 10**10), range(10**11, 10**13)
# Spellings of "nothing" that tools write.
NOTHING = frozenset({"-", "--", "–", "—", "?", ".", "n/a", "#n/a", "na", "nan", "null", "none", "nil", "(null)", "\\n"})
_SIGN = r"[^\d\s.,+()'’-]{1,4}\.?"
_SIGNED_AMOUNT = re.compile(rf"(?=.*\d)(?P<before>{_SIGN})?\s*[+-]?[\d.,' ’\u00a0\u202f]+\s*(?P<after>{_SIGN})?")
_DATES = (
    (r"\d{1,2}\.\d{1,2}\.\d{4}", ("%d.%m.%Y",)),
    (r"\d{1,2}\.\d{1,2}\.\d{2}", ("%d.%m.%y",)),
    (r"\d{1,2}/\d{1,2}/\d{4}", ("%d/%m/%Y", "%m/%d/%Y")),
    (r"\d{1,2}/\d{1,2}/\d{2}", ("%d/%m/%y", "%m/%d/%y")),
    (r"\d{1,2}-\d{1,2}-\d{4}", ("%d-%m-%Y", "%m-%d-%Y")),
    (r"\d{4}/\d{1,2}/\d{1,2}", ("%Y/%m/%d",)),
    (r"\d{4}\.\d{1,2}\.\d{1,2}", ("%Y.%m.%d",)),
    (r"\d{8}", ("%Y%m%d",)),
    (r"\d{1,2}[- ][A-Za-z]{3}[- ]\d{4}", ("%d-%b-%Y",)),
)
_CLOCKS = (
    (r"", ""),
    (r" \d{1,2}:\d\d", " %H:%M"),
    (r" \d{1,2}:\d\d:\d\d", " %H:%M:%S"),
    (r"T\d{1,2}:\d\d:\d\d", "T%H:%M:%S"),
    (r" \d{1,2}:\d\d [AaPp][Mm]", " %I:%M %p"),
)
_DELIMITERS = (";", "\t", "|", ",")
# The first bytes of files that are no text. A spreadsheet is a ZIP archive or, in old formats, an OLE document.
_GZIP, _SPREADSHEETS = b"\x1f\x8b", (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")


def did_you_mean(name: str, candidates: Iterable[str]) -> str:
    """Return the question whether the nearest of the candidates were meant, or nothing."""
    nearest = nearest_names(name, candidates)
    return f" Did you mean {' or '.join(nearest)}?" if nearest else ""


def number_hint(text: str, *, decimal_point: str) -> str:
    """Return which option of a column may turn a text into a number."""
    if text.casefold() in NOTHING:
        return f'; if it stands for an empty cell, set empty = ["{text}"]'
    if re.fullmatch(r"\([\d.,]+\)", text):
        return "; write a negative number with a minus sign, not in parentheses"
    match = _SIGNED_AMOUNT.fullmatch(text)
    if match and (sign := match["before"] or match["after"]):
        return f'; to ignore the sign, set strip = ["{sign}"]'
    point = re.escape(decimal_point)
    for thousands, spelling in ((r"\.", "."), (",", ","), ("[ \u00a0\u202f\u2009]", " "), ("['’]", "'")):
        if spelling != decimal_point and re.fullmatch(rf"[+-]?\d{{1,3}}(?:{thousands}\d{{3}})+(?:{point}\d+)?", text):
            other = f' or decimal_point = "{spelling}"' if spelling in ".," and decimal_point not in text else ""
            return f'; set thousands = "{spelling}"{other}'
    if decimal_point != "," and re.fullmatch(r"[+-]?\d{1,3}(?:\.\d{3})+,\d+", text):
        return '; set decimal_point = "," and thousands = "."'
    for other_point in ",.":
        if other_point != decimal_point and re.fullmatch(rf"[+-]?\d+{re.escape(other_point)}\d+", text):
            return f'; set decimal_point = "{other_point}"'
    return ""


def time_hint(text: str) -> str:
    """Return which format may turn a text into a time."""
    if text.casefold() in NOTHING:
        return f'; if it stands for an empty cell, set empty = ["{text}"]'
    if re.fullmatch(r"\d+([.,]\d+)?", text, re.ASCII):
        whole = int(re.split("[.,]", text)[0])
        if whole in _EXCEL_DAYS:
            day = EXCEL_EPOCH + timedelta(days=whole)
            return f'; as a number of Excel it is {day:%Y-%m-%d}: set format = "excel"'
        if whole in _UNIX_SECONDS and len(text) != 8:
            return '; if these are seconds since 1970, set format = "unix"'
        if whole in _UNIX_MS:
            return '; if these are milliseconds since 1970, set format = "unix_ms"'
    for date_pattern, dates in _DATES:
        for clock_pattern, clock in _CLOCKS:
            if re.fullmatch(date_pattern + clock_pattern, text, re.ASCII):
                formats = [f'"{date}{clock}"' for date in dates if _is_time(text, f"{date}{clock}")]
                return f"; set format = {' or '.join(formats)}" if formats else ""
    return ""


def _is_time(text: str, format: str) -> bool:
    try:
        datetime.strptime(text, format)
    except ValueError:
        return False
    return True


def delimiter_hint(line: str, *, delimiter: str, columns: Collection[str]) -> str:
    """Return the advice to set another delimiter, where the header seems to be separated by one.

    line: of the header. columns: the columns that the mapping uses.
    """

    def score(candidate: str) -> tuple[int, int]:
        cells = split_line(line, candidate)
        return len({cell.strip() for cell in cells} & set(columns)), len(cells)

    current = score(delimiter)
    best = max((candidate for candidate in (*_DELIMITERS, "spaces") if candidate != delimiter), key=score)
    matches, cells = score(best)
    if matches > current[0] or (current == (0, 1) and best != "spaces" and cells > 1):
        spelling = "\\t" if best == "\t" else best
        return (
            f' The cells seem to be separated by {name_delimiter(best)}: set delimiter = "{spelling}" in the mapping.'
        )
    return ""


def content_hint(start: bytes, *, is_packed: bool) -> str:
    """Return what a file that should hold text is instead, by its first bytes, and what to do; empty where nothing tells.

    is_packed: whether its name says that it is compressed.
    """
    if is_packed:
        return "" if not start or start.startswith(_GZIP) else "the file is not compressed: remove .gz from its name"
    if start.startswith(_GZIP):
        return "the file is compressed by gzip: add .gz to its name"
    if start.startswith(_SPREADSHEETS):
        return 'the file is no text but seems to be a spreadsheet: set format = "xlsx" in the mapping'
    return ""


def name_delimiter(delimiter: str) -> str:
    """Return how a sentence names a delimiter."""
    return {"\t": "tabs", "spaces": "spaces"}.get(delimiter, f'"{delimiter}"')


def split_line(line: str, delimiter: str) -> Sequence[str]:
    """Return the cells of one line, whatever is wrong with its quotes."""
    if delimiter == "spaces":
        return line.split()
    try:
        return next(csv.reader([line.rstrip("\r\n")], delimiter=delimiter), [])
    except csv.Error:
        return []


def looks_like_data(cells: Iterable[str]) -> bool:
    """Return whether the cells of a header are rather those of a row: one is empty, a number or a date, or occurs twice."""
    names = list(cells)
    return len(set(names)) < len(names) or any(not name or re.fullmatch(r"[\d.,:/ -]+", name) for name in names)
