"""Output formats of rows: every format is one entry of FORMATS. Those of charts are in `chart_formats`.

To add a format, write its encoder and add its entry here. The parameter `format`, the `Accept` header, the OpenAPI document and
the command line follow.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol

from pydantic_core import to_json

from app.core.errors import Invalid
from app.http.csv_table import CsvEncoder
from app.http.encoder import Encoder
from app.http.encoding import JSON, NDJSON
from app.http.parquet import ParquetEncoder
from app.http.preferences import read_preferences
from app.http.tables import Answer, Row, take_batches
from app.http.workbook import WorkbookEncoder

# So many rows are encoded at a time.
ROWS_PER_PART = 1_000


class AnyFormat(Protocol):
    """An output format of rows or charts. needs: the module that it needs, and the extra that has it."""

    @property
    def media_type(self) -> str: ...
    @property
    def needs(self) -> tuple[str, str] | None: ...


class Format(NamedTuple):
    """An output format of rows.

    encoder: returns the encoder of an answer. is_file: whether it is kept as a file or read as a table, without a place for the
    cursor of a next page, so that it has all rows unless there is a `limit`. is_text: whether a browser can show it; what is no
    text is compressed already. needs: the module that it needs, and the extra that has it.
    """

    media_type: str
    extension: str
    encoder: Callable[[Answer], Encoder]
    charset: str = ""
    is_file: bool = True
    is_text: bool = True
    needs: tuple[str, str] | None = None

    @property
    def content_type(self) -> str:
        """Return the value of the Content-Type header."""
        return f"{self.media_type}; charset={self.charset}" if self.charset else self.media_type


def write_json(body: Any) -> bytes:
    """Return a value as JSON."""
    return to_json(body)


class JsonEncoder(Encoder):
    """Encodes the whole answer as one object."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer)
        self._separator = b""

    def begin(self) -> bytes:
        members = {name: value for name, value in self.answer.body.items() if name != self.answer.rows_name}
        return to_json(members)[:-1] + (b"," if members else b"") + to_json(self.answer.rows_name) + b":["

    def add(self, rows: Sequence[Row]) -> bytes:
        part = self._separator + to_json(rows)[1:-1]
        self._separator = b","
        return part

    def end(self) -> bytes:
        return b"]}"


class NdjsonEncoder(Encoder):
    """Encodes each row as the object that it is in JSON, on a line of its own."""

    def add(self, rows: Sequence[Row]) -> bytes:
        return b"".join([to_json(row) + b"\n" for row in rows])


FORMATS: dict[str, Format] = {
    "json": Format(JSON, "json", JsonEncoder, is_file=False),
    "csv": Format("text/csv", "csv", CsvEncoder, charset="utf-8"),
    "ndjson": Format(NDJSON, "ndjson", NdjsonEncoder),
    "xlsx": Format(
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        "xlsx",
        WorkbookEncoder,
        is_text=False,
    ),
    "parquet": Format(
        "application/vnd.apache.parquet",
        "parquet",
        ParquetEncoder,
        is_text=False,
        needs=("pyarrow", "parquet"),
    ),
}
DEFAULT_FORMAT = "json"
# Other names of media types by which clients ask for a format.
_ALIASES = {"application/jsonl": NDJSON, "application/x-parquet": "application/vnd.apache.parquet"}

# The type of the parameter `format`.
if TYPE_CHECKING:
    FormatName = str
else:
    FormatName = Literal[tuple(FORMATS)]


def accepted_format(accept: str, formats: Mapping[str, AnyFormat] = FORMATS) -> str:
    """Return the format that an `Accept` header prefers of these; the default one where it accepts none of them.

    A range such as `text/*` stands for the first format that is in it and is not refused by `q=0`.
    """
    ranges = [(_ALIASES.get(name, name), quality) for name, quality in read_preferences(accept)]
    refused_types = {name for name, quality in ranges if not quality > 0}
    by_media_type = {entry.media_type: name for name, entry in formats.items() if entry.media_type not in refused_types}
    # Of equal ones, the first.
    for media_range, _ in sorted(ranges, key=lambda own: -own[1]):
        for media_type, name in by_media_type.items():
            if media_range not in refused_types and _is_in(media_type, media_range):
                return name
    return DEFAULT_FORMAT


def _is_in(media_type: str, media_range: str) -> bool:
    if media_range in ("*/*", "*"):
        return True
    return media_type == media_range or (media_range.endswith("/*") and media_type.startswith(media_range[:-1]))


def check_available(name: str, formats: Mapping[str, AnyFormat] = FORMATS) -> None:
    """Raise Invalid for a format of which the package that it needs is not installed."""
    entry = formats[name]
    if entry.needs is not None and not _is_installed(entry.needs[0]):
        module, extra = entry.needs
        detail = (
            f"The format {name} needs {module}, which is not installed with this service. Its operator can install the extra "
            f"`{extra}`: pip install 'customer-success-metrics[{extra}]'. Until then, choose another format."
        )
        raise Invalid.at("/query/format", detail, code="format_unavailable")


def _is_installed(module: str) -> bool:
    return find_spec(module) is not None


def encode(entry: Format, answer: Answer) -> Iterator[bytes]:
    """Yield the parts of an answer in a format, without further pages."""
    encoder = entry.encoder(answer)
    yield encoder.begin()
    for rows in take_batches(answer.rows, ROWS_PER_PART):
        yield encoder.add(rows)
    yield encoder.end()


def encode_whole(entry: Format, answer: Answer) -> bytes:
    """Return an answer of not too many rows in a format."""
    if entry.encoder is JsonEncoder:
        return to_json(answer.body)
    return b"".join(encode(entry, answer))
