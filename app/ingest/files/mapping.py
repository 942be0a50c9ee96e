"""The mapping file of `csmetrics import` (TOML): which rows of which files make which events.

    [lookup.subscriptions]               # another file, asked by a key
    file = "subscriptions.csv"
    key = "subscription_id"

    [[source]]                           # a file is read by the first source whose pattern fits its name
    file = "usage_*.csv"
    skip = [{ when = 'plan = "test"', reason = "our own accounts" }]

    [source.columns]                     # what cells mean; others are text (NDJSON: what they are)
    uses = "integer"
    used_on = { type = "datetime", format = "%d.%m.%Y", zone = "Europe/Berlin" }
    account = { lookup = "subscriptions", by = "subscription_id", column = "account_id" }

    [[source.event]]                     # a row gives one event for each block that applies to it
    when = "uses > 0"
    type = "feature.used"
    id = "usage-{row_hash}"
    account_id = "{account}"
    occurred_at = "{used_on}"
    data = { feature = "{feature}", count = "{uses}" }

A text of an event may name columns in braces (`{{` and `}}` are braces). `"{uses}"` alone is the column's value with
its type; among other characters it is written out. NDJSON is asked by path: `{customer.id}`. An empty cell leaves its
field out. Conditions are filters (app/accounts/filters.py) over the columns' values; money counts as a number there.
`{file}` is the file's name, `{line}` the row's line, and `{row_hash}` a hash of all the row's cells, whatever their
order: an id for rows without a unique one, by which rows that are the same in everything are one event.
"""

import re
import tomllib
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from app.accounts import filters
from app.core.errors import Invalid, json_pointer
from app.core.settings import check_zone

Scalar = bool | int | float | str
OF_THE_ROW = ("file", "line", "row_hash")
_PIECE = re.compile(r"(?P<brace>\{\{|\}\})|\{(?P<column>[^{}]+)\}|(?P<text>[^{}]+)|(?P<stray>[{}])")


def pieces(template: str) -> list[tuple[bool, str]]:
    """What a template consists of: (True, name of a column) and (False, text). ValueError: a brace that stands alone.

    >>> pieces("ticket-{id}")
    [(False, 'ticket-'), (True, 'id')]
    """
    found: list[tuple[bool, str]] = []
    for piece in _PIECE.finditer(template):
        if piece["stray"]:
            raise ValueError(f"the {piece[0]} at character {piece.start() + 1} names no column; write it twice")
        found.append((True, piece["column"]) if piece["column"] else (False, piece["text"] or piece[0][0]))
    return found


def _templates(value: Any) -> Any:
    """Checks every text within `value`, and hands it on."""
    match value:
        case str():
            pieces(value)
        case list():
            for item in value:
                _templates(item)
        case dict():
            for key, item in value.items():
                try:
                    _templates(item)
                except ValueError as error:
                    raise ValueError(f"{key}: {error}") from None
    return value


def _condition(text: str) -> str:
    try:
        filters.parse_filter(text)
    except Invalid as fault:
        raise ValueError(fault.detail) from None
    return text


def _encoding(name: str) -> str:
    try:
        plain = "a\n".encode(name).removeprefix(b"\xef\xbb\xbf") == b"a\n"
    except LookupError:
        raise ValueError(f"{name!r} is not a text encoding") from None
    if not plain:
        raise ValueError(f"{name!r} is not read here: convert the file to UTF-8 first")
    return name


def _time_format(form: str) -> str:
    if form not in ("unix", "unix_ms"):
        datetime.strptime(datetime(2001, 2, 3, 4, 5, 6, tzinfo=UTC).strftime(form), form)
    return form


Template = Annotated[str, Field(min_length=1), AfterValidator(_templates)]
Condition = Annotated[str, AfterValidator(_condition)]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Layout(_Table):
    """How a file is written. CSV has a header row; quotes are doubled inside quotes."""

    format: Literal["csv", "ndjson"] | None = Field(None, description="Unset: by the name (.csv .tsv .ndjson .jsonl).")
    delimiter: str | None = Field(None, pattern=r'^[^"\r\n]$', description="Unset: a tab for .tsv, else a comma.")
    encoding: Annotated[str, AfterValidator(_encoding)] = Field("utf-8-sig", description="Of CSV. A BOM is no cell.")


