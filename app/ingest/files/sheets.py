"""Read a sheet of a spreadsheet: Excel's formats and OpenDocument."""

from collections.abc import Iterator, Sequence
from typing import Any

from python_calamine import CalamineError, CalamineSheet, CalamineWorkbook, PasswordError, SheetVisibleEnum

from app.core.errors import Invalid
from app.ingest.files.data_file import DataFile

# Excel computes with 17 digits and shows 15: 0.1 + 0.2 is 0.3.
_DIGITS = 15


def read_sheet(file: DataFile) -> tuple[Iterator[tuple[int, list[Any]]], int]:
    """Return the rows after the header, each with its number and as many cells as there are columns; and the number of rows.

    Rows without content are no rows. Dates and times are values of `datetime`; a cell with an error is empty.
    """
    sheet = open_sheet(file)
    rows = _rows_of(sheet, skip=file.format.skip_lines)
    if file.has_header:
        next(rows, None)
    width = len(file.columns)
    return ((number, _fit(cells, width)) for number, cells in rows), (sheet.end or (0, 0))[0] + 1


def open_sheet(file: DataFile) -> CalamineSheet:
    """Return the sheet that the mapping names, or the only one with content. Raises Invalid."""
    try:
        workbook = CalamineWorkbook.from_path(file.path)
        return workbook.get_sheet_by_name(_choose_sheet(file, workbook))
    except PasswordError as error:
        detail = f"{file.path} is protected by a password. Save it without one."
        raise Invalid(detail, code="bad_header") from error
    except (CalamineError, OSError) as error:
        detail = f"{file.path} cannot be read as a spreadsheet ({error}). Open it and save it again, as XLSX or CSV."
        raise Invalid(detail, code="bad_header") from error


def _choose_sheet(file: DataFile, workbook: CalamineWorkbook) -> str:
    names = [sheet.name for sheet in workbook.sheets_metadata if sheet.visible == SheetVisibleEnum.Visible]
    all_names = [sheet.name for sheet in workbook.sheets_metadata]
    name = file.format.sheet
    if name is not None:
        if name not in all_names:
            detail = f'{file.path} has no sheet "{name}". Its sheets are: {", ".join(all_names)}.'
            raise Invalid(detail, code="bad_sheet")
        return name
    filled_sheets = [name for name in names if workbook.get_sheet_by_name(name).start is not None]
    if len(filled_sheets) > 1:
        detail = (
            f'{file.path} has several sheets: {", ".join(filled_sheets)}. Set sheet = "{filled_sheets[0]}" (or another) in the '
            "mapping."
        )
        raise Invalid(detail, code="bad_sheet")
    return (filled_sheets or names or all_names)[0]


def _rows_of(sheet: CalamineSheet, *, skip: int) -> Iterator[tuple[int, list[Any]]]:
    """Yield the rows that have any content, with their numbers."""
    for number, cells in enumerate(sheet.iter_rows(), 1):
        if number > skip and any(cell != "" for cell in cells):
            yield number, [_normalize(cell) for cell in cells]


def _fit(cells: list[Any], width: int) -> list[Any]:
    return [*cells[:width], *[""] * (width - len(cells))]


def _normalize(cell: Any) -> Any:
    """Return a cell with its number as it is shown: 5.0 is 5."""
    if isinstance(cell, float):
        return int(cell) if cell.is_integer() and abs(cell) < 10**_DIGITS else float(f"{cell:.{_DIGITS}g}")
    return cell


def header_of(sheet: CalamineSheet, *, skip: int) -> Sequence[Any]:
    """Return the cells of the first row with content; none where the sheet is empty."""
    return next(_rows_of(sheet, skip=skip), (0, []))[1]
