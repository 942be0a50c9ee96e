"""A mapping says which rows of which files make which events. It is a TOML file:

    [lookup.subscriptions]               # another file, in which values are looked up by a key
    file = "subscriptions.csv"
    key = "subscription_id"

    [[source]]                           # files of one kind; a file is read by the first source that matches its name
    file = "usage_*.csv"
    skip = [{ when = 'plan = "test"', reason = "our own accounts" }]

    [source.columns]                     # the types of columns; a column that is not listed is text
    uses = "integer"
    used_on = { type = "datetime", format = "%d.%m.%Y", zone = "Europe/Berlin" }
    account = { lookup = "subscriptions", by = "subscription_id", column = "account_id" }

    [[source.event]]                     # a row makes one event for each of these blocks whose condition holds
    when = "uses > 0"
    type = "feature.used"
    id = "usage-{row_hash}"
    account_id = "{account}"
    occurred_at = "{used_on}"
    data = { feature = "{feature}", count = "{uses}" }

**Templates.** A text of an event may contain columns in braces. `"{uses}"` alone is the value of the column, with its type;
with other characters around it, the value becomes part of the text. Write `{{` and `}}` for literal braces. In an NDJSON file,
a column is the path of a value: `{customer.id}`, or `{items.0.sku}` for the first item of a list. A field whose text contains
an empty cell is left out of the event.

**Row names.** `{file}` is the name of the file, `{line}` the number of the line on which the row starts, and `{row_hash}` a hash
of all cells of the row. Use `{row_hash}` in the id of an event when the rows have no unique id: rows that are equal in every
cell then make one event. The order of the columns does not change the hash.

**Conditions.** `when` is a filter over the values of the columns, in the filter language of the API. Columns of type `money` are
compared as numbers.
"""

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from app.accounts import filters
from app.core.errors import Invalid
from app.ingest.files.columns import FileColumn, MappingTable
from app.ingest.files.templates import check_templates

# Names that every template can use besides the columns of the file.
ROW_NAMES = ("file", "line", "row_hash")


def _check_filter(text: str) -> str:
    try:
        filters.parse_filter(text)
    except Invalid as fault:
        raise ValueError(fault.detail) from None
    return text


def _check_encoding(name: str) -> str:
    try:
        extends_ascii = "a\n".encode(name).removeprefix(b"\xef\xbb\xbf") == b"a\n"
    except LookupError:
        raise ValueError(f"unknown text encoding {name!r}") from None
    if not extends_ascii:
        raise ValueError(f"the encoding {name!r} is not supported; convert the file to UTF-8")
    return name


TemplateText = Annotated[str, Field(min_length=1), AfterValidator(check_templates)]
FilterText = Annotated[str, AfterValidator(_check_filter)]


class FileFormat(MappingTable):
    """How a file is written. A CSV file has a header row and doubles quotes inside quotes (RFC 4180)."""

    format: Literal["csv", "ndjson"] | None = Field(
        None,
        description="The format of the file. Default: by the end of its name. `.csv` and `.tsv` are CSV, `.ndjson` and "
        "`.jsonl` are NDJSON, each also before `.gz`.",
    )
    delimiter: str | None = Field(
        None,
        pattern=r'^[^"\r\n]$',
        description='The character between the cells of a CSV file, such as `";"`. Default: a tab for `.tsv`, else a comma.',
    )
    encoding: Annotated[str, AfterValidator(_check_encoding)] = Field(
        "utf-8-sig",
        description='The text encoding of the file, such as `"cp1252"`. Default: UTF-8, with or without a byte order mark. '
        "UTF-16 and UTF-32 are not supported: convert such files to UTF-8.",
    )


class LookupFile(FileFormat):
    """A file in which values are looked up by a key. It is read into memory before the import begins."""

    file: str = Field(
        min_length=1,
        description="The name of the file; the file may also have `.gz` after that name. It is searched for in the folders of "
        "the data files, then in the `folder` of the mapping.",
    )
    key: str = Field(
        min_length=1,
        description="The column of this file (in NDJSON: the path) that identifies a row, such as `subscription_id`.",
    )


