"""`MetricValues`: the numbers of metrics by period and group."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, time
from decimal import Decimal
from functools import partial
from json import dumps
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BeforeValidator, Field

from app.core.aside import run_aside
from app.core.errors import Malformed
from app.core.ids import Id, RepeatedIds
from app.core.names import build_fault
from app.core.period_names import parse_as_of, parse_period
from app.core.periods import GRANULARITIES, Calendar, Day
from app.http.row_parameters import MAX_ROWS, split_list
from app.ledger.sums.selection import ENTRY_DIMENSIONS, Group
from app.metrics.answer import AnswerTable, build_answer_tables
from app.metrics.pending_rows import PendingRow
from app.metrics.question import resolve_question
from app.metrics.rows import group_sort_key
from app.odata.expressions import CompareNode, Constant, Expression, Member, Membership, join_conditions
from app.odata.model import ENTITY_SETS, EntitySet, Property, SetParameters, prop
from app.odata.number_questions import NumberQuestion, QuestionKey, plan_questions
from app.odata.position import invalid_position
from app.odata.query import Query
from app.odata.sources import EntityPage, KeyedRow, SetContext, read_page

_OTHER_GROUPINGS = ("account", "segment", *ENTRY_DIMENSIONS)
_MAX_ATTRIBUTES = 3


class MetricValueParameters(SetParameters):
    """The custom query options of `MetricValues`: what a filter says as well, and what none can say."""

    metrics: Annotated[list[Id], BeforeValidator(lambda value: split_list(value)), Field(max_length=100)] = Field(
        [], description="Names of metrics, separated by commas: as `metric in (…)`."
    )
    granularity: Literal[GRANULARITIES] | None = Field(None, description="As `granularity eq '…'`.")  # type: ignore[valid-type]
    period: str | None = Field(
        None,
        max_length=40,
        description="The range by name, such as `last_24_months` or `2026`: periods that begin in it.",
    )
    group_by: str | None = Field(
        None, max_length=1_000, description="Up to three groupings, separated by commas: as `group_by eq '…'`."
    )
    convention: str | None = Field(None, max_length=100, description="As `convention eq '…'`.")
    segment: RepeatedIds = Field([], description="As `segment in (…)`. Repeat it for several.")
    account: RepeatedIds = Field([], description="As `account_id in (…)`. Repeat it for several.")
    subject: RepeatedIds = Field([], description="As `subject in (…)`. Repeat it for several.")
    channel: RepeatedIds = Field([], description="As `channel in (…)`. Repeat it for several.")
    as_of: Day | None = Field(None, description="The numbers as they were known at the end of this day (YYYY-MM-DD).")
    segments_as_of: Literal["period_start", "now"] = Field(
        "period_start", description="Which day decides to which groups an account belongs."
    )
    min_sample: int = Field(0, ge=0, le=1_000_000, description="Withhold values with a smaller sample.")
    strict: bool = Field(True, description="Whether names that were never recorded are errors.")


def _instant(day: date) -> datetime:
    return datetime.combine(day, time.min, UTC)


def _text(value: Any) -> str | None:
    """Return the value of a group as text."""
    return value if value is None or isinstance(value, str) else dumps(value)


def _group_prop(name: str, key: str, description: str) -> Property:
    return prop(name, "text", description, read=lambda row: row["group"].get(key))


def _attribute_prop(number: int) -> Property:
    description = f"The value of attribute number {number} of `group_by`, as text."
    return prop(f"group_{number}", "text", description, read=lambda row: _text(row["attributes"][number - 1]))


def _interval_prop(name: str, end: int) -> Property:
    description = (
        f"The {'upper' if end else 'lower'} end of the confidence interval at 95%, for proportions and scores."
    )
    return prop(name, "number", description, read=lambda row: row["interval"][end] if row["interval"] else None)


def _amount(row: Any) -> Decimal | None:
    text = row.get("amount")
    return None if text is None else Decimal(text)


_PROPERTIES = (
    prop("metric", "text", "The name of the metric; `Metrics` describes it. Default: all.", nullable=False),
    prop("convention", "text", "The convention by which it is computed. Default: that of the metric.", nullable=False),
    prop("unit", "text", "The unit of the value: percent, points, count, money …", nullable=False),
    prop(
        "granularity",
        "text",
        "day, week, month, quarter, year, or total for the whole range. Default: month.",
        nullable=False,
    ),
    prop("period", "text", "The name of the period, such as 2026-03, 2026-Q1 or 2026-W07.", nullable=False),
    prop(
        "start",
        "date",
        "The first day of the period. Default: the last 12 whole months and the running one.",
        nullable=False,
    ),
    prop("end", "date", "The day after its last day.", nullable=False),
    prop(
        "start_at",
        "time",
        "The first day as a time, midnight UTC, for incremental refresh (RangeStart, RangeEnd).",
        nullable=False,
        read=lambda row: _instant(row["start"]),
    ),
    prop("complete", "boolean", "Whether the period has ended in the reporting time zone.", nullable=False),
    prop(
        "group_by",
        "text",
        "The groupings, such as `plan,region`. Default: empty, all accounts together.",
        nullable=False,
    ),
    prop(
        "group",
        "text",
        "The values of the groupings as a JSON object.",
        nullable=False,
        read=lambda row: dumps(row["group"], ensure_ascii=False),
    ),
    _group_prop("segment", "segment", "The segment, where it is a grouping."),
    _group_prop("account_id", "account", "The account, where it is a grouping."),
    _group_prop(
        "subject", "subject", "The survey, feature, plan … (see `subject_is` in `Metrics`), where it is a grouping."
    ),
    _group_prop("channel", "channel", "The channel, where it is a grouping."),
    *(_attribute_prop(number) for number in range(1, _MAX_ATTRIBUTES + 1)),
    prop("value", "number", "The value; null if there is none, for the `reason`."),
    prop("numerator", "number", "Of a ratio. Ratios of groups or periods are added up by numerator and denominator."),
    prop("denominator", "number", "Of a ratio."),
    prop("sample_size", "integer", "The number of observations, such as responses or customers."),
    _interval_prop("interval_low", 0),
    _interval_prop("interval_high", 1),
    prop("amount", "decimal", "Of metrics in money: the value with the decimals of the base currency.", read=_amount),
    prop("currency", "text", "Of metrics in money: the base currency."),
    prop("reason", "text", "Why there is no value, such as no_responses.", read=lambda row: row.get("reason")),
)
_BY_NAME = {own.name: own for own in _PROPERTIES}
_KEY = ("metric", "convention", "granularity", "period", "group_by", "group")


async def _load(context: SetContext, query: Query) -> EntityPage:
    books = context.books
    parameters: Any = query.parameters
    today = parse_as_of(parameters.as_of, today=await books.load_today(as_of=parameters.as_of))
    filter = join_conditions(_condition(parameters, books.calendar, today), query.filter)
    plans = _from_position(plan_questions(filter, calendar=books.calendar, today=today), query)
    more = {"as_of": parameters.as_of and parameters.as_of.isoformat()}
    more |= {name: getattr(parameters, name) for name in ("segments_as_of", "min_sample", "strict")}
    questions = [await resolve_question(books, plan.metrics, plan.parameters(more)) for plan in plans]
    tables = (
        await books.database.ask(lambda connection: build_answer_tables(connection, books, questions))
        if questions
        else []
    )
    source = _ValueSource([_QuestionRows(plan, table) for plan, table in zip(plans, tables, strict=True)])
    row_count = sum(len(table.pending_rows) for table in tables)
    if row_count > MAX_ROWS:
        detail = f"The filter selects from more than {MAX_ROWS:,} rows. Name fewer metrics, groups or a shorter range."
        raise Malformed.of([build_fault("/query/$filter", detail, code="too_many_rows")])
    return await run_aside(partial(read_page, source, replace(query, filter=filter)), items=row_count)


def _condition(parameters: MetricValueParameters, calendar: Calendar, today: date) -> Expression | None:
    """Return what the custom query options say, as a filter."""
    lists = {"metric": parameters.metrics, "segment": parameters.segment, "account_id": parameters.account}
    lists |= {"subject": parameters.subject, "channel": parameters.channel}
    single = ("granularity", "group_by", "convention")
    lists |= {name: [getattr(parameters, name)] for name in single if getattr(parameters, name) is not None}
    conditions: list[Expression] = [
        Membership(Member(_BY_NAME[name]), tuple(Constant("text", value) for value in values))
        for name, values in lists.items()
        if values
    ]
    if parameters.period is not None:
        days = parse_period(parameters.period, calendar=calendar, today=today)
        start = Member(_BY_NAME["start"])
        bounds = zip(("ge", "lt"), days, strict=True)
        conditions += [CompareNode(operator, start, Constant("date", day)) for operator, day in bounds]
    return join_conditions(*conditions)


def _from_position(plans: Sequence[NumberQuestion], query: Query) -> list[NumberQuestion]:
    """Return the questions that have rows after the position: without those before it, and without their metrics."""
    if query.after is None or query.orders:
        return list(plans)
    key = query.after.key
    try:
        first, metric = QuestionKey(*key[:3]), str(key[3])
        later = [plan for plan in plans if plan.key >= first]
    except (TypeError, IndexError):
        raise invalid_position() from None
    return [
        plan._replace(metrics=tuple(name for name in plan.metrics if plan.key > first or name >= metric))
        for plan in later
        if plan.key > first or plan.metrics[-1] >= metric
    ]


class _QuestionRows(NamedTuple):
    """The numbers of one question."""

    plan: NumberQuestion
    table: AnswerTable


class _ValueSource:
    """The rows of all questions, computed one after the other."""

    def __init__(self, answers: Sequence[_QuestionRows]) -> None:
        self._answers = answers

    def rows(self, after: tuple[Any, ...] | None) -> Iterator[KeyedRow]:
        """Yield the rows by question, metric, start and group."""
        for answer in self._answers:
            prefix = tuple(answer.plan.key)
            group_keys = _GroupKeys()
            for block in answer.table.pending_rows.blocks:
                own = (*prefix, block.metric.name)
                if after is not None and own < after[:4]:
                    continue
                for index, period in enumerate(block.split.periods):
                    key = (*own, period.start.isoformat())
                    if after is not None and key < after[:5]:
                        continue
                    for part in block.parts:
                        row_key = (*key, group_keys.of(part[0]))
                        if after is None or row_key > after:
                            pending = PendingRow(block.metric, block.split, index, *part)
                            yield KeyedRow(row_key, self._row(answer, pending))

    def _row(self, answer: _QuestionRows, pending: PendingRow) -> dict[str, Any]:
        plan, table = answer
        row = table.row(pending)
        group = row["group"]
        attributes = [group[name] for name in plan.groupings if name not in _OTHER_GROUPINGS]
        return row | {
            "unit": pending.metric.unit,
            "granularity": GRANULARITIES[plan.key.granularity],
            "group_by": plan.key.group_by,
            "attributes": attributes + [None] * (_MAX_ATTRIBUTES - len(attributes)),
            "currency": table.currency if pending.metric.unit == "money" else None,
        }


class _GroupKeys:
    """The sort keys of groups, each computed once."""

    def __init__(self) -> None:
        self._keys: dict[Group, Any] = {}

    def of(self, group: Group) -> Any:
        if (key := self._keys.get(group)) is None:
            key = self._keys[group] = group_sort_key(group)
        return key


ENTITY_SETS.add(
    EntitySet(
        "MetricValues",
        "MetricValue",
        "The numbers: one row for each metric, period and group. Filter metric, granularity, start, group_by …",
        _KEY,
        _PROPERTIES,
        _load,
        MetricValueParameters,
    )
)
