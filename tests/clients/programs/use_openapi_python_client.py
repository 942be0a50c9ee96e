"""What an application does with the client that openapi-python-client generates: send events and ask for a number."""

import json
import sys
from datetime import UTC, datetime

from generated import AuthenticatedClient
from generated.api.ingest import post_events
from generated.api.metrics import get_metric, query
from generated.models import (
    Answer,
    BatchReceipt,
    EventBatch,
    Granularity,
    MetricName,
    Problem,
    SessionEnded,
    SessionEndedEvent,
    SeveralParameters,
)


def main(url: str, key: str) -> None:
    client = AuthenticatedClient(base_url=url, token=key)
    at = datetime(2026, 3, 14, 9, 30, tzinfo=UTC)
    batch = EventBatch(
        events=[
            SessionEndedEvent(
                id=f"session-{number}",
                type_="session.ended",
                account_id="acme",
                user_id="ada",
                occurred_at=at,
                data=SessionEnded(duration_seconds=600),
            )
            for number in range(3)
        ]
    )
    receipt = post_events.sync(client=client, body=batch)
    assert isinstance(receipt, BatchReceipt), receipt
    question = SeveralParameters(metrics=[MetricName.SESSIONS], period="2026-03", granularity=Granularity.MONTH)
    answer = query.sync(client=client, body=question)
    assert isinstance(answer, Answer), answer
    [row] = answer.rows
    one = get_metric.sync(MetricName.SESSIONS, client=client, period="2026-03")
    assert isinstance(one, Answer), one
    problem = get_metric.sync(MetricName.SESSIONS, client=client, period="soon")
    assert isinstance(problem, Problem), problem
    print(json.dumps([receipt.accepted, row.metric, row.value, one.rows[0].value, problem.code]))


main(*sys.argv[1:])
