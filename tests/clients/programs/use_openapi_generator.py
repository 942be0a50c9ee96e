"""What an application does with the client that openapi-generator generates for Python: send events and ask for a number."""

import json
import sys
from datetime import UTC, datetime

from generated import ApiClient, Configuration, IngestApi, MetricsApi
from generated.exceptions import UnprocessableEntityException
from generated.models.event import Event
from generated.models.events import Events
from generated.models.granularity import Granularity
from generated.models.metric_name import MetricName
from generated.models.session_ended import SessionEnded
from generated.models.session_ended_event import SessionEndedEvent
from generated.models.several_parameters import SeveralParameters


def main(url: str, key: str) -> None:
    client = ApiClient(Configuration(host=url, access_token=key))
    at = datetime(2026, 3, 14, 9, 30, tzinfo=UTC)
    events = [
        Event(
            SessionEndedEvent(
                id=f"session-{number}",
                type="session.ended",
                account_id="acme",
                user_id="ada",
                occurred_at=at,
                data=SessionEnded(duration_seconds=600),
            )
        )
        for number in range(3)
    ]
    receipt = IngestApi(client).post_events(Events(events))
    metrics = MetricsApi(client)
    question = SeveralParameters(metrics=[MetricName.SESSIONS], period="2026-03", granularity=Granularity.MONTH)
    [row] = metrics.query(question).rows
    one = metrics.get_metric(MetricName.SESSIONS, period="2026-03")
    code = ""
    try:
        metrics.get_metric(MetricName.SESSIONS, period="soon")
    except UnprocessableEntityException as error:
        code = error.data.code
    print(json.dumps([receipt.accepted, row.metric, row.value, one.rows[0].value, code]))


main(*sys.argv[1:])
