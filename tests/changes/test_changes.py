"""What has changed since a cursor: nothing is left out, whatever the order of commits."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.changes.changes import find_metrics
from app.changes.cursor import ChangesCursor, parse_cursor
from app.core.errors import Invalid
from app.core.ids import encode_token
from app.database.data_state import ANYTHING
from app.metrics.define import METRICS
from tests.support.service import Service, account_update, session, survey_responses

PATH = "/v1/changes"


def now(service: Service) -> str:
    return service.get(PATH)["next"]


def since(service: Service, cursor: str, **parameters: Any) -> dict[str, Any]:
    return service.get(PATH, since=cursor, **parameters)


def test_the_first_call_answers_the_cursor_of_now(service: Service) -> None:
    service.send(session())
    answer = service.get(PATH)
    assert (answer["metrics"], answer["accounts"], answer["everything"]) == ([], [], False)
    assert since(service, answer["next"])["accounts"] == []


def test_accounts_and_metrics_of_events_are_named(service: Service) -> None:
    cursor = now(service)
    service.send(session("acme"), session("globex"))
    answer = since(service, cursor)
    assert answer["accounts"] == ["acme", "globex"] and "sessions" in answer["metrics"]
    assert not answer["everything"] and "nps" not in answer["metrics"]
    service.send(*survey_responses("nps", [9], "globex"))
    later = since(service, answer["next"])
    assert later["accounts"] == ["globex"] and "nps" in later["metrics"] and "sessions" not in later["metrics"]
    # From the first cursor on, both have changed.
    both = since(service, cursor)
    assert {"nps", "sessions"} <= {*both["metrics"]} and both["accounts"] == ["acme", "globex"]


def test_retractions_and_attributes_may_change_every_metric(service: Service) -> None:
    service.send(session(id="one"))
    cursor = now(service)
    service.retract("acme", "one")
    retracted = since(service, cursor)
    assert (retracted["accounts"], retracted["metrics"]) == (["acme"], sorted(METRICS))
    service.send(account_update("globex", plan="pro"))
    assert since(service, retracted["next"])["metrics"] == sorted(METRICS)


WHOLE: dict[str, Callable[[Service], Any]] = {
    "segment": lambda s: s.put("/v1/segments/big?strict=false", {"filter": 'plan = "pro"'}),
    "rate": lambda s: s.put("/v1/exchange-rates", {"currency": "EUR", "rates": {"2026-01-01": "1.1"}}),
    "target": lambda s: s.put("/v1/targets/t", {"metric": "sessions", "granularity": "month", "value": 1}),
}


@pytest.mark.parametrize("kind", WHOLE)
def test_a_definition_may_change_everything(kind: str, service: Service) -> None:
    service.send(session())
    cursor = now(service)
    WHOLE[kind](service)
    answer = since(service, cursor)
    assert (answer["everything"], answer["accounts"], answer["metrics"]) == (True, None, sorted(METRICS))
    assert not since(service, answer["next"])["everything"]


def test_a_key_and_an_alert_change_no_answer(service: Service) -> None:
    cursor = now(service)
    service.request("POST", "/v1/keys", json={"name": "k", "scopes": ["read"]})
    answer = since(service, cursor)
    assert (answer["metrics"], answer["accounts"], answer["everything"]) == ([], [], False)


def test_accounts_come_in_pages_of_one_moment(service: Service) -> None:
    cursor = now(service)
    service.send(*(session(f"account-{number}") for number in range(7)))
    pages, answer = [], since(service, cursor, limit=3)
    service.send(session("later"))
    while True:
        pages.append(answer["accounts"])
        if not answer["has_more"]:
            break
        answer = since(service, answer["next"], limit=3)
    assert pages == [[f"account-{number}" for number in part] for part in ((0, 1, 2), (3, 4, 5), (6,))]
    assert since(service, answer["next"])["accounts"] == ["later"]


def test_many_accounts_in_one_transaction_are_all_accounts(service: Service) -> None:
    cursor = now(service)
    service.send(*(session(f"account-{number}") for number in range(1_001)))
    answer = since(service, cursor)
    assert answer["accounts"] is None and not answer["everything"] and "sessions" in answer["metrics"]


def test_midnight_is_named(service: Service) -> None:
    cursor = now(service)
    assert since(service, cursor)["new_day"] is False
    service.later(days=1)
    answer = since(service, cursor)
    assert (answer["new_day"], answer["today"]) == (True, "2026-03-16")


def test_a_transaction_that_commits_after_a_later_one_is_not_missed(service: Service) -> None:
    service.send(session("slow"))
    started, may_commit = asyncio.Event(), asyncio.Event()

    async def slow(connection: Any) -> None:
        connection.note_changes(["nps_responses"], [])
        await connection.execute("UPDATE account SET last_recorded_on = last_recorded_on")
        started.set()
        await may_commit.wait()

    async def run() -> list[dict[str, Any]]:
        async def ask(cursor: str) -> dict[str, Any]:
            return (await service.client.get(PATH, params={"since": cursor})).json()

        first = (await service.client.get(PATH)).json()["next"]
        writing = asyncio.create_task(service.books.database.write(slow))
        await started.wait()
        await service.client.post("/v1/events", json=session("fast"))
        between = await ask(first)
        may_commit.set()
        await writing
        return [between, await ask(between["next"])]

    between, after = service.run(run())
    assert (between["accounts"], after["accounts"]) == (["fast"], [])
    assert "nps" in after["metrics"] and "nps" not in between["metrics"]


def test_a_cursor_of_another_server_or_of_long_ago_is_answered_with_everything(service: Service) -> None:
    cursor = parse_cursor(now(service))
    for old in (cursor._replace(server="1.5"), cursor._replace(at=cursor.at.replace(year=2020))):
        answer = since(service, old.encode())
        assert answer["everything"] is True and answer["metrics"] == sorted(METRICS)


tokens = st.one_of(
    st.text(max_size=40),
    st.builds(
        "|".join,
        st.lists(st.sampled_from(["", "1.5", "2026-03-15T00:00:00+00:00", "2026-03-15", "3:4:", "4:3:", "0:0:"])),
    ),
)


@settings(deadline=None, suppress_health_check=list(HealthCheck))
@given(tokens)
def test_no_text_breaks_the_cursor(text: str) -> None:
    for token in (text, encode_token(text)):
        try:
            assert isinstance(parse_cursor(token), ChangesCursor)
        except Invalid as invalid:
            assert invalid.code == "invalid_cursor"


@pytest.mark.parametrize("snapshot", ["5:4:", "4:9:3", "4:9:9", "4:9:6,5", "a", "4:9", "0:0:", "٣:٤:"])
def test_a_snapshot_that_postgresql_refuses_is_an_invalid_cursor(snapshot: str, service: Service) -> None:
    cursor = parse_cursor(now(service))._replace(since=snapshot).encode()
    answer = service.request("GET", PATH, params={"since": cursor})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_cursor")


def test_every_measure_of_a_metric_changes_it() -> None:
    for name, metric in METRICS.items():
        for operand in metric.operands:
            for measure in operand.postings | operand.label_texts:
                assert name in find_metrics({measure})
    assert find_metrics({ANYTHING}) == sorted(METRICS) and find_metrics(set()) == []
