"""Surveys: their scales, the classes of their scores, and their table.

A survey is frozen by its first response, so that a score is read in one way for ever.
"""

from collections.abc import Callable, Collection, Sequence
from types import SimpleNamespace
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from app.core.names import Fault, name_fault, nearest_names
from app.database import tables
from app.database.connection import Connection
from app.http.openapi import component, object_schema

MAX_SCORE = 100
NPS_SCALES = ((0, 10), (1, 10))
NPS_PROMOTER_FROM = 9
NPS_DETRACTOR_UP_TO = 6


class ScoreClass(NamedTuple):
    """A class of scores of one kind of survey: its name and its condition.

    condition: a function of a score and its survey. It works on numbers and a `Survey` as well as on SQL expressions and
    the columns of the survey table. None: the class takes every score that no class before it takes.
    """

    name: str
    condition: Callable[[Any, Any], Any] | None


def _ease(score: Any, survey: Any) -> Any:
    """Return twice the distance of a score from the middle of the scale: above zero on the easy side, below on the other."""
    return (2 * score - survey.low - survey.high) * survey.easy_sign


# By kind of survey. A score belongs to the first class whose condition holds. Posting, reports and SQL all read this.
SCORE_CLASSES: dict[str, Sequence[ScoreClass]] = {
    "nps": (
        ScoreClass("promoter", lambda score, survey: score >= NPS_PROMOTER_FROM),
        ScoreClass("detractor", lambda score, survey: score <= NPS_DETRACTOR_UP_TO),
        ScoreClass("passive", None),
    ),
    "csat": (
        ScoreClass("satisfied", lambda score, survey: score >= survey.satisfied_from),
        ScoreClass("unsatisfied", None),
    ),
    "ces": (
        ScoreClass("easy", lambda score, survey: _ease(score, survey) > 0),
        ScoreClass("difficult", lambda score, survey: _ease(score, survey) < 0),
        ScoreClass("neutral", None),
    ),
}


def scale_of(number: int) -> tuple[int, int]:
    """Return the lowest and the highest score of a scale; see `Survey.scale_number`."""
    low, high = divmod(number // 2, MAX_SCORE + 1)
    return low, high


class Survey(NamedTuple):
    """A survey as it was declared.

    kind: nps, csat or ces. low and high: the ends of its scale of whole numbers, both included. satisfied_from: of csat,
    the lowest score that means satisfied. easy_is: of ces, the end of the scale that means easy, `low` or `high`.
    """

    id: str
    kind: str
    low: int
    high: int
    satisfied_from: int | None
    easy_is: str | None
    question: str | None
    answered: bool

    @property
    def scores(self) -> range:
        """Return all scores of the scale, the lowest first."""
        return range(self.low, self.high + 1)

    @property
    def scale_number(self) -> int:
        """Return a number for scale and direction: scores can be averaged only where it is the same."""
        return (self.low * (MAX_SCORE + 1) + self.high) * 2 + (self.easy_is == "low")

    @property
    def easy_sign(self) -> int:
        """Return -1 where low scores mean easy, else 1."""
        return -1 if self.easy_is == "low" else 1

    def class_of(self, score: int) -> str:
        """Return the name of the class that a score belongs to, such as `promoter`: see `SCORE_CLASSES`."""
        return next(name for name, condition in SCORE_CLASSES[self.kind] if condition is None or condition(score, self))

    def to_json(self) -> dict[str, Any]:
        """Return the survey as the API shows it."""
        members = {name: value for name, value in self._asdict().items() if name not in ("low", "high")}
        return members | {"scale": {"min": self.low, "max": self.high}}


_OPTIONAL_TEXT: dict[str, Any] = {"type": ["string", "null"]}
SURVEY_SCHEMA: dict[str, Any] = object_schema(
    "Survey",
    {
        "id": {"type": "string"},
        "kind": {"type": "string", "enum": ["nps", "csat", "ces"]},
        "scale": component("Scale"),
        "satisfied_from": {
            "type": ["integer", "null"],
            "description": "csat only: the lowest score that means satisfied.",
        },
        "easy_is": _OPTIONAL_TEXT | {"description": "ces only: which end of the scale means easy, `low` or `high`."},
        "question": _OPTIONAL_TEXT,
        "answered": {
            "type": "boolean",
            "description": "Whether it has responses, so that it can no longer be changed.",
        },
    },
)

_TABLE = tables.survey
_COLUMNS = [_TABLE.c[name] for name in Survey._fields]


def score_class_column(score: sa.ColumnElement[int]) -> sa.ColumnElement[str]:
    """Return the SQL expression of the class of `score`, in a query that joins the survey table; NULL without a survey."""
    columns = SimpleNamespace(
        low=_TABLE.c.low,
        high=_TABLE.c.high,
        satisfied_from=_TABLE.c.satisfied_from,
        easy_sign=sa.case((_TABLE.c.easy_is == "low", -1), else_=1),
    )
    cases = [
        (is_kind if condition is None else sa.and_(is_kind, condition(score, columns)), name)
        for is_kind, classes in ((_TABLE.c.kind == kind, classes) for kind, classes in SCORE_CLASSES.items())
        for name, condition in classes
    ]
    return sa.case(*cases)


def score_subject(survey_id: str, score: int) -> str:
    """Return the subject under which the responses with one score of a survey are counted."""
    return f"{survey_id} {score}"


def default_satisfied_from(low: int, high: int) -> int:
    """Return the lowest of the top max(1, ⌊0.4 × number of scores⌋) scores: 4 of 1–5, 7 of 1–10."""
    count = high - low + 1
    return high + 1 - max(1, count * 4 // 10)


def unknown_survey(
    id: str, existing: Sequence[str], pointer: str, *, advice: str = "GET /v1/surveys lists all surveys."
) -> Fault:
    """Return the fault of a survey that is not declared. existing: the ids of those that are. advice: what to do."""
    nearest = nearest_names(id, existing)
    return name_fault(pointer, "Unknown survey{}.", id, nearest, code="unknown_survey", advice=advice)


async def load_surveys(connection: Connection, ids: Collection[str] | None = None) -> dict[str, Survey]:
    """Return the surveys with these ids, or all surveys, by id. Unknown ids are left out."""
    query = sa.select(*_COLUMNS).order_by(_TABLE.c.id)
    if ids is not None:
        query = query.where(_TABLE.c.id.in_(list(ids)))
    return {row.id: Survey(*row) for row in await connection.execute(query)}


async def declare_survey(connection: Connection, survey: Survey) -> bool:
    """Write a survey; return False when it has responses and would change."""
    statement = insert(_TABLE).values(survey._asdict() | {"answered": False})
    upsert = statement.on_conflict_do_update(
        index_elements=["id"],
        set_={name: statement.excluded[name] for name in Survey._fields if name not in ("id", "answered")},
        where=~_TABLE.c.answered,
    )
    if await connection.execute(upsert.returning(_TABLE.c.id)):
        return True
    existing = (await load_surveys(connection, [survey.id]))[survey.id]
    return existing._replace(answered=False) == survey._replace(answered=False)


async def freeze_surveys(connection: Connection, surveys: Collection[Survey]) -> bool:
    """Mark surveys as answered, in the order of their ids; return False when one differs from its row by now."""
    for survey in sorted(surveys, key=lambda survey: survey.id):
        is_same = [_TABLE.c[name].is_not_distinct_from(getattr(survey, name)) for name in Survey._fields[:-1]]
        statement = sa.update(_TABLE).where(*is_same).values(answered=True)
        if not (await connection.execute(statement)).row_count:
            return False
    return True