class EventTemplate(MappingTable):
    """An event that a row makes. Its fields are those of an event in the API; every text may contain columns in braces."""

    when: FilterText | None = Field(
        None, description="Which rows make this event, such as `'uses > 0 and plan != \"free\"'`. Default: every row."
    )
    type: TemplateText = Field(description="The event type, such as `feature.used`.")
    id: TemplateText = Field(
        description="The id of the event, such as `ticket-{ticket}-opened`. It must be unique within the account and the "
        "same whenever the row is read again, so that a repeated import finds its events as duplicates."
    )
    account_id: TemplateText | None = Field(
        None, description="The account of the event, such as `{account}`. Leave it out for costs of the whole company."
    )
    user_id: TemplateText | None = Field(None, description="The user of the event, such as `{email}`. Default: none.")
    occurred_at: TemplateText = Field(
        description="When the event happened, such as `{used_on}`. A single column is read as a `datetime`, with the `format` "
        "and `zone` of that column. Any other text, such as `{day} {time}`, is read as ISO 8601 in UTC."
    )
    recorded_on: TemplateText | None = Field(
        None,
        description="The day on which the event became known, read like `occurred_at`. Default, also for an empty cell: today. "
        "If any event of the mapping has it, the import holds all events in memory and sends them in the order of this day.",
    )
    data: Annotated[Any, AfterValidator(check_templates)] = Field(
        {},
        description="The event data: a table of texts, numbers, lists and tables, such as "
        '`{ feature = "{feature}", count = "{uses}" }`. For an NDJSON file it may be a single column that holds an object: '
        '`"{payload}"`.',
    )


class SkipRule(MappingTable):
    """Rows that are left out on purpose. The report lists them with the reason; they are not counted as problems."""

    when: FilterText = Field(description="Which rows are left out, such as `'plan = \"test\"'`.")
    reason: str = Field(min_length=1, description="Why they are left out, such as `our own accounts`.")


def _expand_type(column: Any) -> Any:
    return {"type": column} if isinstance(column, str) else column


class FileSource(FileFormat):
    """Files of one kind, and the events that their rows make."""

    file: str = Field(
        min_length=1,
        description='A pattern for the names of the files, such as `"usage_*.csv"`: `*` stands for any characters, `?` for '
        "one, `[abc]` for one of these. Leave out `.gz`.",
    )
    columns: dict[str, Annotated[FileColumn, BeforeValidator(_expand_type)]] = Field(
        {},
        description='The columns that are not plain text, by name. A type alone is enough: `uses = "integer"` means '
        '`uses = { type = "integer" }`.',
    )
    skip: list[SkipRule] = Field(
        [],
        description="Rows to leave out, whatever events apply to them. The first rule that applies gives the reason.",
    )
    event: list[EventTemplate] = Field(
        min_length=1, description="The events that a row makes: one for each block whose `when` holds."
    )
    otherwise: str | None = Field(
        None,
        min_length=1,
        description="The reason to leave out rows to which no event applies, such as `no change`. Without it, such rows are "
        "problems (`no_event`).",
    )

    @model_validator(mode="after")
    def _check_columns(self) -> Self:
        for name in self.columns:
            if name in ROW_NAMES:
                raise ValueError(
                    f"columns.{name}: {name} is a name of the row itself; choose another name and set column = {name!r}"
                )
            self._check_lookup_chain(name)
        return self

    def _check_lookup_chain(self, name: str) -> None:
        """Check that the lookup of a column does not depend on the column itself."""
        chain: list[str] = []
        key: str | None = name
        while key is not None and (column := self.columns.get(key)) and column.lookup:
            if key in chain:
                raise ValueError(f"columns.{name}: the lookup depends on itself ({' by '.join([*chain, key])})")
            chain.append(key)
            # A column that is looked up by its own name uses the cell of the file, not itself.
            key = column.by if column.by != key else None


class ImportMapping(MappingTable):
    """The tables of the file."""

    folder: str = Field(
        ".",
        description="A folder in which lookup files are searched for besides the folders of the data files. It is relative "
        "to the mapping file.",
    )
    lookup: dict[str, LookupFile] = Field(
        {}, description="The lookup files, by the name that columns give in `lookup`."
    )
    source: list[FileSource] = Field(
        min_length=1, description="The kinds of files. The first one whose `file` matches the name of a file reads it."
    )

    @model_validator(mode="after")
    def _check_lookups(self) -> Self:
        for number, source in enumerate(self.source, 1):
            for name, column in source.columns.items():
                if column.lookup and column.lookup not in self.lookup:
                    raise ValueError(f"source {number}: columns.{name}: [lookup.{column.lookup}] is not in the mapping")
        return self
