"""Surveys: how their scores are read. A survey is fixed from its first answer on, so that a score is read one way for ever."""

from collections.abc import Collection
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from app.database import tables
from app.database.connection import Connection


class Survey(NamedTuple):
    """kind: nps, csat or ces; low and high: its whole-number scale; `satisfied_from` is csat's, `easy_is` ces's."""

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
        """All that can be given, from the lowest."""
        return range(self.low, self.high + 1)

    @property
    def scale(self) -> int:
        """A number for (scale, direction): answers can be averaged only where it is the same."""
        return (self.low * 101 + self.high) * 2 + (self.easy_is == "low")

    def shown(self) -> dict[str, Any]:
        """The survey as it is answered."""
        said = {name: value for name, value in self._asdict().items() if name not in ("low", "high")}
        return said | {"scale": {"min": self.low, "max": self.high}}

    def is_easy(self, score: int) -> bool:
        """Whether a ces score lies on the easy side of the scale's middle."""
        middle = self.low + self.high
        return 2 * score < middle if self.easy_is == "low" else 2 * score > middle

    def class_of(self, score: int) -> str:
        """What a score means: promoter, passive, detractor; satisfied, unsatisfied; easy, neutral, difficult."""
        if self.kind == "nps":
            return "promoter" if score >= 9 else "passive" if score >= 7 else "detractor"
        if self.kind == "csat":
            assert self.satisfied_from is not None
            return "satisfied" if score >= self.satisfied_from else "unsatisfied"
        if 2 * score == self.low + self.high:
            return "neutral"
        return "easy" if self.is_easy(score) else "difficult"


def point(survey: str, score: int) -> str:
    """The name of a score of a survey, as a subject."""
    return f"{survey} {score}"


_COLUMNS = [tables.survey.c[name] for name in Survey._fields]


def default_satisfied_from(low: int, high: int) -> int:
    """The lowest of the highest max(1, ⌊0.4 × number of points⌋) scores: 4 of 1–5, 7 of 1–10."""
    points = high - low + 1
    return high + 1 - max(1, points * 4 // 10)


async def load_surveys(connection: Connection, ids: Collection[str] | None = None) -> dict[str, Survey]:
    """The surveys with these ids, or all."""
    query = sa.select(*_COLUMNS).order_by(tables.survey.c.id)
    if ids is not None:
        query = query.where(tables.survey.c.id.in_(list(ids)))
    return {row.id: Survey(*row) for row in await connection.execute(query)}


async def declare(connection: Connection, survey: Survey) -> bool:
    """Write a survey that has no answers; False when it has some and would be changed."""
    values = survey._asdict() | {"answered": False}
    statement = insert(tables.survey).values(values)
    changed = statement.on_conflict_do_update(
        index_elements=["id"],
        set_={name: statement.excluded[name] for name in Survey._fields if name not in ("id", "answered")},
        where=~tables.survey.c.answered,
    )
    if await connection.execute(changed.returning(tables.survey.c.id)):
        return True
    existing = (await load_surveys(connection, [survey.id]))[survey.id]
    return existing._replace(answered=False) == survey._replace(answered=False)


async def freeze_surveys(connection: Connection, surveys: Collection[Survey]) -> bool:
    """Fix surveys that are answered for the first time, as they were read; False when one was changed meanwhile."""
    for survey in sorted(surveys, key=lambda survey: survey.id):
        same = [tables.survey.c[name].is_not_distinct_from(getattr(survey, name)) for name in Survey._fields[:-1]]
        statement = sa.update(tables.survey).where(*same).values(answered=True)
        if not (await connection.execute(statement)).row_count:
            return False
    return True
