"""The parameters of questions: what a client may ask, in a query string or as JSON."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, Field
from pydantic_core import PydanticCustomError

from app.accounts.filter_tokens import FilterError, split_keys
from app.core.errors import Invalid
from app.core.ids import Id, RepeatedIds
from app.core.periods import Day
from app.http.chart_formats import ChartParameters
from app.http.row_parameters import MAX_ROWS, RowParameters, split_list
from app.http.vocabularies import VOCABULARY

# On a page.
DEFAULT_ROWS = 10_000


def _split_groupings(value: Any) -> Any:
    try:
        return split_list(value, split_keys)
    except FilterError as error:
        raise PydanticCustomError("invalid_group_by", "{problem}", {"problem": str(error)}) from None


MetricNames = Annotated[
    list[Annotated[Id, Field(json_schema_extra={VOCABULARY: "MetricName"})]],
    BeforeValidator(lambda value: split_list(value)),
    Field(max_length=100),
]
# Keys of attributes are among them, so they are written as in `group_by`.
FieldList = Annotated[list[Id], BeforeValidator(_split_groupings), Field(max_length=100)]
GroupingList = Annotated[list[Id], BeforeValidator(_split_groupings), Field(max_length=100)]
Granularity = Annotated[
    Literal["day", "week", "month", "quarter", "year", "total"],
    Field(
        description="Length of the periods into which the range is split; `total` makes the whole range one period. Weeks "
        "begin on the day of the setting `WEEK_START`, quarters and years are fiscal."
    ),
]


class CommonParameters(RowParameters):
    """The parameters of every answer: which days and accounts, how grouped, and as recorded when."""

    start: Day | None = Field(
        None, description="First day of the range, as YYYY-MM-DD. Default: the first day of the last 12 whole months."
    )
    end: Day | None = Field(
        None,
        description="Day after the last day of the range, as YYYY-MM-DD: the range does not include it. Default: the end of "
        "the running month.",
    )
    period: Annotated[
        str | None,
        Field(
            max_length=40,
            description="Range by name, instead of `start` and `end`: a year, quarter, month, week or day (`2026`, "
            "`2026-Q1`, `2026-03`, `2026-W07`, `2026-03-14`), or relative to today (`today`, `this_quarter`, `last_month`, "
            "`last_12_months`, `month_to_date`). Quarters and years are fiscal. Default: the last 12 whole months and the "
            "running one.",
        ),
    ] = None
    account: RepeatedIds = Field([], description="Count only the accounts with these ids. Repeat it for several.")
    segment: RepeatedIds = Field(
        [],
        description="Count only the accounts in these stored segments, by name; each segment is a group of its own. Repeat "
        "it for several.",
    )
    filter: Annotated[
        str | None,
        Field(
            max_length=4_000,
            description='Count only accounts whose attributes satisfy a condition, for example `plan = "pro" and not seats '
            "< 10`. Operators: `=`, `!=`, `<`, `<=`, `>`, `>=`, `in (…)`, `not in (…)`, `is null`, `is not null`, `not`, "
            "`and`, `or` and parentheses.",
        ),
    ] = None
    group_by: GroupingList = Field(
        [],
        description="Answer each group separately, by up to three of: an attribute key such as `plan`, `account`, "
        "`segment`, `subject`, `channel`. Separate them by commas or repeat the parameter. A key with a comma, or with blanks "
        "at its ends, stands in backquotes, as in filters: `` `a, b` ``. What `subject` means for a metric is in its "
        "`dimensions` in the catalogue.",
    )
    as_of: Day | None = Field(
        None,
        description="Answer with what was recorded up to the end of this day (YYYY-MM-DD, not after today). Default: with "
        "everything recorded so far.",
    )
    segments_as_of: Literal["period_start", "now"] = Field(
        "period_start",
        description="Which attribute values decide to which groups, segments and filters an account belongs: those at the "
        "start of each period, or those of today (with `as_of`, of that day).",
    )
    strict: bool = Field(
        True,
        description="Whether attributes, accounts, subjects and channels that have never been recorded are errors. With "
        "`false` they count as empty, for dashboards that are made before their data arrives.",
    )
    complete_only: bool = Field(
        False, description="With `true`, periods that have not ended are left out, and totals are over the others."
    )
    fields: FieldList = Field([], description=RowParameters.model_fields["fields"].description)
    limit: int | None = Field(
        None,
        ge=1,
        le=MAX_ROWS,
        description=f"Maximum number of rows per page. In JSON at most {DEFAULT_ROWS:,}, which is the default. Without it, files "
        f"(CSV, NDJSON, XLSX, Parquet) have all rows, of which there are {MAX_ROWS:,} at most.",
    )
    cursor: Annotated[
        str | None, Field(max_length=4_000, description="The `next` of a page: returns the page after it.")
    ] = None

    def check_limit(self) -> None:
        if self.limit is not None and self.limit > DEFAULT_ROWS and not self.is_file:
            detail = f'"limit" must be at most {DEFAULT_ROWS:,} in JSON. Files, such as format=csv, have all rows.'
            raise Invalid.at("/query/limit", detail, code="too_many_rows")

    @property
    def page_rows(self) -> int:
        """The maximum number of rows on a page."""
        return self.page_size(self.limit, default=DEFAULT_ROWS)

    @property
    def has_all_rows(self) -> bool:
        """Whether the answer is a file of all rows."""
        return self.is_file and not self.has_limit and self.cursor is None


class MetricParameters(CommonParameters):
    """The parameters of answers about metrics, and about what is behind their numbers."""

    granularity: Granularity = "month"
    subject: RepeatedIds = Field(
        [],
        description="Count only these subjects: surveys, features, plans or what else the `dimensions` of a metric in the "
        "catalogue say. Repeat it for several.",
    )
    channel: RepeatedIds = Field(
        [],
        description="Count only these channels, for example `email`; for metrics with `channel` among their `dimensions`. "
        "Repeat it for several.",
    )
    convention: Annotated[
        str | None,
        Field(
            max_length=100,
            description="Compute metrics by this convention, one of `conventions` in the catalogue. Metrics without it keep "
            "their default.",
        ),
    ] = None


class Parameters(MetricParameters):
    """The parameters of a question about metrics, in a query string or as JSON."""

    compare: Literal["previous_period", "previous_year"] | None = Field(
        None,
        description="Add to each row the value of the period before, or of the same period a year earlier: `previous`, "
        "`change`, `change_percent` and, for proportions and scores, `significant` (at 95%). A part of a period, or one "
        "that has not ended, is compared with the days at the same place in the earlier one: 1–28 March with 1–28 February.",
    )
    min_sample: int = Field(
        0,
        ge=0,
        le=1_000_000,
        description="Withhold values with a sample smaller than this: `value` is then null and `reason` is "
        "`sample_too_small`. 0 withholds nothing.",
    )
    definition: bool | None = Field(
        None,
        description="Whether the answer about one metric begins with its definition. Default: only where there is no other "
        "parameter.",
    )
    totals: bool = Field(
        False, description="Add a row over the whole range for each metric and group; its period is named `total`."
    )

    @classmethod
    def of(cls, parameters: BaseModel, **more: Any) -> "Parameters":
        """Return the parameters of another answer as those of a question, and `more`; others are left out."""
        return cls.model_construct(**{name: value for name, value in parameters if name in cls.model_fields} | more)


class OneMetricParameters(ChartParameters, Parameters):
    """The parameters of a question about one metric, whose answer can be a chart."""


Annotations = Annotated[
    bool,
    Field(
        description="Whether the answer says, in `annotations`, which numbers were restated after their periods had ended, and "
        "where a target or the health model has changed. A chart marks these periods. In JSON and charts only."
    ),
]


class NumberParameters(OneMetricParameters):
    """The parameters of the numbers of one metric."""

    annotations: Annotations = False


class SeveralParameters(ChartParameters, Parameters):
    """The parameters of a question about several metrics at once."""

    annotations: Annotations = False
    metrics: MetricNames = Field(
        description="Names of metrics, at most 100, separated by commas or repeated. `GET /v1/metrics` lists them.",
        min_length=1,
    )
