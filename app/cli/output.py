"""Write answers of commands in the output formats of the API, to standard output or to a file."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, BinaryIO

import typer

from app.charts.draw import open_charts
from app.http.chart_formats import CHART_FORMATS, ChartParameters
from app.http.encoded_stream import EncodedStream
from app.http.formats import FORMATS, check_available
from app.http.row_parameters import split_list
from app.http.tables import Answer

# The formats of charts that files are known by.
PICTURES = ("svg", "png")
Fields = Annotated[
    list[str] | None, typer.Option(help="Only these columns, in this order. Separate them by commas, or repeat it.")
]
OutputFile = Annotated[
    Path | None, typer.Option(help="Write to this file. Its extension chooses the format unless --format does.")
]


def split_fields(fields: Sequence[str] | None) -> list[str]:
    """Return the names in the option `--fields`."""
    names: list[str] = split_list(list(fields or []))
    return names


def choose_output(
    format: str | None, output: Path | None, *, default: str, more: Sequence[str] = (), has_charts: bool = False
) -> str:
    """Return the output format: that of the option, by the extension of the file, or the default.

    more: the formats that are not of the API. has_charts: whether the answer can be a chart. Raises BadParameter, and Invalid
    for a format that is not installed.
    """
    formats = FORMATS | CHART_FORMATS if has_charts else FORMATS
    names = [*more, *formats]
    if format is None and output is not None:
        by_extension = {f".{entry.extension}": name for name, entry in FORMATS.items()}
        by_extension |= {f".{name}": name for name in formats if name in PICTURES}
        format = by_extension.get(output.suffix.lower())
        if format is None:
            extensions = ", ".join(by_extension)
            raise typer.BadParameter(
                f"its extension must be one of: {extensions}. Or set --format.", param_hint="--output"
            )
    format = format or default
    if format not in names:
        raise typer.BadParameter(f"it must be one of: {', '.join(names)}.", param_hint="--format")
    if format not in formats:
        if output is not None:
            raise typer.BadParameter(f"{format} is for the terminal. Choose another format.", param_hint="--format")
        return format
    check_available(format, formats)
    if not formats[format].is_text and output is None and sys.stdout.isatty():
        raise typer.BadParameter("a terminal cannot show this format. Give a file.", param_hint="--output")
    return format


async def write_answer(format: str, answer: Answer, *, fields: Sequence[str], output: Path | None) -> None:
    """Write an answer, with the pages after it, to a file or to standard output. Raises Invalid for unknown fields."""
    with _open(output) as file:
        await _write(format, answer, fields, file)


async def write_chart(
    answer: Answer, format: str, parameters: ChartParameters, *, currency: str, output: Path | None
) -> None:
    """Write an answer as a chart to a file or to standard output. Raises Invalid for one that the answer cannot be."""
    async with open_charts() as charts:
        content = await charts.draw(answer.name, answer.body, format, parameters, currency=currency)
    with _open(output) as file:
        file.write(content)


@contextmanager
def _open(output: Path | None) -> Iterator[BinaryIO]:
    """Open a file, or standard output. What fails leaves no half of a file."""
    if output is None:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    partial = output.with_name(f"{output.name}.partial")
    try:
        with partial.open("wb") as file:
            yield file
        partial.replace(output)
    finally:
        partial.unlink(missing_ok=True)


async def _write(format: str, answer: Answer, fields: Sequence[str], file: BinaryIO) -> None:
    own = answer.with_fields(fields) if fields else answer
    async for part in EncodedStream(FORMATS[format], own, fields, has_more=True).parts():
        file.write(part)
    if format == "json":
        file.write(b"\n")
