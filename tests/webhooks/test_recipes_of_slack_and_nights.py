"""The receiver for Slack, and the jobs that write all numbers each night."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from app.alerts.evaluate import evaluate_alerts
from tests.support.process import service_process
from tests.support.service import ADMIN_KEY, PATIENCE, Service, account_update, session
from tests.webhooks.hooks import Hooks
from tests.webhooks.outside import EXAMPLES, SLACK_PATH, Crm, ExampleReceiver, Reply, environment
from tests.webhooks.recipes import FIELDS, TOPICS, for_receivers, price, response, states, values_of

NIGHTLY = ["hubspot_nightly", "salesforce_nightly"]


@for_receivers("slack_receiver")
def test_slack_gets_alerts_and_unhappy_responses_once_each(
    service: Service, hooks: Hooks, receiver: ExampleReceiver, crm: Crm
) -> None:
    service.send(account_update(name="Acme & Söhne"))
    service.put("/v1/alerts/nps-low", {"metric": "nps", "granularity": "month", "below": 20})
    service.send(response(10), response(3, comment="<!channel> Too slow & dear."), response(2))
    service.later(minutes=2)
    service.run(evaluate_alerts(service.books))
    period = service.now.strftime("%Y-%m")
    crm.next_replies = [Reply(429, "rate_limited", (("Retry-After", "30"),))]
    hooks.deliver()
    for _ in range(8):
        service.later(minutes=1)
        hooks.deliver()
    assert set(states(hooks, receiver)) == {"delivered"}, receiver.output
    texts = sorted(call.body["text"] for call in crm.calls[1:])
    assert [text.rpartition(" ")[0] for text in texts] == [
        "Acme &amp; Söhne: nps 2. ",
        "Acme &amp; Söhne: nps 3. &lt;!channel&gt; Too slow &amp; dear.",
        f"All accounts: Net Promoter Score (NPS) is −33.3 in {period}, below 20.",
    ]
    assert all(call.path == SLACK_PATH for call in crm.calls)


@for_receivers("slack_receiver")
def test_slack_gets_test_messages_marked_as_such(hooks: Hooks, receiver: ExampleReceiver, crm: Crm) -> None:
    for topic in TOPICS[receiver.name]:
        assert hooks.post(f"{receiver.endpoint}/test", {"topic": topic}).json()["log"][0]["status"] == 204
    assert len(crm.calls) == 3 and all(call.body["text"].startswith("Test: ") for call in crm.calls)


@pytest.mark.own_database
@pytest.mark.parametrize("name", NIGHTLY)
def test_each_night_all_numbers_of_all_accounts_are_written(
    name: str, database: str, outside: tuple[Crm, str], tmp_path: Path
) -> None:
    crm, crm_url = outside
    crm.accounts = {"acme", "globex"}
    now = datetime.now(UTC)
    events = [
        price("100", at=(now - timedelta(days=500)).isoformat()),
        price("150", at=(now - timedelta(days=100)).isoformat()),
        price("30", "globex", at=(now - timedelta(days=40)).isoformat()),
        price("7", "nobody", at=(now - timedelta(days=40)).isoformat()),
        session(at=now.isoformat()),
    ]
    with service_process(tmp_path, database, LOG_LEVEL="info", WEBHOOK_WORKER="false") as process:
        assert process.request("POST", "/v1/events", json=events).json()["accepted"] == 5
        health = {row["account"]: row for row in process.request("GET", "/v1/health?accounts=all").json()["accounts"]}
        if name == "hubspot_nightly":
            crm.next_replies = [Reply(429, "no", (("Retry-After", "0"),))]
        variables = environment(crm_url, CSM_URL=process.url, CSM_KEY=ADMIN_KEY)
        command = [sys.executable, str(EXAMPLES / f"{name}.py")]
        subprocess.run(command, env=variables, cwd=tmp_path, check=True, timeout=PATIENCE)
    names = FIELDS[name.replace("nightly", "receiver")]
    got = {call.account: {own: values_of(call)[field] for own, field in names.items()} for call in crm.calls}
    assert got.keys() == {"acme", "globex", "nobody"}
    assert (float(got["acme"]["mrr"]), float(got["acme"]["nrr"]), float(got["globex"]["mrr"])) == (150, 150, 30)
    assert got["globex"]["nrr"] in ("", None), "no customer a year ago"
    for account, row in got.items():
        assert row["band"] in (health[account]["band"], "")
        assert row["score"] in (health[account]["score"], str(health[account]["score"]), "")
