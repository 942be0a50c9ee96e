"""Every kind of write over HTTP, and the questions whose answers they change."""

import base64
import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from itertools import count
from random import Random
from typing import Any

import httpx

from app.ingest.define import EVENT_TYPES
from app.ingest.schemas import example_event
from tests.inbound.senders import SECRET, sign_hmac
from tests.support.hostile import ENDPOINTS

# Sends a request to one of the processes, and returns its answer, which is a success.
Send = Callable[..., httpx.Response]

ACCOUNTS = ("acme", "globex", "initech")
_COMMENT = base64.urlsafe_b64encode(b"acme\0comment").decode().rstrip("=")
_numbers = count()
# When that happened which is written before a campaign. It may be written again.
BEFORE = (datetime.now(UTC).replace(hour=0, minute=0) - timedelta(days=1)).isoformat()

# At least one of each endpoint that is pollable.
QUESTIONS = (
    "/v1/metrics",
    "/v1/metrics/sessions?period=last_3_months",
    "/v1/metrics/sessions?group_by=account&granularity=day&period=last_30_days&format=csv",
    "/v1/metrics/mrr?granularity=day&period=last_7_days",
    "/v1/metrics/clv?period=this_month",
    "/v1/metrics/nps/conventions",
    "/v1/metrics/sessions/contributors?period=last_month",
    "/v1/metrics/mrr/restatements?period=last_month",
    "/v1/metrics/sessions/events?period=last_3_months",
    "/v1/query?metrics=sessions,nps,support_tickets,mrr&group_by=plan&strict=false&period=last_3_months",
    "/v1/query?metrics=sessions&segment=big&strict=false&period=last_3_months",
    "/v1/accounts",
    "/v1/accounts/acme",
    "/v1/accounts/acme/overview",
    "/v1/accounts/acme/health",
    "/v1/accounts/acme/health/explanation",
    "/v1/attributes",
    "/v1/segments",
    "/v1/surveys",
    "/v1/surveys/nps/distribution",
    "/v1/exchange-rates",
    "/v1/targets",
    "/v1/targets/t",
    "/v1/targets/t/history",
    "/v1/scorecard",
    "/v1/feedback",
    "/v1/feedback/themes",
    f"/v1/feedback/{_COMMENT}",
    "/v1/cohorts",
    f"/v1/cohorts/accounts?cohort={datetime.now(UTC):%Y-%m}&number=0",
    "/v1/onboarding/funnel",
    "/v1/insights",
    "/v1/insights/nps_drop/accounts",
    "/v1/insight-detectors",
    "/v1/health",
    "/v1/health-model",
    "/v1/health-model/versions",
    "/v1/health-model/backtest",
    "/v1/health-model/backtest/scores",
    "/v1/charts",
)


def recently(random: Random) -> str:
    """Return a time within the last weeks, most often today."""
    ago = timedelta(seconds=1) if random.random() < 0.5 else timedelta(minutes=random.randrange(60 * 24 * 40))
    return (datetime.now(UTC) - ago).isoformat()


def new_event(type: str, random: Random, account: str | None = None, **data: Any) -> dict[str, Any]:
    """Return a new event of a type, with data like those of its example."""
    example = example_event(type)
    own = {"id": f"{type}-{next(_numbers)}", "account_id": account or random.choice(ACCOUNTS)}
    return example | own | {"occurred_at": recently(random), "data": example["data"] | data}


def prepare(send: Send) -> None:
    """Write what the questions name."""
    random = Random(0)
    comment = new_event("feedback.received", random, "acme") | {
        "id": "comment",
        "user_id": "ada",
        "occurred_at": BEFORE,
    }
    first = [new_event("account.updated", random, account) for account in ACCOUNTS]
    send("POST", "/v1/events", json=[*first, comment, new_event("session.ended", random, "acme")])
    send("PUT", "/v1/segments/big", json={"filter": 'plan = "pro"'})
    send("PUT", "/v1/targets/t", json={"metric": "sessions", "granularity": "month", "value": 10})
    send("PUT", "/v1/sources/crm", json=_SOURCE)


