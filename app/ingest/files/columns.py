"""Columns of a mapping: how the cells of a file become values."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from app.core.setting_checks import check_zone

Scalar = bool | int | float | str
# Names that every template can use besides the columns of the file.
RowName = Literal["file", "line", "row_hash"]

# Formats of times that are no notation of strptime.
NUMERIC_FORMATS = ("unix", "unix_ms", "excel", "excel_1904")
_SAMPLE = datetime(2001, 2, 3, 4, 5, 6, tzinfo=UTC)
# The notation of Excel and others, and that of strptime. Minutes follow hours, months do not.
_FOREIGN_DIRECTIVES = (
    (r"(?i)yyyy", "%Y"),
    (r"(?i)yy", "%y"),
    (r"(?<=[Hh]:)(?i:mm)", "%M"),
    (r"(?i)mm", "%m"),
    (r"(?i)dd", "%d"),
    (r"(?i)hh", "%H"),
    (r"(?i)ss", "%S"),
)


class MappingTable(BaseModel):
    """A table of a mapping file: unknown keys and values of another type are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


def _check_time_format(format: str | list[str]) -> str | list[str]:
    for text in [format] if isinstance(format, str) else format:
        if text in NUMERIC_FORMATS:
            continue
        if "%" not in text:
            raise ValueError(f'"{text}" names no part of a time{_suggest_format(text)}')
        time = datetime.strptime(_SAMPLE.strftime(text), text)
        if time.year != _SAMPLE.year:
            raise ValueError(f'"{text}" does not say the year')
    return format


def _suggest_format(text: str) -> str:
    """Return the advice to write a foreign notation such as `dd.mm.yyyy` in that of strptime."""
    suggestion = text
    for pattern, directive in _FOREIGN_DIRECTIVES:
        suggestion = re.sub(pattern, directive, suggestion)
    if suggestion == text:
        return f'; write it as in "%d.%m.%Y", or choose {", ".join(NUMERIC_FORMATS)}'
    return f'; write "{suggestion}"'


_TIME_TYPES, _NUMBER_TYPES = ("datetime", "date"), ("integer", "number", "money")
_TYPES_BY_OPTION: dict[str, Sequence[str]] = {
    "format": _TIME_TYPES,
    "zone": _TIME_TYPES,
    "clock_change": _TIME_TYPES,
    "decimal_point": _NUMBER_TYPES,
    "thousands": _NUMBER_TYPES,
    "strip": _NUMBER_TYPES,
    "times": _NUMBER_TYPES,
    "decimals": ("number", "money"),
    "true": ("boolean",),
    "false": ("boolean",),
    "not": ("boolean",),
    "separator": ("text",),
    "values": ("text",),
}
_TYPES_BY_TOTAL: dict[str, Sequence[str]] = {
    "sum": _NUMBER_TYPES,
    "min": (*_NUMBER_TYPES, *_TIME_TYPES),
    "max": (*_NUMBER_TYPES, *_TIME_TYPES),
}


