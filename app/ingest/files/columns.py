"""Columns of a mapping: how the cells of a file become values."""

from datetime import UTC, datetime
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from app.core.settings import check_zone

Scalar = bool | int | float | str


class MappingTable(BaseModel):
    """A table of a mapping file: unknown keys and values of another type are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


def _check_time_format(format: str) -> str:
    if format not in ("unix", "unix_ms"):
        datetime.strptime(datetime(2001, 2, 3, 4, 5, 6, tzinfo=UTC).strftime(format), format)
    return format


_TYPES_BY_OPTION = {
    "format": ("datetime", "date"),
    "zone": ("datetime", "date"),
    "decimal_point": ("integer", "number", "money"),
    "thousands": ("integer", "number", "money"),
    "true": ("boolean",),
    "false": ("boolean",),
    "not": ("boolean",),
    "separator": ("text",),
    "values": ("text",),
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
    format: Annotated[str, AfterValidator(_check_time_format)] | None = Field(
        None,
        description="For `datetime` and `date`: how times are written, in the notation of Python's `strptime` such as "
        '`"%d.%m.%Y %H:%M"`; or `"unix"` or `"unix_ms"` for seconds or milliseconds since 1970. Default: ISO 8601, such as '
        "`2026-03-14` or `2026-03-14T09:30:00+01:00`.",
    )
    zone: Annotated[str, AfterValidator(check_zone)] = Field(
        "UTC",
        description='For `datetime` and `date`: the time zone of times that name no offset, such as `"Europe/Berlin"`. A '
        "value without a time of day means midnight there. A `date` is the day in this zone.",
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
        'as `"."`. Default: none.',
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
        description='Spellings that count as an empty cell, such as `["NULL", "-"]`. A cell without text is always empty.',
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

    @model_validator(mode="after")
    def _check_options(self) -> Self:
        options = {"not" if key == "negate" else key for key in self.model_fields_set}
        for option, types in _TYPES_BY_OPTION.items():
            if option in options and (self.type or "text") not in types:
                raise ValueError(f"{option} is only for columns of type {' or '.join(types)}")
        if self.lookup and not (self.by and self.column):
            raise ValueError("a column with lookup needs by and column")
        if not self.lookup and options & {"by", "when_unknown"}:
            raise ValueError("by and when_unknown are only for columns with lookup")
        if self.default is not None and self.when_empty != "leave_out":
            raise ValueError("default and when_empty exclude each other; remove one of them")
        if self.decimal_point == self.thousands:
            raise ValueError("decimal_point and thousands are the same character")
        return self
