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
    user_id = "{email}"
    occurred_at = "{used_on}"
    data = { feature = "{feature}", count = "{uses}" }

**Templates.** A text of an event may contain columns in braces. `"{uses}"` alone is the value of the column, with its type;
with other characters around it, the value becomes part of the text. Write `{{` and `}}` for literal braces. In an NDJSON file,
a column is the path of a value: `{customer.id}`, or `{items.0.sku}` for the first item of a list. A field whose text contains
an empty cell is left out of the event.

**Added time.** `"{end_date} + 1 day"` adds to a column of type `datetime` or `date`: minutes, hours, days, weeks, months or
years, also with `-`, several in a row, and with a number from a column: `"{start} + {term} months - 1 day"`. Days, weeks, months
and years keep the time on the clocks of the column's `zone`; one month after 31 January is the last day of February.

**Row names.** `{file}` is the name of the file, `{line}` the number of the line on which the row starts, and `{row_hash}` a hash
of all cells of the row. Use `{row_hash}` in the id of an event when the rows have no unique id: rows that are equal in every
cell then make one event. The order of the columns does not change the hash. If the file has a column of such a name, say under
`[source.columns]` which is meant: `line = "text"` is the column, `line = { row = "line" }` the number of the line.

**Groups of rows.** With `group_by = ["order"]`, all rows with the same order make one record, and so its events once. A column
has the value that all of these rows have, or their sum or another total (`in_group`):

    [source.columns]
    amount = { column = "unit_price", type = "money", times = "quantity", in_group = "sum" }

**Conditions.** `when` is a filter over the values of the columns, in the filter language of the API. Columns of type `money` are
compared as numbers.
"""

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from app.accounts import filters
from app.core.errors import Invalid
from app.ingest.files.columns import FileColumn, MappingTable
from app.ingest.files.decoded_lines import extends_ascii
from app.ingest.files.hints import did_you_mean
from app.ingest.files.templates import check_templates, columns_in


def _check_filter(text: str) -> str:
    try:
        filters.parse_filter(text)
    except Invalid as fault:
        raise ValueError(fault.detail) from None
    return text


def _check_encoding(name: str) -> str:
    try:
        extends_ascii(name)
    except (LookupError, UnicodeError):
        raise ValueError(f'unknown text encoding "{name}"') from None
    return name


TemplateText = Annotated[str, Field(min_length=1), AfterValidator(check_templates)]
FilterText = Annotated[str, AfterValidator(_check_filter)]


class FileFormat(MappingTable):
    """How a file is written. A CSV file has a header row and doubles quotes inside quotes (RFC 4180)."""

    format: Literal["csv", "ndjson", "xlsx"] | None = Field(
        None,
        description="The format of the file. Default: by the end of its name. `.csv` and `.tsv` are CSV, `.ndjson` and "
        "`.jsonl` are NDJSON, each also before `.gz`; `.xlsx`, `.xlsm`, `.xlsb`, `.xls` and `.ods` are spreadsheets, for which "
        "this is `xlsx`.",
    )
    delimiter: str | None = Field(
        None,
        pattern=r'^([^"\r\n]|spaces)$',
        description='The character between the cells of a CSV file, such as `";"` or `"\\t"`; or `"spaces"` for columns that are '
        "aligned by spaces or tabs. Default: what a first line `sep=;` says, a tab for `.tsv`, else a comma.",
    )
    encoding: Annotated[str, AfterValidator(_check_encoding)] = Field(
        "utf-8-sig",
        description='The text encoding of a CSV or NDJSON file, such as `"cp1252"` for files of Windows programs or '
        '`"utf-16-le"`. Default: what the byte order mark says (also UTF-16, as Excel writes it), else UTF-8.',
    )
    header: list[Annotated[str, Field(min_length=1)]] = Field(
        [],
        description="The names of the columns, from left to right, for a CSV file or a sheet that has no header row.",
    )
    skip_lines: int = Field(
        0,
        ge=0,
        description="How many lines (of a sheet: rows) stand before the header, such as a title. They are not read.",
    )
    multiline: bool | None = Field(
        None,
        description="Whether cells of a CSV file contain line ends. `false`: every line is a row. `true`: also where the lines "
        "look like rows of their own. Default: such rows are reported, since a quote that is not closed is the usual cause.",
    )
    sheet: str | None = Field(
        None, min_length=1, description="The sheet of a spreadsheet. Default: the only visible sheet with content."
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
        description="When the event happened, such as `{used_on}` or `{ended_on} + 1 day`. A single column is read as a "
        "`datetime`, with the `format` and `zone` of that column. Any other text is read as ISO 8601 in UTC; for a time that is "
        "made of several columns in another zone, declare a column with a `template`."
    )
    recorded_on: TemplateText | None = Field(
        None,
        description="The day on which the event became known, read like `occurred_at`. Default, also for an empty cell: today. "
        "If any event of the mapping has it, the import holds all events in memory, checks them all before it sends the first, "
        "and sends them in the order of this day.",
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
    group_by: list[str] = Field(
        [],
        description='The columns whose values rows have in common that together make one record, such as `["order"]`, also in '
        "several files. What a column is worth in a group says its `in_group`. All events are held in memory. `skip` applies to "
        "single rows, `when` to groups.",
    )
    otherwise: str | None = Field(
        None,
        min_length=1,
        description="The reason to leave out rows to which no event applies, such as `no change`. Without it, such rows are "
        "problems (`no_event`).",
    )

    @model_validator(mode="after")
    def _check_columns(self) -> Self:
        for name, column in self.columns.items():
            if column.template:
                try:
                    check_templates(column.template)
                except ValueError as error:
                    raise ValueError(f"columns.{name}: {error}") from None
            if column.times == name:
                raise ValueError(f"columns.{name}: times is the column itself")
            if "in_group" in column.model_fields_set and not self.group_by:
                raise ValueError(f"columns.{name}: in_group is only for sources with group_by")
            self._check_chain([name])
        return self

    def _check_chain(self, chain: list[str]) -> None:
        """Check that a column, the last of the chain, depends on none of the others."""
        column = self.columns.get(chain[-1])
        if column is None:
            return
        # A column that is looked up by its own name uses the cell of the file, not itself.
        by = {column.by} - {chain[-1], None}
        for name in sorted(columns_in(column.template) | {str(name) for name in by}):
            if name in chain:
                raise ValueError(f"columns.{chain[0]}: it depends on itself ({' by '.join([*chain, name])})")
            self._check_chain([*chain, name])


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
                    raise ValueError(
                        f"source {number}: columns.{name}: [lookup.{column.lookup}] is not in the mapping."
                        f"{did_you_mean(column.lookup, self.lookup)}"
                    )
        return self