class Lookup(Layout):
    """Another file, held in memory, that knows what the rows leave out."""

    file: str = Field(min_length=1, description="Its name, beside the data files or the mapping.")
    key: str = Field(min_length=1, description="The column it is asked by.")


_ONLY_FOR = {
    "format": ("datetime", "date"), "zone": ("datetime", "date"), "decimal_point": ("integer", "number", "money"),
    "thousands": ("integer", "number", "money"), "true": ("boolean",), "false": ("boolean",), "not": ("boolean",),
    "separator": ("text",), "values": ("text",),
}  # fmt: skip


class Column(_Table):
    """What the cells of a column mean."""

    type: Literal["text", "integer", "number", "money", "boolean", "datetime", "date"] | None = Field(
        None, description="Unset: text, and in NDJSON what the value is. money: an exact decimal number."
    )
    column: str | None = Field(None, description="The file's column (or path), if it has another name.")
    lookup: str | None = Field(None, description="The value is `column` of this look-up …")
    by: str | None = Field(None, description="… in its row whose key is in this column.")
    when_unknown: Literal["problem", "empty"] = Field("problem", description="If the look-up has no such key.")
    format: Annotated[str, AfterValidator(_time_format)] | None = Field(
        None, description="As in Python's strptime, or `unix`, `unix_ms`; unset: ISO 8601."
    )
    zone: Annotated[str, AfterValidator(check_zone)] = Field(
        "UTC", description="Of times that name none; a date: midnight."
    )
    decimal_point: str = Field(".", min_length=1, max_length=1, description="What stands before the decimals.")
    thousands: str = Field("", max_length=1, description="What may stand between groups of three digits.")
    true: list[str] = Field(["true", "t", "yes", "y", "1"], description="Spellings, in small or capital letters.")
    false: list[str] = Field(["false", "f", "no", "n", "0"], description="Spellings of the opposite.")
    negate: bool = Field(False, alias="not", description="The opposite of what the cell says.")
    separator: str = Field("", description="The cell is a list of texts.")
    values: dict[str, Scalar] = Field({}, description="What each spelling stands for; any other is a problem.")
    empty: list[str] = Field([], description="Spellings of nothing, such as NULL, besides the empty cell.")
    when_empty: Literal["leave_out", "null", "problem"] = Field(
        "leave_out", description="What becomes of the field; null ends an attribute."
    )
    default: Scalar | None = Field(None, description="The value where the cell is empty.")

    @model_validator(mode="after")
    def _keys_go_together(self) -> Self:
        said = {"not" if key == "negate" else key for key in self.model_fields_set}
        for key, kinds in _ONLY_FOR.items():
            if key in said and (self.type or "text") not in kinds:
                raise ValueError(f"{key} is for type {' or '.join(kinds)}")
        if self.lookup and not (self.by and self.column):
            raise ValueError("lookup needs by and column")
        if not self.lookup and said & {"by", "when_unknown"}:
            raise ValueError("by and when_unknown are for a lookup")
        if self.default is not None and self.when_empty != "leave_out":
            raise ValueError("default and when_empty exclude each other")
        if self.decimal_point == self.thousands:
            raise ValueError("decimal_point and thousands are the same")
        return self


class Event(_Table):
    """An event that a row gives. Envelope and data as the API has them; ids are always text."""

    when: Condition | None = Field(None, description="Unset: every row gives one.")
    type: Template = Field(description="One of the API's event types.")
    id: Template = Field(description="The same whenever the row is read again, and unique within its account.")
    account_id: Template | None = Field(None, description="Whose event it is.")
    user_id: Template | None = Field(None, description="Who did it.")
    occurred_at: Template = Field(description="Read as a datetime: ISO 8601 in UTC, unless the column says otherwise.")
    recorded_on: Template | None = Field(None, description="The day it became known; unset or empty: today.")
    data: Annotated[Any, AfterValidator(_templates)] = Field({}, description="A table, or one column of NDJSON.")


