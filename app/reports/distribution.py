"""The distribution of a survey's scores: how many responses have each score, or each class of scores."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, Literal, NamedTuple

from pydantic import Field

from app.books.books import Books
from app.core.errors import Invalid, NotFound
from app.core.ids import RepeatedIds
from app.core.periods import Period
from app.database.connection import Connection
from app.database.query_plan import QueryPlan, merge_plans, run_plan
from app.http.chart_formats import ChartParameters
from app.http.tables import Answer, columns
from app.ledger import surveys
from app.ledger.sums.operands import Flow
from app.ledger.sums.selection import Group, Sums
from app.ledger.surveys import SURVEY_SCHEMA, Survey
from app.metrics.lookup import PeriodSplit, groups_with_data, load_sums, split_question
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
    row_name,
)
from app.metrics.schema import NUMBER_SCHEMA, question_answer, rows_schema
from app.reports.schemas import GROUP_SCHEMA, PERIOD_SCHEMA, REASON_SCHEMA

_SCORES = Flow("survey_scores")

_SCORE_SCHEMA: dict[str, Any] = {"score": {"type": "integer", "description": "With `by=score`, the default."}}
_COUNT_SCHEMA: dict[str, Any] = {
    "class": {"type": "string", "examples": ["promoter", "passive", "detractor"]},
    "count": {"type": ["integer", "null"], "description": "The number of responses with this score or class."},
    "responses": {"type": ["integer", "null"], "description": "The number of all responses in the period and group."},
    "percent": NUMBER_SCHEMA | {"description": "`count` as a percentage of `responses`."},
    "cumulative_percent": NUMBER_SCHEMA
    | {"description": "Responses with this or a lower score, as a percentage of `responses`."},
}
_NUMBERS = [name for name in _COUNT_SCHEMA if name != "class"]
DISTRIBUTION_SCHEMA = rows_schema(
    "ScoreCount",
    "One row per period, group and score or class, from the lowest score on.",
    PERIOD_SCHEMA | GROUP_SCHEMA | _COUNT_SCHEMA,
    _SCORE_SCHEMA | REASON_SCHEMA,
    chart=True,
    survey=SURVEY_SCHEMA | {"description": "The survey: its kind, scale and meaning of scores."},
)


class DistributionParameters(ChartParameters, CommonParameters):
    """Parameters of the distribution of scores."""

    granularity: Granularity = "month"
    by: Literal["score", "class"] = Field(
        "score", description="One row per `score`, or one per `class` of scores, such as promoters."
    )
    channel: RepeatedIds = Field([], description="Only responses that came through these channels.")
    totals: bool = Field(False, description="Add rows over the whole range, with the period `total`.")


class _Bar(NamedTuple):
    """A score, or a class of scores (score is then None), with its responses and those with this or a lower score."""

    score: int | None
    score_class: str
    responses: int
    cumulative_responses: int


class _DistributionRow(NamedTuple):
    """A row that is not computed yet. responses: all of its period and group."""

    period: Period
    group: Group
    bar: _Bar
    responses: int

    @property
    def name(self) -> str:
        return row_name(self.period.name, self.period.start, self.group, self.bar.score, self.bar.score_class)


async def score_distribution(books: Books, survey_id: str, parameters: DistributionParameters) -> Answer:
    """Return the answer, with a page of rows.

    Rows are ordered by period, group and score. Scores without responses have rows as well. Raises NotFound for an unknown
    survey, and Invalid for an invalid question or an answer of more than a million rows.
    """
    if "subject" in parameters.group_by:
        detail = 'A distribution is of one survey and cannot be grouped by subject. Remove "subject" from group_by.'
        raise Invalid.at("/query/group_by", detail, code="unknown_dimension")
    question = await resolve_question(books, ["survey_responses"], Parameters.of(parameters))
    survey = await _load_survey(books, survey_id)
    # The ledger has each score of a survey as a subject.
    subjects = tuple(surveys.score_subject(survey.id, score) for score in survey.scores)
    by_score = replace(question.selection, group_by=(*question.selection.group_by, "subject"), subjects=subjects)
    question_by_score = replace(question, selection=by_score)
    splits = split_question(question_by_score)

    async def load(connection: Connection) -> list[Sums]:
        plans: list[QueryPlan[Any]] = [check_names(books.database, question.names)]
        plans += [load_sums(books, question_by_score, [_SCORES], split.spans) for split in splits]
        _, *results = await run_plan(connection, merge_plans(plans))
        return [sums.get(_SCORES, {}) for sums in results]

    sums_by_split = await books.database.ask(load)
    rows = _list_rows(question, survey, splits, sums_by_split, by=parameters.by)
    page, next_cursor = paginate(rows, limit=parameters.page_rows, cursor=parameters.cursor)
    body = {
        "question": question.as_json(without=("metrics", "conventions")) | {"by": parameters.by},
        "survey": survey.to_json(),
        "rows": [mask_unknown(_compute_row(row, question, by=parameters.by), _NUMBERS, question) for row in page],
        "next": next_cursor,
    } | knowledge_members(question)
    names = ["score", *_COUNT_SCHEMA] if parameters.by == "score" else [*_COUNT_SCHEMA]
    after = columns(_SCORE_SCHEMA | _COUNT_SCHEMA, names)
    return question_answer("distribution", body, question, before=columns(PERIOD_SCHEMA), after=after)


async def _load_survey(books: Books, survey_id: str) -> Survey:
    stored = await books.database.ask(lambda connection: surveys.load_surveys(connection, [survey_id]))
    if survey_id not in stored:
        all_surveys = await books.database.ask(surveys.load_surveys)
        raise NotFound.of([surveys.unknown_survey(survey_id, [*all_surveys], "/path/survey_id")])
    return stored[survey_id]


def _list_rows(
    question: Question, survey: Survey, splits: Sequence[PeriodSplit], sums_by_split: Sequence[Sums], *, by: str
) -> list[_DistributionRow]:
    groups = {group[:-1] for sums in sums_by_split for group in groups_with_data(sums)}
    ordered_groups = sorted(default_groups(question) | groups, key=group_sort_key)
    count = len(ordered_groups) * sum(len(split.periods) for split in splits) * len(survey.scores)
    check_row_count(count, pointer="/query/granularity", instead="use longer periods, fewer groups or a shorter range")
    return [
        row
        for split, sums in zip(splits, sums_by_split, strict=True)
        for index, period in enumerate(split.periods)
        for group in ordered_groups
        for row in _rows_of_group(survey, period, group, _counts(survey, sums, group, index), by=by)
    ]


def _counts(survey: Survey, sums: Sums, group: Group, index: int) -> list[int]:
    """Return the number of responses with each score in one period, from the lowest score on."""
    groups = ((*group, ("str", surveys.score_subject(survey.id, score))) for score in survey.scores)
    return [sums[by_score].get(index, 0) if by_score in sums else 0 for by_score in groups]


def _rows_of_group(
    survey: Survey, period: Period, group: Group, counts: Sequence[int], *, by: str
) -> Iterator[_DistributionRow]:
    """Return the rows of one period and group. The scores of a class follow each other."""
    bars: list[_Bar] = []
    total = 0
    for score, count in zip(survey.scores, counts, strict=True):
        total += count
        score_class = survey.class_of(score)
        if by == "score":
            bars.append(_Bar(score, score_class, count, total))
        elif bars and bars[-1].score_class == score_class:
            bars[-1] = _Bar(None, score_class, bars[-1].responses + count, total)
        else:
            bars.append(_Bar(None, score_class, count, total))
    return (_DistributionRow(period, group, bar, total) for bar in bars)


def _compute_row(row: _DistributionRow, question: Question, *, by: str) -> Row:
    bar = row.bar
    return {
        **base_row(row.period, row.group, question),
        **({"score": bar.score} if by == "score" else {}),
        "class": bar.score_class,
        "count": bar.responses,
        "responses": row.responses,
        "percent": percent(bar.responses, row.responses),
        "cumulative_percent": percent(bar.cumulative_responses, row.responses),
    }