_SOURCE: dict[str, Any] = {
    "vendor": "generic",
    "secrets": [SECRET],
    "mapping": {
        "events": [
            {
                "type": "account.updated",
                "id": "payload.id",
                "account_id": "payload.account",
                "occurred_at": "payload.at",
                "data": {"attributes": "payload.attributes"},
            }
        ]
    },
}


def _send_event(type: str) -> Callable[[Random, Send], None]:
    def write(random: Random, send: Send) -> None:
        answer = send("POST", "/v1/events", json=[new_event(type, random)]).json()
        assert answer["accepted"] == 1, answer

    return write


def _retract(random: Random, send: Send) -> None:
    event = new_event(random.choice(["session.ended", "survey.responded", "feedback.received"]), random)
    send("POST", "/v1/events", json=[event])
    send("DELETE", f"/v1/accounts/{event['account_id']}/events/{event['id']}")


def _survey_response(random: Random) -> dict[str, Any]:
    own = {"id": f"r-{next(_numbers)}", "survey": "nps", "score": random.randrange(11), "account_id": "acme"}
    return own | {"responded_at": recently(random)}


def _retract_without_account(random: Random, send: Send) -> None:
    event = new_event("cost.recorded", random)
    del event["account_id"]
    send("POST", "/v1/events", json=[event])
    send("DELETE", f"/v1/events/{event['id']}")


def _put_account(random: Random, send: Send) -> None:
    attributes = {"plan": random.choice(["pro", "basic"]), "level": random.randrange(100)}
    send(
        "PUT", f"/v1/accounts/{random.choice(ACCOUNTS)}", json={"name": f"N{next(_numbers)}", "attributes": attributes}
    )


def segment_call(kind: str, **fields: Any) -> dict[str, Any]:
    """Return a call of Segment's libraries."""
    own = {"messageId": f"message-{next(_numbers)}", "timestamp": datetime.now(UTC).isoformat(), "userId": "ada"}
    return own | {"context": {"groupId": "acme"}} | fields | ({"type": kind} if kind else {})


def _segment_batch(random: Random, send: Send) -> None:
    calls = [
        segment_call("group", groupId="globex", traits={"plan": random.choice(["pro", "free"])}),
        segment_call("track", event="export", properties={"n": 1}),
        segment_call("identify", traits={"email": "ada@acme.example"}),
    ]
    send("POST", "/v1/segment/batch", json={"batch": calls})


def _deliver(random: Random, send: Send) -> None:
    """Let a CRM send a webhook."""
    body = {"id": f"deal-{next(_numbers)}", "account": random.choice(ACCOUNTS), "at": recently(random)}
    content = json.dumps(body | {"attributes": {"stage": random.choice(["won", "lost"])}}).encode()
    headers = sign_hmac(content, datetime.now(UTC)) | {"Content-Type": "application/json", "Authorization": ""}
    assert send("POST", "/v1/inbound/crm", content=content, headers=headers).json()["accepted"] == 1


def _put_and_delete(path: str, body: dict[str, Any]) -> Callable[[Random, Send], None]:
    def write(random: Random, send: Send) -> None:
        send("PUT", path, json=body)
        if random.random() < 0.5:
            send("DELETE", path)

    return write


def _put_rates(random: Random, send: Send) -> None:
    currency = random.choice(["EUR", "".join(random.choice("ABCDEFGHIJ") for _ in range(3))])
    day = str((datetime.now(UTC) - timedelta(days=random.randrange(40))).date())
    send("PUT", "/v1/exchange-rates", json={"currency": currency, "rates": {day: f"1.{random.randrange(10**6)}"}})


