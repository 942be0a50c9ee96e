"""A short campaign of polls over processes. `make campaign` tries 10,000 pairs."""

from pathlib import Path

import pytest
from fastapi.routing import iter_route_contexts

from app.http.polls import POLLABLE
from app.http.routing import find_pollable
from tests.polling.process_campaign import run_poll_campaign
from tests.polling.writes import QUESTIONS
from tests.support.service import Service


@pytest.mark.own_database
def test_no_answer_of_two_processes_is_stale_while_many_clients_write_across_midnight(
    tmp_path: Path, database: str
) -> None:
    outcome = run_poll_campaign(tmp_path, database, pairs=150, seed=16, commands=["import"])
    assert outcome.pairs.total() >= 150 and min(outcome.pairs.values()) > 0 and len(outcome.pairs) == 2, str(outcome)
    assert outcome.answers["304"] > 0 and outcome.answers["200"] > 0, str(outcome)


def test_the_campaign_asks_every_question_that_is_answered_by_the_state_of_the_data(service: Service) -> None:
    find = find_pollable(service.app)
    asked = {find(path.partition("?")[0]) for path in QUESTIONS}
    endpoints = {route.endpoint for route in iter_route_contexts(service.app.routes)}
    assert asked == endpoints & POLLABLE
