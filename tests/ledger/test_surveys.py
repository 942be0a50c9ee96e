"""Surveys: one definition of the classes of scores, for numbers and for SQL."""

from typing import Any

import pytest
import sqlalchemy as sa

from app.database import tables
from app.database.connection import Connection
from app.ledger.surveys import declare_survey, load_surveys, score_class_column
from tests.support.service import Service

BODIES: list[dict[str, Any]] = [
    {"kind": "nps", "scale": {"min": 0, "max": 10}},
    {"kind": "nps", "scale": {"min": 1, "max": 10}},
    {"kind": "csat", "scale": {"min": 1, "max": 5}},
    {"kind": "csat", "scale": {"min": 0, "max": 100}, "satisfied_from": 1},
    {"kind": "ces", "scale": {"min": 1, "max": 7}, "easy_is": "low"},
    {"kind": "ces", "scale": {"min": 1, "max": 7}, "easy_is": "high"},
    {"kind": "ces", "scale": {"min": 0, "max": 5}, "easy_is": "low"},
]


@pytest.mark.parametrize(
    "body", BODIES, ids=lambda body: f"{body['kind']} {body['scale']['min']}-{body['scale']['max']}"
)
def test_sql_and_python_agree_on_the_class_of_every_score(service: Service, body: dict[str, Any]) -> None:
    service.put("/v1/surveys/classified", body)
    score = sa.column("score", sa.Integer)
    scores = sa.values(score, name="scores").data([(number,) for number in range(101)])
    query = (
        sa.select(score, score_class_column(score))
        .select_from(scores.join(tables.survey, score.between(tables.survey.c.low, tables.survey.c.high)))
        .where(tables.survey.c.id == "classified")
    )

    async def load(connection: Connection) -> tuple[Any, Any]:
        survey = (await load_surveys(connection, ["classified"]))["classified"]
        return survey, await connection.execute(query)

    survey, rows = service.run(service.books.database.read(load))
    assert dict(rows) == {number: survey.class_of(number) for number in survey.scores}


def test_declaring_a_survey_with_responses_again_succeeds_only_without_a_change(service: Service) -> None:
    async def declare(connection: Connection, **changes: Any) -> bool:
        survey = (await load_surveys(connection, ["nps"]))["nps"]
        return await declare_survey(connection, survey._replace(**changes))

    def declare_with(**changes: Any) -> bool:
        return service.run(service.books.database.write(lambda connection: declare(connection, **changes)))

    assert declare_with(low=1)
    service.run(
        service.books.database.write(lambda connection: connection.execute("UPDATE survey SET answered = true"))
    )
    assert declare_with()
    assert not declare_with(low=0)