def health_model(description: str) -> dict[str, Any]:
    """Return a model of health that holds from today on."""
    body = ENDPOINTS["PUT", "/v1/health-model"]
    assert body is not None
    return {name: value for name, value in body.items() if name != "effective_from"} | {"description": description}


def _patch_feedback(random: Random, send: Send) -> None:
    status = random.choice(["open", "resolved"])
    send("PATCH", f"/v1/feedback/{_COMMENT}", json={"status": status, "note": f"Note {next(_numbers)}."})


def _erase_comment(random: Random, send: Send) -> None:
    comment = new_event("feedback.received", random, "acme")
    send("POST", "/v1/events", json=[comment])
    id = base64.urlsafe_b64encode(f"acme\0{comment['id']}".encode()).decode().rstrip("=")
    send("DELETE", f"/v1/feedback/{id}")


def _erase_user(random: Random, send: Send) -> None:
    send("POST", "/v1/events", json=[new_event("feedback.received", random, "globex") | {"user_id": "eve"}])
    send("DELETE", "/v1/accounts/globex/users/eve/personal-data")


def _put_webhook(random: Random, send: Send) -> None:
    """Let there be a receiver, to which nothing is ever sent: it is disabled at once."""
    endpoint = send("POST", "/v1/webhook-endpoints", json=ENDPOINTS["POST", "/v1/webhook-endpoints"]).json()
    send("PATCH", f"/v1/webhook-endpoints/{endpoint['id']}", json={"state": "disabled"})
    send("DELETE", f"/v1/webhook-endpoints/{endpoint['id']}")


_SESSIONS = {"metric": "sessions", "granularity": "month"}
WRITES: Mapping[str, Callable[[Random, Send], None]] = {
    **{type: _send_event(type) for type in EVENT_TYPES if type != "feedback.updated"},
    "survey responses": lambda random, send: send(
        "POST",
        "/v1/survey-responses",
        json=[_survey_response(random)],
    ),
    "large batch": lambda random, send: send(
        "POST", "/v1/events", json=[new_event("session.ended", random) for _ in range(700)]
    ),
    "retraction": _retract,
    "retraction of a cost": _retract_without_account,
    "account": _put_account,
    "Segment batch": _segment_batch,
    "Segment group": lambda random, send: send(
        "POST",
        "/v1/segment/group",
        json=segment_call("", groupId="acme", traits={"plan": random.choice(["pro", "free"])}),
    ),
    "Segment track": lambda random, send: send(
        "POST", "/v1/segment/track", json=segment_call("", event=f"event {random.randrange(5)}")
    ),
    "delivery of a CRM": _deliver,
    "source": lambda random, send: send("PUT", "/v1/sources/crm", json=_SOURCE),
    "segment": _put_and_delete("/v1/segments/small", {"filter": 'plan = "basic"'}),
    "another segment": lambda random, send: send(
        "PUT", "/v1/segments/big", json={"filter": f'plan = "{random.choice(["pro", "basic"])}"'}
    ),
    "rates": _put_rates,
    "survey": lambda random, send: send(
        "PUT",
        "/v1/surveys/review",
        json={"kind": "csat", "scale": {"min": 1, "max": 7}, "satisfied_from": 6, "question": f"{next(_numbers)}?"},
    ),
    "target": lambda random, send: send("PUT", "/v1/targets/t", json=_SESSIONS | {"value": random.randrange(1, 99)}),
    "another target": _put_and_delete("/v1/targets/u", _SESSIONS | {"metric": "nps", "value": 7}),
    "health model": lambda random, send: send("PUT", "/v1/health-model", json=health_model(f"Model {next(_numbers)}.")),
    "alert": _put_and_delete("/v1/alerts/goal", {"metric": "nps", "granularity": "month", "below": 20}),
    "comment": _patch_feedback,
    "erasure of a comment": _erase_comment,
    "erasure of a user": _erase_user,
    "webhook": _put_webhook,
}
