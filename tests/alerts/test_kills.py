"""Processes that evaluate alerts are killed in the middle of it: nothing is lost, and nothing comes twice."""

import json
import signal
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from random import Random
from time import sleep
from typing import Any

import pytest

from app.database.tables import ALERT_LOCK
from tests.alerts.test_alerts import subscription
from tests.support.campaign import examples
from tests.support.process import ServiceProcess, service_process, wait_until
from tests.webhooks.test_worker import SETTINGS, work_process

_ACCOUNTS, _ALERTS = 40, 5
Query = Callable[[str], list[Any]]


@pytest.mark.own_database
def test_kills_in_the_middle_of_an_evaluation_neither_lose_nor_double_a_transition(
    tmp_path: Path, database: str, query_database: Query
) -> None:
    random, kills = Random(1), examples(2)
    with service_process(tmp_path, database, WEBHOOK_WORKER="false", **SETTINGS) as own:
        body = {"url": "https://93.184.216.34/hooks", "topics": ["alert.triggered", "alert.resolved"]}
        endpoint = own.request("POST", "/v1/webhook-endpoints", json=body).json()["id"]
        accounts = [f"account-{number}" for number in range(_ACCOUNTS)]
        events = [subscription("50", account, at="2026-01-01") for account in accounts]
        assert own.request("POST", "/v1/events", json=events).json()["accepted"] == _ACCOUNTS
        for turn in range(kills):
            put_alerts(own, turn)
            with ExitStack() as stack:
                workers = [stack.enter_context(work_process(tmp_path, database)) for _ in range(2)]
                wait_until(lambda: is_evaluating(query_database) or is_done(query_database))
                sleep(random.random() / 20)
                for worker in workers:
                    worker.send_signal(signal.SIGKILL)
                    worker.wait()
        with ExitStack() as stack:
            for _ in range(2):
                stack.enter_context(work_process(tmp_path, database))
            wait_until(lambda: is_done(query_database))
        assert own.request("DELETE", f"/v1/webhook-endpoints/{endpoint}").status_code == 204
    rows = query_database("SELECT body FROM webhook_message")
    data = [json.loads(bytes(row[0]))["data"] for row in rows]
    messages = Counter((row["alert"], row["account"]["id"]) for row in data)
    history = Counter(query_database("SELECT alert_id, account FROM alert_transition"))
    expected = {
        (f"own-{turn}-{number}", account) for turn in range(kills) for number in range(_ALERTS) for account in accounts
    }
    assert messages == history == Counter(dict.fromkeys(expected, 1))


def put_alerts(own: ServiceProcess, turn: int) -> None:
    for number in range(_ALERTS):
        body = {"metric": "mrr", "granularity": "month", "below": "100", "each_account": True}
        assert own.request("PUT", f"/v1/alerts/own-{turn}-{number}", json=body).status_code == 200


def is_evaluating(query_database: Query) -> bool:
    query = f"SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND granted AND objid = {ALERT_LOCK & 0xFFFFFFFF}"
    return bool(query_database(query))


def is_done(query_database: Query) -> bool:
    return query_database("SELECT count(*) FROM alert WHERE evaluated_at IS NULL") == [(0,)]