class Skip(_Table):
    """Rows that are left out on purpose, whatever events apply; they are listed in the report with the reason."""

    when: Condition = Field(description="Which rows.")
    reason: str = Field(min_length=1, description="Why.")


def _spelled_out(column: Any) -> Any:
    return {"type": column} if isinstance(column, str) else column


class Source(Layout):
    """Files of one kind, and the events of their rows."""

    file: str = Field(min_length=1, description="A pattern of names (* ? [abc]), without the .gz of packed files.")
    columns: dict[str, Annotated[Column, BeforeValidator(_spelled_out)]] = Field(
        {}, description="Columns by the names they have in this source; a type alone may stand for its column."
    )
    skip: list[Skip] = Field([], description="The first that applies is the reason.")
    event: list[Event] = Field(min_length=1, description="What a row gives.")
    otherwise: str | None = Field(
        None, min_length=1, description="Why rows to which no event applies are skipped; unset: they are problems."
    )

    @model_validator(mode="after")
    def _columns_are_found(self) -> Self:
        for name in self.columns:
            if name in OF_THE_ROW:
                raise ValueError(f"columns.{name}: {name} is the row's own; use another name, with column = {name!r}")
            seen: list[str] = []
            at: str | None = name
            while at is not None and (column := self.columns.get(at)) and column.lookup:
                if at in seen:
                    raise ValueError(f"columns.{name}: the look-up asks itself ({' by '.join([*seen, at])})")
                seen.append(at)
                at = column.by if column.by != at else None
        return self


class Mapping(_Table):
    """A whole mapping file."""

    folder: str = Field(".", description="Where look-up files may be, besides beside the data; seen from the mapping.")
    lookup: dict[str, Lookup] = Field({}, description="Look-ups by name.")
    source: list[Source] = Field(min_length=1, description="The first whose pattern fits a file's name reads it.")

    @model_validator(mode="after")
    def _lookups_are_there(self) -> Self:
        for number, source in enumerate(self.source, 1):
            for name, column in source.columns.items():
                if column.lookup and column.lookup not in self.lookup:
                    raise ValueError(f"source {number}: columns.{name}: there is no [lookup.{column.lookup}]")
        return self


def load(path: Path) -> Mapping:
    """The mapping in the file `path`.

    Invalid (`bad_mapping`): it cannot be read, is not TOML, or says something else than above; `detail` has a line for
    each fault with its table and key.
    """
    try:
        document = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise Invalid(f"The mapping {path} cannot be read: {error.strerror}.", code="bad_mapping") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Invalid(f"The mapping {path} is not TOML: {error}.", code="bad_mapping") from error
    try:
        mapping = Mapping.model_validate(document)
    except ValidationError as error:
        faults = [(fault, _said(fault)) for fault in error.errors(include_url=False, include_context=False)]
        raise Invalid(
            "\n".join([f"The mapping {path}:", *(f"  {_place(fault['loc'])}{said}" for fault, said in faults)]),
            code="bad_mapping",
            errors=[{"pointer": json_pointer(f["loc"]), "code": f["type"], "detail": said} for f, said in faults],
        ) from None
    return mapping.model_copy(update={"folder": str(path.parent / mapping.folder)})


_SAID = {"extra_forbidden": "there is no such key", "missing": "is needed"}


def _said(fault: Any) -> str:
    return _SAID.get(fault["type"]) or str(fault["msg"]).removeprefix("Value error, ")


def _place(steps: tuple[str | int, ...]) -> str:
    """Where in the file, as people count: ("source", 0, "event", 1, "id") is `source 1, event 2, id: `."""
    words: list[str] = []
    for step in steps:
        if isinstance(step, int):
            words[-1] += f" {step + 1}"
        else:
            words.append(step)
    return ", ".join(words) + ": " if words else ""
