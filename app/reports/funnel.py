"""The onboarding funnel: how many of the onboardings that started in a period reached each step."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any, NamedTuple

from app.books.books import Books
from app.core.periods import Period
from app.database.connection import Connection
from app.database.query_plan import QueryPlan, merge_plans, run_plan
from app.http.chart_formats import ChartParameters
from app.http.tables import Answer, columns
from app.ledger.sums.operands import Flow
from app.ledger.sums.selection import Group
from app.metrics.lookup import OperandSums, SumsByGroup, groups_with_data, load_sums, split_question
from app.metrics.parameters import CommonParameters, Granularity, Parameters
from app.metrics.question import Question, resolve_question
from app.metrics.question_names import check_names
from app.metrics.rows import (
    Row,
    base_row,
    check_row_count,
    default_groups,
    group_sort_key,
    knowledge_members,
    mask_unknown,
    paginate,
    percent,
    round_number,
    row_name,
)
from app.metrics.schema import NUMBER_SCHEMA, question_answer, rows_schema
from app.reports.schemas import GROUP_SCHEMA, OPTIONAL_TEXT, PERIOD_SCHEMA, REASON_SCHEMA

_STARTED, _COMPLETED, _SECONDS = map(Flow, ("onboardings_started", "onboardings_completed", "onboarding_seconds"))
_REACHED, _POSITIONS, _STEP_SECONDS = map(
    Flow, ("onboardings_reaching", "onboarding_step_positions", "onboarding_step_seconds")
)
_SECONDS_PER_DAY = 86_400

_STAGE_SCHEMA: dict[str, Any] = {
    "number": {"type": "integer", "description": "The position of the stage in the funnel; the start is 0."},
    "stage": {"type": "string", "enum": ["started", "step", "completed"]},
    "step": OPTIONAL_TEXT | {"description": "The name of the step; null for the start and the completion."},
    "reached": {
        "type": ["integer", "null"],
        "description": "The number of onboardings started in the period that have reached the stage, at any time.",
    },
    "percent": NUMBER_SCHEMA | {"description": "`reached` as a percentage of the onboardings started in the period."},
    "drop_off": NUMBER_SCHEMA
    | {"description": "The number of onboardings lost before the next stage; negative when more reached that one."},
    "drop_off_percent": NUMBER_SCHEMA | {"description": "`drop_off` as a percentage of `reached`."},
    "average_days": NUMBER_SCHEMA | {"description": "The average number of days from the start to the stage."},
}
_NUMBERS = [name for name in _STAGE_SCHEMA if name not in ("number", "stage", "step")]
FUNNEL_SCHEMA = rows_schema(
    "FunnelStage",
    "One row per period, group and stage: the start, the steps and the completion.",
    PERIOD_SCHEMA | GROUP_SCHEMA | _STAGE_SCHEMA,
    REASON_SCHEMA,
    chart=True,
)


class FunnelParameters(ChartParameters, CommonParameters):
    """Parameters of the funnel. A period has the onboardings that started in it."""

    granularity: Granularity = "total"


class _Stage(NamedTuple):
    """The start, a step or the completion.

    reached: the number of onboardings. seconds: their time since the start, added up. next_reached: how many reached the next
    stage.
    """

    kind: str
    step: str | None
    reached: int
    seconds: int
    next_reached: int | None = None


class _FunnelRow(NamedTuple):
    """A row that is not computed yet. started: the onboardings started in its period and group."""

    period: Period
    group: Group
    number: int
    stage: _Stage
    started: int

    @property
    def name(self) -> str:
        return row_name(self.period.name, self.period.start, self.group, self.stage.kind, self.stage.step)


async def onboarding_funnel(books: Books, parameters: FunnelParameters) -> Answer:
    """Return the answer, with a page of rows.

    The steps are in the order in which they are reached: by their average position, over the whole range and all groups.
    Raises Invalid for an invalid question, and for an answer of more than a million rows.
    """
    question = await resolve_question(books, ["onboarding_completion_rate"], Parameters.of(parameters))
    by_step = replace(question.selection, group_by=(*question.selection.group_by, "subject"))
    question_by_step = replace(question, selection=by_step)
    [split] = split_question(question)

    async def load(connection: Connection) -> list[OperandSums]:
        plans: list[QueryPlan[Any]] = [check_names(books.database, question.names)]
        totals = load_sums(books, question, [_STARTED, _COMPLETED, _SECONDS], split.spans)
        step_sums = load_sums(books, question_by_step, [_REACHED, _POSITIONS, _STEP_SECONDS], split.spans)
        _, *sums = await run_plan(connection, merge_plans([*plans, totals, step_sums]))
        return sums

    totals, step_sums = await books.database.ask(load)
    rows = _list_rows(question, totals, step_sums)
    page, next_cursor = paginate(rows, limit=parameters.page_rows, cursor=parameters.cursor)
    body = {
        "question": question.as_json(without=("metrics", "conventions", "totals")),
        "rows": [mask_unknown(_compute_row(row, question), _NUMBERS, question) for row in page],
        "next": next_cursor,
    } | knowledge_members(question)
    return question_answer("funnel", body, question, before=columns(PERIOD_SCHEMA), after=columns(_STAGE_SCHEMA))


def _list_rows(question: Question, totals: OperandSums, step_sums: OperandSums) -> list[_FunnelRow]:
    groups = sorted(default_groups(question).union(groups_with_data(totals.get(_STARTED, {}))), key=group_sort_key)
    steps = _ordered_steps(step_sums)
    count = len(groups) * len(question.periods) * (len(steps) + 2)
    check_row_count(count, pointer="/query/granularity", instead="use longer periods, fewer groups or a shorter range")
    return [
        row
        for index, period in enumerate(question.periods)
        for group in groups
        for row in _rows_of_group(period, group, _stages(totals, step_sums, group, index, steps))
    ]


def _ordered_steps(step_sums: OperandSums) -> list[str]:
    """Return the steps by their average position; of two with the same one, the step that more onboardings reach first."""
    reached, positions = (_sum_by_step(step_sums.get(operand, {})) for operand in (_REACHED, _POSITIONS))
    return sorted(
        (step for step in reached if reached[step]),
        key=lambda step: (Fraction(positions[step], reached[step]), -reached[step], step),
    )


def _sum_by_step(sums: SumsByGroup) -> Counter[str]:
    totals: Counter[str] = Counter()
    for group, values in sums.items():
        totals[group[-1][1]] += sum(values.values())
    return totals


def _stages(
    totals: OperandSums, step_sums: OperandSums, group: Group, index: int, steps: Sequence[str]
) -> list[_Stage]:
    """Return the stages of one period and group in their order."""

    def value(sums_by_operand: OperandSums, operand: Flow, group: Group) -> int:
        sums = sums_by_operand.get(operand, {})
        return sums[group].get(index, 0) if group in sums else 0

    stages = [_Stage("started", None, value(totals, _STARTED, group), 0)]
    for step in steps:
        step_group = (*group, ("str", step))
        reached = value(step_sums, _REACHED, step_group)
        stages.append(_Stage("step", step, reached, value(step_sums, _STEP_SECONDS, step_group)))
    stages.append(_Stage("completed", None, value(totals, _COMPLETED, group), value(totals, _SECONDS, group)))
    next_reached = [*(stage.reached for stage in stages[1:]), None]
    return [stage._replace(next_reached=count) for stage, count in zip(stages, next_reached, strict=True)]


def _rows_of_group(period: Period, group: Group, stages: Sequence[_Stage]) -> Iterator[_FunnelRow]:
    return (_FunnelRow(period, group, number, stage, stages[0].reached) for number, stage in enumerate(stages))


def _compute_row(row: _FunnelRow, question: Question) -> Row:
    stage = row.stage
    drop_off = None if stage.next_reached is None else stage.reached - stage.next_reached
    average_days = round_number(stage.seconds / _SECONDS_PER_DAY / stage.reached) if stage.reached else None
    return {
        **base_row(row.period, row.group, question),
        "number": row.number,
        "stage": stage.kind,
        "step": stage.step,
        "reached": stage.reached,
        "percent": percent(stage.reached, row.started),
        "drop_off": drop_off,
        "drop_off_percent": None if drop_off is None else percent(drop_off, stage.reached),
        "average_days": average_days,
    }
