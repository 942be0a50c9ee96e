"""Write answers of commands in the output formats of the API, to standard output or to a file."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, BinaryIO

import typer

from app.http.encoded_stream import EncodedStream
from app.http.formats import FORMATS, check_available
from app.http.row_parameters import split_list
from app.http.tables import Answer

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


def choose_output(format: str | None, output: Path | None, *, default: str, more: Sequence[str] = ()) -> str:
    """Return the output format: that of the option, by the extension of the file, or the default.

    more: the formats that are not of the API. Raises BadParameter, and Invalid for a format that is not installed.
    """
    names = [*more, *FORMATS]
    if format is None and output is not None:
        by_extension = {f".{entry.extension}": name for name, entry in FORMATS.items()}
        format = by_extension.get(output.suffix.lower())
        if format is None:
            extensions = ", ".join(by_extension)
            raise typer.BadParameter(
                f"its extension must be one of: {extensions}. Or set --format.", param_hint="--output"
            )
    format = format or default
    if format not in names:
        raise typer.BadParameter(f"it must be one of: {', '.join(names)}.", param_hint="--format")
    if format not in FORMATS:
        if output is not None:
            raise typer.BadParameter(f"{format} is for the terminal. Choose another format.", param_hint="--format")
        return format
    check_available(format)
    if not FORMATS[format].is_text and output is None and sys.stdout.isatty():
        raise typer.BadParameter("a terminal cannot show this format. Give a file.", param_hint="--output")
    return format


async def write_answer(format: str, answer: Answer, *, fields: Sequence[str], output: Path | None) -> None:
    """Write an answer, with the pages after it, to a file or to standard output. Raises Invalid for unknown fields."""
    if output is None:
        await _write(format, answer, fields, sys.stdout.buffer)
        sys.stdout.buffer.flush()
        return
    # An export that fails leaves no half of a file.
    partial = output.with_name(f"{output.name}.partial")
    try:
        with partial.open("wb") as file:
            await _write(format, answer, fields, file)
        partial.replace(output)
    finally:
        partial.unlink(missing_ok=True)


async def _write(format: str, answer: Answer, fields: Sequence[str], file: BinaryIO) -> None:
    own = answer.with_fields(fields) if fields else answer
    async for part in EncodedStream(FORMATS[format], own, fields, has_more=True).parts():
        file.write(part)
    if format == "json":
        file.write(b"\n")
