"""The funnel of the onboarding: how many of those that were started reached each step."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any, NamedTuple

from app.books.books import Books
from app.core.periods import Period
from app.database.connection import Connection
from app.database.query_plan import merge_plans, run_plan
from app.ledger.sums.operands import Flow
from app.ledger.sums.selection import Group, Sums
from app.metrics.lookup import OperandSums, filled, load_sums, split_question
from app.metrics.question import CommonParameters, Granularity, Parameters, Question, resolve_question
from app.metrics.rows import Row, always, check_many, name_of, order, page, percent, rounded, row_in

_STARTED, _COMPLETED, _SECONDS = map(Flow, ("onboardings_started", "onboardings_completed", "onboarding_seconds"))
_REACHED, _PLACES, _STEP_SECONDS = map(
    Flow, ("onboardings_reaching", "onboarding_step_positions", "onboarding_step_seconds")
)
_DAY = 86_400


class FunnelParameters(CommonParameters):
    """What may be asked of the funnel: of the onboardings that were started in each period."""

    granularity: Granularity = "total"


class _Stage(NamedTuple):
    """The start, a step or the completion: how many reached it, after how many seconds in all, and how many the next one."""

    stage: str
    step: str | None
    reached: int
    seconds: int
    following: int | None = None


class _Cell(NamedTuple):
    """A row that has not been written yet."""

    period: Period
    group: Group
    number: int
    stage: _Stage
    started: int

    @property
    def name(self) -> str:
        return name_of(self.period.name, self.period.start, self.group, self.stage.stage, self.stage.step)


async def funnel(books: Books, asked: FunnelParameters) -> tuple[dict[str, Any], list[Row], str | None]:
    """The question as it was understood, a page of rows and the cursor of the next page.

    A row is a stage in one period and group: the start, the steps and the completion. The steps are in the order in which
    onboardings reach them: by their mean place among the steps of each, over all that was asked for. Raises Invalid for
    what cannot be answered and for an answer of more than a million rows.
    """
    question = await resolve_question(books, ["onboarding_completion_rate"], Parameters.of(asked))
    by_step = replace(question.selection, group_by=(*question.selection.group_by, "subject"))
    divided = replace(question, selection=by_step)

    [cut] = split_question(question)

    async def find(connection: Connection) -> list[OperandSums]:
        of_whole = load_sums(books, question, [_STARTED, _COMPLETED, _SECONDS], cut.spans)
        of_steps = load_sums(books, divided, [_REACHED, _PLACES, _STEP_SECONDS], cut.spans)
        return await run_plan(connection, merge_plans([of_whole, of_steps]))

    whole, parts = await books.database.read(find)
    groups = sorted(always(question).union(filled(whole.get(_STARTED, {}))), key=order)
    steps = _ordered(parts)
    many = len(groups) * len(question.periods) * (len(steps) + 2)
    check_many(many, pointer="/query/granularity", instead="ask for less at once")
    cells = [
        cell
        for index, period in enumerate(question.periods)
        for group in groups
        for cell in _cells(period, group, _stages(whole, parts, group, index, steps))
    ]
    here, following = page(cells, limit=asked.limit, cursor=asked.cursor)
    understood = question.understood(without=("metrics", "conventions", "totals"))
    return understood, [_row(cell, question) for cell in here], following


def _ordered(parts: OperandSums) -> list[str]:
    """The steps in the order in which they are reached; of two at the same place, first the one that more reach."""
    reached, places = (_by_step(parts.get(operand, {})) for operand in (_REACHED, _PLACES))
    return sorted(
        (step for step in reached if reached[step]),
        key=lambda step: (Fraction(places[step], reached[step]), -reached[step], step),
    )


def _by_step(sums: Sums) -> Counter[str]:
    found: Counter[str] = Counter()
    for group, values in sums.items():
        found[group[-1][1]] += sum(values.values())
    return found


def _stages(whole: OperandSums, parts: OperandSums, group: Group, index: int, steps: Sequence[str]) -> list[_Stage]:
    def of(found: OperandSums, operand: Flow, place: Group) -> int:
        sums = found.get(operand, {})
        return sums[place].get(index, 0) if place in sums else 0

    places = {step: (*group, ("str", step)) for step in steps}
    stages = [
        _Stage("started", None, of(whole, _STARTED, group), 0),
        *(_Stage("step", s, of(parts, _REACHED, at), of(parts, _STEP_SECONDS, at)) for s, at in places.items()),
        _Stage("completed", None, of(whole, _COMPLETED, group), of(whole, _SECONDS, group)),
    ]
    following = [*(stage.reached for stage in stages[1:]), None]
    return [stage._replace(following=after) for stage, after in zip(stages, following, strict=True)]


def _cells(period: Period, group: Group, stages: Sequence[_Stage]) -> Iterator[_Cell]:
    return (_Cell(period, group, number, stage, stages[0].reached) for number, stage in enumerate(stages))


def _row(cell: _Cell, question: Question) -> Row:
    stage = cell.stage
    lost = None if stage.following is None else stage.reached - stage.following
    return {
        **row_in(cell.period, cell.group, question),
        "number": cell.number,
        "stage": stage.stage,
        "step": stage.step,
        "reached": stage.reached,
        "percent": percent(stage.reached, cell.started),
        "drop_off": lost,
        "drop_off_percent": None if lost is None else percent(lost, stage.reached),
        "average_days": rounded(stage.seconds / _DAY / stage.reached) if stage.reached else None,
    }
