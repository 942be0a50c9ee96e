"""The parameters that every answer of rows has. It has no framework in it, so that questions can be declared without one."""

from collections.abc import Callable, Mapping
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from app.core.ids import Id
from app.http.formats import DEFAULT_FORMAT, FORMATS, AnyFormat, FormatName

# No answer has more rows.
MAX_ROWS = 1_000_000


def _split_commas(text: str) -> list[str]:
    return [part.strip() for part in text.split(",")]


def split_list(value: Any, split: Callable[[str], list[str]] = _split_commas) -> Any:
    """Return `a,b` or repeated parameters as a list without duplicates; leave what is no text to the validation."""
    items = [value] if isinstance(value, str) else value
    if not isinstance(items, list) or not all(isinstance(item, str) for item in items):
        return items
    parts = [part for item in items for part in split(item)]
    return list(dict.fromkeys(part for part in parts if part))


class RowParameters(BaseModel):
    """The parameters of every answer of rows: its output format, and which columns it has."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    format: FormatName | None = Field(
        None, description="Output format. Default: the one that the `Accept` header prefers, otherwise `json`."
    )
    fields: Annotated[list[Id], BeforeValidator(lambda value: split_list(value)), Field(max_length=100)] = Field(
        [],
        description="Only these members of the rows or columns of the table, in this order. Separate them by commas or repeat "
        "the parameter. Default: all.",
    )

    @property
    def formats(self) -> Mapping[str, AnyFormat]:
        """The output formats that the answer can have."""
        return FORMATS

    def check_limit(self) -> None:
        """Raise Invalid for a limit that is too large in the chosen format."""

    def page_size(self, limit: int | None, *, default: int, maximum: int = MAX_ROWS) -> int:
        """Return the number of rows on a page. A file has no place for the cursor of a next page, so it has all rows."""
        return limit or (maximum if self.is_file else default)

    @property
    def has_limit(self) -> bool:
        """Whether the client has set the number of rows on a page; then a file has only that page."""
        return getattr(self, "limit", None) is not None

    @property
    def is_file(self) -> bool:
        entry = FORMATS.get(self.format or DEFAULT_FORMAT)
        # Without an entry it is a chart.
        return entry is not None and entry.is_file
