"""What a spreadsheet program makes of our files: LibreOffice opens them, and saves what it has read."""

import csv
import io
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from tests.http.test_formats import QUESTIONS, fetch, found_company, normalize
from tests.support.service import Service

# Commas, double quotes, UTF-8, each cell as it is stored rather than as it is shown.
_CSV = "csv:Text - txt - csv (StarCalc):44,34,76,1,,0,false,false"
# Rows with everything that may stand in a cell: texts of clients, numbers, dates, times, money, booleans.
_PATHS = ("/v1/query", "/v1/metrics/sessions/events", "/v1/feedback", "/v1/accounts", "/v1/scorecard")
_QUESTIONS = [own for own in QUESTIONS if own[0] in _PATHS]
_TIME = re.compile(r"^(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)Z$")


@pytest.fixture(scope="module")
def company(copy_database: Callable[[], Any]) -> Iterator[Service]:
    with copy_database() as url, Service(url).open() as service:
        found_company(service)
        yield service


def convert(folder: Path, files: list[Path], target: str) -> None:
    """Let LibreOffice open the files and save each in another format, in the same folder."""
    program = shutil.which("soffice")
    if program is None:
        pytest.skip("the program soffice is missing, so NO SPREADSHEET PROGRAM OPENS OUR FILES")
    command = [program, f"-env:UserInstallation=file://{folder}/profile", "--headless", "--convert-to", target]
    subprocess.run([*command, "--outdir", folder, *files], check=True, capture_output=True, timeout=300)


def write_files(company: Service, folder: Path, format: str) -> list[Path]:
    files = [folder / f"{number}.{format}" for number, _ in enumerate(_QUESTIONS)]
    for file, (path, params) in zip(files, _QUESTIONS, strict=True):
        file.write_bytes(fetch(company, path, format, **params))
    return files


def test_libreoffice_reads_the_cells_of_a_workbook(company: Service, tmp_path: Path) -> None:
    files = write_files(company, tmp_path, "xlsx")
    convert(tmp_path, files, _CSV)
    for file, (path, params) in zip(files, _QUESTIONS, strict=True):
        lines = list(csv.reader(io.StringIO(file.with_suffix(".csv").read_text(), newline="")))
        own_lines = list(csv.reader(io.StringIO(fetch(company, path, "csv", **params).decode(), newline="")))
        assert len(lines) == len(own_lines) > 1
        for line, own in zip(lines, own_lines, strict=True):
            assert [plain(cell) for cell in line] == [plain(cell) for cell in own]


def plain(cell: str) -> str:
    """Return a cell as both programs would write it."""
    text = _TIME.sub(r"\1 \2", cell.removeprefix("'").replace("\r\n", "\n"))
    return normalize({"TRUE": "true", "FALSE": "false"}.get(text, text))


def test_libreoffice_finds_no_formula_in_a_table_of_text(company: Service, tmp_path: Path) -> None:
    files = write_files(company, tmp_path, "csv")
    convert(tmp_path, files, "xlsx")
    for file in files:
        sheet = openpyxl.load_workbook(file.with_suffix(".xlsx")).worksheets[0]
        cells = [cell for row in sheet.iter_rows() for cell in row]
        assert len(cells) > 10
        assert not [cell.value for cell in cells if cell.data_type == "f"]
