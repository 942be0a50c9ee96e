"""How often each score of a survey was given."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, Literal, NamedTuple

from pydantic import Field

from app.books.books import Books
from app.core.errors import Invalid, NotFound
from app.core.ids import RepeatedIds
from app.core.periods import Period
from app.database.connection import Connection
from app.database.query_plan import merge_plans, run_plan
from app.ledger import surveys
from app.ledger.sums.operands import Flow
from app.ledger.sums.selection import Group, Sums
from app.ledger.surveys import Survey
from app.metrics.lookup import filled, load_sums, split_question
from app.metrics.question import CommonParameters, Granularity, Parameters, Question, resolve_question
from app.metrics.rows import Row, always, check_many, name_of, order, page, percent, row_in

_SCORES = Flow("survey_scores")


class DistributionParameters(CommonParameters):
    """What may be asked of the answers to a survey."""

    granularity: Granularity = "month"
    by: Literal["score", "class"] = Field("score", description="A row for each score, or for each class of scores.")
    channel: RepeatedIds = Field([], description="Only answers through these channels.")
    totals: bool = Field(False, description="Rows over the whole range too, of the period named `total`.")


class _Bar(NamedTuple):
    """A score, or a class of scores: how often they were given, and how often these or lower ones were."""

    score: int | None
    of_class: str
    given: int
    up_to: int


class _Cell(NamedTuple):
    """A row that has not been written yet. responses: all answers of its period and group."""

    period: Period
    group: Group
    bar: _Bar
    responses: int

    @property
    def name(self) -> str:
        return name_of(self.period.name, self.period.start, self.group, self.bar.score, self.bar.of_class)


async def distribution(
    books: Books, survey_id: str, asked: DistributionParameters
) -> tuple[dict[str, Any], Survey, list[Row], str | None]:
    """The question as it was understood, the survey, a page of rows and the cursor of the next page.

    A row is a score, or a class, in one period and group: ordered by period, group and score, from the lowest, so that
    `cumulative_percent` is the share of answers up to it. Scores that nobody gave are there too. Raises NotFound for an
    unknown survey, Invalid for what cannot be answered and for an answer of more than a million rows.
    """
    if "subject" in asked.group_by:
        detail = "The answers are those of one survey: they have no other subject."
        raise Invalid.at("/query/group_by", detail, code="unknown_dimension")
    question = await resolve_question(books, ["survey_responses"], Parameters.of(asked))
    survey = (await books.database.read(lambda connection: surveys.load_surveys(connection, [survey_id]))).get(
        survey_id
    )
    if survey is None:
        raise NotFound("There is no such survey; GET /v1/surveys lists them.")
    # Each score is a subject of its own.
    points = tuple(surveys.score_subject(survey.id, score) for score in survey.scores)
    by_score = replace(question.selection, group_by=(*question.selection.group_by, "subject"), subjects=points)
    divided = replace(question, selection=by_score)
    cuts = split_question(divided)

    async def find(connection: Connection) -> list[Sums]:
        of_cuts = [load_sums(books, divided, [_SCORES], cut.spans) for cut in cuts]
        return [sums.get(_SCORES, {}) for sums in await run_plan(connection, merge_plans(of_cuts))]

    found = await books.database.read(find)
    groups = sorted(always(question).union(group[:-1] for sums in found for group in filled(sums)), key=order)
    many = len(groups) * sum(len(cut.periods) for cut in cuts) * len(points)
    check_many(many, pointer="/query/granularity", instead="ask for less at once")
    cells = [
        cell
        for cut, sums in zip(cuts, found, strict=True)
        for index, period in enumerate(cut.periods)
        for group in groups
        for cell in _cells(survey, period, group, _counts(survey, sums, group, index), by=asked.by)
    ]
    here, following = page(cells, limit=asked.limit, cursor=asked.cursor)
    understood = question.understood(without=("metrics", "conventions")) | {"by": asked.by}
    return understood, survey, [_row(cell, question, by=asked.by) for cell in here], following


def _counts(survey: Survey, sums: Sums, group: Group, index: int) -> list[int]:
    """How often each score was given, from the lowest."""
    places = ((*group, ("str", surveys.score_subject(survey.id, score))) for score in survey.scores)
    return [sums[place].get(index, 0) if place in sums else 0 for place in places]


def _cells(survey: Survey, period: Period, group: Group, counts: Sequence[int], *, by: str) -> Iterator[_Cell]:
    """The bars of one period and group: scores of one class lie side by side."""
    bars: list[_Bar] = []
    up_to = 0
    for score, count in zip(survey.scores, counts, strict=True):
        up_to += count
        of_class = survey.class_of(score)
        if by == "score":
            bars.append(_Bar(score, of_class, count, up_to))
        elif bars and bars[-1].of_class == of_class:
            bars[-1] = _Bar(None, of_class, bars[-1].given + count, up_to)
        else:
            bars.append(_Bar(None, of_class, count, up_to))
    return (_Cell(period, group, bar, up_to) for bar in bars)


def _row(cell: _Cell, question: Question, *, by: str) -> Row:
    bar = cell.bar
    return {
        **row_in(cell.period, cell.group, question),
        **({"score": bar.score} if by == "score" else {}),
        "class": bar.of_class,
        "count": bar.given,
        "responses": cell.responses,
        "percent": percent(bar.given, cell.responses),
        "cumulative_percent": percent(bar.up_to, cell.responses),
    }
