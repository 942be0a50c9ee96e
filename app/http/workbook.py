"""Excel workbooks (xlsx): typed cells, and a header row that is bold and stays in sight.

XlsxWriter writes a workbook with the header and one empty row, and the rows are written in the place of that row, with its
styles. XlsxWriter itself would begin to write its file when the last row is known, which for a million rows is after minutes.
"""

import re
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from html import escape
from io import BytesIO
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from xlsxwriter import Workbook  # type: ignore[import-untyped]

from app.http.encoder import Encoder
from app.http.sink import Sink
from app.http.tables import Answer, ColumnType, Row, TableColumn, json_text

# Excel opens no file with a longer text.
MAX_TEXT_LENGTH = 32_767
# Of deflate: a higher level takes twice as long for a tenth less.
_COMPRESSION = 3
_SHEET = "xl/worksheets/sheet1.xml"
# Excel's days are counted from here; before March of that year, it counts a day that never was.
_EPOCH, _FIRST_DATE = date(1899, 12, 30), date(1900, 3, 1)
_NUMBER_FORMATS: dict[ColumnType, str] = {
    "date": "yyyy-mm-dd",
    "time": "yyyy-mm-dd hh:mm:ss",
    "decimal": "0.00##",
    # Excel ignores it for a truth value; LibreOffice shows 1 and 0 without it.
    "boolean": '"TRUE";"TRUE";"FALSE"',
}
_WIDTHS: dict[ColumnType, int] = {"text": 18, "value": 18, "json": 30, "date": 11, "time": 20}
_DEFAULT_WIDTH = 12
_NOT_IN_XML = re.compile(r"_x[0-9a-fA-F]{4}_|[\x00-\x08\x0b-\x1f\ufffe\uffff]")


class WorkbookEncoder(Encoder):
    """Encodes rows as rows of a sheet. Times are UTC."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer)
        self._sink = Sink()
        self._zip = ZipFile(self._sink, "w", ZIP_DEFLATED, compresslevel=_COMPRESSION)
        self._row_number = 1

    def begin(self) -> bytes:
        template = ZipFile(BytesIO(_write_template(self.answer.name, self.answer.columns)))
        for name in template.namelist():
            if name != _SHEET:
                self._zip.writestr(_entry(name), template.read(name), compresslevel=_COMPRESSION)
        before, own_row, self._after = _split_sheet(template.read(_SHEET).decode())
        styles = re.findall(r'<c r="([A-Z]+)2" s="(\d+)"', own_row)
        self._cells = [
            (own.read, _WRITERS[own.type], f'<c r="{letters}', "" if style == "0" else f' s="{style}"')
            for own, (letters, style) in zip(self.answer.columns, styles, strict=True)
        ]
        self._sheet = self._zip.open(_entry(_SHEET), "w")
        self._sheet.write(before.encode())
        return self._sink.take()

    def add(self, rows: Sequence[Row]) -> bytes:
        self._sheet.write("".join(map(self._format_row, rows)).encode())
        return self._sink.take()

    def _format_row(self, row: Row) -> str:
        self._row_number += 1
        number = self._row_number
        cells = [
            f'{start}{number}"{style}{write(value)}'
            for read, write, start, style in self._cells
            if (value := read(row)) is not None
        ]
        return f'<row r="{number}">{"".join(cells)}</row>'

    def end(self) -> bytes:
        self._sheet.write(self._after.encode())
        self._sheet.close()
        self._zip.close()
        return self._sink.take()


def _entry(name: str) -> ZipInfo:
    """Return the entry of a file in the workbook, always with the same time, so that equal answers have equal bytes."""
    entry = ZipInfo(name)
    entry.compress_type = ZIP_DEFLATED
    return entry


def _write_template(name: str, columns: Sequence[TableColumn]) -> bytes:
    """Return a workbook with the header, and an empty row in which each cell has the style of its column."""
    content = BytesIO()
    workbook = Workbook(content, {"constant_memory": True, "strings_to_formulas": False})
    workbook.set_properties({"created": datetime(2000, 1, 1)})
    sheet = workbook.add_worksheet(name[:31])
    sheet.freeze_panes(1, 0)
    # On paper: as wide as a page, with the header on each.
    sheet.set_landscape()
    sheet.fit_to_pages(1, 0)
    sheet.repeat_rows(0)
    bold = workbook.add_format({"bold": True})
    # Constant memory takes cells row by row.
    for number, own in enumerate(columns):
        sheet.set_column(number, number, max(_WIDTHS.get(own.type, _DEFAULT_WIDTH), min(len(own.name) + 2, 40)))
        sheet.write_string(0, number, own.name, bold)
    for number, own in enumerate(columns):
        pattern = _NUMBER_FORMATS.get(own.type, "@" if own.type in ("text", "json") else "General")
        sheet.write_blank(1, number, None, workbook.add_format({"num_format": pattern}))
    workbook.close()
    return content.getvalue()


def _split_sheet(text: str) -> tuple[str, str, str]:
    """Return the XML of a sheet before its second row, that row, and what is after it."""
    # How far the sheet goes is not known yet, and may be left out.
    text = re.sub(r"<dimension [^>]*/>", "", text)
    before, mark, rest = text.partition('<row r="2"')
    own_row, end, after = rest.partition("</row>")
    return before, mark + own_row + end, after


def _write_number(value: Any) -> str:
    return f"><v>{value!r}</v></c>"


def _write_decimal(value: str) -> str:
    return f"><v>{value}</v></c>"


def _write_boolean(value: bool) -> str:
    return f' t="b"><v>{value:d}</v></c>'


def _write_text(value: str) -> str:
    if len(value) > MAX_TEXT_LENGTH:
        value = f"{value[: MAX_TEXT_LENGTH - 1]}…"
    # Such a text is never a formula, whatever it begins with.
    text = escape(_NOT_IN_XML.sub(_escape_character, value), quote=False)
    return f' t="inlineStr"><is><t xml:space="preserve">{text}</t></is></c>'


def _escape_character(match: re.Match[str]) -> str:
    text = match[0]
    return f"_x005F{text}" if len(text) > 1 else f"_x{ord(text):04X}_"


def _write_json(value: Any) -> str:
    return _write_text(json_text(value))


def _write_date(value: date | str) -> str:
    day = date.fromisoformat(value) if isinstance(value, str) else value
    return _write_text(day.isoformat()) if day < _FIRST_DATE else f"><v>{(day - _EPOCH).days}</v></c>"


def _write_time(value: datetime | str) -> str:
    time = datetime.fromisoformat(value) if isinstance(value, str) else value
    time = time.astimezone(UTC).replace(tzinfo=None)
    if time.date() < _FIRST_DATE:
        return _write_text(time.isoformat())
    days = (time - datetime(_EPOCH.year, _EPOCH.month, _EPOCH.day)) / timedelta(days=1)
    return f"><v>{days!r}</v></c>"


def _write_value(value: Any) -> str:
    """Return the cell of an attribute's value, which has a type of its own."""
    if isinstance(value, str):
        return _write_text(value)
    return _write_boolean(value) if isinstance(value, bool) else _write_number(value)


# Return the rest of a cell after its style.
_WRITERS: dict[ColumnType, Callable[[Any], str]] = {
    "text": _write_text,
    "integer": _write_number,
    "number": _write_number,
    "decimal": _write_decimal,
    "boolean": _write_boolean,
    "date": _write_date,
    "time": _write_time,
    "value": _write_value,
    "json": _write_json,
}