class FileColumn(MappingTable):
    """How the cells of a column become values, or where the values are looked up."""

    type: Literal["text", "integer", "number", "money", "boolean", "datetime", "date"] | None = Field(
        None,
        description="The type of the values. `money` is an exact decimal number, `datetime` an instant, `date` a day. "
        "Default: text; in an NDJSON file, the type that the value has there.",
    )
    column: str | None = Field(
        None,
        description="The name of the column in the file (in NDJSON: the path), if it differs from the name in the mapping. "
        "With `lookup`: the column of the lookup file that holds the value.",
    )
    template: str | None = Field(
        None,
        min_length=1,
        description="Instead of a column of the file: a text made of columns, converted like a cell. "
        '`{ template = "{day} {time}", type = "datetime", zone = "Europe/Berlin" }`.',
    )
    row: RowName | None = Field(
        None,
        description="Instead of a column of the file: `file` is the name of the file, `line` the number of the row's first "
        "line, `row_hash` a hash of all cells of the row. Needed only where the file has a column of that name.",
    )
    lookup: str | None = Field(
        None,
        description="The `[lookup.NAME]` in which the value is looked up. `by` and `column` are then required: "
        '`{ lookup = "subscriptions", by = "subscription_id", column = "account_id" }`.',
    )
    by: str | None = Field(
        None,
        description="With `lookup`: the column that holds the key. It may be looked up itself. If it is empty, so is the value.",
    )
    when_unknown: Literal["problem", "empty"] = Field(
        "problem",
        description="With `lookup`: what happens when the lookup file has no such key. `problem` reports the row, `empty` "
        "treats the value as an empty cell.",
    )
    format: Annotated[str | list[str], AfterValidator(_check_time_format)] | None = Field(
        None,
        description="For `datetime` and `date`: how times are written, in the notation of Python's `strptime` such as "
        '`"%d.%m.%Y %H:%M"`; or `"unix"` or `"unix_ms"` for seconds or milliseconds since 1970; or `"excel"` for the numbers '
        'of Excel, days since 1899-12-30 (`"excel_1904"`: since 1904). A list of formats is tried from left to right. '
        "Default: ISO 8601, such as `2026-03-14` or `2026-03-14T09:30:00+01:00`. Cells of a spreadsheet that are dates need "
        "no format.",
    )
    zone: Annotated[str, AfterValidator(check_zone)] = Field(
        "UTC",
        description='For `datetime` and `date`: the time zone of times that name no offset, such as `"Europe/Berlin"`. A '
        "value without a time of day means the start of the day there. A `date` is the day in this zone.",
    )
    clock_change: Literal["problem", "earlier", "later"] = Field(
        "problem",
        description="For `datetime` and `date`: what a local time means that the clocks of the zone had twice or skipped. "
        "`problem` reports the row, `earlier` and `later` take the earlier or the later of the two possible instants.",
    )
    decimal_point: str = Field(
        ".",
        min_length=1,
        max_length=1,
        description='For `integer`, `number` and `money`: the character before the decimals, such as `","`.',
    )
    thousands: str = Field(
        "",
        max_length=1,
        description="For `integer`, `number` and `money`: the character that may stand between groups of three digits, such "
        'as `"."`. A space stands for spaces of any width. Default: none.',
    )
    strip: list[Annotated[str, Field(min_length=1)]] = Field(
        [],
        description="For `integer`, `number` and `money`: texts that are removed from the cell, such as "
        '`["€", "EUR"]`. Say in the event which currency it is.',
    )
    decimals: int | None = Field(
        None,
        ge=0,
        le=10,
        description="For `number` and `money`: round half up to so many decimals. Default: the value is not rounded. An "
        "amount of an event has at most 4 decimals.",
    )
    times: str | int | float | None = Field(
        None,
        description="For `integer`, `number` and `money`: by what the value is multiplied: another column, such as "
        '`"quantity"` for a unit price, or a number, such as `0.01` for cents or `-1` for refunds.',
    )
    true: list[str] = Field(
        ["true", "t", "yes", "y", "1"], description="For `boolean`: the spellings of true, in any case of letters."
    )
    false: list[str] = Field(
        ["false", "f", "no", "n", "0"], description="For `boolean`: the spellings of false, in any case of letters."
    )
    negate: bool = Field(
        False,
        alias="not",
        description='For `boolean`: `true` reverses the value. `calm = { column = "escalated", type = "boolean", not = true '
        "}` is true where `escalated` is false.",
    )
    separator: str = Field(
        "",
        description='For `text`: the cell is a list whose items are separated by this text, such as `";"`. Spaces around '
        "items are removed, and empty items are left out.",
    )
    values: dict[str, Scalar] = Field(
        {},
        description='For `text`: the value of each spelling, such as `{ P1 = "urgent", P2 = "high" }`. A cell with any other '
        "spelling is a problem. With `separator`, this applies to every item.",
    )
    empty: list[str] = Field(
        [],
        description='Spellings that count as an empty cell, such as `["NULL", "-"]`. A cell without text, or with nothing '
        "but spaces and line ends, is always empty.",
    )
    when_empty: Literal["leave_out", "null", "problem"] = Field(
        "leave_out",
        description="What an empty cell does. `leave_out` leaves out its field, `null` sends null (which ends an attribute "
        "of an account), `problem` reports the row.",
    )
    default: Scalar | None = Field(
        None,
        description="The value of an empty cell, such as `0`. A text is converted like a cell. It excludes `when_empty`.",
    )
    in_group: Literal["same", "sum", "count", "min", "max", "first", "last"] = Field(
        "same",
        description="With `group_by`: the value of a group of rows. `same`: the value that all its rows have, apart from empty "
        "cells; different values are a problem. `sum`, `min` and `max` of the values, the `count` of the cells that are not "
        "empty, or the `first` or `last` value in the order of the file.",
    )

    @property
    def formats(self) -> Sequence[str | None]:
        """The formats of times, in the order in which they are tried; None is ISO 8601."""
        return self.format if isinstance(self.format, list) else [self.format]

    @model_validator(mode="after")
    def _check_options(self) -> Self:
        options = {"not" if key == "negate" else key for key in self.model_fields_set}
        for option, types in _TYPES_BY_OPTION.items():
            if option in options and (self.type or "text") not in types:
                raise ValueError(f"{option} is only for columns of type {' or '.join(types)}")
        types = _TYPES_BY_TOTAL.get(self.in_group, ())
        if types and self.type not in types:
            raise ValueError(f'in_group = "{self.in_group}" is only for columns of type {" or ".join(types)}')
        self._check_combinations(options)
        return self

    def _check_combinations(self, options: set[str]) -> None:
        if self.lookup and not (self.by and self.column):
            raise ValueError("a column with lookup needs by and column")
        if not self.lookup and options & {"by", "when_unknown"}:
            raise ValueError("by and when_unknown are only for columns with lookup")
        if bool(self.row) + bool(self.template) + bool(self.lookup or self.column) > 1:
            raise ValueError("row, template and column (with or without lookup) exclude each other")
        if self.default is not None and self.when_empty != "leave_out":
            raise ValueError("default and when_empty exclude each other; remove one of them")
        if self.decimal_point == self.thousands:
            raise ValueError("decimal_point and thousands are the same character")
